"""From sentences to the picture of a reservoir's states: how long it takes, and how true the map is."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.echo_state.fitting import FINAL
from skseqmetric import EchoStateRegressor
from skseqmetric.datasets import make_cross_situational, sentence_roles
from skseqmetric.inspection import RecurrentStateMap, hidden_states

N_SENTENCES, N_UNITS = 200, 1000


def map_of_sentences(*, quick: bool = False, seed: int = 0) -> dict[str, float]:
    """Seconds from drawing the reservoir to the saved picture, trustworthiness, and purity of the clause label.

    The import of umap-learn is in the seconds.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    n_sentences, n_units = (20, 50) if quick else (N_SENTENCES, N_UNITS)
    corpus = make_cross_situational(random_state=seed).test
    rows = np.random.default_rng(seed).permutation(len(corpus.sentences))[:n_sentences]
    X, sentences = [corpus.X[i] for i in rows], [corpus.sentences[i] for i in rows]
    start = time.perf_counter()
    reservoir = EchoStateRegressor(n_units, **FINAL, random_state=seed).fit_reservoir(X)
    states = hidden_states(reservoir, X, initial=False).states
    places = [sentence_roles(sentence) for sentence in sentences]
    state_map = RecurrentStateMap().fit(states)
    points = np.concatenate(state_map.transform(states))
    labels = np.concatenate(places)
    for label in np.unique(labels):
        pyplot.scatter(*points[labels == label].T, s=4, label=label)
    pyplot.legend()
    with tempfile.TemporaryDirectory() as folder:
        pyplot.savefig(Path(folder) / "map.png")
    pyplot.close()
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "states": float(len(points)),
        "trustworthiness": float(state_map.trustworthiness(states)),
        "purity of the clause": float(state_map.purity(states, places)),
    }
