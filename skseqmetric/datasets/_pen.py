"""Pen trajectories: pictures of them, and words made of them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from skseqmetric._input import as_array, label_array, positional, real_numbers
from skseqmetric.datasets._arguments import check_ranges, check_steps_finite, generator, range_of

_PIECE = 4.0  # most pixels of a piece of a line; each piece is drawn into the pixels around it only
_INK = 0.08  # default thickness and margin, as parts of the shorter side
_MARGIN = 0.1


def render_trajectory(
    points: Any,
    *,
    strokes: Any = None,
    size: int | tuple[int, int] = 28,
    thickness: float | None = None,
    margin: float | None = None,
    y_axis: str = "up",
) -> np.ndarray:
    r"""Draw a pen trajectory as a smooth-edged picture, bright on black.

    The trajectory is scaled to the picture and centred; its ratio of width to height is kept. Straight lines join
    successive points of one stroke. A pixel whose centre lies d pixels from the nearest line has the value

    .. math:: \min\{1, w, \max(0, w / 2 + 1 / 2 - d)\}, \quad w = \mathrm{thickness},

    which is the part of the pixel that a vertical or horizontal line of width w covers.

    Parameters
    ----------
    points : array-like (T, C)
        Columns 0 and 1 are x and y of the pen, in any unit, T >= 1. If `strokes` is given, more columns are allowed
        and ignored.
    strokes : int or array-like (T,), default=None
        The stroke of every point, or the column of `points` that holds it. No line joins points of different strokes.
        A stroke of one point is a dot. None: one stroke.
    size : int or (int, int), default=28
        Height and width of the picture in pixels; one number for both.
    thickness : float, default=None
        Width of the line in pixels, > 0. None: 8 % of the shorter side, at least 1.
    margin : float, default=None
        Pixels without ink along the nearest sides, >= 0. None: 10 % of the shorter side.
    y_axis : {"up", "down"}, default="up"
        "up": a larger y is higher in the picture, as on pen tablets. "down": lower, as on screens.

    Returns
    -------
    ndarray (height, width) float32
        In [0, 1]: 0 is the background, 1 the ink. Row 0 is the top.

    Raises
    ------
    ValueError
        A shape or a range is wrong, a coordinate is NaN or infinite (the step is named), or thickness and margin
        leave no room.

    Notes
    -----
    Time grows with the length of the line in pixels times the square of the thickness, and hardly with the size.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric.datasets import render_trajectory
    >>> cross = np.array([[0, 0], [1, 1], [0, 1], [1, 0]])
    >>> picture = render_trajectory(cross, strokes=[0, 0, 1, 1], size=(28, 40))
    >>> picture.shape, float(picture.max())
    ((28, 40), 1.0)
    """
    height, width = (size, size) if isinstance(size, (int, np.integer)) else size
    xy, stroke = _as_points(points, strokes)
    if y_axis not in ("up", "down"):
        raise ValueError(f"y_axis={y_axis!r} must be 'up' or 'down'.")
    xy = xy if y_axis == "down" else xy * [1, -1]
    return _picture(xy, stroke, int(height), int(width), thickness, margin)


def make_words(
    trajectories: Sequence[Any],
    symbols: Any,
    writers: Any,
    *,
    n_words: int = 200,
    length: int | tuple[int, int] = (3, 6),
    gap: tuple[float, float] = (0.1, 0.3),
    image_height: int = 28,
    image_width: int | None = None,
    random_state: Any = None,
) -> tuple[list[np.ndarray], list[Any], np.ndarray, np.ndarray]:
    """Write words with symbols of one writer each: trajectory, label and picture.

    For every word a writer, a number of symbols, and that many trajectories of the writer are drawn, uniformly and with
    replacement. The trajectories stand side by side: each is moved along x to a random gap after the one before. y
    stays as recorded, so that symbols keep their height on the line.

    Parameters
    ----------
    trajectories : list of n arrays (T_i, 2) or (T_i, 3)
        One symbol each: x and y of the pen, y upwards, and the stroke of each point (if missing: one stroke).
    symbols : array-like (n,)
        The symbol of each trajectory.
    writers : array-like (n,)
        The writer of each trajectory. To test on unseen writers, split the trajectories by writer first.
    n_words : int, default=200
        Words, >= 1.
    length : int or (int, int), default=(3, 6)
        Symbols of a word, or the least and the largest number (uniform, both included).
    gap : (float, float), default=(0.1, 0.3)
        Least and largest white space between two symbols (uniform), >= 0. The unit is the median size of the writer's
        trajectories; the size of a trajectory is the longer side of its bounding box.
    image_height : int, default=28
        Pixels.
    image_width : int, default=None
        Pixels. None: 3/4 of `image_height` for each of the largest number of symbols, rounded up.
    random_state : int, numpy Generator, RandomState or None, default=None
        An int gives the same words every time. Global generators are neither used nor changed.

    Returns
    -------
    X : list of n_words ndarrays (T_i, 3) float64
        Channels x, y and pen-up, which is 1 at the first point of every stroke and otherwise 0. x begins at 0.
    words : list of n_words labels
        Strings if every symbol is a string of one character, else lists of symbols.
    images : ndarray (n_words, image_height, image_width) float32
        In [0, 1], drawn as by `render_trajectory` but from the left; the rest to the right is 0. A word is as large as
        fits, but a symbol of the writer's median size never exceeds the height.
    word_writers : ndarray (n_words,)
        The writer of each word.

    Raises
    ------
    ValueError
        Lengths or shapes do not agree, a coordinate is not finite, or a parameter is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric.datasets import make_words
    >>> one, seven = np.array([[1, 0], [1, 2]]), np.array([[0, 2], [1, 2], [0, 0]])
    >>> X, words, images, who = make_words([one, seven], ["1", "7"], ["Ada", "Ada"], n_words=5, random_state=0)
    >>> images.shape, X[0].shape[1], set("".join(words)) <= {"1", "7"}, str(who[0])
    ((5, 28, 126), 3, True, 'Ada')
    """
    shortest, longest = range_of("length", length)
    least, most = gap
    check_ranges(
        {
            f"n_words={n_words} must be at least 1": n_words >= 1,
            f"gap=({least}, {most}) must be finite, 0 <= least <= largest": 0 <= least <= most < np.inf,
        }
    )
    width = -(-3 * image_height * longest // 4) if image_width is None else image_width
    glyphs = [
        _as_glyph(x, i)
        for i, x in enumerate(positional(trajectories, "trajectories", "Pass a list of arrays (T_i, 2)."))
    ]
    labels, who = _checked_labels(symbols, writers, len(glyphs))
    rng = generator(random_state)
    names, owner = np.unique(who, return_inverse=True)
    rows_of = [np.flatnonzero(owner == k) for k in range(len(names))]
    sizes = [float(np.median([np.ptp(glyphs[i][:, :2], axis=0).max() for i in rows])) for rows in rows_of]
    X, chosen, images = [], [], []
    authors = rng.integers(len(names), size=n_words)
    for k in authors.tolist():
        rows = rng.choice(rows_of[k], size=rng.integers(shortest, longest, endpoint=True))
        gaps = rng.uniform(least, most, size=len(rows) - 1) * sizes[k]
        word = _side_by_side([glyphs[i] for i in rows], gaps)
        X.append(word)
        images.append(_strip(word, sizes[k], image_height, width))
        chosen.append([labels[i] for i in rows])
    single = all(isinstance(s, str) and len(s) == 1 for s in labels)
    return X, ["".join(word) for word in chosen] if single else chosen, np.stack(images), names[authors]


# ------------------------------------------------------------------------------------------------- words


def _as_glyph(trajectory: Any, i: int) -> np.ndarray:
    """Columns x, y and 1 where a stroke begins, (T, 3)."""
    array = as_array(positional(trajectory, f"trajectory {i}"), f"trajectory {i}")
    if array.ndim != 2 or array.shape[1] not in (2, 3) or len(array) == 0:
        raise ValueError(
            f"trajectory {i} has shape {array.shape}, but it must be (T, 2), x and y, or (T, 3), x, y and the "
            "stroke, with T >= 1."
        )
    xy, stroke = _as_points(array, None if array.shape[1] == 2 else 2, f"trajectory {i}")
    return np.column_stack([xy, np.append(True, stroke[1:] != stroke[:-1])])


def _checked_labels(symbols: Any, writers: Any, n: int) -> tuple[list[Any], np.ndarray]:
    who = label_array(writers, "writers")
    symbols = list(symbols) if isinstance(symbols, str) else symbols  # of one character each
    found = positional(symbols, "symbols", "Pass one symbol for each trajectory.")
    labels = found.tolist() if isinstance(found, np.ndarray) else found
    for i, label in enumerate(labels):
        if label is None or label is np.ma.masked or not isinstance(label, Hashable):
            raise ValueError(f"symbols[{i}] is {label!r}, but every trajectory needs a symbol that can be hashed.")
    if n == 0 or len(labels) != n or who.shape != (n,):
        raise ValueError(
            f"Got {n} trajectories, {len(labels)} symbols and writers of shape {who.shape}: pass at least one "
            "trajectory, and a symbol and a writer for each."
        )
    return labels, who


def _side_by_side(glyphs: list[np.ndarray], gaps: np.ndarray) -> np.ndarray:
    """Move glyphs along x: the first begins at 0, each other one a gap after the end of the one before."""
    starts = np.array([g[:, 0].min() for g in glyphs])
    widths = np.array([np.ptp(g[:, 0]) for g in glyphs])
    shifts = np.append(0.0, np.cumsum(widths[:-1] + gaps)) - starts
    word = np.concatenate(glyphs)
    word[:, 0] += np.repeat(shifts, [len(g) for g in glyphs])
    return word


def _strip(word: np.ndarray, glyph_size: float, height: int, width: int) -> np.ndarray:
    """Picture of a word (T, 3); `glyph_size` limits the scale of a word of dots or dashes."""
    stroke = np.cumsum(word[:, 2])
    return _picture(word[:, :2] * [1, -1], stroke, height, width, None, None, glyph_size=glyph_size)


# ---------------------------------------------------------------------------------------------- pictures


def _as_points(points: Any, strokes: Any, name: str = "points") -> tuple[np.ndarray, np.ndarray]:
    """Coordinates (T, 2) and stroke of every point (T,)."""
    array = real_numbers(as_array(positional(points, name), name), name).astype(np.float64)
    if array.ndim != 2 or len(array) == 0 or array.shape[1] < 2:
        raise ValueError(f"{name} has shape {array.shape}, but it must be (T, 2) with T >= 1: x and y of every point.")
    n, columns = array.shape
    if strokes is None:
        if columns > 2:
            raise ValueError(
                f"{name} has {columns} columns: say which one holds the stroke, such as strokes={columns - 1}, or pass "
                "points[:, :2] for a single stroke."
            )
        stroke = np.zeros(n)
    elif isinstance(strokes, (int, np.integer)):
        check_ranges(
            {f"strokes={strokes} must be a column of {name} after x and y, 2 to {columns - 1}": 2 <= strokes < columns}
        )
        stroke = array[:, strokes]
    else:
        stroke = label_array(strokes, "strokes")
        check_ranges({f"strokes has shape {stroke.shape}, but it must be ({n},), one a point": stroke.shape == (n,)})
    check_steps_finite(array[:, :2], name)
    return array[:, :2], stroke


def _picture(
    xy: np.ndarray,
    stroke: np.ndarray,
    height: int,
    width: int,
    thickness: float | None,
    margin: float | None,
    glyph_size: float | None = None,
) -> np.ndarray:
    """Picture (height, width) of points (T, 2), y downwards: one glyph in the middle, or a word from the left."""
    shorter = min(height, width)
    thickness = max(1.0, _INK * shorter) if thickness is None else thickness
    margin = _MARGIN * shorter if margin is None else margin
    check_ranges(
        {
            f"size=({height}, {width}) must be at least 1 pixel a side": shorter >= 1,
            f"thickness={thickness} must be finite and > 0": 0 < thickness < np.inf,
            f"margin={margin} must be finite and >= 0": 0 <= margin < np.inf,
            f"thickness={thickness} and margin={margin} leave no room in {height} x {width} pixels": (
                shorter >= 1 and 2 * margin + thickness <= shorter
            ),
        }
    )
    free = np.array([width, height]) - 2 * margin - thickness
    begins, ends = _lines(_fitted(xy, free, glyph_size) + margin + thickness / 2, stroke)
    return _ink(*_pieces(begins, ends), height, width, thickness)


def _fitted(xy: np.ndarray, free: np.ndarray, glyph_size: float | None) -> np.ndarray:
    """Scale points (T, 2) to fill the box [0, free]; a single point has no scale."""
    low = xy.min(axis=0)
    extent = xy.max(axis=0) - low
    box = np.maximum(extent, [0.0, glyph_size or 0.0])
    filled = box > 0
    scale = (free[filled] / box[filled]).min() if filled.any() else 0.0
    rest = free - extent * scale
    return (xy - low) * scale + rest * ([0.5, 0.5] if glyph_size is None else [0.0, 0.5])


def _lines(xy: np.ndarray, stroke: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of every line to draw, (S, 2) each; every stroke begins with a dot, a line of length 0."""
    joined = np.append(False, stroke[1:] == stroke[:-1])
    before = np.arange(len(xy)) - joined
    return xy[before], xy


def _pieces(begins: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut lines into pieces of at most `_PIECE` pixels."""
    steps = ends - begins
    counts = np.maximum(1, np.ceil(np.hypot(*steps.T) / _PIECE)).astype(np.int64)
    line = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(line)) - np.repeat(np.cumsum(counts) - counts, counts)
    parts = steps[line] / counts[line, np.newaxis]
    first = begins[line] + parts * number[:, np.newaxis]
    return first, first + parts


def _ink(begins: np.ndarray, ends: np.ndarray, height: int, width: int, thickness: float) -> np.ndarray:
    """Picture of short lines, each drawn into the K x K pixels around its middle: O(S K^2)."""
    reach = _PIECE / 2 + thickness / 2 + 0.5  # the ink is at most this far from the middle
    side = np.arange(int(2 * reach) + 1)
    corner = np.ceil((begins + ends) / 2 - reach - 0.5).astype(np.int64)  # (S, 2): column, row
    columns = (corner[:, 0, np.newaxis] + side)[:, np.newaxis, :]  # (S, 1, K)
    rows = (corner[:, 1, np.newaxis] + side)[:, :, np.newaxis]  # (S, K, 1)
    distance = _distance_to_lines(columns + 0.5, rows + 0.5, begins, ends)
    value = np.clip(thickness / 2 + 0.5 - distance, 0, min(1.0, thickness))
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    picture = np.zeros(height * width)
    np.maximum.at(picture, (rows * width + columns)[inside], value[inside])
    return picture.reshape(height, width).astype(np.float32)


def _distance_to_lines(x: np.ndarray, y: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Distances (S, K, K) of pixel centres x (S, 1, K), y (S, K, 1) to the line of their own row, (S, 2)."""
    bx, by = begins.T[:, :, np.newaxis, np.newaxis]
    dx, dy = (ends - begins).T[:, :, np.newaxis, np.newaxis]
    squared = dx**2 + dy**2
    along = ((x - bx) * dx + (y - by) * dy) / np.where(squared > 0, squared, 1.0)
    along = np.clip(along, 0.0, 1.0)
    return np.hypot(x - bx - along * dx, y - by - along * dy)
