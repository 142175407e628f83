"""Classifiers of aeon, in a process of its own environment that `benchmarks.panel.fitting` starts.

Argument: the number of threads. Every line on the standard input is an order in JSON, {"classifier", "problem", "seed",
"quick"}, answered by a line of JSON: the test labels that were predicted, and what fit and predict cost. "problem" is a
.npz of training and test sequences with codes of labels.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numba
import numpy as np
from aeon import __version__
from aeon.classification.convolution_based import MiniRocketClassifier, MultiRocketHydraClassifier

from benchmarks.panel.cost import costed
from benchmarks.panel.padding import common_length, padded


def classifier(name: str, seed: int, threads: int, quick: bool) -> Any:
    """Each with its own ridge classifier behind, as aeon has it."""
    common = {"n_jobs": threads, "random_state": seed}
    if name == "MiniROCKET":
        return MiniRocketClassifier(n_kernels=84 if quick else 10_000, **common)
    if quick:
        common |= {"n_kernels": 2, "n_groups": 4}
    return MultiRocketHydraClassifier(**common)


def read(path: str) -> dict[str, Any]:
    """Sequences (T, C) and codes of both splits."""
    with np.load(path) as file:
        content = {name: file[name] for name in file.files}
    sides: dict[str, Any] = {}
    for side in ("train", "test"):
        parts = np.split(content[f"{side}_values"], np.cumsum(content[f"{side}_lengths"])[:-1])
        sides[side] = (parts, content[f"{side}_labels"])
    return sides


def answer(order: dict[str, Any], threads: int) -> dict[str, Any]:
    """Fit, predict, weigh."""
    sides = read(order["problem"])
    (X, y), (X_new, _) = sides["train"], sides["test"]
    n_steps = common_length(X)
    model = classifier(order["classifier"], order["seed"], threads, order["quick"])
    X, X_new = padded(X, n_steps), padded(X_new, n_steps)
    _, fit = costed(lambda: model.fit(X, y), "fit")
    predicted, predict = costed(lambda: model.predict(X_new), "predict")
    return {"predicted": np.asarray(predicted).tolist(), "cost": {**fit, **predict}}


def main() -> None:
    """Answer orders until the input ends."""
    threads = int(sys.argv[1])
    numba.set_num_threads(threads)
    print(json.dumps({"aeon": __version__, "numba": numba.__version__}), flush=True)
    for line in sys.stdin:
        try:
            found = answer(json.loads(line), threads)
        except Exception as error:
            found = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
