"""The nearest windows that do not share too much, chosen while the windows of recordings go by."""

from __future__ import annotations

from heapq import heappush, heappushpop

import numpy as np

MATCH = np.dtype(
    [("distance", np.float64), ("recording", np.int64), ("start", np.int64), ("stop", np.int64), ("query", np.int64)]
)
"""A window as it is returned."""


class GreedySelection:
    """Takes the nearest window, leaves out all that it excludes, takes the nearest of the rest, and so on.

    Windows come block by block, in the order of their first steps. A window is decided as soon as no later one can
    change its fate. So the result is that of sorting all windows, but only undecided windows are held.

    Parameters
    ----------
    n_matches : int or None
        How many windows to take. None: all.
    max_distance : float
        Largest distance of a window.
    exclusion : float
        Share of the shorter of two windows that lies outside the other one at least.
    """

    def __init__(self, n_matches: int | None, max_distance: float, exclusion: float) -> None:
        self.best = np.empty(0, dtype=MATCH)
        self._n_matches, self._limit, self._exclusion = n_matches, max_distance, exclusion
        self._farthest_first: list[float] = []  # a heap of minus the distances of the best so far
        self._open = self._near = self.best

    def offer(self, windows: np.ndarray, seen: float) -> None:
        """Consider further windows of a recording, of which no later one begins before the step `seen`."""
        windows = windows[windows["distance"] <= self._limit]
        for match in self._near:
            windows = windows[~self._excluded(match, windows)]
        pool = np.concatenate([self._open, windows])
        pool = pool[np.lexsort((pool["stop"], pool["start"], pool["distance"]))]
        taken, self._open = self._decided(pool, seen)
        self._near = np.concatenate([self._near, taken])
        self._near = self._near[self._near["stop"] > seen]
        if len(taken):
            best = np.concatenate([self.best, taken])
            order = np.lexsort((best["stop"], best["start"], best["recording"], best["distance"]))
            self.best = best[order[: self._n_matches]]

    def finish(self) -> None:
        """Decide the rest of a recording, which is over. The next windows are those of another one."""
        self.offer(self._open[:0], np.inf)

    def _decided(self, pool: np.ndarray, seen: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the windows of a sorted pool that are taken, and those that are not yet decided."""
        taken: list[int] = []
        undecided: list[int] = []
        left, waits = np.ones(len(pool), dtype=bool), np.zeros(len(pool), dtype=bool)
        for i in range(len(pool)):
            if not left[i]:
                continue
            if pool["distance"][i] > self._limit:
                break
            excluded = self._excluded(pool[i], pool)
            if waits[i] or pool["stop"][i] > seen:
                waits |= excluded
                undecided.append(i)
            else:
                left &= ~excluded
                taken.append(i)
                self._lower_limit(float(pool["distance"][i]))
        return pool[taken], pool[undecided]

    def _lower_limit(self, distance: float) -> None:
        """Leave out what is farther than as many windows as are wanted."""
        if self._n_matches is None:
            return
        if len(self._farthest_first) < self._n_matches:
            heappush(self._farthest_first, -distance)
        else:
            heappushpop(self._farthest_first, -distance)
        if len(self._farthest_first) == self._n_matches:
            self._limit = min(self._limit, -self._farthest_first[0])

    def _excluded(self, taken: np.void, windows: np.ndarray) -> np.ndarray:
        starts, stops = windows["start"], windows["stop"]
        shared = np.minimum(stops, taken["stop"]) - np.maximum(starts, taken["start"])
        shorter = np.minimum(stops - starts, taken["stop"] - taken["start"])
        return shorter - shared < self._exclusion * shorter
