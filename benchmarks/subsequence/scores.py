"""How good ranked matches are: average precision against the true places of a pattern."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.subsequence.problems import Place, Recording

LEAST_IOU = 0.3


class Match(NamedTuple):
    """What a search found. Matches sort by distance."""

    distance: float
    recording: int
    start: int
    stop: int


def average_precision(matches: Iterable[Match], recordings: Sequence[Recording], label: int) -> float:
    """Mean over the true places of the precision at the rank of their match; 0 for a place that is not found.

    A match is right if its intersection with a true place is at least 0.3 of their union, or if its centre is inside.
    Every true place counts once: further matches of it are wrong.
    """
    left = [(i, place) for i, recording in enumerate(recordings) for place in recording.places if place.label == label]
    n_places, n_right, total = len(left), 0, 0.0
    for rank, match in enumerate(sorted(matches), 1):
        hit = next((truth for truth in left if truth[0] == match.recording and is_right(match, truth[1])), None)
        if hit is not None:
            left.remove(hit)
            n_right += 1
            total += n_right / rank
    return total / n_places


def is_right(match: Match, place: Place) -> bool:
    """Whether a match is at a true place of its recording."""
    shared = min(match.stop, place.stop) - max(match.start, place.start)
    union = max(match.stop, place.stop) - min(match.start, place.start)
    return shared >= LEAST_IOU * union or place.start <= (match.start + match.stop) / 2 < place.stop


def greedy(candidates: np.ndarray, recording: int, n_matches: int, exclusion: float = 0.5) -> list[Match]:
    """Take the nearest of candidates (n, 3) of distance, start and stop, leave out what it excludes, and so on."""
    taken = []
    left = candidates[np.lexsort((candidates[:, 2], candidates[:, 1], candidates[:, 0]))]
    while len(left) and len(taken) < n_matches:
        distance, start, stop = left[0]
        taken.append(Match(float(distance), recording, int(start), int(stop)))
        shared = np.minimum(left[:, 2], stop) - np.maximum(left[:, 1], start)
        shorter = np.minimum(left[:, 2] - left[:, 1], stop - start)
        left = left[shorter - shared >= exclusion * shorter]
    return taken
