"""
Clusters within clusters: the fractal embedding of sentences
============================================================

You learn how to find out whether a network places sentences in clusters within clusters, all arranged alike.
:class:`skseqmetric.inspection.NestedStatesDisplay` zooms into the final states of an LSTM and of an echo state network,
and measures both properties of a fractal: clusters get smaller, and they are arranged alike.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE

from skseqmetric import EchoStateRegressor, RecurrentRegressor
from skseqmetric.datasets import make_cross_situational
from skseqmetric.inspection import NestedStatesDisplay

# %%
# A fractal by construction
# -------------------------
# If a state is the place of a word plus a third of the state before, every cluster is a small copy of the whole. This
# "network" has known answers: the spread falls to a third from panel to panel, and the arrangements are equal up to
# chance.

rng = np.random.default_rng(0)
places = rng.normal(size=(5, 2))


class Contraction:
    """The state after a word is the place of the word plus a third of the state before."""

    def hidden_states(self, X):
        """Return the states (T, 2) of every sequence of words (T, 1)."""
        every = []
        for words in X:
            states = [np.zeros(2)]
            for word in words[:, 0].astype(int):
                states.append(places[word] + states[-1] / 3)
            every.append(np.array(states[1:]))
        return every


words = rng.integers(0, 5, size=(600, 5))
NestedStatesDisplay.from_estimator(
    Contraction(), [own[:, np.newaxis].astype(float) for own in words], step_names=list(words), reducer=PCA(2)
)
plt.show()

# %%
# Two networks that read sentences
# --------------------------------
# The sentences of :func:`skseqmetric.datasets.make_cross_situational` have one or two clauses. Each network learns to
# tell their meaning at the last word.

corpus = make_cross_situational(4, random_state=0)
lstm = RecurrentRegressor(20, scaling=None, max_epochs=25, random_state=0).fit(corpus.train.X, corpus.train.y)
reservoir = EchoStateRegressor(
    200,
    spectral_radius=1.1,
    leak=0.05,
    density=0.85,
    input_scaling=1.0,
    bias_scaling=1.0,
    input_density=0.1,
    bidirectional=False,
    pooling="last",
    alpha=10**-3.5,
    scaling=None,
    random_state=0,
)
reservoir.fit(corpus.train.X, corpus.train.y)
networks = {"LSTM": lstm, "echo state network": reservoir}

# %%
# Nested by meaning
# -----------------
# New sentences of two clauses, by their first object, its position, and the second object. The dashed box is what the
# next panel shows. The LSTM keeps first objects apart, within them positions, and within these second objects. In the
# echo state network the colours overlap at every depth. t-SNE draws the map, because it starts at once; UMAP is the
# default. The measures below the panels are those of the states and not of the map.

two = [i for i, sentence in enumerate(corpus.test.sentences) if "and" in sentence]
meanings = corpus.test.meanings[two]


def named(names, slot, field):
    """Return the name of one field of every sentence, "none" if it is not mentioned."""
    return [names[k] if k >= 0 else "none" for k in meanings[:, slot, field]]


levels = {
    "first object": named(corpus.objects, 0, 0),
    "its position": named(corpus.positions, 0, 1),
    "second object": named(corpus.objects, 1, 0),
}
shown = slice(0, 300)
display = NestedStatesDisplay.from_estimators(
    networks,
    [corpus.test.X[i] for i in two[shown]],
    levels={name: labels[shown] for name, labels in levels.items()},
    reducer=TSNE(init="pca", max_iter=400, random_state=0),
    path=["cup", "left"],
)
plt.show()

# %%
# Nested by the last words?
# -------------------------
# The last words with content, in all new sentences. The clusters of the last word are nearly as large as the whole, in
# both networks: at END a state holds what the sentence means, and the last word is one part of it.

structure = {"BEGIN", "and", "END", "a", "the", "is", "on", "that", "there", "this"}
names = [[word for word in sentence if word not in structure] for sentence in corpus.test.sentences]
ends = ("last content word", "the one before", "two before")
levels = {end: [own[-k] if len(own) >= k else None for own in names] for k, end in enumerate(ends, 1)}
by_words = NestedStatesDisplay.from_estimators(networks, corpus.test.X, levels=levels, reducer=PCA(2))
plt.show()
for title, found in (("by meaning", display), ("by the last words", by_words)):
    for name, network in found.networks.items():
        alike = {own.depths: own for own in network.similarity}
        spread = ", ".join(f"{own:.2f}" for own in network.spread[1:])
        at = ", ".join(f"{alike[d, d].correlation:.2f} (p = {alike[d, d].p_value:.3f}) at depth {d}" for d in (2, 3))
        print(f"{title}, {name}: spread {spread}; clusters arranged alike {at}")
