"""The pictures of a joint embedding of sequences and images: what they draw, and where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skseqmetric import CrossModalTripletEmbedder
from skseqmetric.datasets import make_sine_images
from skseqmetric.inspection import CrossModalMapDisplay, CrossModalRetrievalDisplay

pyplot = pytest.importorskip("matplotlib.pyplot")
FRAME, FRAME_OF_OTHERS = "#0072b2", "#bbbbbb"


class Means:
    """Stands in for a fitted embedder: of a sequence the mean, of an image the mean pixel, both numbers twice."""

    def transform(self, X: Any) -> np.ndarray:
        return np.array([[np.mean(x)] * 2 for x in X])

    def transform_images(self, images: Any) -> np.ndarray:
        return np.array([[np.mean(image)] * 2 for image in images])

    def kneighbors(self, X: Any, n_neighbors: int, *, gallery: Any, return_distance: bool) -> np.ndarray:
        assert not return_distance
        gaps = abs(self.transform(X)[:, None, 0] - self.transform_images(gallery)[:, 0])
        return np.argsort(gaps, axis=1, kind="stable")[:, :n_neighbors]


@pytest.fixture
def sheet_data() -> dict[str, Any]:
    """Three sequences of two channels, mean 0, 1 and 2, and five images (4, 6) of mean 0, 1, 2, 0.2 and 2.3."""
    X = [np.array([[0.0, 1.0], [1.0, 0.0], [-1.0, -1.0]]) + k for k in range(3)]
    images = np.ones((5, 4, 6)) * np.array([0, 1, 2, 0.2, 2.3])[:, None, None]
    return {"X": X, "y": np.array(["a", "b", "c"]), "images": images, "image_labels": np.array(list("abcac"))}


def retrieval(data: dict[str, Any], **options: Any) -> CrossModalRetrievalDisplay:
    others = {k: data[k] for k in ("images", "image_labels")}
    return CrossModalRetrievalDisplay.from_estimator(Means(), data["X"], data["y"], **others, **options)


def frames(display: CrossModalRetrievalDisplay) -> list[str]:
    from matplotlib.colors import to_hex

    return [to_hex(patch.get_edgecolor()) for patch in display.ax_.patches]


def paths(display: CrossModalRetrievalDisplay) -> list[np.ndarray]:
    """Lines (S, 2, 2) of every path."""
    return [np.array(lines.get_segments()) for lines in display.ax_.collections]


def test_sheet_shows_the_nearest_images_in_order_and_frames_the_right_ones(sheet_data: dict[str, Any]) -> None:
    display = retrieval(sheet_data, n_neighbors=2)
    # nearest to 0: images 0 and 3; to 1: images 1 and 3 (0.2 is nearer than 2); to 2: images 2 and 4
    assert np.array_equal(display.image_labels, [["a", "a"], ["b", "a"], ["c", "c"]])
    assert np.array_equal(display.right, [[True, True], [True, False], [True, True]])
    assert frames(display) == [FRAME] * 3 + [FRAME_OF_OTHERS] + [FRAME] * 2
    shown = [float(image.get_array().mean()) for image in display.ax_.images]
    np.testing.assert_allclose(shown, [0, 0.2, 1, 0.2, 2, 2.3], rtol=1e-6)
    assert [text.get_text() for text in display.ax_.texts] == ["a"]
    assert "5 of 6" in display.ax_.get_title()
    assert [tick.get_text() for tick in display.ax_.get_yticklabels()] == ["a", "b", "c"]
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == ["query", "nearest", "2"]


def test_sheet_draws_all_images_on_one_scale(sheet_data: dict[str, Any]) -> None:
    display = retrieval(sheet_data, n_neighbors=2, cmap="gray_r")
    assert {image.get_clim() for image in display.ax_.images} == {(0.0, float(np.float32(2.3)))}
    assert {image.get_cmap().name for image in display.ax_.images} == {"gray_r"}


def test_sheet_draws_images_to_the_right_of_their_query_and_none_over_another(sheet_data: dict[str, Any]) -> None:
    display = retrieval(sheet_data, n_neighbors=3)
    boxes = np.array([image.get_extent() for image in display.ax_.images]).reshape(3, 3, 4)  # left right bottom top
    assert (boxes[:, 1:, 0] > boxes[:, :-1, 1]).all()
    assert (boxes[1:, :, 3] > boxes[:-1, :, 2]).all()
    np.testing.assert_allclose(boxes[..., 1] - boxes[..., 0], 6 / 4)  # as broad as they are
    for path, row in zip(paths(display), boxes, strict=True):
        assert path[..., 0].max() < row[0, 0]
        assert path[..., 1].min() >= row[0, 3]
        assert path[..., 1].max() <= row[0, 2]


@pytest.mark.parametrize(("y_axis", "sign"), [("up", -1), ("down", 1)])
def test_path_keeps_its_shape(sheet_data: dict[str, Any], y_axis: str, sign: int) -> None:
    display = retrieval(sheet_data, n_neighbors=1, y_axis=y_axis)
    for path, x in zip(paths(display), sheet_data["X"], strict=True):
        moves, own = np.diff(path[:, 1], axis=0), np.diff(x, axis=0) * [1, sign]
        scale = moves[0, 0] / own[0, 0]
        assert scale > 0
        np.testing.assert_allclose(moves, own * scale, atol=1e-12)


@pytest.mark.parametrize("form", ["channel", "arrays"])
def test_no_line_between_strokes(sheet_data: dict[str, Any], form: str) -> None:
    strokes = [np.array([0, 0, 1])] * 3
    sheet_data["X"] = [np.column_stack([x, s]) for x, s in zip(sheet_data["X"], strokes, strict=True)]
    display = retrieval(sheet_data, n_neighbors=1, strokes=2 if form == "channel" else strokes)
    for path in paths(display):
        lengths = np.hypot(*(path[:, 1] - path[:, 0]).T)
        assert np.array_equal(lengths > 0, [False, True, False])


def test_arrays_of_strokes_follow_the_chosen_rows(sheet_data: dict[str, Any]) -> None:
    strokes = [np.zeros(3), np.arange(3), np.array([0, 0, 1])]
    display = retrieval(sheet_data, n_neighbors=1, strokes=strokes, rows=[2, 0])
    assert np.array_equal(display.labels, ["c", "a"])
    drawn = [int((np.hypot(*(path[:, 1] - path[:, 0]).T) > 0).sum()) for path in paths(display)]
    assert drawn == [1, 2]


def test_one_channel_is_drawn_over_time(sheet_data: dict[str, Any]) -> None:
    sheet_data["X"] = [np.array([[0.0], [1.0], [0.5]]) + k for k in range(3)]
    display = retrieval(sheet_data, n_neighbors=1)
    assert not display.ax_.collections
    heights = np.array([line.get_ydata() for line in display.ax_.lines])
    assert heights.shape == (3, 3)
    rise = heights[:, 0] - heights[:, 1]  # downwards is larger, and all share one scale
    np.testing.assert_allclose(rise, rise[0])
    assert rise[0] > 0
    with pytest.raises(ValueError, match="only one"):
        retrieval(sheet_data, view="path")


def test_two_channels_over_time_where_asked(sheet_data: dict[str, Any]) -> None:
    assert len(retrieval(sheet_data, n_neighbors=1, view="series").ax_.lines) == 6


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("points", [np.zeros((1, 2)), np.zeros((4, 2)), np.array([[0.0, 0.0], [0.0, 3.0]])])
@pytest.mark.parametrize("view", ["path", "series"])
def test_dots_and_straight_lines_are_drawn(sheet_data: dict[str, Any], points: np.ndarray, view: str) -> None:
    sheet_data["X"] = [points] * 3
    display = retrieval(sheet_data, n_neighbors=1, view=view)
    display.figure_.canvas.draw()
    for path in paths(display):
        assert np.isfinite(path).all()


@pytest.mark.parametrize("n_channels", [1, 2, 3, 4])
def test_images_with_channels(sheet_data: dict[str, Any], n_channels: int) -> None:
    sheet_data["images"] = np.repeat(sheet_data["images"][..., None], n_channels, axis=3)
    display = retrieval(sheet_data, n_neighbors=2)
    display.figure_.canvas.draw()
    shape = (4, 6) if n_channels < 3 else (4, 6, n_channels)
    assert {image.get_array().shape for image in display.ax_.images} == {shape}
    if n_channels > 2:  # colours are brought to [0, 1] together
        assert max(image.get_array().max() for image in display.ax_.images) == 1.0


def test_sheet_takes_the_first_of_eight_classes(rng: np.random.Generator) -> None:
    y = np.repeat(np.arange(10), 2)[rng.permutation(20)]
    X, images = rng.normal(size=(20, 5, 2)), rng.uniform(size=(20, 3, 3))
    display = CrossModalRetrievalDisplay.from_estimator(Means(), X, y, images=images, n_neighbors=3)
    assert np.array_equal(display.labels, np.arange(8))
    first = [np.flatnonzero(y == k)[0] for k in range(8)]
    np.testing.assert_allclose(display.queries, X[first], rtol=1e-6)
    assert display.images.shape == (8, 3, 3, 3, 1)


def test_displays_draw_into_given_axes(sheet_data: dict[str, Any]) -> None:
    axes = pyplot.subplots(1, 2, figsize=(5, 3))[1]
    assert retrieval(sheet_data, n_neighbors=1, ax=axes[0]).ax_ is axes[0]
    y, images = sheet_data["y"], sheet_data["images"][:3]
    display = CrossModalMapDisplay.from_estimator(Means(), sheet_data["X"], y, images=images, ax=axes[1])
    assert display.ax_ is axes[1]
    assert tuple(display.figure_.get_size_inches()) == (5, 3)


@pytest.mark.parametrize("wrong", [{"y": ["a", "b"]}, {"image_labels": ["a"]}, {"image_labels": None}])
def test_every_sequence_and_image_needs_a_class(sheet_data: dict[str, Any], wrong: dict[str, Any]) -> None:
    data = sheet_data | wrong
    for draw in (CrossModalRetrievalDisplay.from_estimator, CrossModalMapDisplay.from_estimator):
        with pytest.raises(ValueError, match="give each of them one class"):
            draw(Means(), data["X"], data["y"], images=data["images"], image_labels=data["image_labels"])


def test_unknown_views_are_refused(sheet_data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="view='pen' must be"):
        retrieval(sheet_data, view="pen")
    with pytest.raises(ValueError, match="y_axis='left' must be"):
        retrieval(sheet_data, y_axis="left")


def test_map_places_both_modalities_in_one_plane(sheet_data: dict[str, Any]) -> None:
    display = CrossModalMapDisplay.from_estimator(
        Means(), sheet_data["X"], sheet_data["y"], images=sheet_data["images"], image_labels=sheet_data["image_labels"]
    )
    assert display.points.shape == (3, 2)
    assert display.image_points.shape == (5, 2)
    # images 0 to 2 and the sequences have one embedding, so one place; the other places are as far as embeddings are
    np.testing.assert_allclose(display.points, display.image_points[:3], atol=1e-6)
    gaps = np.linalg.norm(display.image_points[0] - display.image_points, axis=1)
    np.testing.assert_allclose(gaps, np.sqrt(2) * np.array([0, 1, 2, 0.2, 2.3]), atol=1e-6)
    assert display.ax_.get_xlabel().startswith("PCA")


def test_map_tells_modalities_by_marker_and_classes_by_colour(sheet_data: dict[str, Any]) -> None:
    images, image_labels = sheet_data["images"], list("abcad")  # class d has an image and no sequence
    display = CrossModalMapDisplay.from_estimator(
        Means(), sheet_data["X"], sheet_data["y"], images=images, image_labels=image_labels
    )
    drawn = [points for points in display.ax_.collections if len(points.get_offsets())]
    filled = [points for points in drawn if len(points.get_facecolors())]
    hollow = [points for points in drawn if not len(points.get_facecolors())]
    assert [len(points.get_offsets()) for points in filled] == [1, 1, 1]
    assert [len(points.get_offsets()) for points in hollow] == [2, 1, 1, 1]
    for points, squares in zip(filled, hollow, strict=False):
        assert np.array_equal(points.get_facecolors()[0, :3], squares.get_edgecolors()[0, :3])
    assert len({tuple(points.get_edgecolors()[0]) for points in hollow}) == 4
    assert sorted(text.get_text() for text in display.ax_.texts) == ["a", "b", "c", "d"]
    assert [text.get_text() for text in display.ax_.get_legend().get_texts()] == ["sequence", "image"]
    assert display.plot(legend=False).ax_.get_legend() is None


def test_map_with_a_reducer(sheet_data: dict[str, Any]) -> None:
    class Twice:
        def fit_transform(self, embeddings: np.ndarray) -> np.ndarray:
            return 2 * embeddings

    display = CrossModalMapDisplay.from_estimator(
        Means(), sheet_data["X"], sheet_data["y"], images=sheet_data["images"][:3], reducer=Twice()
    )
    np.testing.assert_allclose(display.points, 2 * Means().transform(sheet_data["X"]))
    np.testing.assert_allclose(display.image_points, 2 * Means().transform_images(sheet_data["images"][:3]))
    assert display.ax_.get_xlabel().startswith("Twice")


def test_name_stands_above_the_sequences_of_its_class() -> None:
    # class b has its images elsewhere, class c no sequence
    points, image_points = np.array([[0.0, 0.0], [0.0, 1.0], [9.0, 5.0]]), np.array([[0, 1.5], [0.0, 10.0], [5.0, 7.0]])
    display = CrossModalMapDisplay(
        points=points, labels=["a", "a", "b"], image_points=image_points, image_labels=["a", "b", "c"]
    ).plot()
    assert {text.get_text(): tuple(text.xy) for text in display.ax_.texts} == {
        "a": (0.0, 1.5),
        "b": (9.0, 5.0),
        "c": (5.0, 7.0),
    }


def test_displays_of_a_fitted_embedder() -> None:
    X, y, images = make_sine_images(4, n_classes=3, n_steps=40, image_size=16, random_state=0)
    small = {"n_filters": 6, "n_units": 5, "max_epochs": 2, "batch_size": 6}
    embedder = CrossModalTripletEmbedder(8, **small, random_state=0).fit(X, y, images=images)
    sheet = CrossModalRetrievalDisplay.from_estimator(embedder, X, y, images=images, rows=[5, 1], n_neighbors=3)
    nearest = embedder.kneighbors(X, 3, return_distance=False)[[5, 1]]
    assert np.array_equal(sheet.image_labels, y[nearest])
    np.testing.assert_array_equal(sheet.images[..., 0], images[nearest])
    joint = CrossModalMapDisplay.from_estimator(embedder, X, y, images=images)
    assert len(joint.points) == len(joint.image_points) == 12
    with pytest.raises(ValueError, match="n_neighbors = 13"):
        CrossModalRetrievalDisplay.from_estimator(embedder, X, y, images=images, n_neighbors=13)
