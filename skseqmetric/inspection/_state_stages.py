"""What a film and a page show of the stages of learning: places, values, and the colours of these in all frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from skseqmetric.inspection._drawing import CODE_LOOKS, style
from skseqmetric.inspection._state_drawing import in_order, is_scale

# viridis without its palest end, which is hard to see on white paper
SCALE = ("#440154", "#482979", "#3e4c8a", "#2f6b8e", "#24868e", "#1fa287", "#3fbc73", "#7fd34e", "#cae11f")
_INNER = (1, 99)  # percentiles at the ends of a colour scale: the outputs of early stages may be far off
_MARGIN = 0.04  # around all points, as a share of their extent


@dataclass(frozen=True)
class StageColours:
    """What colours mean in all frames: numbers from `low` to `high`, or categories and their names.

    `beyond` tells whether numbers lie outside the limits ("neither", "min", "max" or "both"); `looks` are colour and
    marker of every category.
    """

    low: float
    high: float
    beyond: str = "neither"
    categories: tuple[Any, ...] = ()
    names: tuple[str, ...] = ()
    looks: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, values: np.ndarray, names: Mapping[Any, str] | None, limits: tuple[float, float] | None) -> Self:
        """Choose the colours for the values of all frames, (N,)."""
        if names is None and is_scale(values):
            return cls._scale(values.astype(np.float64), limits)
        names = {} if names is None else names
        categories = tuple(dict.fromkeys([*names, *in_order(values)]))
        n = len(categories)
        looks = tuple((style(k)["color"], style(k)["marker"]) for k in range(n))
        if list(names) == list(range(n)):
            looks = CODE_LOOKS.get(n, looks)
        return cls(-0.5, n - 0.5, "neither", categories, tuple(str(names.get(c, c)) for c in categories), looks)

    @classmethod
    def _scale(cls, values: np.ndarray, limits: tuple[float, float] | None) -> Self:
        low, high = np.nanpercentile(values, _INNER) if limits is None else limits
        if low == high:
            low, high = low - 0.5, high + 0.5
        outside = bool(np.nanmin(values) < low), bool(np.nanmax(values) > high)
        beyond = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
        return cls(float(low), float(high), beyond[outside])

    def codes(self, values: np.ndarray) -> np.ndarray:
        """Numbers as they are, (N,) of float; of categories their place in the legend, (N,) of int."""
        if not self.categories:
            return values.astype(np.float64)
        place = {category: k for k, category in enumerate(self.categories)}
        return np.array([place[value] for value in values.tolist()], dtype=np.int64)

    @property
    def colours(self) -> list[str]:
        """Those of the categories, or some along the scale."""
        return [colour for colour, _ in self.looks] or list(SCALE)


@dataclass(frozen=True)
class Stages:
    """The N states of all sequences, one sequence after the other, at F stages of learning."""

    names: list[str]
    """Of the stages."""
    points: list[np.ndarray]
    """F arrays (N, 2); the same array at every stage unless the points move."""
    values: list[np.ndarray]
    """F arrays (N,)."""
    colours: StageColours
    who: list[tuple[Any, ...]]
    """Sequence and step of every state, and the label of this step where labels are given."""
    value_name: str
    method: str
    """What placed the points."""
    moving: bool

    @property
    def codes(self) -> list[np.ndarray]:
        """What `StageColours.codes` makes of the values, F arrays (N,)."""
        return [self.colours.codes(values) for values in self.values]

    @property
    def extent(self) -> np.ndarray:
        """The part of the map that all frames show, ((x_low, x_high), (y_low, y_high))."""
        places = np.concatenate(self.points)
        low, high = places.min(axis=0), places.max(axis=0)
        pad = _MARGIN * np.where(high > low, high - low, 1)
        return np.stack([low - pad, high + pad], axis=1)
