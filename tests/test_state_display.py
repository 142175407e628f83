"""The layers over a map of recurrent states: what is drawn where, and which sequences are difficult."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skseqmetric import NRNMClassifier, NRNMStepClassifier, RecurrentClassifier
from skseqmetric.inspection import RecurrentStateDisplay, RecurrentStateMap, hidden_states
from tests.fake_recurrent import LeakySum

pyplot = pytest.importorskip("matplotlib.pyplot")

SENTENCES = [
    ["BEGIN", "a", "cup", "END"],
    ["BEGIN", "a", "bowl", "and", "a", "cup", "END"],
    ["BEGIN", "cup", "END"],
    ["BEGIN", "bowl", "and", "bowl", "END"],
]
WORDS = ["BEGIN", "END", "a", "and", "bowl", "cup"]
LABELS = ["one", "two", "one", "two"]
# outputs: how much of "cup" and of "bowl" is remembered
WEIGHTS = np.eye(6)[:, [5, 4]]


def one_hot(sentences: list[list[str]]) -> list[np.ndarray]:
    return [np.eye(6)[[WORDS.index(word) for word in sentence]] for sentence in sentences]


def make(estimator: Any = None, **options: Any) -> RecurrentStateDisplay:
    settings = {"map": RecurrentStateMap(PCA(2)), "step_names": SENTENCES, "labels": LABELS, **options}
    return RecurrentStateDisplay.from_estimator(
        LeakySum(weights=WEIGHTS) if estimator is None else estimator, one_hot(SENTENCES), **settings
    )


def offsets(collection: Any) -> np.ndarray:
    return np.asarray(collection.get_offsets())


def legend_texts(display: RecurrentStateDisplay) -> list[str]:
    return [text.get_text().replace("\n", " ") for text in display.ax_.get_legend().get_texts()]


# ------------------------------------------------------------------ the data
def test_states_are_placed_in_the_map_and_named(ragged: Any) -> None:
    display = make(places=[range(len(s)) for s in SENTENCES])
    found = hidden_states(LeakySum(), one_hot(SENTENCES))
    for points, expected in zip(display.points, display.map_.transform(found.states), strict=True):
        assert np.array_equal(points, expected)
    assert [steps.tolist() for steps in display.steps] == [list(range(len(s) + 1)) for s in SENTENCES]
    assert [names.tolist() for names in display.step_names] == [[None, *s] for s in SENTENCES]
    assert display.places[2].tolist() == [None, 0, 1, 2]
    assert display.method == "PCA"
    assert display.ax_.get_xlabel() == "PCA axis 1 (no unit)"


def test_a_fitted_map_is_frozen_and_an_unfitted_one_is_copied() -> None:
    unfitted = RecurrentStateMap(PCA(2))
    first = make(map=unfitted)
    assert not hasattr(unfitted, "states_")
    second = RecurrentStateDisplay.from_estimator(LeakySum(0.7), one_hot(SENTENCES), map=first.map_)
    assert second.map_ is first.map_
    placed = first.map_.transform(hidden_states(LeakySum(0.7), one_hot(SENTENCES)).states)
    assert np.array_equal(second.points[1], placed[1])


def test_names_belong_to_the_last_input_step_where_steps_are_skipped(ragged: Any) -> None:
    X, y = ragged
    classifier = NRNMClassifier(8, n_filters=8, max_recurrent_steps=6, max_epochs=2, min_batches=2, random_state=0).fit(
        X, y
    )
    display = RecurrentStateDisplay.from_estimator(
        classifier, X, map=RecurrentStateMap(PCA(2)), step_names=[[f"s{t + 1}" for t in range(len(x))] for x in X]
    )
    for x, names in zip(X, display.step_names, strict=True):
        assert names.tolist() == [None, *(f"s{t}" for t in range(2, len(x), 2)), f"s{len(x)}"]


def test_through_a_pipeline_with_options_and_without_the_initial_state() -> None:
    double = FunctionTransformer(lambda sequences: [2 * x for x in sequences])
    pipeline = make_pipeline(double, LeakySum(weights=WEIGHTS))
    display = make(pipeline, options={"scale": 3.0}, initial=False)
    expected = display.map_.transform([6 * h for h in LeakySum().hidden_states(one_hot(SENTENCES))])
    assert np.array_equal(display.points[1], expected[1])
    np.testing.assert_allclose(
        display.outputs[0], LeakySum(weights=2 * WEIGHTS).predict_prefixes(one_hot(SENTENCES))[0]
    )
    assert display.steps[0].tolist() == [1, 2, 3, 4]


# ------------------------------------------------------------------ trajectories
@pytest.mark.parametrize(
    ("cell", "options", "kind"), [("lstm", None, "cell"), ("lstm", {}, "hidden"), ("gru", None, "hidden")]
)
def test_of_an_lstm_the_cell_states_are_mapped(ragged: Any, cell: str, options: Any, kind: str) -> None:
    network = RecurrentClassifier(3, cell=cell, max_epochs=1, random_state=0).fit(*ragged)
    display = RecurrentStateDisplay.from_estimator(network, ragged[0], map=RecurrentStateMap(PCA(2)), options=options)
    expected = hidden_states(network, ragged[0], kind=kind).states
    for points, states in zip(display.points, expected, strict=True):
        np.testing.assert_allclose(points, display.map_.reducer_.transform(states), rtol=0, atol=1e-5)


def test_trajectories_run_through_their_states_and_name_every_word() -> None:
    display = make().plot_trajectories([0, 2])
    lines = {line.get_label().replace("\n", " "): line.get_xydata() for line in display.ax_.lines}
    for i in (0, 2):
        assert np.array_equal(lines[f"{' '.join(SENTENCES[i])} (one)"], display.points[i])
    cloud = offsets(display.ax_.collections[0])
    assert np.array_equal(cloud, np.unique(np.concatenate(display.points), axis=0))
    texts = sorted(text.get_text() for text in display.ax_.texts if text.get_text())
    # the common beginning is named once
    assert texts == sorted(["start", "BEGIN", "a", "cup", "END", "cup", "END"])
    own = {line.get_label().replace("\n", " "): line.get_color() for line in display.ax_.lines}
    drawn = {(text.get_text(), *text.xy): text.get_color() for text in display.ax_.texts}
    for i, s in ((0, 3), (2, 2)):  # "cup" of each sentence in the colour of its line
        assert drawn[("cup", *display.points[i][s])] == own[f"{' '.join(SENTENCES[i])} (one)"]
    assert drawn[("BEGIN", *display.points[0][1])] not in own.values()
    assert legend_texts(display) == [
        "all 23 states",
        "BEGIN a cup END (one)",
        "BEGIN cup END (one)",
        "first state",
        "last state",
    ]


def test_labels_belong_to_their_points() -> None:
    display = make().plot_trajectories([1])
    named = {(text.get_text(), *text.xy) for text in display.ax_.texts if text.get_text()}
    names = ["start", *SENTENCES[1]]
    assert named == {(name, *point.astype(float)) for name, point in zip(names, display.points[1], strict=True)}


def walk(points: np.ndarray, names: list[str], ax: Any = None) -> RecurrentStateDisplay:
    """One trajectory through these points (S, 2), every point with its name."""
    display = RecurrentStateDisplay(points=[points], steps=[np.arange(len(points))], step_names=[names])
    return display.plot_trajectories(label_every=1, ax=ax)


def boxes(display: RecurrentStateDisplay) -> list[Any]:
    """Where the labels are, in pixels; a text without letters is a line from a label to its point."""
    from matplotlib.text import Text

    display.figure_.canvas.draw()
    return [Text.get_window_extent(text) for text in display.ax_.texts if text.get_text()]


@pytest.mark.parametrize("spread", [0.02, 0.3, 1.0])
def test_labels_cover_neither_each_other_nor_the_frame(rng: np.random.Generator, spread: float) -> None:
    _, ax = pyplot.subplots(figsize=(7, 5))
    ax.plot([0, 0, 1, 1], [0, 1, 0, 1], ls="")  # the points fill a part of the axes
    names = [f"word {i}" for i in range(40)]
    display = walk(0.5 + spread * (rng.random((40, 2)) - 0.5), names, ax)
    assert display.ax_.get_title() == "Trajectories of 1 sequence"  # no label was left out
    assert [text.get_text() for text in ax.texts if text.get_text()] == names
    for a, b in combinations(boxes(display), 2):
        assert not a.overlaps(b)
    frame = ax.get_window_extent()
    assert all(frame.x0 <= b.x0 and b.x1 <= frame.x1 and frame.y0 <= b.y0 and b.y1 <= frame.y1 for b in boxes(display))


@pytest.mark.parametrize("slope", [0.0, 1.0, -1.0])
def test_a_label_leaves_its_line_free_and_stands_near(slope: float) -> None:
    _, ax = pyplot.subplots()
    ax.plot([-0.5, 1.5], [-1.5, 1.5], ls="")
    x = np.linspace(0, 1, 5)
    display = walk(np.column_stack([x, slope * (x - 0.5)]), [f"word{i}" for i in range(5)], ax)
    dense = np.linspace(0, 1, 500)
    line = ax.transData.transform(np.column_stack([dense, slope * (dense - 0.5)]))
    for box, point in zip(boxes(display), ax.transData.transform(display.points[0]), strict=True):
        assert not any(box.contains(*place) for place in line)
        nearest = np.clip(point, box.min, box.max)
        assert np.abs(nearest - point).max() < 12  # pixels
    assert len(ax.texts) == 5  # and no line from a label to its point


def test_a_label_far_from_its_point_gets_a_line_and_one_without_room_is_left_out() -> None:
    codes, points = [np.array([0])], [np.array([[0.5, 0.5]])]
    display = RecurrentStateDisplay(points=points, steps=[np.array([1])], codes=codes)
    crowded = RecurrentStateDisplay(points=points * 12, steps=[np.array([1])] * 12, codes=codes * 12)
    assert not [text for text in display.plot_errors().ax_.texts if not text.get_text()]
    assert len([text for text in crowded.plot_errors(mark=12).ax_.texts if text.get_text()]) == 12
    lines = [text for text in crowded.ax_.texts if not text.get_text()]
    assert lines
    assert {text.xy for text in lines} == {(0.5, 0.5)}
    _, ax = pyplot.subplots(figsize=(2, 2))
    left_out = walk(np.array([[0.0, 0.0], [1.0, 1.0]]), ["a", "w" * 60], ax)
    assert ax.get_title() == "Trajectories of 1 sequence (1 names left out: no room)"
    assert len(boxes(left_out)) == 1


def test_the_first_of_each_class_is_shown_where_nobody_chooses() -> None:
    display = make().plot_trajectories()
    assert [text for text in legend_texts(display) if "BEGIN" in text] == [
        f"{' '.join(SENTENCES[i])} ({LABELS[i]})" for i in (0, 1)
    ]
    without = make(labels=None).plot_trajectories()
    assert sum("BEGIN" in text for text in legend_texts(without)) == 3


def test_steps_are_numbered_without_names_and_thinned_where_many(rng: np.random.Generator) -> None:
    X = [np.cumsum(rng.normal(size=(60, 3)), axis=0)]
    display = RecurrentStateDisplay.from_estimator(LeakySum(), X, map=RecurrentStateMap(PCA(2)))
    assert [text.get_text() for text in display.ax_.texts if text.get_text()] == [str(t) for t in range(0, 61, 4)]
    display.plot_trajectories(label_every=25)
    assert [text.get_text() for text in display.ax_.texts if text.get_text()] == ["0", "25", "50", "60"]
    assert "sequence 0" in legend_texts(display)
    display.names = ["my series"]
    assert "my series" in legend_texts(display.plot_trajectories())


def test_a_figure_of_our_own_is_as_high_as_its_legend(rng: np.random.Generator) -> None:
    names = [f"a sequence with a long name of its own, number {i}, that takes two lines" for i in range(24)]
    display = RecurrentStateDisplay(
        points=list(rng.normal(size=(24, 3, 2))), steps=[np.arange(3)] * 24, names=names
    ).plot_trajectories(range(24), label_every=2)
    display.figure_.canvas.draw()
    legend, page = display.ax_.get_legend().get_window_extent(), display.figure_.bbox
    assert page.y0 <= legend.y0 <= legend.y1 <= page.y1
    assert legend.x0 > display.ax_.get_window_extent().x1
    assert display.plot_final().figure_.get_figheight() < display.figure_.get_figwidth()


# ------------------------------------------------------------------ final states and places
def test_final_states_by_class_and_by_number() -> None:
    display = make().plot_final()
    by_class = {c.get_label(): offsets(c) for c in display.ax_.collections[1:]}
    for label in ("one", "two"):
        expected = [p[-1] for p, own in zip(display.points, LABELS, strict=True) if own == label]
        assert np.array_equal(by_class[label], expected)
    assert legend_texts(display) == ["one", "two"]
    numbers = [0.5, 2.0, 1.0, 4.0]
    by_number = make(labels=None, y=numbers).plot_final()
    assert np.array_equal(by_number.ax_.collections[1].get_array(), numbers)
    assert len(by_number.figure_.axes) == 2
    alone = make(labels=None).plot_final()
    assert len(offsets(alone.ax_.collections[1])) == 4


def test_places_leave_the_initial_state_grey() -> None:
    places = [["begin", *["clause"] * (len(s) - 2), "end"] for s in SENTENCES]
    display = make(places=places, layer="places")
    drawn = {c.get_label(): offsets(c) for c in display.ax_.collections[1:]}
    assert {name: len(points) for name, points in drawn.items()} == {"begin": 4, "clause": 11, "end": 4}
    assert np.array_equal(drawn["end"], [p[-1] for p in display.points])
    assert np.array_equal(drawn["begin"], [p[1] for p in display.points])
    assert legend_texts(display) == ["begin", "clause", "end"]


def test_places_by_time_step_and_name() -> None:
    display = make().plot_places()
    assert np.array_equal(
        display.ax_.collections[1].get_array(), np.concatenate([100 * np.arange(n + 1) / n for n in (4, 7, 3, 5)])
    )
    display.plot_places(by="step")
    assert np.array_equal(
        display.ax_.collections[1].get_array(), np.concatenate([np.arange(n + 1) for n in (4, 7, 3, 5)])
    )
    display.plot_places(by="name")
    counts = {c.get_label(): len(offsets(c)) for c in display.ax_.collections[1:]}
    assert counts == {word: sum(s.count(word) for s in SENTENCES) for word in WORDS}
    with pytest.raises(ValueError, match="by='place' needs places, and none are given"):
        display.plot_places(by="place")
    with pytest.raises(ValueError, match="by='word' must be"):
        display.plot_places(by="word")


# ------------------------------------------------------------------ outputs
def test_output_is_the_colour_and_the_histogram() -> None:
    display = make(output_names=["cup", "bowl"], layer="output", output="bowl", bins=7)
    outputs = np.concatenate(LeakySum(weights=WEIGHTS).predict_prefixes(one_hot(SENTENCES)))
    drawn = display.ax_.collections[1]
    assert np.array_equal(drawn.get_array(), np.sort(outputs[:, 1]))
    inner = np.concatenate([points[1:] for points in display.points])
    assert np.array_equal(offsets(drawn), inner[np.argsort(outputs[:, 1], kind="stable")])
    (side,) = [ax for ax in display.figure_.axes if ax is not display.ax_]
    counts = [bar.get_width() for bar in side.patches]
    assert counts == np.histogram(outputs[:, 1], 7)[0].tolist()
    assert side.get_ylabel() == "output 'bowl'"
    assert np.array_equal(display.plot_output(0).ax_.collections[1].get_array(), np.sort(outputs[:, 0]))
    for wrong in (2, -1, "cups"):
        with pytest.raises(ValueError, match="is none of the 2 outputs"):
            display.plot_output(wrong)
    # a class may be a number, and a column is one too: columns are meant
    display.output_names = np.array([1, 0])
    assert display.plot_output(1).ax_.get_title() == "Output '0' at every state"


# ------------------------------------------------------------------ errors
def judge(outputs: np.ndarray, i: int) -> np.ndarray:
    """For cup and for bowl: 2 where exactly what the sentence says is remembered, 1 where more is, 0 where less."""
    said = np.array(["cup" in SENTENCES[i], "bowl" in SENTENCES[i]])
    heard = outputs > 0.2
    return np.where(heard == said, 2, np.where(heard, 1, 0))


def test_codes_are_those_of_the_judge() -> None:
    display = make(judge=judge, layer="errors")
    outputs = LeakySum(weights=WEIGHTS).predict_prefixes(one_hot(SENTENCES))
    for i, (codes, own) in enumerate(zip(display.codes, outputs, strict=True)):
        assert np.array_equal(codes[0], [-1, -1])
        assert np.array_equal(codes[1:], judge(own, i))
    worst = np.concatenate([judge(own, i).min(axis=1) for i, own in enumerate(outputs)])
    named = legend_texts(display)[:3]
    assert named == [
        f"{name}: {np.mean(worst == k):.0%} of states" for k, name in ((2, "exact"), (1, "valid"), (0, "invalid"))
    ]
    sizes = [len(offsets(c)) for c in display.ax_.collections[1:]]
    finals = [int(judge(own, i)[-1].min()) for i, own in enumerate(outputs)]
    assert sizes == [n for k in (2, 1, 0) for n in ((worst == k).sum(), finals.count(k))]
    marked = [text.get_text() for text in display.ax_.texts if text.get_text()]
    assert marked == [str(row.sequence) for row in display.difficult_examples(3) if row.final_code < 2]
    assert marked
    display.plot_errors(part=0)
    assert "part 0" in display.ax_.get_title()
    part = np.concatenate([judge(own, i)[:, 0] for i, own in enumerate(outputs)])
    assert [len(offsets(c)) for c in display.ax_.collections[1::2]] == [(part == k).sum() for k in (2, 1, 0)]
    with pytest.raises(ValueError, match="part=2 is none of the 2"):
        display.plot_errors(part=2)


def test_difficult_examples_are_ranked_by_their_end_then_by_their_wrong_steps() -> None:
    codes = [
        np.array([-1, 0, 0, 2]),
        np.array([-1, 2, 2, 0]),
        np.array([-1, 0, 2]),
        np.array([-1, 0, 0, 0]),
        np.array([-1, 2, 1]),
        np.array([-1, 2, -1]),
    ]
    points = [np.arange(2.0 * len(own)).reshape(-1, 2) for own in codes]
    display = RecurrentStateDisplay(points=points, steps=[np.arange(len(own)) for own in codes], codes=codes)
    found = display.difficult_examples()
    assert [(row.sequence, row.final_code) for row in found] == [(3, 0), (1, 0), (4, 1), (0, 2), (2, 2)]
    assert [row.wrong_share for row in found] == pytest.approx([1, 1 / 3, 0, 2 / 3, 1 / 2])
    assert display.difficult_examples(2) == found[:2]
    assert [row.name for row in found[:2]] == ["sequence 3", "sequence 1"]
    # in two parts: both wrong is worse than one
    display.codes = [
        np.column_stack([own, other]) for own, other in zip(codes, [*codes[:3], 2 - codes[3], *codes[4:]], strict=True)
    ]
    assert [row.sequence for row in display.difficult_examples(2)] == [1, 3]
    display.names = list("abcdef")
    assert [row.name for row in display.difficult_examples(2)] == ["b", "d"]


def test_difficult_sequences_are_marked_unless_they_are_right() -> None:
    codes = [np.array([1, 1]), np.array([1, 0]), np.array([0, 0])]
    points = [np.array([[0.0, k], [1.0, k]]) for k in range(3)]
    display = RecurrentStateDisplay(
        points=points, steps=[np.arange(1, 3)] * 3, codes=codes, code_names=["wrong", "right"], names=["p", "q", "r"]
    ).plot_errors(mark=3)
    assert {text.get_text(): text.xy for text in display.ax_.texts} == {"2": (1.0, 2.0), "1": (1.0, 1.0)}
    assert legend_texts(display)[2:] == ["most difficult:", "2  r", "1  q"]
    assert "33.3% right, 66.7% wrong" in display.ax_.get_title()
    assert legend_texts(display.plot_errors(mark=0)) == ["right: 50% of states", "wrong: 50% of states"]


def test_states_of_a_classifier_are_right_or_wrong() -> None:
    classifier = LeakySum(weights=WEIGHTS, classes=["cup", "bowl"]).fit(None)
    y = np.array(["cup", "cup", "cup", "bowl"])
    display = make(classifier, y=y, labels=None, layer="errors")
    for codes, outputs, label in zip(display.codes, classifier.predict_prefixes(one_hot(SENTENCES)), y, strict=True):
        assert codes.tolist() == [-1, *(np.array(["cup", "bowl"])[outputs.argmax(axis=1)] == label)]
    assert [text.partition(":")[0] for text in legend_texts(display)[:2]] == ["right", "wrong"]
    assert display.labels.tolist() == y.tolist()
    assert list(display.output_names) == ["cup", "bowl"]
    of_steps = make(classifier, y=[["bowl"] * len(s) for s in SENTENCES], labels=None)
    assert of_steps.labels is None
    for codes, outputs in zip(of_steps.codes, classifier.predict_prefixes(one_hot(SENTENCES)), strict=True):
        assert codes.tolist() == [-1, *(outputs.argmax(axis=1) == 1)]


def test_a_classifier_without_outputs_at_its_steps_is_asked_for_every_prefix(ragged: Any) -> None:
    X, y = ragged[0][:8], ragged[1][:8]
    classifier = NRNMClassifier(8, n_filters=None, max_epochs=2, min_batches=2, random_state=0).fit(*ragged)
    small_map = RecurrentStateMap(PCA(2))
    display = RecurrentStateDisplay.from_estimator(classifier, X, y=y, map=small_map, layer="errors")
    for x, outputs, codes, label in zip(X, display.outputs, display.codes, y, strict=True):
        probabilities = classifier.predict_proba([x[:n] for n in range(1, len(x) + 1)])
        np.testing.assert_allclose(outputs[1:], probabilities, rtol=1e-4, atol=1e-6)  # float32 in other batches
        assert np.isnan(outputs[0]).all()
        assert codes.tolist() == [-1, *(classifier.classes_[outputs[1:].argmax(axis=1)] == label)]
    # many predictions: not for a layer that shows none of them
    assert RecurrentStateDisplay.from_estimator(classifier, X, y=y, map=small_map).outputs is None


def test_labels_in_a_table_are_taken_in_their_order() -> None:
    pandas = pytest.importorskip("pandas")
    classifier = LeakySum(weights=WEIGHTS, classes=["cup", "bowl"]).fit(None)
    y = ["cup", "cup", "cup", "bowl"]
    expected, display = (make(classifier, y=given, labels=None) for given in (y, pandas.Series(y, index=[3, 2, 1, 9])))
    assert [codes.tolist() for codes in display.codes] == [codes.tolist() for codes in expected.codes]
    assert display.labels.tolist() == y


def test_a_classifier_of_steps_says_something_at_each(ragged: Any) -> None:
    X = ragged[0]
    y = [np.arange(len(x)) % 2 for x in X]
    labeller = NRNMStepClassifier(8, n_filters=8, max_epochs=2, min_batches=2, random_state=0).fit(X, y)
    display = RecurrentStateDisplay.from_estimator(labeller, X, y=y, map=RecurrentStateMap(PCA(2)), layer="errors")
    assert np.mean(np.concatenate([codes[1:] for codes in display.codes])) == pytest.approx(labeller.score(X, y))


# ------------------------------------------------------------------ manners
def test_every_layer_draws_into_the_given_axes() -> None:
    display = make(judge=judge)
    figure, axes = pyplot.subplots(1, 5, figsize=(20, 4), layout="constrained")
    before = len(pyplot.get_fignums())
    for ax, layer in zip(axes, ("trajectories", "final", "places", "output", "errors"), strict=True):
        assert display.plot(layer, ax=ax) is display
        assert display.ax_ is ax
        assert display.figure_ is figure
    assert len(pyplot.get_fignums()) == before
    assert figure.get_size_inches().tolist() == [20, 4]
    assert display.plot().figure_ is not figure


def test_errors_name_what_is_missing() -> None:
    bare = RecurrentStateDisplay(points=[np.zeros((2, 2))], steps=[np.arange(2)])
    with pytest.raises(ValueError, match="There are no outputs to show"):
        bare.plot("output")
    with pytest.raises(ValueError, match="There are no errors to show"):
        bare.plot("errors")
    with pytest.raises(ValueError, match="layer='words' must be one of 'trajectories'"):
        bare.plot("words")
    with pytest.raises(ValueError, match="layer='words' must be one of"):
        make(layer="words")
    with pytest.raises(ValueError, match=r"step_names\[1\] has 3 entries for a sequence of 7 steps and 7 states"):
        make(step_names=[s[:3] if i == 1 else s for i, s in enumerate(SENTENCES)])
    with pytest.raises(ValueError, match="places is given for 3 sequences, but X has 4"):
        make(places=SENTENCES[:3])
    with pytest.raises(ValueError, match=r"labels has shape \(2,\), but there are 4 sequences"):
        make(labels=["a", "b"])
    with pytest.raises(ValueError, match="judge returned 3 for sequence 0: codes are 0 to 2"):
        make(judge=lambda outputs, i: np.full(len(outputs), 3))
    with pytest.raises(ValueError, match=r"judge returned shape \(1,\) for sequence 0, which has 4 states"):
        make(judge=lambda outputs, i: [0])
    with pytest.raises(ValueError, match="code_names has 4 names"):
        make(judge=judge, code_names=list("abcd"), layer="errors")
    with pytest.raises(TypeError, match="PCA has no recurrent states"):
        make(PCA(2))
