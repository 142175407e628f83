"""Pictures of trajectories: against plain loops, by their mass, turned and mirrored."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from skseqmetric.datasets import render_trajectory


def scribble(rng: np.random.Generator, n: int = 30) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(n, 2)).cumsum(axis=0), np.sort(rng.integers(0, 3, size=n))


def slow_picture(
    points: np.ndarray, strokes: np.ndarray, size: tuple[int, int], w: float, margin: float, glyph_size: float = 0.0
) -> np.ndarray:
    """Every pixel against every line, in plain loops."""
    height, width = size
    xy = points * [1, -1]
    low, high = xy.min(axis=0), xy.max(axis=0)
    free = np.array([width, height]) - 2 * margin - w
    scale = min(free / np.maximum(high - low, [0, glyph_size]))
    xy = (xy - (low + high) / 2) * scale + np.array([width, height]) / 2
    if glyph_size:  # a word: from the left
        xy[:, 0] += margin + w / 2 - xy[:, 0].min()
    picture = np.zeros(size)
    for row, column in np.ndindex(*size):
        centre = np.array([column + 0.5, row + 0.5])
        distances = [np.linalg.norm(centre - p) for p in xy]  # ends of all lines, and dots
        for a, b, s, t in zip(xy, xy[1:], strokes, strokes[1:], strict=False):
            if s == t and (a != b).any():
                along = np.clip((centre - a) @ (b - a) / ((b - a) @ (b - a)), 0, 1)
                distances.append(np.linalg.norm(centre - a - along * (b - a)))
        picture[row, column] = np.clip(w / 2 + 0.5 - np.min(distances), 0, min(1, w))
    return picture


@pytest.mark.parametrize(("size", "thickness", "margin"), [((20, 31), 2.3, 1.5), ((33, 17), 0.6, 0.0)])
def test_pictures_are_those_of_plain_loops(
    rng: np.random.Generator, size: tuple[int, int], thickness: float, margin: float
) -> None:
    points, strokes = scribble(rng)
    picture = render_trajectory(points, strokes=strokes, size=size, thickness=thickness, margin=margin)
    assert picture.shape == size
    assert picture.dtype == np.float32
    np.testing.assert_allclose(picture, slow_picture(points, strokes, size, thickness, margin), atol=1e-6)


@pytest.mark.parametrize("thickness", [0.5, 1.0, 1.7, 3.0])
@pytest.mark.parametrize("shift", [0.0, 0.1, 0.37, 0.5])
def test_a_level_line_has_its_thickness_as_mass(thickness: float, shift: float) -> None:
    # the two dots far above and below fix scale and place: one unit is one pixel, and the line lies anywhere
    points = np.array([[0, 0], [40, 0], [20, 12 + shift], [20, -12 - shift], [20, 12 + shift - 24]])
    strokes = [0, 0, 1, 2, 3]
    picture = render_trajectory(points, strokes=strokes, size=(40, 60), thickness=thickness, margin=4.0)
    column = picture[10:30, 22]  # away from the line's ends and from the dots
    assert column.sum() == pytest.approx(thickness, abs=1e-5)


def test_a_slanted_line_has_its_length_as_mass() -> None:
    short = render_trajectory([[0, 0], [30, 20]], size=(100, 100), thickness=2.0, margin=30.0)
    long = render_trajectory([[0, 0], [30, 20]], size=(100, 100), thickness=2.0, margin=10.0)
    grown = (78 - 38) * np.hypot(30, 20) / 30  # the wider side fills the room: length over width times that
    assert long.sum() - short.sum() == pytest.approx(2.0 * grown, rel=0.01)


def test_pictures_turn_and_mirror_with_their_points(rng: np.random.Generator) -> None:
    points, strokes = scribble(rng)

    def draw(p: np.ndarray, **options: Any) -> np.ndarray:
        return render_trajectory(p, strokes=strokes, size=29, **options)

    picture = draw(points)
    np.testing.assert_allclose(draw(points * [-1, 1]), picture[:, ::-1], atol=1e-6)
    np.testing.assert_allclose(draw(points * [1, -1]), picture[::-1], atol=1e-6)
    np.testing.assert_allclose(draw(points, y_axis="down"), picture[::-1], atol=1e-6)
    np.testing.assert_allclose(draw(points[:, ::-1] * [-1, 1]), np.rot90(picture), atol=1e-6)
    np.testing.assert_allclose(draw(points * 1e3 + 1e4), picture, atol=1e-5)


def test_y_goes_up_and_x_goes_right() -> None:
    corner = np.array([[0, 2], [0, 0], [1, 0]])  # an L
    picture = render_trajectory(corner, size=20)
    ink = picture > 0.5
    assert ink[-5:].sum() > ink[:5].sum()
    assert ink[:, :10].sum() > ink[:, 10:].sum()


def test_the_margin_is_free_and_the_ratio_kept(rng: np.random.Generator) -> None:
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]])
    rows, columns = np.nonzero(render_trajectory(square, size=(20, 50), thickness=2.0, margin=3.0))
    assert (rows.min(), rows.max()) == (3, 16)
    assert (columns.min(), columns.max()) == (18, 31)


def test_strokes_are_not_joined() -> None:
    two = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    apart = render_trajectory(two, strokes=[0, 0, 5, 5], size=30)
    assert apart[:, 12:18].max() == 0
    assert render_trajectory(two, size=30)[:, 12:18].max() == 1
    named = np.column_stack([two, [9, 8, 7, 6], [0, 0, 5, 5]])
    np.testing.assert_array_equal(render_trajectory(named, strokes=3, size=30), apart)
    np.testing.assert_array_equal(render_trajectory(named, strokes=["a", "a", "b", "b"], size=30), apart)


@pytest.mark.parametrize("points", [[[3.0, 4.0]], [[3.0, 4.0]] * 5])
def test_a_single_point_is_a_dot_in_the_middle(points: list[list[float]]) -> None:
    dot = render_trajectory(points, size=(9, 13), thickness=3.0)
    expected = np.zeros((9, 13))
    for row, column in np.ndindex(9, 13):
        expected[row, column] = min(1, max(0, 2 - np.hypot(row - 4, column - 6)))
    np.testing.assert_allclose(dot, expected, atol=1e-6)


def test_a_dot_beside_a_line_is_drawn() -> None:
    picture = render_trajectory([[0, 0], [0, 1], [1, 1]], strokes=[0, 0, 1], size=31, thickness=3.0)
    assert picture[:, 25:].max() > 0.9
    assert picture[:, 10:20].max() == 0


def test_points_are_not_changed() -> None:
    points = np.array([[0.0, 0.0], [2.0, 1.0]])
    before = points.copy()
    render_trajectory(points)
    np.testing.assert_array_equal(points, before)


@pytest.mark.parametrize(
    ("points", "arguments", "message"),
    [
        (np.zeros(3), {}, "points has shape (3,)"),
        (np.zeros((0, 2)), {}, "points has shape (0, 2)"),
        (np.zeros((3, 1)), {}, "points has shape (3, 1)"),
        (np.zeros((3, 4)), {}, "points has 4 columns: say which one holds the stroke, such as strokes=3"),
        (np.zeros((3, 3)), {"strokes": 3}, "strokes=3 must be a column of points after x and y, 2 to 2"),
        (np.zeros((3, 3)), {"strokes": [0, 1]}, "strokes has shape (2,), but it must be (3,)"),
        ([[0, 0], [1, np.nan]], {}, "points: step 1 is NaN or infinite"),
        ([[0, 0], [1, 1]], {"size": 0}, "size=(0, 0) must be at least 1"),
        ([[0, 0], [1, 1]], {"thickness": 0}, "thickness=0 must be finite and > 0"),
        ([[0, 0], [1, 1]], {"margin": -1}, "margin=-1 must be finite and >= 0"),
        ([[0, 0], [1, 1]], {"size": 10, "thickness": 3, "margin": 4}, "leave no room in 10 x 10 pixels"),
        ([[0, 0], [1, 1]], {"y_axis": "left"}, "y_axis='left' must be 'up' or 'down'"),
    ],
)
def test_bad_trajectories_are_not_drawn(points: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        render_trajectory(points, **arguments)
