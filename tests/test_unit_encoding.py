"""What units encode: constructed units with a known answer, brute force, and the pictures."""

from __future__ import annotations

from functools import cache
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from skseqmetric import EchoStateRegressor, RecurrentRegressor
from skseqmetric.datasets import sentence_factors
from skseqmetric.inspection import UnitEncodingDisplay

pyplot = pytest.importorskip("matplotlib.pyplot")
N, T = 40, 6


class Network:
    """Stands in for a fitted network: its states are what it is given."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    def hidden_states(self, X: Any, *, kind: str = "hidden") -> list[np.ndarray]:
        return [(-1 if kind == "cell" else 1) * np.asarray(x) for x in X]


class Backwards(Network):
    def hidden_states(self, X: Any, *, kind: str = "hidden") -> list[np.ndarray]:
        return [np.asarray(x)[:, ::-1] for x in X]


@pytest.fixture
def task(rng: np.random.Generator) -> Any:
    """Every sequence has all six values of `where`, so that no model of `what` predicts `where`.

    Units: where alone, what alone, both with 4 times the variance for where, noise, and nothing.
    """
    where = [rng.permutation(T) for _ in range(N)]
    what = np.arange(N) % 4
    levels, names = rng.normal(size=T), np.array(["cup", "bowl", "glass", "spoon"])
    levels = (levels - levels.mean()) / levels.std()
    signs = np.array([1.0, -1.0, 1.0, -1.0])
    states = []
    for own, k in zip(where, what, strict=True):
        a, b = levels[own], np.full(T, signs[k])
        states.append(np.stack([3 * a, 5 + b, 2 * a + b, rng.normal(size=T), np.full(T, 0.1)], axis=1))
    factors = {"structure": {"where": where}, "content": {"what": list(names[what])}}
    return states, factors


def shown(states: Any, factors: Any, **options: Any) -> UnitEncodingDisplay:
    return UnitEncodingDisplay.from_estimator(Network(), states, factors=factors, **options)


def test_a_unit_of_one_factor_has_share_one(task: Any) -> None:
    encoding = shown(*task).encodings["Network"]
    np.testing.assert_allclose(encoding.shares[:2], np.eye(2), atol=1e-6)
    np.testing.assert_allclose(encoding.alone[:2], np.eye(2), atol=1e-6)


def test_a_unit_of_two_factors_divides_its_variance(task: Any) -> None:
    encoding = shown(*task).encodings["Network"]
    np.testing.assert_allclose(encoding.shares[2].sum(), 1, atol=1e-6)
    np.testing.assert_allclose(encoding.shares[2], [0.8, 0.2], atol=0.02)


def test_a_unit_of_noise_has_no_share(task: Any) -> None:
    assert (np.abs(shown(*task).encodings["Network"].shares[3]) < 0.1).all()


def test_a_unit_that_does_not_vary_is_left_out(task: Any) -> None:
    states, factors = task
    display = shown(states, factors)
    assert np.isnan(display.encodings["Network"].shares[4]).all()
    expected = display.encodings["Network"].shares[:4].mean(axis=0)
    np.testing.assert_allclose(list(display.factor_shares()["Network"].values()), expected)
    with pytest.raises(ValueError, match="No unit of 'Network' varies"):
        shown([x[:, 4:] for x in states], factors)


def test_equal_factors_share_alike(task: Any) -> None:
    states, factors = task
    encoding = shown(states, {**factors, "again": {"copy": factors["structure"]["where"]}}).encodings["Network"]
    np.testing.assert_allclose(encoding.shares[0], [0.5, 0, 0.5], atol=1e-6)
    np.testing.assert_allclose(encoding.alone[0], [1, 0, 1], atol=1e-6)


def test_a_factor_says_which_value_and_not_whether(rng: np.random.Generator) -> None:
    value = [rng.permutation(np.array(["a", "b", "c", None, np.nan, None], dtype=object)) for _ in range(N)]
    given = [np.array([isinstance(own, str) for own in row]) for row in value]
    code = {"a": -1.0, "b": 0.0, "c": 1.0}
    values = [[code.get(own, 0.0) for own in row] for row in value]
    states = [np.stack([has.astype(float), own], axis=1) for has, own in zip(given, values, strict=True)]
    encoding = shown(states, {"s": {"given": given}, "c": {"value": value}}).encodings["Network"]
    np.testing.assert_allclose(encoding.shares, np.eye(2), atol=1e-6)


def test_shares_are_those_of_plain_loops(rng: np.random.Generator) -> None:
    """Models of scikit-learn for every order of three related factors, with the folds of the display."""
    labels = [rng.integers(0, 3, size=(N, T)) for _ in range(2)]
    labels.append((labels[0] + (rng.random((N, T)) < 0.3)) % 3)
    states = rng.normal(size=(N, T, 2)) + labels[0][..., np.newaxis] - np.stack([labels[1], 2 * labels[2]], axis=2)
    found = shown(list(states), {"g": {str(k): list(own) for k, own in enumerate(labels)}}, n_splits=4, random_state=7)
    fold = folds(N, 4, 7)

    @cache
    def explained(chosen: frozenset[int]) -> np.ndarray:
        columns = [(labels[k].ravel()[:, np.newaxis] == np.arange(2)).astype(float) for k in chosen]
        design = np.concatenate([np.zeros((N * T, 1)), *columns], axis=1)
        error = np.zeros(2)
        rows, targets = np.repeat(fold, T), states.reshape(N * T, 2)
        for k in range(4):
            model = LinearRegression().fit(design[rows != k], targets[rows != k])
            error += np.square(targets[rows == k] - model.predict(design[rows == k])).sum(axis=0)
        return error

    parts = np.zeros((2, 3))
    for order in permutations(range(3)):
        for i, k in enumerate(order):
            before, after = explained(frozenset(order[:i])), explained(frozenset(order[: i + 1]))
            parts[:, k] += (before - after) / explained(frozenset()) / 6
    np.testing.assert_allclose(found.encodings["Network"].shares, parts, atol=1e-6)


def folds(n: int, n_splits: int, seed: int) -> np.ndarray:
    """The display draws a seed from an int, and the parts from the seed."""
    drawn = np.random.RandomState(seed).randint(2**31 - 1)
    return np.random.default_rng(drawn).permutation(np.arange(n) % n_splits)


def test_the_last_states_alone(task: Any) -> None:
    states, factors = task
    changed = [np.concatenate([x[:-1] * 1e3, x[-1:]]) for x in states]
    display = shown(changed, factors, final=True)
    np.testing.assert_allclose(display.encodings["Network"].deviations, np.stack([x[-1] for x in states]).std(axis=0))
    assert display.encodings["Network"].alone[1, 1] == pytest.approx(1, abs=1e-6)


# ------------------------------------------------------------------------------------------------ networks and outputs


def test_groups_add_up_and_an_output_has_those_of_its_units(task: Any) -> None:
    states, factors = task
    coef = np.array([[1.0, 0, 0, 0, 0], [0, -2, 0, 0, 0], [1, 1, 0, 0, 7]])
    network = Network(coef_=coef)
    display = UnitEncodingDisplay.from_estimators(
        {"one": network, "other": Backwards(coef_=coef[:, ::-1])}, states, factors=factors, output_names=list("xyz")
    )
    for output in (None, 0, 1, 2):
        shares = display.group_shares(output)
        assert list(shares) == ["one", "other"]
        assert shares["other"] == pytest.approx(shares["one"], abs=1e-9)
        assert sum(shares["one"].values()) == pytest.approx(1)
    assert display.group_shares(0)["one"] == pytest.approx({"structure": 1, "content": 0, "unexplained": 0}, abs=1e-6)
    assert display.group_shares(1)["one"] == pytest.approx({"structure": 0, "content": 1, "unexplained": 0}, abs=1e-6)
    # the squares of 3 and 1, their deviations; the third unit of output 2 does not vary
    assert display.factor_shares(2)["one"] == pytest.approx({"where": 0.9, "what": 0.1}, abs=1e-6)
    np.testing.assert_allclose(display.contributions("one")[2], [0.75, 0.25, 0, 0, 0], atol=1e-12)
    np.testing.assert_allclose(display.n_units_read("one"), [1, 1, 1 / (0.75**2 + 0.25**2)])


def test_table(task: Any) -> None:
    pytest.importorskip("pandas")
    display = shown(*task)
    frame = display.to_frame()
    assert frame.columns.tolist() == ["where", "what", "structure", "content", "unexplained"]
    assert frame.loc["Network"].tolist() == [
        *display.factor_shares()["Network"].values(),
        *display.group_shares()["Network"].values(),
    ]


def test_an_echo_state_network_and_an_lstm() -> None:
    sentences = [f"BEGIN a {noun} is {color} END".split() for noun in ("cup", "bowl") for color in ("red", "blue")] * 4
    words = sorted({word for sentence in sentences for word in sentence})
    X = [np.eye(len(words))[[words.index(word) for word in sentence]] for sentence in sentences]
    y = np.array([["cup" in s, "red" in s] for s in sentences], dtype=float)
    networks = {
        "ESN": EchoStateRegressor(8, bidirectional=False, pooling="last", random_state=0).fit(X, y),
        "LSTM": RecurrentRegressor(4, max_updates=2, random_state=0).fit(X, y),
    }
    factors = sentence_factors(sentences)
    display = UnitEncodingDisplay.from_estimators(networks, X, factors=factors, kind="readout", n_splits=2)
    assert {name: own.shares.shape for name, own in display.encodings.items()} == {"ESN": (8, 9), "LSTM": (4, 9)}
    for name in networks:
        assert display.group_shares()[name]["unexplained"] < 0.2
        assert display.contributions(name).shape == (2, len(display.encodings[name].deviations))


def test_networks_without_names_have_those_of_their_classes(task: Any) -> None:
    states, factors = task
    display = UnitEncodingDisplay.from_estimators([Network(), Backwards(), Network()], states, factors=factors)
    assert list(display.encodings) == ["Network 0", "Backwards", "Network 2"]


def test_options_of_states_and_weights_are_those_of_their_network(task: Any) -> None:
    states, factors = task
    coef = np.ones((1, 5))
    display = UnitEncodingDisplay.from_estimator(
        Network(), states, factors=factors, state_options={"kind": "cell"}, coef=coef, kind="output"
    )
    np.testing.assert_array_equal(display.encodings["Network"].coef, coef)
    expected = shown(states, factors).encodings["Network"].shares  # of the states, and not of their signs
    np.testing.assert_allclose(display.encodings["Network"].shares, expected, atol=1e-9)
    named = UnitEncodingDisplay.from_estimators(
        {"a": Network()}, states, factors=factors, coef={"a": coef}, kind="readout"
    )
    assert np.array_equal(named.contributions("a"), display.contributions("Network"))


# ------------------------------------------------------------------------------------------------ errors


def changed(factors: Any, value: Any) -> Any:
    return {**factors, "structure": {"where": value}}


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda f: [f], {}, "factors is no mapping of mappings"),
        (lambda f: f["content"], {}, "factors is no mapping of mappings"),
        (lambda f: {"structure": {}}, {}, "factors has 0 factors, but 1 to 10"),
        (lambda f: {"a": f["content"], "b": f["content"]}, {}, "factor in two groups"),
        (lambda f: changed(f, f["structure"]["where"][:3]), {}, r"\['where'\] has 3 sequences, but X has 40"),
        (lambda f: changed(f, ["a"] * 3), {}, r"\['where'\] has 3 entries, but X has 40"),
        (lambda f: changed(f, [[1, 2]] * N), {}, r"\['where'\]\[0\] has shape \(2,\), but sequence 0 has 6 steps"),
        (lambda f: changed(f, ["a", 1] * (N // 2)), {}, r"\['where'\]\[1\]\[0\] is 1, a number"),
        (lambda f: f, {"n_splits": 1}, "n_splits=1 must be from 2 to the number of sequences, 40"),
        (lambda f: f, {"n_splits": 41}, "n_splits=41 must be"),
        (lambda f: f, {"kind": "weights"}, "kind='weights' must be one of 'factors', 'units', 'readout', 'output'"),
        (lambda f: f, {"kind": "readout"}, "The outputs of 'Network' need weights"),
        (lambda f: {"content": f["content"]}, {"kind": "units"}, "needs two groups"),
        (lambda f: f, {"coef": np.ones((2, 3))}, r"coef has shape \(2, 3\), but must be \(outputs, 5 units\)"),
        (lambda f: f, {"coef": np.ones((2, 5)), "kind": "output", "output": 2}, "output=2 must be from 0 to 1"),
    ],
)
def test_wrong_arguments_are_refused(task: Any, change: Any, options: Any, message: str) -> None:
    states, factors = task
    with pytest.raises(ValueError, match=message):
        shown(states, change(factors), **options)


def test_unknown_or_missing_networks_are_refused(task: Any) -> None:
    states, factors = task
    with pytest.raises(ValueError, match="estimators is empty"):
        UnitEncodingDisplay.from_estimators([], states, factors=factors)
    with pytest.raises(ValueError, match="network='LSTM' is none of 'Network'"):
        shown(states, factors).contributions("LSTM")


# ------------------------------------------------------------------------------------------------ pictures


@pytest.fixture
def two(task: Any) -> UnitEncodingDisplay:
    states, factors = task
    coef = np.arange(10.0).reshape(2, 5)
    networks = {"LSTM": Network(coef_=coef), "ESN": Backwards(coef_=coef)}
    return UnitEncodingDisplay.from_estimators(networks, states, factors=factors, output_names=["x", "y"])


def test_bars_are_the_shares(two: UnitEncodingDisplay) -> None:
    rows = [tick.get_text() for tick in two.ax_.get_yticklabels()]
    assert rows == ["structure, together", "where", "content, together", "what", "unexplained"]
    drawn = {bars.get_label(): [bar.get_width() / 100 for bar in bars] for bars in two.ax_.containers}
    for name in ("LSTM", "ESN"):
        groups, factors = two.group_shares()[name], two.factor_shares()[name]
        np.testing.assert_allclose(
            drawn[name],
            [groups["structure"], factors["where"], groups["content"], factors["what"], groups["unexplained"]],
        )


def test_points_are_units(two: UnitEncodingDisplay) -> None:
    lstm, mean = two.plot("units").ax_.collections[:2]
    shares = two.encodings["LSTM"].shares[:4]
    np.testing.assert_allclose(lstm.get_offsets(), 100 * shares)
    np.testing.assert_allclose(mean.get_offsets(), [100 * shares.mean(axis=0)])


def test_stacks_are_contributions(two: UnitEncodingDisplay) -> None:
    ax = two.plot("output", output=1, n_units=2).ax_
    tops: dict[int, float] = {}
    for bar in ax.patches:
        x = round(bar.get_x() + bar.get_width() / 2)
        tops[x] = max(tops.get(x, 0), bar.get_y() + bar.get_height())
    largest = [np.sort(100 * two.contributions(name)[1])[::-1][:2] for name in ("LSTM", "ESN")]
    np.testing.assert_allclose([tops[x] for x in sorted(tops)], np.concatenate(largest))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["structure", "content", "unexplained"]


def test_rows_are_outputs(two: UnitEncodingDisplay) -> None:
    lines = two.plot("readout").ax_.lines
    np.testing.assert_allclose(lines[0].get_xdata(), 100 * two.n_units_read("LSTM") / 5)
    assert [tick.get_text() for tick in two.ax_.get_yticklabels()] == ["x", "y"]


@pytest.mark.parametrize("kind", ["factors", "units", "readout", "output"])
def test_display_draws_into_given_axes(two: UnitEncodingDisplay, kind: str) -> None:
    figure, ax = pyplot.subplots(figsize=(5, 3))
    assert two.plot(kind, ax=ax).figure_ is figure
    figure.canvas.draw()
    assert tuple(figure.get_size_inches()) == (5, 3)
