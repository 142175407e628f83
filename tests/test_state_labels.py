"""Labels beside points: none on another, none on a line where there is room beside it."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from skseqmetric.inspection._state_labels import PointLabel, draw_labels

pyplot = pytest.importorskip("matplotlib.pyplot")


def boxes(ax: Any) -> list[Any]:
    from matplotlib.text import Text

    ax.figure.canvas.draw()
    return [Text.get_window_extent(text) for text in ax.texts if text.get_text()]  # leaders are texts without any


@pytest.mark.parametrize("spread", [0.02, 0.3, 1.0])
def test_labels_cover_neither_each_other_nor_the_frame(rng: np.random.Generator, spread: float) -> None:
    _, ax = pyplot.subplots(figsize=(7, 5), layout="constrained")
    points = 0.5 + spread * (rng.random((40, 2)) - 0.5)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.plot(*points.T)
    labels = [PointLabel(f"word {i}", (float(x), float(y)), "black") for i, (x, y) in enumerate(points)]
    left_out = draw_labels(ax, labels, [points])
    assert left_out == 0
    assert [text.get_text() for text in ax.texts if text.get_text()] == [label.text for label in labels]
    for a, b in combinations(boxes(ax), 2):
        assert not a.overlaps(b)
    frame = ax.get_window_extent()
    assert all(frame.x0 <= b.x0 and b.x1 <= frame.x1 and frame.y0 <= b.y0 and b.y1 <= frame.y1 for b in boxes(ax))


def test_a_label_leaves_its_line_free_and_stands_near() -> None:
    _, ax = pyplot.subplots()
    line = np.column_stack([np.linspace(0, 1, 5), np.full(5, 0.5)])
    ax.set(xlim=(-0.5, 1.5), ylim=(0, 1))
    assert draw_labels(ax, [PointLabel("middle", (0.5, 0.5), "black")], [line]) == 0
    (box,) = boxes(ax)
    height = ax.transData.transform((0.5, 0.5))[1]
    assert box.y0 > height or box.y1 < height
    assert min(abs(box.y0 - height), abs(box.y1 - height)) < 12  # pixels
    assert len(ax.texts) == 1  # and no leader


def test_a_label_far_from_its_point_is_led_there_and_one_without_room_is_left_out() -> None:
    _, ax = pyplot.subplots(figsize=(2, 2))
    ax.set(xlim=(0, 1), ylim=(0, 1))
    label = PointLabel("a word", (0.5, 0.5), "black")
    assert draw_labels(ax, [label], [], clearance=20) == 0
    led = [text for text in ax.texts if not text.get_text()]
    assert [text.xy for text in led] == [(0.5, 0.5)]
    assert draw_labels(ax, [PointLabel("w" * 60, (0.5, 0.5), "black")], []) == 1
    assert len(ax.texts) == 2
