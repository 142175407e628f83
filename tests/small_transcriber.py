"""A small CrossModalTranscriber, and words for it: sequences, labels and image strips."""

from __future__ import annotations

from typing import Any

import numpy as np

from skseqmetric import CrossModalTranscriber

SMALL: dict[str, Any] = {
    "n_components": 6,
    "n_filters": 12,
    "n_units": 12,
    "max_epochs": 2,
    "min_batches": 3,
    "batch_size": 8,
    "learning_rate": 0.01,
    "random_state": 0,
}
PARTS = ("series_loss", "cross_loss")
"""Of a training with an image encoder that returns vectors."""
ALL_PARTS = ("series_loss", "image_loss", "cross_loss")
CENTRES = np.array([[2.0, 0.0], [0.0, 2.0], [-2.0, -2.0]])
Data = tuple[list[np.ndarray], list[str], np.ndarray]


def abc_words() -> Data:
    """30 words of two to four of the symbols a, b, c: segments around a point each, and images of four cells."""
    rng = np.random.default_rng(4)
    codes = [rng.integers(3, size=n) for n in rng.permutation(np.repeat([2, 3, 4], 10))]
    X = [np.concatenate([segment(k, rng) for k in word]) for word in codes]
    return X, ["".join("abc"[k] for k in word) for word in codes], np.stack([picture(word, rng) for word in codes])


def segment(k: int, rng: np.random.Generator) -> np.ndarray:
    """Steps that come from 0 and go back there, so that a symbol is told from the same symbol twice."""
    n = int(rng.integers(12, 17))
    return np.sin(np.pi * np.arange(n) / n)[:, None] * CENTRES[k] + 0.05 * rng.normal(size=(n, 2))


def picture(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    image = rng.uniform(0, 0.3, size=(9, 16)).astype(np.float32)
    for place, k in enumerate(codes):
        image[3 * k : 3 * k + 3, 4 * place : 4 * place + 4] += 0.7
    return image


def small(**settings: Any) -> CrossModalTranscriber:
    return CrossModalTranscriber(**{**SMALL, **settings})


def equal(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def altered(y: list[str], i: int, label: Any) -> list[Any]:
    return [*y[:i], label, *y[i + 1 :]]
