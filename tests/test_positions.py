"""Containers are read by position: the index of a pandas Series changes nothing. Every public argument is tried."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.model_selection import cross_val_score, train_test_split

import skseqmetric
from skseqmetric import (
    CrossModalTripletEmbedder,
    DTWMetric,
    EchoStateClassifier,
    SyncGRUMetric,
    check_images,
    check_sequences,
    from_channels_first,
    from_fixes,
    from_padded,
    inspection,
    to_padded,
)
from skseqmetric.datasets import (
    KeywordMemory,
    exact_error,
    gramian_angular_field,
    make_words,
    read_sequences,
    render_trajectory,
    sentence_factors,
    sentence_roles,
    write_sequences,
)
from skseqmetric.inspection import (
    AlignmentDisplay,
    CrossModalMapDisplay,
    CrossModalRetrievalDisplay,
    EmbeddingDisplay,
    HyperparameterPanels,
    NestedStatesDisplay,
    RecurrentStateDisplay,
    RecurrentStateMap,
    StateAnimation,
    SynchronizationDisplay,
    UnitActivityDisplay,
    UnitEncodingDisplay,
)
from skseqmetric.metrics import character_error_rate, step_accuracy, step_f1_score, word_error_rate
from tests.small_door import (
    CASES,
    FAST,
    IMAGES,
    JOINT,
    LABELS,
    LENGTHS,
    PAIRS,
    SAME,
    STEP_LABELS,
    WORDS,
    Case,
    X,
    assert_same,
    outputs,
    where,
)

WEIGHTS = np.array([1.0, 2.0, 0.5, 1.0, 3.0, 1.0])


def shuffled(items: Any) -> pd.Series:
    """A Series with these items in this order, whose index has another order."""
    items = list(items)
    return pd.Series(items, index=np.roll(np.arange(len(items))[::-1], 1), dtype=None if items else object)


def frame(items: Any) -> pd.DataFrame:
    """A DataFrame with these rows in this order, whose index has another order."""
    rows = np.asarray(items)
    return pd.DataFrame(rows, index=np.roll(np.arange(len(rows))[::-1], 1))


def test_every_public_estimator_is_tested() -> None:
    public = (getattr(skseqmetric, name) for name in skseqmetric.__all__)
    classes = {c for c in public if isinstance(c, type) and issubclass(c, BaseEstimator) and hasattr(c, "fit")}
    found = classes - {skseqmetric.Metric}
    assert {type(case.estimator) for case in CASES} == found


@where()
def test_a_series_of_sequences_or_of_targets_is_read_by_position(case: Case) -> None:
    fitted = case.fitted()
    expected = outputs(fitted)
    assert_same(outputs(fitted, shuffled(X)), expected)
    y = None if case.y is None else shuffled(case.y)
    assert_same(outputs(case.fitted(shuffled(X), y)), expected)


@where(lambda case: case.y is not None)
def test_targets_may_be_any_ordered_container(case: Case) -> None:
    expected = outputs(case.fitted())
    assert_same(outputs(case.fitted(y=dict(enumerate(case.y)).values())), expected)
    assert_same(outputs(case.fitted(deque(X), deque(case.y))), expected)
    for bad in (dict(enumerate(case.y)), iter(case.y), set(map(str, case.y))):
        with pytest.raises((ValueError, TypeError), match=r"^y is "):
            case.fitted(y=bad)


@where()
def test_weights_and_groups_are_read_by_position(case: Case) -> None:
    options: dict[str, Any] = {}
    if case.takes("sample_weight"):
        options["sample_weight"] = WEIGHTS
    if case.takes("groups"):
        options["groups"] = np.array(list("abcdef"))
    splits = "groups" in options and "early_stopping" in case.estimator.get_params()
    if splits:
        case.estimator.set_params(early_stopping=True, validation_fraction=0.4)
    if not options:
        return
    try:
        expected = outputs(case.fitted(**options))
        assert_same(outputs(case.fitted(**{name: shuffled(given) for name, given in options.items()})), expected)
    finally:
        if splits:
            case.estimator.set_params(early_stopping=False, validation_fraction=0.1)


@where(lambda case: hasattr(case.estimator, "score"))
def test_scores_are_read_by_position(case: Case) -> None:
    fitted = case.fitted()
    expected = fitted.score(X, case.y, sample_weight=WEIGHTS)
    assert fitted.score(shuffled(X), shuffled(case.y), sample_weight=shuffled(WEIGHTS)) == expected


@where()
def test_pairs_and_partners_are_read_by_position(case: Case) -> None:
    if case.takes("same", "fit_pairs"):
        expected = outputs(skseqmetric.SyncGRUMetric(3, n_filters=3, **FAST).fit_pairs(X, PAIRS, SAME))
        fitted = skseqmetric.SyncGRUMetric(3, n_filters=3, **FAST).fit_pairs(X, frame(PAIRS), shuffled(SAME))
        assert_same(outputs(fitted), expected)
    if not isinstance(case.estimator, skseqmetric.Metric):
        return
    fitted = case.fitted()
    partners = X[::-1]
    np.testing.assert_array_equal(fitted.pair_distance(X, shuffled(partners)), fitted.pair_distance(X, partners))
    np.testing.assert_array_equal(
        fitted.pairwise_distances(X, shuffled(partners)), fitted.pairwise_distances(X, partners)
    )
    np.testing.assert_array_equal(fitted.score_pairs(X, frame(PAIRS)), fitted.score_pairs(X, PAIRS))
    threshold = fitted.calibrate_threshold(X, PAIRS, SAME).threshold_
    assert fitted.calibrate_threshold(shuffled(X), frame(PAIRS), shuffled(SAME)).threshold_ == threshold


@where(lambda case: case.takes("images"))
def test_images_and_their_labels_are_read_by_position(case: Case) -> None:
    images, labels = IMAGES[::-1], list(case.y)[::-1]
    fitted = case.fitted(images=images, image_labels=labels)
    given = case.fitted(images=shuffled(images), image_labels=shuffled(labels))
    assert_same(list(given.transform_images(shuffled(IMAGES))), list(fitted.transform_images(IMAGES)))
    found = fitted.kneighbors(X, 2, gallery=IMAGES, return_distance=False)
    np.testing.assert_array_equal(given.kneighbors(X, 2, gallery=shuffled(IMAGES), return_distance=False), found)


@where(lambda case: case.takes("classes", "partial_fit"))
def test_classes_are_read_by_position(case: Case) -> None:
    classes = ["down", "low", "up", "high"]
    fitted = type(case.estimator)(**case.estimator.get_params()).partial_fit(X, case.y, classes=shuffled(classes))
    assert fitted.classes_.tolist() == sorted(classes)


def test_labels_of_steps_survive_a_random_split() -> None:
    """By index, the labels of other sequences would be read, or none be found."""
    rng = np.random.default_rng(0)
    sequences = [rng.choice([-1.0, 1.0], size=(12, 1)) + 0.1 * rng.normal(size=(12, 2)) for _ in range(40)]
    labels = pd.Series([np.where(x[:, 0] > 0, "up", "down") for x in sequences])
    train, test, y_train, y_test = train_test_split(pd.Series(sequences), labels, random_state=0)
    model = EchoStateClassifier(20, target="step", leak=1.0, random_state=0).fit(train, y_train)
    assert model.score(test, y_test) == model.score(list(test), list(y_test)) > 0.95
    assert cross_val_score(model, pd.Series(sequences), labels, cv=3).min() > 0.95


# ----------------------------------------------------------------------------------------------- functions

PADDED = to_padded(X, fill=0.0)
POINTS = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
SENTENCE = ["BEGIN", "this", "is", "a", "cup", "and", "the", "cup", "is", "red", "END"]
MEANINGS = np.array([[[0, 1, -1], [-1, -1, -1]], [[0, 1, 2], [3, -1, -1]]])


def memory(sentences: Any, y: Any) -> np.ndarray:
    return KeywordMemory().fit(sentences, y).predict(sentences)


def written(path: Path, form: Callable[[Any], Any]) -> list[Any]:
    write_sequences(path / "s.npz", {"a": (form(X), form(LABELS)), "b": (form(X), form(STEP_LABELS))})
    splits = read_sequences(path / "s.npz")
    return [*splits["a"][0], splits["a"][1], *splits["b"][1]]


def weighted(score: Callable[..., float]) -> Callable[[Any, Any, Any], float]:
    return lambda true, predicted, weights: score(true, predicted, sample_weight=weights)


GUESSES = [np.roll(labels, i) for i, labels in enumerate(STEP_LABELS)]
FUNCTIONS: dict[str, tuple[Callable[..., Any], list[Any]]] = {
    "check_sequences": (lambda s: check_sequences(s).values, [X]),
    "check_images": (lambda s: check_images(s).values, [IMAGES]),
    "to_padded": (to_padded, [X]),
    "from_channels_first": (lambda s: np.concatenate([x.ravel() for x in from_channels_first(s)]), [X]),
    "from_fixes": (lambda s: np.concatenate(from_fixes(s)), [[np.arange(k, k + 9.0).reshape(3, 3) for k in (9, 2, 5)]]),
    "from_padded": (lambda s, n: np.concatenate(from_padded(s, n)), [PADDED, LENGTHS]),
    "step_accuracy": (lambda t, p, w: step_accuracy(t, p, sample_weight=w), [STEP_LABELS, STEP_LABELS[:3] * 2, WEIGHTS])
    if False
    else (lambda t, w: step_accuracy(t, STEP_LABELS, sample_weight=w), [STEP_LABELS, WEIGHTS]),
    "step_f1_score": (lambda p, w: step_f1_score(STEP_LABELS, p, sample_weight=w), [STEP_LABELS, WEIGHTS]),
    "character_error_rate": (
        lambda t, p, w: character_error_rate(t, p, sample_weight=w),
        [WORDS, WORDS[::-1], WEIGHTS],
    ),
    "word_error_rate": (
        lambda t, p, w: word_error_rate(t, p, sample_weight=w),
        [WORDS, WORDS[1:] + WORDS[:1], WEIGHTS],
    ),
    "gramian_angular_field": (gramian_angular_field, [np.arange(5.0)]),
    "render_trajectory": (lambda s: render_trajectory(POINTS, strokes=s), [[0, 0, 1, 1]]),
    "make_words": (
        lambda t, s, w: make_words(t, s, w, n_words=4, random_state=0)[2],
        [[POINTS, 2 * POINTS[::-1], POINTS[1:]], ["a", "b", "c"], ["Ada", "Ada", "Bob"]],
    ),
    "sentence_roles": (lambda s: sentence_roles(s, kind="word"), [SENTENCE]),
    "sentence_factors": (lambda s: sentence_factors(s)["structure"]["fields"][0], [[SENTENCE, SENTENCE[1:]]]),
    "KeywordMemory": (lambda s: memory(s, np.eye(2, 22)), [[SENTENCE, SENTENCE[1:]]]),
    "exact_error": (exact_error, [MEANINGS, MEANINGS[::-1]]),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_read_by_position(name: str) -> None:
    function, given = FUNCTIONS[name]
    expected = function(*given)
    np.testing.assert_array_equal(function(*map(shuffled, given)), expected)


def test_written_sequences_and_labels_are_read_by_position(tmp_path: Path) -> None:
    assert_same(written(tmp_path, shuffled), written(tmp_path, list))


# ------------------------------------------------------------------------------------------------ displays


@pytest.fixture(scope="module")
def network() -> Any:
    return EchoStateClassifier(6, pooling="last", bidirectional=False, random_state=0).fit(X, LABELS)


@pytest.fixture(scope="module")
def embedder() -> Any:
    return CrossModalTripletEmbedder(**JOINT).fit(X, LABELS, images=IMAGES)


def data_of(display: Any) -> list[Any]:
    """All data of a display, flat."""
    return [value for name, value in sorted(vars(display).items()) if name[-1] != "_" and value is not None]


def assert_same_data(form: Callable[[Callable[[Any], Any]], Any]) -> None:
    """Compare the display of lists with that of Series."""
    for a, e in zip(data_of(form(shuffled)), data_of(form(list)), strict=True):
        assert_equal(a, e)


def assert_equal(a: Any, e: Any) -> None:
    if isinstance(e, str) or np.isscalar(e):
        assert a == e
    elif isinstance(e, (list, tuple, pd.Series)):
        for i, j in zip(list(a), list(e), strict=True):
            assert_equal(i, j)
    else:
        np.testing.assert_array_equal(a, e)


def test_displays_of_a_joint_embedding_read_by_position(embedder: Any) -> None:
    rows, strokes = [3, 1], [np.arange(len(x)) // 4 for x in X]

    def sheet(form: Callable[[Any], Any]) -> Any:
        options = {"images": form(IMAGES), "image_labels": form(LABELS), "rows": form(rows), "strokes": form(strokes)}
        return CrossModalRetrievalDisplay.from_estimator(embedder, form(X), form(LABELS), n_neighbors=2, **options)

    assert_same_data(sheet)
    assert_same_data(
        lambda form: CrossModalMapDisplay.from_estimator(
            embedder, form(X), form(LABELS), images=form(IMAGES), image_labels=form(LABELS)
        )
    )
    assert_same_data(lambda form: EmbeddingDisplay.from_estimator(embedder, form(X), form(LABELS), reducer=PCA(2)))


def test_pairs_of_the_synchronization_are_chosen_by_position() -> None:
    metric = SyncGRUMetric(3, n_filters=3, coupling="symmetric", **FAST).fit(X, LABELS)
    assert_same_data(lambda form: SynchronizationDisplay.from_estimator(metric, form(X), form(LABELS), n_pairs=3))


def test_a_matching_is_drawn_by_position() -> None:
    metric = SyncGRUMetric(3, n_filters=3, coupling="alignment", **FAST).fit(X, LABELS)
    (found,) = metric.alignment(shuffled(X[:1]), shuffled(X[1:2]))
    assert found.distance == pytest.approx(metric.pair_distance(X[:1], X[1:2])[0], rel=1e-12)
    texts = []
    for form in (shuffled, list):
        display = AlignmentDisplay(
            x=X[0], y=X[1], alignment=found, channels=form([1, 0]), channel_names=form(["one", "two", "three"]),
            names=form(["first", "second"]),
        ).plot()  # fmt: skip
        texts.append([*legend_texts(display.axes_["x"]), display.axes_["costs"].get_xlabel()])
    assert texts[0] == texts[1] == ["two", "one", "step of second"]


@pytest.mark.parametrize("layer", ["trajectories", "final", "places", "output", "errors"])
def test_maps_of_states_read_by_position(network: Any, layer: str) -> None:
    names = [f"name {i}" for i in range(len(X))]
    steps = [[f"{i}-{t}" for t in range(len(x))] for i, x in enumerate(X)]
    drawn: list[set[str]] = []

    def display(form: Callable[[Any], Any]) -> Any:
        made = RecurrentStateDisplay.from_estimator(
            network, form(X), y=form(LABELS), map=RecurrentStateMap(PCA(2)), places=form([form(own) for own in steps]),
            step_names=form([form(own) for own in steps]), names=form(names), output_names=form(["one", "two"]),
            layer=layer,
        )  # fmt: skip
        made.plot_trajectories([1, 4])
        drawn.append({text.get_text() for text in made.ax_.texts} | set(legend_texts(made.ax_)))
        return made

    first, second = display(shuffled), display(list)
    assert_equal(first.points, second.points)
    assert drawn[0] == drawn[1]
    assert any("name 4" in text for text in drawn[0])
    assert_equal([e.name for e in first.difficult_examples()], [e.name for e in second.difficult_examples()])


def legend_texts(ax: Any) -> list[str]:
    legend = ax.get_legend()
    return [] if legend is None else [text.get_text() for text in legend.get_texts()]


def test_a_display_made_of_series_is_drawn_by_position(network: Any) -> None:
    found = inspection.hidden_states(network, X)
    points = RecurrentStateMap(PCA(2)).fit_transform(found.states)
    texts = []
    for form in (shuffled, list):
        display = RecurrentStateDisplay(
            points=form(points), steps=form(found.steps), labels=form(LABELS), names=form([f"n{i}" for i in range(6)])
        )
        texts.append(legend_texts(display.plot_trajectories([2]).ax_))
        display.plot_final()
        display.plot_places(by="time")
    assert texts[0] == texts[1]


def test_units_read_by_position(network: Any) -> None:
    labels = [[("a", "b")[t % 2] for t in range(len(x))] for x in X]

    def display(form: Callable[[Any], Any]) -> Any:
        made = UnitActivityDisplay.from_estimator(
            network, form(X), step_labels=form([form(own) for own in labels]), output_names=form(["one", "two"])
        )
        made.plot("specific", output=1)
        made.activity = made.specific(1, n_units=2).mean
        return made

    assert_same_data(display)


def test_factors_and_levels_are_read_by_position(network: Any) -> None:
    labels = [[("a", "b")[t % 2] for t in range(len(x))] for x in X]
    given = [None, 1, 2, 1, 2, 1]

    def display(form: Callable[[Any], Any]) -> Any:
        factors = {"g": {"step": form([form(own) for own in labels]), "sequence": form(LABELS)}}
        made = UnitEncodingDisplay.from_estimator(network, form(X), factors=factors, n_splits=2)
        made.encodings = list(made.encodings.values())
        levels = {"outer": form(LABELS), "inner": form(given)}
        nested = NestedStatesDisplay.from_estimators({"a": network}, form(X), levels=levels, reducer=PCA(2))
        words = NestedStatesDisplay.from_estimators(
            {"a": network}, form(X), step_names=form([form(own) for own in labels]), depth=2, reducer=PCA(2)
        )
        made.codes, made.spread = [nested.codes, words.codes], nested.networks["a"].spread
        return made

    assert_same_data(display)


def test_animations_read_by_position(network: Any) -> None:
    found = inspection.hidden_states(network, X)
    points = RecurrentStateMap(PCA(2)).fit_transform(found.states)
    labels = [np.arange(len(x)) for x in X]
    readouts = [(network.coef_, network.intercept_), (-network.coef_, network.intercept_)]

    def display(form: Callable[[Any], Any]) -> Any:
        made = StateAnimation.from_readouts(
            form(found.states), form(points), form(readouts), stages=form(["first", "second"]), steps=form(found.steps),
            step_labels=form(labels),
        )  # fmt: skip
        made.values = made.values_at(1)
        return made

    assert_same_data(display)


def test_labels_of_a_map_and_of_panels_are_read_by_position() -> None:
    states, labels = [x.copy() for x in X], [list(own) for own in STEP_LABELS]
    mapped = RecurrentStateMap(PCA(2)).fit(shuffled(states))
    np.testing.assert_array_equal(mapped.points_, RecurrentStateMap(PCA(2)).fit(states).points_)
    expected = mapped.purity(states, labels, n_neighbors=3)
    assert mapped.purity(shuffled(states), shuffled([shuffled(own) for own in labels]), n_neighbors=3) == expected
    network = skseqmetric.EchoStateTransformer(6, bidirectional=False, random_state=0)
    grid = {"leak": [0.5], "spectral_radius": [0.9]}
    panels = [
        HyperparameterPanels.from_estimator(
            network, form(X), labels=form(labels), param_grid=grid, reducer=PCA(2), n_neighbors=3
        ).panels[0]
        for form in (shuffled, list)
    ]
    assert panels[0].purity == panels[1].purity
    assert_equal(panels[0].labels, panels[1].labels)


def test_a_metric_as_a_function_takes_series() -> None:
    line = DTWMetric().fit([[[0.0], [1.0]]]).get_metric()
    assert line(shuffled([0.0, 1.0, 5.0]), [0.0, 1.0, 5.0]) == 0
