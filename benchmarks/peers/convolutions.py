"""Features of random convolutions against those of aeon's MiniRocket: items are comparisons, features times steps."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import Result, measure
from benchmarks.peers.aeon_process import CONVOLUTIONS, Aeon
from benchmarks.peers.runs import forced, implementations
from skseqmetric import RandomConvolutionTransformer

VIEWS, N_FEATURES = ("channels", "differences"), 5000
EAGER_STEPS = 5000
SHAPES = ((200, 150, 1), (200, 128, 6), (40, 1000, 1), (200, 24, 1))
"""Sequences, steps, channels."""


def all_convolutions(threads: int, repeats: int, aeon_python: Path | None, *, quick: bool) -> list[Result]:
    """10,000 features of sequences of one length, and of ragged ones, which MiniRocket does not take."""
    if quick:
        return [_features(8, (20, 20), 2, threads, repeats, aeon_python)]
    equal = [_features(n, (steps, steps), c, threads, repeats, aeon_python) for n, steps, c in SHAPES]
    return [*equal, _features(200, (50, 250), 1, threads, repeats, None), _single(threads, repeats)]


def _features(
    n: int, steps: tuple[int, int], n_channels: int, threads: int, repeats: int, aeon_python: Path | None
) -> Result:
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(t, n_channels)).astype(np.float32) for t in rng.integers(steps[0], steps[1] + 1, size=n)]
    made = _transformer().fit(X)
    with _contenders(X, made, threads, aeon_python) as contenders:
        return measure(
            f"10,000 convolution features of {n} sequences of {steps[0]}-{steps[1]} x {n_channels}",
            contenders,
            check=_check,
            repeats=repeats,
            items=made.convolutions_.n_features_out * sum(map(len, X)),
            unit="comparisons",
            threads=threads,
            memory=False,
        )


def _single(threads: int, repeats: int) -> Result:
    """One sequence of 150 steps, for the time of an answer."""
    x = np.random.default_rng(0).normal(size=(1, 150, 1)).astype(np.float32)
    made = _transformer().fit(x)
    return measure(
        "10,000 convolution features of one sequence of 150 steps",
        {name: forced(name, lambda: made.transform(x)) for name in implementations("random_convolution")},
        check=_check,
        repeats=50 * repeats,
        items=1,
        unit="sequences",
        threads=threads,
        memory=False,
    )


def _transformer() -> RandomConvolutionTransformer:
    return RandomConvolutionTransformer(N_FEATURES, views=VIEWS, standardize=False, device="cpu", random_state=0)


@contextlib.contextmanager
def _contenders(
    X: list[np.ndarray], made: RandomConvolutionTransformer, threads: int, aeon_python: Path | None
) -> Iterator[dict[str, Callable[[], Any]]]:
    contenders: dict[str, Callable[[], Any]] = {}
    with contextlib.ExitStack() as stack:
        if aeon_python is not None:
            aeon = stack.enter_context(Aeon(aeon_python, X, X, threads, CONVOLUTIONS))
            contenders[f"aeon {aeon.versions['aeon']} MiniRocket"] = aeon.run
        # torch's form takes thirty times as long, so that it is measured where there is little to do
        for name in _measured(X):
            contenders[f"random convolutions, {name}"] = forced(name, lambda: made.transform(X))
        yield contenders


def _check(answers: dict[str, Any]) -> None:
    """Forms agree in every bit; theirs are other random features, of which there are about as many."""
    ours = [np.asarray(answer) for answer in answers.values() if isinstance(answer, np.ndarray)]
    for answer in ours:
        np.testing.assert_array_equal(answer, ours[0])
    for answer in answers.values():
        if isinstance(answer, Aeon):
            theirs = answer.result()
            if len(theirs) != len(ours[0]) or abs(theirs.shape[1] / ours[0].shape[1] - 1) > 0.02:
                raise AssertionError(f"{theirs.shape} features against {ours[0].shape}")


def _measured(X: list[np.ndarray]) -> list[str]:
    names = implementations("random_convolution")
    return names if sum(map(len, X)) <= EAGER_STEPS else [name for name in names if name != "eager"] or names
