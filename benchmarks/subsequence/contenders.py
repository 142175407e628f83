"""The searches that are compared. Each learns from the training recordings, and ranks places of the test recordings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.subsequence.problems import Problem, Recording
from benchmarks.subsequence.scores import Match, greedy
from skseqmetric import RandomConvolutionMetric, find_subsequences

N_MATCHES = 100
"""Places that are ranked for every pattern."""

Found = dict[int, list[Match]]
"""Matches of every label."""


@dataclass(frozen=True)
class Contender:
    """A search, its settings for each problem, and those that were tried. `search` gets what `learn` returned."""

    name: str
    learn: Callable[..., Any]
    search: Callable[..., Found]
    settings: dict[str, dict[str, Any]]
    tried: tuple[dict[str, Any], ...]


# ------------------------------------------------------------------------------------------------------------- learned


def learned_metric(problem: Problem, *, n_features: int, n_background: int, **_: Any) -> Any:
    """Fit a metric to windows on patterns, beside them, and elsewhere."""
    rng = np.random.default_rng(0)
    X, y = map(list, zip(*_windows(problem, n_background, rng), strict=True))
    return RandomConvolutionMetric(n_features, random_state=0).fit(X, np.array(y))


def _windows(problem: Problem, n_background: int, rng: np.random.Generator) -> Iterator[tuple[np.ndarray, int]]:
    """Yield windows and their labels. What is no pattern has minus the most frequent label of its steps, or 0 beside.

    Every place is shown once exactly and three times roughly. Two windows beside it share less than half with it. Of
    every recording there are `n_background` windows without a step of a pattern.
    """
    lengths = [place.stop - place.start for recording in problem.train for place in recording.places]
    for recording in problem.train:
        for place in recording.places:
            length, centre = place.stop - place.start, (place.start + place.stop) / 2
            yield recording.cut(place), place.label
            for _ in range(3):
                width = round(length * rng.uniform(0.8, 1.25))
                yield _cut(recording, centre + length * rng.uniform(-0.15, 0.15), width), place.label
            for side in (-1, 1):
                width = int(rng.choice(lengths))
                yield _cut(recording, centre + side * rng.uniform(0.7, 1.1) * (width + length) / 2, width), 0
        patterns = {place.label for place in recording.places}
        for _ in range(n_background):
            width = int(rng.choice(lengths))
            start = int(rng.integers(len(recording.steps) - width))
            labels, counts = np.unique(recording.steps[start : start + width], return_counts=True)
            if patterns.isdisjoint(labels.tolist()):
                yield recording.values[start : start + width], -int(labels[counts.argmax()])


def _cut(recording: Recording, centre: float, width: int) -> np.ndarray:
    start = int(np.clip(centre - width / 2, 0, len(recording.values) - width))
    return recording.values[start : start + width]


def by_metric(problem: Problem, metric: Any, *, n_lengths: int, stride: float, **_: Any) -> Found:
    """Windows of several lengths, by the distance to the nearest example."""
    X, y = problem.examples()
    shortest, longest = np.quantile([len(x) for x in X], (0.1, 0.9))
    lengths = np.unique(np.geomspace(shortest, longest, n_lengths).round().astype(int))
    recordings = [recording.values for recording in problem.test]
    found = find_subsequences(metric, X, recordings, labels=y, n_matches=N_MATCHES, lengths=lengths, stride=stride)
    rows = [m[["distance", "recording", "start", "stop"]].tolist() for m in found]
    return {int(label): [Match(*row) for row in part] for label, part in zip(np.unique(y), rows, strict=True)}


# --------------------------------------------------------------------------------------------------------------- peers


def standardised(problem: Problem, **_: Any) -> tuple[np.ndarray, np.ndarray]:
    """Means and spreads of the channels over the training recordings."""
    values = np.concatenate([recording.values for recording in problem.train])
    return values.mean(axis=0), values.std(axis=0)


def by_examples(
    problem: Problem,
    scale: tuple[np.ndarray, np.ndarray],
    *,
    examples: int | None,
    places: Callable[..., Any],
    **kw: Any,
) -> Found:
    """Places nearest to any example. `places(example, values)` returns candidates (n, 3): distance, start, stop."""
    mean, spread = scale
    X, y = problem.examples()
    found: Found = {}
    for label in np.unique(y).tolist():
        chosen = [(X[i] - mean) / spread for i in _spread(np.flatnonzero(y == label), examples)]
        matches = []
        for number, recording in enumerate(problem.test):
            values = np.ascontiguousarray((recording.values - mean) / spread, dtype=np.float64)
            candidates = np.concatenate([places(x.astype(np.float64), values, **kw) for x in chosen])
            matches += greedy(candidates, number, N_MATCHES)
        found[label] = sorted(matches)[:N_MATCHES]
    return found


def _spread(rows: np.ndarray, most: int | None) -> np.ndarray:
    """At most so many of the rows, spread evenly."""
    return rows if most is None else rows[np.unique(np.linspace(0, len(rows) - 1, most).round().astype(int))]


def by_mass(example: np.ndarray, values: np.ndarray, *, normalize: bool) -> np.ndarray:
    """stumpy: the sum over the channels of the distance profiles, over the root of the steps of the example.

    Places that are farther than a neighbour are left out: the greedy choice never takes them first.
    """
    from stumpy.core import mass

    width = len(example)
    profile = np.sum(
        [
            mass(np.ascontiguousarray(example[:, c]), np.ascontiguousarray(values[:, c]), normalize=normalize)
            for c in range(values.shape[1])
        ],
        axis=0,
    ) / np.sqrt(width)
    starts = _lowest(profile)
    return np.column_stack([profile[starts], starts, starts + width])


def by_subsequence_dtw(example: np.ndarray, values: np.ndarray, *, penalty: float) -> np.ndarray:
    """dtaidistance: the 20 best ends of the warped example with their beginnings; distances over its steps.

    Ends that are worse than a neighbour, and matches shorter than half the example, are left out.
    """
    from dtaidistance.subsequence.dtw import subsequence_alignment

    alignment = subsequence_alignment(example, values, penalty=penalty, use_c=True)
    alignment.align()
    ends = _lowest(alignment.matching_function(), 20)
    rows = [(alignment.get_match(end).value, *alignment.get_match(end).segment) for end in ends.tolist()]
    found = np.array(rows, dtype=float) + [0, 0, 1]
    return found[found[:, 2] - found[:, 1] >= len(example) / 2]


def _lowest(profile: np.ndarray, most: int | None = None) -> np.ndarray:
    """Return where a profile is not above its neighbours, from the lowest place on."""
    padded = np.concatenate([[np.inf], profile, [np.inf]])
    places = np.flatnonzero((profile <= padded[:-2]) & (profile <= padded[2:]))
    return places[np.argsort(profile[places], kind="stable")][:most]


def _metric_settings(**changed: Any) -> dict[str, Any]:
    return {"n_features": 3360, "n_background": 36, "n_lengths": 3, "stride": 0.25, **changed}


CONTENDERS = (
    Contender(
        "find_subsequences, learned metric",
        learned_metric,
        by_metric,
        {"planted gestures": _metric_settings(), "posture transitions": _metric_settings()},
        (
            _metric_settings(),
            _metric_settings(n_background=108),
            _metric_settings(n_lengths=5),
            _metric_settings(n_features=840),
        ),
    ),
    Contender(
        "stumpy, mass",
        standardised,
        lambda problem, scale, **kw: by_examples(problem, scale, places=by_mass, **kw),
        {
            "planted gestures": {"examples": 8, "normalize": True},
            "posture transitions": {"examples": 8, "normalize": True},
        },
        tuple({"examples": 4, "normalize": normalize} for normalize in (True, False)),
    ),
    Contender(
        "dtaidistance, subsequence DTW",
        standardised,
        lambda problem, scale, **kw: by_examples(problem, scale, places=by_subsequence_dtw, **kw),
        {
            "planted gestures": {"examples": 8, "penalty": 0.1},
            "posture transitions": {"examples": 8, "penalty": 1.0},
        },
        tuple({"examples": 4, "penalty": penalty} for penalty in (0.1, 1.0)),
    ),
)
"""Settings for posture transitions were chosen by `--choose`, with 4 examples a pattern for the peers. For the planted
gestures they are those of the metric there, and the defaults of the peers."""
