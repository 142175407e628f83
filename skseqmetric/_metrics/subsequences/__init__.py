"""The search for a pattern in long recordings: windows in blocks, their distances, and a greedy choice of matches."""

from __future__ import annotations

from skseqmetric._metrics.subsequences.search import find_subsequences

__all__ = ["find_subsequences"]
