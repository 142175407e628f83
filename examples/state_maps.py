"""Look into recurrent networks that learn a small language: maps of their states before, during and after training.

The task is cross-situational learning: the networks learn the meaning of sentences such as "on the left there is a red
cup and this is a bowl". The targets in training also name things that a sentence does not mention. One network is an
echo state network, the other an LSTM.

Run: python examples/state_maps.py [--out DIR] [--quick]
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from skseqmetric import EchoStateRegressor, RecurrentRegressor
from skseqmetric.datasets import (
    decode_meanings,
    exact_error,
    make_cross_situational,
    rate_meanings,
    sentence_roles,
    valid_error,
)
from skseqmetric.inspection import (
    HyperparameterPanels,
    RecurrentStateDisplay,
    StateAnimation,
    UnitActivityDisplay,
    hidden_states,
)

N_OBJECTS = 4
ONE_HOT: dict[str, Any] = {
    "scaling": None,
    "input_scaling": 1.0,
    "bias_scaling": 1.0,
    "input_density": 0.1,
    "bidirectional": False,
    "pooling": "last",
}
PUBLISHED: dict[str, Any] = {**ONE_HOT, "spectral_radius": 1.1, "density": 0.85, "leak": 0.05, "alpha": 10**-3.5}
"""The settings of Variengien and Hinaut (2020) for learning from the last state."""

STAGES = (30, 60, 120, 250, 500, 1000)
"""Number of training sentences at every stage of the animation."""


def main() -> None:
    """Learn, map, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("results"), help="folder for the pictures")
    parser.add_argument("--quick", action="store_true", help="small networks and few sentences")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)

    corpus = make_cross_situational(N_OBJECTS, random_state=0)
    n_units, n_shown, n_epochs = (100, 30, 3) if args.quick else (1000, 200, 60)
    reservoir = EchoStateRegressor(n_units, **PUBLISHED, random_state=0)
    lstm = RecurrentRegressor(20, scaling=None, max_epochs=n_epochs, random_state=0)
    for network in (reservoir, lstm):
        start = time.perf_counter()
        network.fit(corpus.train.X, corpus.train.y)
        decoded = decode_meanings(network.predict(corpus.test.X), N_OBJECTS)
        errors = [100 * error(corpus.test.meanings, decoded) for error in (valid_error, exact_error)]
        print(
            f"{type(network).__name__}: fit {time.perf_counter() - start:.1f} s, on new sentences "
            f"{errors[0]:.1f} % not valid, {errors[1]:.1f} % not exact"
        )

    shown = np.random.default_rng(0).permutation(len(corpus.test.X))[:n_shown]
    X, sentences = [corpus.test.X[i] for i in shown], [corpus.test.sentences[i] for i in shown]
    roles = [sentence_roles(words) for words in sentences]
    draw_before_training(reservoir, X[: n_shown // 2], roles[: n_shown // 2], args.out)
    draw_lstm(lstm, X, sentences, roles, args.out)
    draw_errors(reservoir, X, sentences, corpus.test.meanings[shown], args.out)
    draw_learning(reservoir, corpus, X, sentences, args.out)
    draw_units(reservoir, corpus, X, sentences, args.out)
    print(f"Pictures in {args.out}")


def draw_before_training(reservoir: EchoStateRegressor, X: list[Any], roles: list[Any], out: Path) -> None:
    """Map the states of four random reservoirs before any training."""
    panels = HyperparameterPanels.from_estimator(
        clone(reservoir),
        X,
        param_grid={"spectral_radius": [0.5, 1.1], "leak": [0.05, 0.5]},
        labels=roles,
        label_name="part of the sentence",
    )
    panels.figure_.savefig(out / "reservoirs_before_training.png", dpi=110)
    for panel in panels.panels:
        setting = ", ".join(f"{name} {value}" for name, value in panel.params.items())
        print(f"  {setting}: trustworthiness {panel.trustworthiness:.2f}, purity {panel.purity:.2f}")


def draw_lstm(lstm: RecurrentRegressor, X: list[Any], sentences: list[Any], roles: list[Any], out: Path) -> None:
    """Map the cell states of the LSTM, by part of the sentence and along two sentences."""
    display = RecurrentStateDisplay.from_estimator(lstm, X, places=roles, step_names=sentences, layer="places")
    display.figure_.savefig(out / "lstm_places.png", dpi=110)
    display.plot_trajectories([0, 1]).figure_.savefig(out / "lstm_trajectories.png", dpi=110)


def draw_errors(
    reservoir: EchoStateRegressor, X: list[Any], sentences: list[Any], meanings: np.ndarray, out: Path
) -> None:
    """Show where the echo state network gets the meaning of the whole sentence wrong, and print the hardest ones."""

    def judge(outputs: np.ndarray, i: int) -> np.ndarray:
        decoded = decode_meanings(outputs, N_OBJECTS)
        return rate_meanings(np.broadcast_to(meanings[i], decoded.shape), decoded)

    display = RecurrentStateDisplay.from_estimator(reservoir, X, step_names=sentences, judge=judge, layer="errors")
    display.figure_.savefig(out / "reservoir_errors.png", dpi=110)
    print("Hardest sentences:")
    for example in display.difficult_examples(5):
        print(f"  {' '.join(sentences[example.sequence])}: {100 * example.wrong_share:.0f} % of its states wrong")


def draw_learning(reservoir: EchoStateRegressor, corpus: Any, X: list[Any], sentences: list[Any], out: Path) -> None:
    """Animate the output of a network that learns: the map of its states stays, its readout changes."""
    order = np.random.default_rng(1).permutation(len(corpus.train.X))
    learner = clone(reservoir)
    readouts, n_seen = [], 0
    for n in STAGES:
        piece = order[n_seen:n]
        learner.partial_fit([corpus.train.X[i] for i in piece], corpus.train.y[piece])
        readouts.append((learner.coef_, learner.intercept_))
        n_seen = n
    found = hidden_states(learner, X)
    display = RecurrentStateDisplay.from_estimator(learner, X)
    output = corpus.target_names.index("1 object cup")
    film = StateAnimation.from_readouts(
        found.states,
        display.points,
        readouts,
        output=output,
        stages=[f"{n} sentences" for n in STAGES],
        steps=found.steps,
        step_labels=sentences,
        value_name='output "first object: cup"',
    )
    film.save_gif(out / "learning.gif", fps=1)
    film.save_html(out / "learning.html")


def draw_units(reservoir: EchoStateRegressor, corpus: Any, X: list[Any], sentences: list[Any], out: Path) -> None:
    """Show at which words the units with the largest weights on the output "cup" move."""
    display = UnitActivityDisplay.from_estimator(
        reservoir,
        X,
        step_labels=sentences,
        output_names=corpus.target_names,
        kind="specific",
        output=corpus.target_names.index("1 object cup"),
    )
    display.figure_.savefig(out / "units_of_the_cup.png", dpi=110)


if __name__ == "__main__":
    main()
