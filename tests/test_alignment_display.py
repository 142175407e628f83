"""The picture of a matching: what is drawn is what the arrays say, for any channels and lengths."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from skseqmetric import DTWMetric, SyncGRUMetric
from skseqmetric.inspection import AlignmentDisplay

pyplot = pytest.importorskip("matplotlib.pyplot")

SMALL: dict[str, Any] = {"n_filters": 4, "n_places": 6, "max_epochs": 2, "min_batches": 2, "random_state": 0}
RNG = np.random.default_rng(0)


def sequences(n_channels: int) -> list[np.ndarray]:
    return [RNG.normal(size=(n, n_channels)) + k % 2 for k, n in enumerate((9, 14, 1, 20, 6, 11))]


X = sequences(2)


def fitted(inputs: Any = X, **options: Any) -> Any:
    return SyncGRUMetric(4, **{"coupling": "alignment", **SMALL, **options}).fit(inputs, np.arange(len(inputs)) % 2)


@pytest.fixture(scope="module")
def metric() -> Any:
    return fitted()


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def display(metric: Any) -> AlignmentDisplay:
    """A picture to look at; its data stay as they are."""
    return AlignmentDisplay.from_estimator(metric, X[0], X[1])


def links(display: AlignmentDisplay) -> Any:
    return display.axes_["links"].collections[0]


# ------------------------------------------------------------------ what is drawn
def test_a_line_joins_every_place_to_its_match(display: AlignmentDisplay) -> None:
    (x, y), (forward, backward) = display.alignment.positions, display.alignment.matches
    expected = [((x[p], 1), (y[q], 0)) for p, q in enumerate(forward)]
    expected += [((x[p], 1), (y[q], 0)) for q, p in enumerate(backward)]
    drawn = [tuple(map(tuple, segment)) for segment in links(display).get_segments()]
    assert sorted(drawn) == sorted(expected)


def test_a_line_is_thicker_with_its_share_and_coloured_by_its_cost(metric: Any) -> None:
    display = AlignmentDisplay.from_estimator(metric, X[0], X[1], max_cost=50.0)
    shares = np.sort(np.concatenate(display.alignment.place_shares))
    widths = np.asarray(links(display).get_linewidths())
    np.testing.assert_allclose(widths, np.interp(shares, (0, shares[-1]), (0.7, 3.5)))
    image = display.axes_["costs"].collections[0]
    costs = np.concatenate(display.alignment.match_costs)[np.argsort(np.concatenate(display.alignment.place_shares))]
    np.testing.assert_allclose(links(display).get_colors(), image.cmap(image.norm(costs)))
    assert (image.norm.vmin, image.norm.vmax) == (0, 50.0)


def test_the_matrix_marks_the_matches_of_both_sides(display: AlignmentDisplay) -> None:
    ax, found = display.axes_["costs"], display.alignment
    np.testing.assert_array_equal(np.asarray(ax.collections[0].get_array()), found.costs)
    rings, crosses = (line.get_xydata() for line in ax.lines)
    expected = np.column_stack([found.positions[1][found.matches[0]], found.positions[0]])
    np.testing.assert_allclose(rings, expected, atol=1e-12)
    expected = np.column_stack([found.positions[1], found.positions[0][found.matches[1]]])
    np.testing.assert_allclose(crosses, expected, atol=1e-12)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # time runs downwards
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("step of y", "step of x")


def test_the_bars_are_the_shares_in_percent(display: AlignmentDisplay) -> None:
    panels = [display.axes_[name] for name in ("x shares", "y shares")]
    for ax, shares in zip(panels, display.alignment.step_shares, strict=True):
        np.testing.assert_allclose([bar.get_height() for bar in ax.patches], 100 * shares)
    assert panels[0].get_ylim() == panels[1].get_ylim()[::-1]


def test_sequences_and_matches_have_one_axis_of_time(display: AlignmentDisplay) -> None:
    left = {ax.get_xlim() for name, ax in display.axes_.items() if name != "costs"}
    assert left == {(-0.5, 13.5)}
    for name, sequence in (("x", X[0]), ("y", X[1])):
        for line, channel in zip(display.axes_[name].lines, sequence.T, strict=True):
            np.testing.assert_array_equal(line.get_ydata(), channel)
        assert display.axes_[name].get_ylabel() == name
    distance, pooled = display.alignment.distance, display.alignment.pooled_share
    assert display.axes_["x"].get_title() == f"distance {distance:.3g} (pooled states {pooled:.0%})"
    assert display.axes_["y"].get_xlabel() == "step"


def test_arrays_of_a_metric_make_the_same_picture(metric: Any, display: AlignmentDisplay) -> None:
    found = metric.alignment(X[:1], X[1:2])[0]
    other = AlignmentDisplay(x=X[0], y=X[1], alignment=found, names=("one", "two")).plot(title="both")
    np.testing.assert_array_equal(links(other).get_segments(), links(display).get_segments())
    assert other.axes_["costs"].get_xlabel() == "step of two"
    assert other.axes_["x"].get_ylabel() == "one"
    assert other.axes_["x"].get_title() == "both"


# ------------------------------------------------------------------ sizes
@pytest.mark.filterwarnings("ignore::skseqmetric.exceptions.SuspiciousShapeWarning")
@pytest.mark.parametrize(("n_channels", "pair"), [(1, (2, 3)), (6, (0, 1)), (7, (2, 2)), (40, (3, 2))])
def test_any_channels_and_lengths_are_drawn(n_channels: int, pair: tuple[int, int]) -> None:
    inputs = sequences(n_channels)
    display = AlignmentDisplay.from_estimator(fitted(inputs), *(inputs[i] for i in pair))
    display.figure_.draw_without_rendering()
    drawn = display.axes_["x"]
    assert len(drawn.lines) == (n_channels if n_channels <= 6 else 0)
    assert len(drawn.images) == (n_channels > 6)
    assert all(np.isfinite(ax.get_xlim()).all() for ax in display.axes_.values())


def test_a_sequence_of_one_channel_needs_no_axis_for_it() -> None:
    inputs = sequences(1)
    metric = fitted(inputs)
    flat = AlignmentDisplay.from_estimator(metric, inputs[0][:, 0], inputs[1][:, 0])
    expected = metric.pair_distance(inputs[:1], inputs[1:2])[0]
    assert flat.alignment.distance == pytest.approx(expected, rel=1e-12)
    assert flat.axes_["x"].get_legend() is None


def test_it_takes_the_place_of_axes_in_a_grid(metric: Any) -> None:
    figure, axes = pyplot.subplots(2, 1, layout="constrained")
    displays = [AlignmentDisplay.from_estimator(metric, X[0], X[i], ax=ax) for i, ax in zip((1, 3), axes, strict=True)]
    figure.draw_without_rendering()
    boxes = [[ax.get_position() for ax in display.axes_.values()] for display in displays]
    assert min(box.y0 for box in boxes[0]) > max(box.y1 for box in boxes[1])
    assert displays[0].figure_ is displays[1].figure_ is figure
    with pytest.raises(ValueError, match="ax has no place in a grid"):
        displays[0].plot(ax=figure.add_axes((0, 0, 1, 1)))


# ------------------------------------------------------------------ channels
def test_channels_are_chosen_by_number_or_name() -> None:
    frames = [pd.DataFrame(x, columns=["left", "right", "up"]) for x in sequences(3)]
    metric = fitted(frames)

    def shown(**options: Any) -> list[str]:
        display = AlignmentDisplay.from_estimator(metric, frames[0], frames[1], **options)
        return [line.get_label() for line in display.axes_["y"].lines]

    assert shown() == ["left", "right", "up"]
    assert shown(channels=["up", 0]) == ["up", "left"]
    assert shown(channels=-1) == ["up"]
    assert shown(channels="right", channel_names=["a", "right", "c"]) == ["right"]


def test_names_come_from_the_metric_if_arrays_have_none() -> None:
    frames = [pd.DataFrame(x, columns=["left", "right"]) for x in X]
    display = AlignmentDisplay(x=X[0], y=X[1], alignment=fitted(frames).alignment(frames[:1], frames[1:2])[0]).plot()
    assert [line.get_label() for line in display.axes_["x"].lines] == ["channel 0", "channel 1"]


@pytest.mark.parametrize("channel", [2, -3, "left", True, 0.0])
def test_a_channel_that_does_not_exist_is_named(metric: Any, channel: Any) -> None:
    with pytest.raises(ValueError, match=rf"channels has {channel!r}: pass numbers from 0 to 1"):
        AlignmentDisplay.from_estimator(metric, X[0], X[1], channels=[channel])


@pytest.mark.parametrize("other", [DTWMetric(), SyncGRUMetric(coupling=None), SyncGRUMetric(coupling="symmetric")])
def test_other_metrics_are_told_which_ones_can_be_drawn(other: Any) -> None:
    with pytest.raises(ValueError, match=rf'{type(other).__name__} has no alignment to draw.*coupling="alignment"'):
        AlignmentDisplay.from_estimator(other, X[0], X[1])


def test_sequences_of_two_kinds_are_refused(display: AlignmentDisplay) -> None:
    with pytest.raises(ValueError, match="x has 2 channels and y has 1"):
        AlignmentDisplay(x=X[0], y=X[1][:, :1], alignment=display.alignment).plot()
