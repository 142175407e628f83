"""Sequences with images of their class: sines and Gramian angular fields."""

from __future__ import annotations

import string
from numbers import Number
from typing import Any

import numpy as np

from skseqmetric._input import as_array, positional, real_numbers
from skseqmetric.datasets._arguments import check_ranges, check_steps_finite, generator, range_of

_SYMBOLS = string.digits + string.ascii_lowercase
_LOWEST_FREQUENCY = 10.0  # cycles in 1000 steps, class 0


def make_sine_images(
    n_per_class: int = 100,
    *,
    n_classes: int = 10,
    noise: float = 0.3,
    spacing: float = 1.0,
    n_steps: int = 200,
    image_size: int = 64,
    image_noise: float | None = None,
    random_state: Any = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Make noisy sines in classes of frequency, each with the image of another sine of its class.

    A sequence of class k is

    .. math:: x_t = \sin(2 \pi f_k t / 1000 + \varphi) + \eta_t, \quad f_k = 10 + \mathrm{spacing} \cdot k,
              \quad t = 0, \ldots, \mathrm{n\_steps} - 1,

    :math:`\varphi` uniform in :math:`[0, 2 \pi)` and :math:`\eta_t` uniform in [0, noise). Its image is the
    `gramian_angular_field` of a second, independent sine of the same class: the two share nothing but their class. By
    default a sequence holds 2 cycles in class 0 and 3.8 in class 9.

    Sine classes with uniform noise and such images come from [1]_. The frequencies, the number of steps and the
    random phase are a reconstruction.

    Parameters
    ----------
    n_per_class : int, default=100
        Pairs of a sequence and an image for every class, >= 1.
    n_classes : int, default=10
        Classes, >= 1.
    noise : float, default=0.3
        Largest noise b, >= 0; the sine has amplitude 1. From 0 to 1.9 is usual.
    spacing : float, default=1.0
        Difference of the frequencies of neighbouring classes, > 0, in cycles in 1000 steps. 2.5 is easy at any usual
        noise, 0.5 is hard even with little noise. The highest frequency must be below 500.
    n_steps : int, default=200
        Steps of every sequence, >= 2.
    image_size : int, default=64
        Height and width of the images, >= 1.
    image_noise : float, default=None
        Largest noise of the sines that the images show, >= 0. None: `noise`.
    random_state : int, numpy Generator, RandomState or None, default=None
        An int gives the same data every time. Global generators are neither used nor changed.

    Returns
    -------
    X : ndarray (n, n_steps, 1) float64
        The sequences, n = n_per_class * n_classes.
    y : ndarray (n,) int64
        Classes 0 to n_classes - 1, in random order.
    images : ndarray (n, image_size, image_size) float32
        In [-1, 1]; images[i] is of class y[i].

    Raises
    ------
    ValueError
        A parameter is out of its range.

    References
    ----------
    .. [1] F. Ott, D. Ruegamer, L. Heublein, B. Bischl, C. Mutschler. Auxiliary cross-modal representation learning
       with triplet loss functions for online handwriting recognition. IEEE Access, 2023.

    Examples
    --------
    >>> from skseqmetric.datasets import make_sine_images
    >>> X, y, images = make_sine_images(5, n_classes=2, random_state=0)
    >>> X.shape, y.shape, images.shape
    ((10, 200, 1), (10,), (10, 64, 64))
    """
    image_noise = noise if image_noise is None else image_noise
    check_ranges(
        {
            f"n_per_class={n_per_class} must be at least 1": n_per_class >= 1,
            f"n_classes={n_classes} must be at least 1": n_classes >= 1,
            f"n_steps={n_steps} must be at least 2": n_steps >= 2,
            f"image_size={image_size} must be at least 1": image_size >= 1,
        }
    )
    frequencies = _frequencies(n_classes, spacing, noise, image_noise)
    rng = generator(random_state)
    y = rng.permutation(np.repeat(np.arange(n_classes, dtype=np.int64), n_per_class))
    X = np.stack([_sine(rng, frequencies[k], n_steps, noise) for k in y])
    images = [gramian_angular_field(_sine(rng, frequencies[k], n_steps, image_noise), image_size) for k in y]
    return X[:, :, np.newaxis], y, np.stack(images)


def make_sine_words(
    n_words: int = 200,
    *,
    n_classes: int = 10,
    length: int | tuple[int, int] = (3, 6),
    noise: float = 0.3,
    spacing: float = 2.5,
    n_steps: int | tuple[int, int] = (80, 120),
    image_size: int = 64,
    image_noise: float | None = None,
    random_state: Any = None,
) -> tuple[list[np.ndarray], list[str], np.ndarray]:
    """Make words of noisy sines: each symbol of the word is a segment of one class.

    Every segment is a sine as in `make_sine_images`, with its own phase and number of steps. The image is the
    `gramian_angular_field` of a second, independent draw of the same word.

    Parameters
    ----------
    n_words : int, default=200
        Words, >= 1.
    n_classes : int, default=10
        Symbols, 1 to 36: the digits, then lower-case letters.
    length : int or (int, int), default=(3, 6)
        Symbols of a word, or the least and the largest number (uniform, both included).
    noise : float, default=0.3
        Largest noise, >= 0; the sine has amplitude 1.
    spacing : float, default=2.5
        Difference of the frequencies of neighbouring classes, > 0, in cycles in 1000 steps.
    n_steps : int or (int, int), default=(80, 120)
        Steps of a segment, or the least and the largest number. If the largest is below twice the least, one symbol
        is never as long as two.
    image_size : int, default=64
        Height and width of the images, >= 1.
    image_noise : float, default=None
        Largest noise of the sines that the images show, >= 0. None: `noise`.
    random_state : int, numpy Generator, RandomState or None, default=None
        An int gives the same data every time. Global generators are neither used nor changed.

    Returns
    -------
    X : list of n_words ndarrays (T_i, 1) float64
    words : list of n_words str
    images : ndarray (n_words, image_size, image_size) float32
        In [-1, 1].

    Raises
    ------
    ValueError
        A parameter is out of its range.

    Examples
    --------
    >>> from skseqmetric.datasets import make_sine_words
    >>> X, words, images = make_sine_words(4, length=3, n_steps=50, random_state=0)
    >>> len(X), X[0].shape, len(words[0]), images.shape
    (4, (150, 1), 3, (4, 64, 64))
    """
    shortest, longest = range_of("length", length)
    fewest, most = range_of("n_steps", n_steps)
    image_noise = noise if image_noise is None else image_noise
    check_ranges(
        {
            f"n_words={n_words} must be at least 1": n_words >= 1,
            f"n_classes={n_classes} must be 1 to {len(_SYMBOLS)}": 1 <= n_classes <= len(_SYMBOLS),
            f"image_size={image_size} must be at least 1": image_size >= 1,
        }
    )
    frequencies = _frequencies(n_classes, spacing, noise, image_noise)
    rng = generator(random_state)

    def drawn(codes: np.ndarray, b: float) -> np.ndarray:
        steps = rng.integers(fewest, most, size=len(codes), endpoint=True)
        return np.concatenate([_sine(rng, frequencies[k], t, b) for k, t in zip(codes, steps, strict=True)])

    lengths = rng.integers(shortest, longest, size=n_words, endpoint=True)
    codes = [rng.integers(n_classes, size=m) for m in lengths]
    X = [drawn(k, noise)[:, np.newaxis] for k in codes]
    images = np.stack([gramian_angular_field(drawn(k, image_noise), image_size) for k in codes])
    return X, ["".join(_SYMBOLS[k] for k in word) for word in codes], images


def gramian_angular_field(series: Any, size: int = 64) -> np.ndarray:
    r"""Turn a series into an image: its Gramian angular summation field.

    The series is averaged over `size` equally long pieces and rescaled to [-1, 1], which gives
    :math:`\tilde x`. With :math:`\phi_i = \arccos \tilde x_i`, pixel (i, j) is

    .. math:: G_{ij} = \cos(\phi_i + \phi_j)
                     = \tilde x_i \tilde x_j - \sqrt{1 - \tilde x_i^2} \sqrt{1 - \tilde x_j^2}.

    Parameters
    ----------
    series : array-like (T,) or (T, 1)
        T >= 1 finite values.
    size : int, default=64
        Height and width, >= 1. A step on the border of two pieces counts in each by its share: `size` may be any
        number, also larger than T.

    Returns
    -------
    ndarray (size, size) float32
        Symmetric, in [-1, 1]. A constant series has :math:`\tilde x = 0`, so the field is -1.

    Raises
    ------
    ValueError
        `series` is not one finite series, or `size` is below 1.

    Notes
    -----
    O(T + size^2) time. After Z. Wang, T. Oates: Imaging time-series to improve classification and imputation, IJCAI
    2015.

    Examples
    --------
    >>> from skseqmetric.datasets import gramian_angular_field
    >>> gramian_angular_field([0.0, 1.0, 2.0], 3).round().astype(int).tolist()
    [[1, 0, -1], [0, -1, 0], [-1, 0, 1]]
    """
    x = np.asarray(series) if isinstance(series, Number) else as_array(positional(series, "series"), "series")
    x = real_numbers(x, "series").astype(np.float64)
    x = x[:, 0] if x.ndim == 2 and x.shape[1] == 1 else x
    if x.ndim != 1 or len(x) == 0:
        raise ValueError(f"series has shape {np.shape(series)}, but it must be (T,) or (T, 1) with T >= 1.")
    check_ranges({f"size={size} must be at least 1": size >= 1})
    check_steps_finite(x, "series")
    x = _rescaled(_piece_means(x, size))
    y = np.sqrt(1 - x**2)
    return (np.multiply.outer(x, x) - np.multiply.outer(y, y)).astype(np.float32)


def _sine(rng: np.random.Generator, frequency: float, n_steps: int, noise: float) -> np.ndarray:
    t = np.arange(n_steps) / 1000
    return np.sin(2 * np.pi * (frequency * t + rng.uniform())) + rng.uniform(0, noise, size=n_steps)


def _frequencies(n_classes: int, spacing: float, noise: float, image_noise: float) -> np.ndarray:
    """Cycles in 1000 steps for every class, (K,); the highest is below half a cycle a step."""
    highest = _LOWEST_FREQUENCY + spacing * (n_classes - 1)
    check_ranges(
        {
            f"noise={noise} must be finite and >= 0": 0 <= noise < np.inf,
            f"image_noise={image_noise} must be finite and >= 0": 0 <= image_noise < np.inf,
            f"spacing={spacing} must be finite and > 0": 0 < spacing < np.inf,
            f"spacing={spacing} gives class {n_classes - 1} the frequency {highest:g}, but it must be below 500": (
                highest < 500
            ),
        }
    )
    return _LOWEST_FREQUENCY + spacing * np.arange(n_classes)


def _piece_means(x: np.ndarray, size: int) -> np.ndarray:
    """Mean of the piecewise constant x over `size` equally long pieces, (size,)."""
    total = np.concatenate([[0.0], np.cumsum(x)])
    edges = np.linspace(0, len(x), size + 1)
    return np.diff(np.interp(edges, np.arange(len(x) + 1), total)) * (size / len(x))


def _rescaled(x: np.ndarray) -> np.ndarray:
    low, high = x.min(), x.max()
    if high - low <= 1e-12 * max(abs(low), abs(high)):  # constant up to rounding of the means
        return np.zeros_like(x)
    return np.clip((x - low - (high - x)) / (high - low), -1, 1)
