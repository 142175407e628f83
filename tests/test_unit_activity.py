"""Single units: the analyses against plain loops, and their pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skseqmetric.inspection import UnitActivityDisplay

pyplot = pytest.importorskip("matplotlib.pyplot")
WORDS = [list("abcab"), list("cad"), list("a")]
LENGTHS = [len(words) for words in WORDS]


class Network:
    """Stands in for a fitted network: its states are what it is given, twice as large of the kind "cell"."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)

    def hidden_states(self, X: Any, *, kind: str = "hidden") -> list[np.ndarray]:
        return [(2 if kind == "cell" else 1) * np.asarray(x, dtype=np.float32) for x in X]


class Strided(Network):
    """A state after every second step, and one after the last."""

    def hidden_states(self, X: Any, *, kind: str = "hidden") -> list[np.ndarray]:
        return [np.asarray(x, dtype=np.float32)[[*range(1, len(x) - 1, 2), -1]] for x in X]


@pytest.fixture
def states(rng: np.random.Generator) -> list[np.ndarray]:
    """Three sequences of 5, 3 and 1 steps, 12 units."""
    return [rng.normal(size=(length, 12)).astype(np.float32) for length in LENGTHS]


@pytest.fixture
def coef(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(6, 12))


def lines(display: UnitActivityDisplay) -> np.ndarray:
    return np.array([line.get_ydata() for line in display.ax_.lines])


def legend(display: UnitActivityDisplay) -> list[str]:
    return [text.get_text() for text in display.ax_.get_legend().get_texts()]


def with_weights(coef: Any) -> UnitActivityDisplay:
    """A display of weights (K, H) and one zero state."""
    return UnitActivityDisplay(states=[np.zeros((1, np.shape(coef)[1]))], coef=np.asarray(coef))


def state_changes(x: np.ndarray, bidirectional: bool = False) -> np.ndarray:
    """|x_t - x_{t-1}|, and |x_t - x_{t+1}| for the second half of the units if these read from the end."""
    changes = np.empty_like(x)
    for t, unit in np.ndindex(x.shape):
        before = t + 1 if bidirectional and unit >= x.shape[1] // 2 else t - 1
        changes[t, unit] = abs(x[t, unit] - (x[before, unit] if 0 <= before < len(x) else 0))
    return changes


def largest(w: np.ndarray, n: int) -> list[int]:
    """The n units of the largest |weight|, the largest first."""
    return sorted(range(len(w)), key=lambda unit: -abs(w[unit]))[:n]


# ------------------------------------------------------------------------------------------------ analyses


@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_changes_are_from_the_state_before(rng: np.random.Generator, length: int, bidirectional: bool) -> None:
    x = rng.normal(size=(length, 4))
    display = UnitActivityDisplay(states=[x], bidirectional=bidirectional).plot("changes")
    assert np.array_equal(lines(display)[:4], state_changes(x, bidirectional).T)


def test_winglets_fall_and_rise(coef: np.ndarray) -> None:
    for w, wing in zip(coef, lines(with_weights(coef).plot("winglets")), strict=True):
        assert np.array_equal(wing, [abs(v) for v in sorted(w)])
        n_negative = int((w < 0).sum())
        assert (np.diff(wing[:n_negative]) <= 0).all()
        assert (np.diff(wing[n_negative:]) >= 0).all()


def reference_lists(coef: np.ndarray, n: int) -> list[dict[int, int]]:
    """For every output the role of the units in its list."""
    lists = []
    for w in coef:
        ascending = sorted(range(len(w)), key=lambda unit: w[unit])
        lists.append(dict.fromkeys(ascending[:n], -1) | dict.fromkeys(ascending[-n:], 1))
    return lists


@pytest.mark.parametrize(("n_extreme", "min_lists"), [(1, 1), (2, 2), (3, 4), (6, 6), (1, 6)])
def test_polyvalent_units_are_in_many_lists(coef: np.ndarray, n_extreme: int, min_lists: int) -> None:
    found = with_weights(coef).polyvalent(n_extreme=n_extreme, min_lists=min_lists)
    lists = reference_lists(coef, n_extreme)
    counts = {unit: sum(unit in own for own in lists) for unit in range(12)}
    expected = sorted((u for u in counts if counts[u] >= min_lists), key=lambda u: (-counts[u], u))
    assert found.units.tolist() == expected
    assert found.n_lists.tolist() == [counts[unit] for unit in expected]
    assert found.roles.tolist() == [[own.get(unit, 0) for own in lists] for unit in expected]


def test_lists_are_full_if_weights_are_equal() -> None:
    found = with_weights(np.zeros((2, 7))).polyvalent(n_extreme=3, min_lists=1)
    assert np.array_equal((found.roles == 1).sum(axis=0), [3, 3])
    assert np.array_equal((found.roles == -1).sum(axis=0), [3, 3])


@pytest.mark.parametrize("n_extreme", [0, 7])
def test_lists_must_not_overlap(coef: np.ndarray, n_extreme: int) -> None:
    with pytest.raises(ValueError, match=f"n_extreme={n_extreme} must be .* half of the 12 units"):
        with_weights(coef).polyvalent(n_extreme=n_extreme)


def test_table_of_polyvalent_units(coef: np.ndarray) -> None:
    pytest.importorskip("pandas")
    found = with_weights(coef).polyvalent(n_extreme=2, min_lists=2)
    frame = found.to_frame(list("uvwxyz"))
    assert frame.index.tolist() == found.units.tolist()
    assert frame.columns.tolist() == [*"uvwxyz", "n_lists"]
    assert np.array_equal(frame[list("uvwxyz")], found.roles)
    assert np.array_equal(frame["n_lists"], found.n_lists)


def test_units_of_an_output_have_the_largest_weights() -> None:
    display = with_weights([[0.5, -3, 2, -0.1], [1, 1, 1, -1]])
    assert legend(display.plot(output=0, n_units=3)) == ["1", "2", "0"]
    assert legend(display.plot(output=1, n_units=9)) == ["0", "1", "2", "3"]
    with pytest.raises(ValueError, match="output=2 must be from 0 to 1"):
        display.plot(output=2)
    with pytest.raises(ValueError, match="output=-1 must be"):
        display.specific(-1)


@pytest.mark.parametrize("n_steps", [1, 2, 7, 10, 99])
def test_relative_time_is_the_tenth_that_contains_a_step(n_steps: int) -> None:
    times = (np.arange(n_steps) + 0.5) / n_steps
    tenths = np.array([(2 * t + 1) * 10 // (2 * n_steps) for t in range(n_steps)])
    # the change at a step is its time
    found = UnitActivityDisplay(states=[np.cumsum(times)[:, np.newaxis]], coef=np.ones((1, 1))).specific()
    assert found.categories.tolist() == [5 + 10 * k for k in np.unique(tenths).tolist()]
    np.testing.assert_allclose(found.mean, [times[tenths == k].mean() for k in np.unique(tenths)], rtol=1e-12)


def reference_activity(
    states: Any, labels: Any, units: Any, bidirectional: bool
) -> dict[Any, tuple[float, float, int]]:
    by_label: dict[Any, list[float]] = {}
    for x, own in zip(states, labels, strict=True):
        change = state_changes(np.asarray(x, dtype=np.float64), bidirectional)
        sums: dict[Any, list[float]] = {}
        for t, label in enumerate(own):
            sums.setdefault(label, []).append(sum(change[t, unit] for unit in units))
        for label, values in sums.items():
            by_label.setdefault(label, []).append(float(np.mean(values)))
    return {label: (float(np.mean(v)), float(np.std(v)), len(v)) for label, v in by_label.items()}


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("n_units", [12, 1, 3])
def test_activity_is_averaged_within_then_over_sequences(
    states: Any, coef: np.ndarray, n_units: int, bidirectional: bool
) -> None:
    display = UnitActivityDisplay(states=states, step_labels=WORDS, coef=coef, bidirectional=bidirectional)
    found = display.specific(3, n_units=n_units)
    expected = reference_activity(states, WORDS, largest(coef[3], n_units), bidirectional)
    assert found.categories.tolist() == list("abcd")
    for label, mean, std, n in zip(*found, strict=True):
        # float32 changes summed in another order
        np.testing.assert_allclose((mean, std), expected[label][:2], rtol=1e-5, atol=1e-6)
        assert n == expected[label][2]


def test_activity_may_count_every_step_and_leave_labels_out(states: Any, coef: np.ndarray) -> None:
    display = UnitActivityDisplay(states=states, step_labels=WORDS, coef=coef)
    values: dict[str, list[float]] = {}
    for x, words in zip(states, WORDS, strict=True):
        for word, change in zip(words, state_changes(x)[:, largest(coef[1], 3)].sum(axis=1), strict=True):
            values.setdefault(word, []).append(change)
    found = display.specific(1, n_units=3, pooling="step", leave_out=["c"])
    assert found.categories.tolist() == list("abd")
    assert found.n_sequences.tolist() == [3, 1, 1]
    np.testing.assert_allclose(found.mean, [np.mean(values[word]) for word in "abd"], rtol=1e-5)
    np.testing.assert_allclose(found.std, [np.std(values[word]) for word in "abd"], rtol=1e-5, atol=1e-6)
    drawn = display.plot("specific", output=1, n_units=3, pooling="step", leave_out=["c"])
    np.testing.assert_allclose(sorted(bar.get_height() for bar in drawn.ax_.patches), sorted(found.mean))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "word"}, "pooling='word' must be one of 'sequence', 'step'"),
        ({"leave_out": ["BEGIN"]}, "leave_out has 'BEGIN', but no step has this label"),
        ({"leave_out": list("abcd")}, "leaves nothing"),
        ({"leave_out": "a"}, "leave_out is of type str"),
    ],
)
def test_other_poolings_and_unknown_labels_are_refused(
    states: Any, coef: np.ndarray, options: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        UnitActivityDisplay(states=states, step_labels=WORDS, coef=coef).specific(**options)


def test_activity_by_relative_time(states: Any, coef: np.ndarray) -> None:
    found = UnitActivityDisplay(states=states, coef=coef).specific()
    # middles of the tenths that contain the steps of 5, 3 and 1 steps
    assert found.categories.tolist() == sorted({15.0, 35.0, 55.0, 75.0, 95.0} | {15.0, 55.0, 85.0} | {55.0})
    assert found.n_sequences.sum() == 9  # no part of a sequence here has two steps


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (WORDS[:2], "categories has 2 sequences, but X has 3"),
        ([*WORDS[:1], list("ca"), *WORDS[2:]], r"categories\[1\] has shape \(2,\), but sequence 1 has 3 steps"),
    ],
)
def test_every_step_needs_a_category(states: Any, coef: np.ndarray, labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        UnitActivityDisplay(states=states, step_labels=labels, coef=coef).specific()


# ------------------------------------------------------------------------------------------------ display


def test_traces_of_all_units(states: Any, coef: np.ndarray) -> None:
    network = Network(coef_=coef)
    display = UnitActivityDisplay.from_estimator(network, states, step_labels=WORDS, sequence=1)
    assert np.array_equal(lines(display), states[1].T)
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == WORDS[1]
    changes = UnitActivityDisplay.from_estimator(network, states, kind="changes")
    assert np.array_equal(lines(changes), state_changes(states[0]).T)
    total = UnitActivityDisplay.from_estimator(network, states, kind="total_change")
    np.testing.assert_allclose(lines(total), state_changes(states[0]).sum(axis=1)[None], rtol=1e-6)


def test_traces_of_the_units_of_an_output_are_coloured(states: Any, coef: np.ndarray) -> None:
    display = UnitActivityDisplay.from_estimator(Network(coef_=coef), states, output=4, n_units=3)
    chosen = largest(coef[4], 3)
    assert np.array_equal(lines(display)[12:], states[0][:, chosen].T)
    assert legend(display) == [str(unit) for unit in chosen]
    assert "output 4" in display.ax_.get_legend().get_title().get_text()


def test_few_units_are_all_named(states: Any) -> None:
    display = UnitActivityDisplay.from_estimator(Network(), [x[:, :3] for x in states])
    assert legend(display) == ["0", "1", "2"]


def test_winglets_of_named_outputs(states: Any, coef: np.ndarray) -> None:
    display = UnitActivityDisplay.from_estimator(
        Network(coef_=coef, classes_=np.arange(6) + 7), states, kind="winglets"
    )
    assert np.array_equal(lines(display), np.abs(np.sort(coef, axis=1)))
    assert legend(display) == ["7", "8", "9", "10", "11", "12"]
    named = UnitActivityDisplay.from_estimator(
        Network(coef_=coef), states, kind="winglets", output_names=list("uvwxyz"), coef=-coef
    )
    assert np.array_equal(lines(named), np.abs(np.sort(-coef, axis=1)))
    assert legend(named) == list("uvwxyz")


def test_picture_of_polyvalent_units(states: Any, coef: np.ndarray) -> None:
    display = UnitActivityDisplay.from_estimator(
        Network(coef_=coef), states, kind="polyvalent", n_extreme=2, min_lists=2
    )
    found = display.polyvalent(n_extreme=2, min_lists=2)
    (mesh,) = display.ax_.collections
    assert np.array_equal(mesh.get_array().reshape(found.roles.shape), found.roles)
    rows = [tick.get_text() for tick in display.ax_.get_yticklabels()]
    assert rows == [f"{unit}  ({n})" for unit, n in zip(found.units, found.n_lists, strict=True)]
    assert f"lists: {len(found.units)}" in display.ax_.get_title(loc="left")


def test_no_polyvalent_unit_is_an_empty_picture(states: Any, coef: np.ndarray) -> None:
    display = UnitActivityDisplay.from_estimator(Network(coef_=coef), states, kind="polyvalent", min_lists=7)
    display.figure_.canvas.draw()
    assert not display.ax_.collections
    assert "lists: 0" in display.ax_.get_title(loc="left")


def test_bars_of_what_moves_the_units_of_an_output(states: Any, coef: np.ndarray) -> None:
    groups = {"b": "rare", "d": "rare", "a": "common"}
    display = UnitActivityDisplay.from_estimator(
        Network(coef_=coef), states, kind="specific", output=2, n_units=4, step_labels=WORDS, groups=groups
    )
    expected = display.specific(2, n_units=4)
    mean = dict(zip("abcd", expected.mean, strict=True))
    order = sorted("bd", key=lambda word: -mean[word]) + ["a", "c"]  # in order of the groups, "other" last
    assert [tick.get_text() for tick in display.ax_.get_xticklabels()] == order
    np.testing.assert_allclose([bar.get_height() for bar in display.ax_.patches], [mean[word] for word in order])
    assert legend(display) == ["rare", "common", "other"]
    whiskers = np.concatenate([np.array(c.get_segments()) for c in display.ax_.collections])
    std = dict(zip("abcd", expected.std, strict=True))
    np.testing.assert_allclose(np.ptp(whiskers[..., 1], axis=1), [2 * std[word] for word in order], atol=1e-12)


def test_bars_over_relative_time_are_in_its_order(states: Any, coef: np.ndarray) -> None:
    display = UnitActivityDisplay.from_estimator(Network(coef_=coef), states, kind="specific")
    ticks = [float(tick.get_text()) for tick in display.ax_.get_xticklabels()]
    assert ticks == sorted(ticks)
    assert display.ax_.get_legend() is None


def test_bidirectional_networks_and_cell_states(states: Any) -> None:
    network = Network(bidirectional=True)
    both = UnitActivityDisplay.from_estimator(network, states, kind="changes")
    assert np.array_equal(lines(both), state_changes(states[0], True).T)
    one = UnitActivityDisplay.from_estimator(network, states, kind="changes", bidirectional=False)
    assert np.array_equal(lines(one), state_changes(states[0]).T)
    cell = UnitActivityDisplay.from_estimator(network, states, state_options={"kind": "cell"})
    assert np.array_equal(lines(cell), 2 * states[0].T)


def test_network_at_the_end_of_a_pipeline(states: Any, coef: np.ndarray) -> None:
    negate = FunctionTransformer(lambda X: [-x for x in X])
    display = UnitActivityDisplay.from_estimator(make_pipeline(negate, Network(coef_=coef)), states)
    assert np.array_equal(lines(display), -states[0].T)
    assert np.array_equal(display.coef, coef)


@pytest.mark.filterwarnings("ignore::skseqmetric.exceptions.SuspiciousShapeWarning")
def test_labels_of_a_strided_network_are_those_of_the_last_step_read(states: Any) -> None:
    display = UnitActivityDisplay.from_estimator(Strided(), states[:1], step_labels=[list("abcde")])
    assert [list(own) for own in display.step_labels] == [["b", "d", "e"]]


def test_what_needs_weights_says_so(states: Any, coef: np.ndarray) -> None:
    for network in (Network(), Network(coef_=np.tile(coef, 2))):
        for kind in ("winglets", "polyvalent", "specific"):
            with pytest.raises(ValueError, match="pass coef of shape"):
                UnitActivityDisplay.from_estimator(network, states, kind=kind)
    with pytest.raises(ValueError, match=r"coef has shape \(6, 11\), but must be \(outputs, 12 units\)"):
        UnitActivityDisplay.from_estimator(Network(), states, coef=coef[:, 1:])


def test_wrong_kinds_and_labels_are_refused(states: Any) -> None:
    with pytest.raises(ValueError, match="kind='weights' must be one of 'traces', 'changes'"):
        UnitActivityDisplay.from_estimator(Network(), states, kind="weights")
    with pytest.raises(ValueError, match=r"step_labels\[0\] has shape \(4,\), but sequence 0 has 5 steps"):
        UnitActivityDisplay.from_estimator(Network(), states, step_labels=[list("abca"), *WORDS[1:]])


@pytest.mark.filterwarnings("ignore::skseqmetric.exceptions.SuspiciousShapeWarning")
@pytest.mark.parametrize("kind", ["traces", "changes", "total_change", "winglets", "polyvalent", "specific"])
def test_display_draws_one_step_into_given_axes(states: Any, coef: np.ndarray, kind: str) -> None:
    figure, ax = pyplot.subplots(figsize=(5, 3))
    display = UnitActivityDisplay.from_estimator(Network(coef_=coef), states[2:], kind=kind, ax=ax)
    figure.canvas.draw()
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert tuple(figure.get_size_inches()) == (5, 3)
