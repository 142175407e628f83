"""A state map over the stages of learning: the frames against plain loops, films and pages."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA

from skseqmetric.inspection import RecurrentStateMap, StateAnimation
from tests.fake_bars import FakeBar

pyplot = pytest.importorskip("matplotlib.pyplot")
LENGTHS = (4, 1, 3)
WORDS = [["BEGIN", "a", "</script>", "END"], ["BEGIN"], ["BEGIN", "b", "END"]]


@pytest.fixture
def states(rng: np.random.Generator) -> list[np.ndarray]:
    """Three sequences of 4, 1 and 3 steps, five units."""
    return [rng.normal(size=(length, 5)) for length in LENGTHS]


@pytest.fixture
def points(rng: np.random.Generator) -> list[np.ndarray]:
    return [rng.normal(size=(length, 2)) for length in LENGTHS]


@pytest.fixture
def readouts(rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Four snapshots of three outputs."""
    return [(rng.normal(size=(3, 5)), rng.normal(size=3)) for _ in range(4)]


@pytest.fixture
def still(states: Any, points: Any, readouts: Any) -> StateAnimation:
    """Eight points that stay, four stages with numbers."""
    return StateAnimation.from_readouts(states, points, readouts, output=1, step_labels=WORDS)


@pytest.fixture
def moving(rng: np.random.Generator) -> StateAnimation:
    """Eight points that move, three stages with categories."""
    stages = [[rng.normal(size=(length, 5)) for length in LENGTHS] for _ in range(3)]
    places = [["first", "first", "second", "second"], ["first"], ["first", "second", "second"]]
    return StateAnimation.from_stages(stages, places, reducer=PCA(2), stages=["early", "later", "late"])


# ------------------------------------------------------------------------------------------------ frames


def test_output_of_every_readout_at_every_state(states: Any, points: Any, readouts: Any, still: StateAnimation) -> None:
    assert [frame.stage for frame in still.frames] == ["stage 1", "stage 2", "stage 3", "stage 4"]
    for k, (coef, intercept) in enumerate(readouts):
        expected = [sum(x[u] * coef[1, u] for u in range(5)) + intercept[1] for own in states for x in own]
        np.testing.assert_allclose(still.values_at(k), expected, rtol=1e-12)
        assert np.array_equal(still.points_at(k), np.concatenate(points))
    assert still.value_name == "output 1"


def test_readouts_may_be_estimators(states: Any, points: Any, readouts: Any, still: StateAnimation) -> None:
    fitted = [SimpleNamespace(coef_=coef, intercept_=intercept) for coef, intercept in readouts]
    again = StateAnimation.from_readouts(states, points, fitted, output=1)
    assert all(np.array_equal(again.values_at(k), still.values_at(k)) for k in range(4))


def test_judge_sees_all_outputs_of_a_sequence(states: Any, points: Any, readouts: Any) -> None:
    wanted = [0, 2, 1]

    def judge(outputs: np.ndarray, i: int) -> np.ndarray:
        return 2 * (outputs.argmax(axis=1) == wanted[i])

    animation = StateAnimation.from_readouts(states, points, readouts, judge=judge)
    coef, intercept = readouts[2]
    expected = [2 * (int(np.argmax(coef @ x + intercept)) == wanted[i]) for i, own in enumerate(states) for x in own]
    assert animation.values_at(2).tolist() == expected
    assert animation.colours().names == ("invalid", "valid", "exact")
    named = StateAnimation.from_readouts(states, points, readouts, judge=judge, value_names={0: "no", 2: "yes"})
    assert named.colours().names == ("no", "yes")


def test_states_before_the_first_step_are_left_out(states: Any, points: Any, readouts: Any) -> None:
    whole = StateAnimation.from_readouts(states, points, readouts)
    with_start = [np.concatenate([np.zeros((1, 5)), x]) for x in states]
    places = [np.concatenate([[[9.0, 9.0]], p]) for p in points]
    steps = [np.arange(length + 1) for length in LENGTHS]
    same = StateAnimation.from_readouts(with_start, places, readouts, steps=steps, step_labels=WORDS)
    assert np.array_equal(same.points_at(0), whole.points_at(0))
    assert np.array_equal(same.values_at(3), whole.values_at(3))
    assert [list(own) for own in same.step_labels] == WORDS
    assert [own.tolist() for own in same.steps] == [[1, 2, 3, 4], [1], [1, 2, 3]]


def test_labels_of_strides_are_those_of_the_last_step_read(points: Any, states: Any, readouts: Any) -> None:
    steps = [np.array([2, 4, 6, 7]), np.array([1]), np.array([2, 4, 5])]
    labels = [list("abcdefg"), ["a"], list("abcde")]
    animation = StateAnimation.from_readouts(states, points, readouts, steps=steps, step_labels=labels)
    assert [list(own) for own in animation.step_labels] == [list("bdfg"), ["a"], list("bde")]


def test_stages_share_one_map(rng: np.random.Generator) -> None:
    stages = [[rng.normal(size=(length, 5)) for length in LENGTHS] for _ in range(3)]
    values = [[rng.normal(size=length) for length in LENGTHS] for _ in range(3)]
    animation = StateAnimation.from_stages(stages, values, reducer=PCA(2))
    rows = np.concatenate([x for stage in stages for x in stage])
    expected = PCA(2).fit_transform(rows).reshape(3, 8, 2)
    for k in range(3):
        np.testing.assert_allclose(animation.points_at(k), expected[k], atol=1e-12)
        assert np.array_equal(animation.values_at(k), np.concatenate(values[k]))
    assert animation.method == "PCA"


def test_stages_by_a_map_and_in_relative_time(rng: np.random.Generator) -> None:
    stages = [[rng.normal(size=(length, 5)) for length in LENGTHS] for _ in range(2)]
    mapped = RecurrentStateMap(PCA(2))
    animation = StateAnimation.from_stages(stages, reducer=mapped)
    assert len(mapped.states_) == 16
    assert np.array_equal(animation.points_at(1), np.concatenate(mapped.transform(stages[1])))
    for k in range(2):
        np.testing.assert_allclose(animation.values_at(k), [25, 50, 75, 100, 100, 100 / 3, 200 / 3, 100])
    assert animation.value_name == "relative time (%)"


def test_one_list_of_values_holds_for_all_stages(moving: StateAnimation) -> None:
    for k in range(3):
        assert moving.values_at(k).tolist() == ["first"] * 2 + ["second"] * 2 + ["first"] * 2 + ["second"] * 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"points": 2}, "points has 2 sequences, but X has 3"),
        ({"output": 3}, "output=3 must be from 0 to 2: stage 1 has 3 outputs"),
        ({"stages": ["a"]}, "stages has 1 names, but there are 4 stages"),
        ({"step_labels": [["a"]] * 3}, r"step_labels\[0\] has shape \(1,\), but sequence 0 has 4 steps"),
        ({"readouts": []}, "no stages"),
        ({"readouts": [(np.ones((3, 4)), np.ones(3))]}, r"coef of stage 1 has shape \(3, 4\), .* 5 units"),
        ({"judge": lambda outputs, i: outputs}, r"what judge returned\[0\] has shape \(4, 3\)"),
    ],
)
def test_what_does_not_belong_to_the_states_is_refused(
    states: Any, points: Any, readouts: Any, wrong: dict[str, Any], message: str
) -> None:
    wrong = dict(wrong)
    points = points[: wrong.pop("points", 3)]
    readouts = wrong.pop("readouts", readouts)
    with pytest.raises(ValueError, match=message):
        StateAnimation.from_readouts(states, points, readouts, **wrong)


def test_stages_are_of_the_same_sequences(states: Any) -> None:
    with pytest.raises(ValueError, match=r"states of late\[2\] has shape \(2,\), but sequence 2 has 3 steps"):
        StateAnimation.from_stages([states, [*states[:2], states[2][:2]]], reducer=PCA(2), stages=["early", "late"])
    with pytest.raises(ValueError, match="values has 1 stages, but states has 2"):
        StateAnimation.from_stages([states, states], [[np.zeros(n) for n in LENGTHS]], reducer=PCA(2))


# ------------------------------------------------------------------------------------------------ colours


def coloured(values: Any, **options: Any) -> Any:
    """The colours of one sequence with these values, at one stage."""
    return StateAnimation([np.zeros((len(values), 2))], [("only", [np.array(values)])], **options).colours()


def test_scale_spans_the_inner_values_of_all_frames() -> None:
    values = np.append(np.linspace(0, 1, 999), 1e6)
    colours = coloured(values)
    np.testing.assert_allclose((colours.low, colours.high), np.percentile(values, [1, 99]))
    assert colours.beyond == "both"
    given = coloured(values, limits=(0, 2))
    assert (given.low, given.high, given.beyond) == (0, 2, "max")
    flat = coloured(np.full(9, 0.5))
    assert (flat.low, flat.high, flat.beyond) == (0, 1, "neither")


def test_scale_is_viridis_without_its_palest_end() -> None:
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    viridis = colormaps["viridis"](np.linspace(0, 1, 256))[:, :3]
    gaps = abs(np.array([to_rgb(c) for c in coloured([0.5, 1.5]).colours])[:, np.newaxis] - viridis).max(axis=2)
    assert (gaps.min(axis=1) < 0.01).all()
    places = gaps.argmin(axis=1)
    assert places[0] == 0
    assert (np.diff(places) > 0).all()
    assert places[-1] < 0.95 * 255


def test_categories_keep_the_order_of_their_names() -> None:
    values = ["b", "a", "b", "c"]
    colours = coloured(values, value_names={"a": "Anna", "b": "Bert"})
    assert colours.categories == ("a", "b", "c")
    assert colours.names == ("Anna", "Bert", "c")
    assert colours.codes(np.array(values)).tolist() == [1, 0, 1, 2]
    assert len(set(colours.looks)) == 3
    assert coloured([3, 1, 3]).names == ("1", "3")


# ------------------------------------------------------------------------------------------------ pictures


def test_plot_shows_a_stage_and_how_far_it_is(still: StateAnimation) -> None:
    for stage, k in ((-1, 3), (1, 1)):
        ax = still.plot(stage).ax_
        (scatter,) = ax.collections
        assert np.array_equal(scatter.get_offsets(), still.points_at(k))
        assert np.array_equal(scatter.get_array(), still.values_at(k))
        assert scatter.get_clim() == (still.colours().low, still.colours().high)
        (bar,) = ax.child_axes[0].patches
        assert bar.get_width() == (k + 1) / 4
        assert ax.child_axes[0].get_xlabel() == f"stage {k + 1}   ({k + 1} of 4)"


def test_all_stages_are_inside_of_the_axes(moving: StateAnimation) -> None:
    for k in range(3):
        ax = moving.plot(k).ax_
        moving.figure_.canvas.draw()
        low, high = np.transpose([ax.get_xlim(), ax.get_ylim()])
        for frame in range(3):
            assert (moving.points_at(frame) > low).all()
            assert (moving.points_at(frame) < high).all()


def test_plot_of_names_has_a_marker_for_each(moving: StateAnimation) -> None:
    axes = pyplot.subplots(1, 2)[1]
    ax = moving.plot(0, ax=axes[1]).ax_
    assert ax is axes[1]
    labels = moving.values_at(0)
    assert [scatter.get_label() for scatter in ax.collections] == ["first", "second"]
    for scatter, name in zip(ax.collections, ("first", "second"), strict=True):
        assert np.array_equal(scatter.get_offsets(), moving.points_at(0)[labels == name])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["first", "second"]


def film(path: Path) -> tuple[list[np.ndarray], list[int]]:
    """Pictures of a GIF, and how many milliseconds each is shown."""
    image = pytest.importorskip("PIL.Image").open(path)
    pictures, durations = [], []
    for k in range(image.n_frames):
        image.seek(k)
        pictures.append(np.asarray(image.convert("RGB"), dtype=np.int64))
        durations.append(image.info["duration"])
    image.close()
    return pictures, durations


def test_gif_has_a_frame_for_every_stage_and_a_growing_bar(moving: StateAnimation, tmp_path: Path) -> None:
    moving.save_gif(tmp_path / "states.gif", fps=5, dpi=40)
    pictures, durations = film(tmp_path / "states.gif")
    assert durations == [200, 200, 1700]
    grey = [(abs(picture - 0x55) <= 3).all(axis=2).sum(axis=1).max() for picture in pictures]  # longest dark row
    # a third of the bar at each stage, give or take a pixel at each end
    np.testing.assert_allclose(grey, np.arange(1, 4) * grey[-1] / 3, atol=2)


@pytest.mark.parametrize("name", ["still", "moving"])
def test_nothing_but_points_and_bar_changes(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    animation = request.getfixturevalue(name)
    animation.save_gif(tmp_path / "states.gif", dpi=40)
    pictures, _ = film(tmp_path / "states.gif")
    ax = animation.plot().ax_
    animation.figure_.canvas.draw()
    right = ax.get_window_extent().x1 / animation.figure_.bbox.width
    margins = [picture[:, int(np.ceil(right * picture.shape[1])) + 2 :] for picture in pictures]
    assert margins[0].shape[1] > 20
    for margin in margins[1:]:
        assert np.array_equal(margin, margins[0])
    assert (pictures[0][0] == 255).all()  # white paper
    assert all((pictures[0] != picture).any() for picture in pictures[1:])


def test_video_needs_ffmpeg_and_other_films_are_refused(
    still: StateAnimation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from matplotlib.animation import FFMpegWriter

    monkeypatch.setattr(FFMpegWriter, "isAvailable", classmethod(lambda cls: False))
    with pytest.raises(RuntimeError, match=r"states\.mp4 needs the program ffmpeg, which was not found"):
        still.save_gif(tmp_path / "states.mp4")
    with pytest.raises(ValueError, match=r"states\.png' must end in \.gif or \.mp4"):
        still.save_gif(tmp_path / "states.png")
    assert not list(tmp_path.iterdir())


def test_video_is_written_by_ffmpeg(still: StateAnimation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import animation

    class Recorder(animation.AbstractMovieWriter):
        n_frames = 0

        def __init__(self, fps: int, extra_args: list[str]) -> None:
            super().__init__(fps)
            assert extra_args[-2:] == ["-f", "mp4"]  # the temporary name has another ending

        @classmethod
        def isAvailable(cls) -> bool:
            return True

        def setup(self, *args: Any, **options: Any) -> None:
            super().setup(*args, **options)

        def grab_frame(self, **options: Any) -> None:
            self.n_frames += 1

        def finish(self) -> None:
            Path(self.outfile).write_bytes(bytes([self.n_frames, self.fps]))

    monkeypatch.setattr(animation, "FFMpegWriter", Recorder)
    still.save_gif(tmp_path / "states.mp4", fps=2, dpi=40)
    assert list((tmp_path / "states.mp4").read_bytes()) == [4 + 3, 2]  # the last of four stays 1.5 seconds longer


def test_progress_is_shown_where_asked(still: StateAnimation, tmp_path: Path, shown: list[FakeBar]) -> None:
    still.save_gif(tmp_path / "states.gif", dpi=20)
    still.save_html(tmp_path / "states.html")
    assert shown == []
    still.save_gif(tmp_path / "states.gif", dpi=20, verbose=1)
    still.save_html(tmp_path / "states.html", verbose=1)
    assert [(bar.text, bar.n, bar.total) for bar in shown] == [("StateAnimation: drawing", 4, 4)] * 2


# ------------------------------------------------------------------------------------------------ page


class Tags(HTMLParser):
    """The tags of a page with their attributes, and the text of its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, dict[str, Any]]] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.attributes.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.attributes and self.attributes[-1][0] == "script":
            self.scripts.append(data)


def test_page_needs_no_network_and_holds_its_data(still: StateAnimation, tmp_path: Path) -> None:
    pytest.importorskip("plotly")
    still.save_html(tmp_path / "states.html")
    text = (tmp_path / "states.html").read_text(encoding="utf-8")
    assert len(text) < 8e6
    tags = Tags(text)
    assert not [tag for tag, attributes in tags.attributes if {"src", "href"} & set(attributes)]
    own = next(script for script in reversed(tags.scripts) if "Plotly.newPlot" in script)
    assert all(word in own for word in ("BEGIN", "END", "stage 4", "output 1"))
    assert "Plotly.addFrames" in own
    assert "</script>" not in own  # a word of the first sequence must not end the script


def test_page_recolours_points_that_stay(still: StateAnimation) -> None:
    pytest.importorskip("plotly")
    figure = still.to_plotly().to_dict()
    (trace,) = figure["data"]
    np.testing.assert_allclose(np.transpose([trace["x"], trace["y"]]), still.points_at(0), rtol=1e-3)
    assert trace["customdata"][2:5] == [[0, 3, "</script>"], [0, 4, "END"], [1, 1, "BEGIN"]]
    for k, frame in enumerate(figure["frames"]):
        (own,) = frame["data"]
        assert set(own) == {"type", "marker"}
        np.testing.assert_allclose(own["marker"]["color"], still.values_at(k), rtol=1e-3)  # four digits
    limits = still.colours().low, still.colours().high
    assert (trace["marker"]["cmin"], trace["marker"]["cmax"]) == limits
    assert "output 1: %{marker.color" in trace["hovertemplate"]


def test_page_moves_points_and_names_them(moving: StateAnimation) -> None:
    pytest.importorskip("plotly")
    figure = moving.to_plotly().to_dict()
    trace, *legend = figure["data"]
    assert [entry["name"] for entry in legend] == ["first", "second"]
    for k, frame in enumerate(figure["frames"]):
        (own,) = frame["data"]
        np.testing.assert_allclose(np.transpose([own["x"], own["y"]]), moving.points_at(k), rtol=1e-3)
        assert own["text"] == moving.values_at(k).tolist()
        for code, symbol, name in zip(own["marker"]["color"], own["marker"]["symbol"], own["text"], strict=True):
            entry = legend[code]
            assert entry["name"] == name
            assert entry["marker"]["symbol"] == symbol
            share = (code - trace["marker"]["cmin"]) / (trace["marker"]["cmax"] - trace["marker"]["cmin"])
            scale = trace["marker"]["colorscale"]
            (inside,) = [{c, d} for (low, c), (high, d) in pairwise(scale) if low < share < high]
            assert inside == {entry["marker"]["color"]}


def test_slider_and_buttons_reach_every_frame(moving: StateAnimation) -> None:
    pytest.importorskip("plotly")
    figure = moving.to_plotly(fps=4).to_dict()
    names = [frame["name"] for frame in figure["frames"]]
    (slider,) = figure["layout"]["sliders"]
    assert [step["args"][0] for step in slider["steps"]] == [[name] for name in names]
    assert [step["label"] for step in slider["steps"]] == ["early", "later", "late"]
    play, pause = figure["layout"]["updatemenus"][0]["buttons"]
    assert play["args"][0] is None
    assert play["args"][1]["frame"]["duration"] == 250
    assert pause["args"][0] == [None]


def test_missing_libraries_are_named(still: StateAnimation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(ImportError, match=r'needs plotly: pip install "skseqmetric\[viz\]"'):
        still.save_html(tmp_path / "states.html")
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'needs matplotlib: pip install "skseqmetric\[viz\]"'):
        still.save_gif(tmp_path / "states.gif")


def test_frames_of_ones_own(points: Any, tmp_path: Path) -> None:
    frames = [("only", [np.full(length, "x") for length in LENGTHS])]
    animation = StateAnimation(points, frames)
    animation.save_gif(tmp_path / "states.gif", dpi=20)
    assert animation.colours().names == ("x",)
    wrong = StateAnimation(points, [("only", [np.zeros(length) for length in (4, 1, 2)])])
    with pytest.raises(ValueError, match=r"values of only\[2\] has shape \(2,\), but sequence 2 has 3 steps"):
        wrong.plot()
