"""Made-up writers of digits and letters, for the examples that need a pen."""

from __future__ import annotations

import string
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from skseqmetric.datasets import render_trajectory

# Strokes are corners "xy" on a grid 4 wide and 6 high. A hand rounds them.
GLYPHS = {
    "0": ["26 15 04 02 11 20 31 42 44 35 26"],
    "1": ["04 26 20"],
    "2": ["05 16 36 45 44 00 40"],
    "3": ["05 16 36 45 34 23 33 42 41 30 10 01"],
    "4": ["26 02 42", "34 30"],
    "5": ["46 06 04 34 43 41 30 10 01"],
    "6": ["36 15 03 01 10 30 41 42 33 13 02"],
    "7": ["06 46 10", "13 43"],
    "8": ["45 26 05 14 32 41 20 01 12 34 45"],
    "9": ["45 26 05 04 13 33 45 42 20"],
    "A": ["00 26 40", "12 32"],
    "E": ["46 06 00 40", "03 33"],
    "G": ["45 26 05 02 10 30 42 22"],
    "H": ["06 00", "46 40", "03 43"],
    "K": ["06 00", "46 03 40"],
    "M": ["00 06 23 46 40"],
    "R": ["00 06 36 45 34 03 40"],
    "S": ["45 26 05 04 33 42 41 20 01"],
    "T": ["06 46", "26 20"],
    "Z": ["06 46 00 40"],
}
SYMBOLS = [*GLYPHS]
DIGITS = [*string.digits]


@dataclass(frozen=True)
class Writer:
    """A hand: how it slants, rounds, shapes and orders what it writes."""

    slant: float
    turn: float
    breadth: float
    roundness: float  # grid units over which a corner is rounded
    pace: float  # steps a grid unit
    shapes: dict[str, list[np.ndarray]]  # strokes of every symbol, (P, 2) each
    backwards: frozenset[str]  # symbols drawn from their end to their beginning

    def write(self, symbol: str, rng: np.random.Generator) -> np.ndarray:
        """One drawing of a symbol: x, y and the number of the stroke, (T, 3)."""
        lean = np.array([[self.breadth, self.slant + 0.05 * rng.normal()], [0.0, 1.0]])
        angle = self.turn + 0.05 * rng.normal()
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        pace = self.pace * rng.uniform(0.8, 1.25)
        strokes = [self._along(shape + 0.15 * rng.normal(size=shape.shape), pace) for shape in self.shapes[symbol]]
        strokes = [stroke @ (turn @ lean).T for stroke in strokes]
        if symbol in self.backwards:
            strokes = [stroke[::-1] for stroke in strokes[::-1]]
        return np.concatenate([np.column_stack([xy, np.full(len(xy), i)]) for i, xy in enumerate(strokes)])

    def _along(self, corners: np.ndarray, pace: float) -> np.ndarray:
        """Points at a steady pace along the rounded line through the corners."""
        fine = 0.05
        length = np.append(0, np.cumsum(np.hypot(*np.diff(corners, axis=0).T)))
        at = np.arange(0, length[-1], fine)
        line = np.column_stack([np.interp(at, length, c) for c in corners.T])
        line = gaussian_filter1d(line, self.roundness / fine, axis=0, mode="nearest")
        return line[np.linspace(0, len(line) - 1, max(2, round(length[-1] * pace))).round().astype(int)]


def make_writer(rng: np.random.Generator, *, unusual: bool = False) -> Writer:
    """A hand drawn at random; an unusual one leans far back and draws half of all symbols backwards."""
    shapes = {}
    for symbol, strokes in GLYPHS.items():
        corners = [np.array([[int(x), int(y)] for x, y in stroke.split()], dtype=float) for stroke in strokes]
        shapes[symbol] = [c + 0.3 * rng.normal(size=c.shape) for c in corners]
    odd = rng.permutation(SYMBOLS)[: len(SYMBOLS) // 2] if unusual else []
    return Writer(
        slant=-0.7 + 0.1 * rng.normal() if unusual else 0.15 + 0.2 * rng.normal(),
        turn=0.08 * rng.normal(),
        breadth=float(np.exp(0.15 * rng.normal())),
        roundness=rng.uniform(0.15, 0.5),
        pace=rng.uniform(1.5, 2.5),
        shapes=shapes,
        backwards=frozenset(odd),
    )


def drawings(
    writers: list[Writer], symbols: list[str], n_each: int, rng: np.random.Generator
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """Trajectories, symbols and pictures (n, 28, 28): every writer draws every symbol n_each times."""
    y = np.array([symbol for _ in writers for symbol in symbols for _ in range(n_each)])
    X = [writer.write(symbol, rng) for writer in writers for symbol in symbols for _ in range(n_each)]
    return X, y, np.stack([render_trajectory(x, strokes=2) for x in X])
