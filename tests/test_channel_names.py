"""Frames name their channels: the names are kept at fit and compared after, by every public estimator."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import cross_val_score

from skseqmetric import (
    DTWMetric,
    EchoStateClassifier,
    EchoStateTransformer,
    SequenceKNeighborsClassifier,
    SequenceNeighborsTransformer,
    SyncGRUMetric,
    check_sequences,
    from_channels_first,
    from_padded,
    to_padded,
)
from tests.small_door import FAST, LABELS, PAIRS, SAME, STEP_LABELS, Case, X, assert_same, outputs, where

NAMES = ["x", "y", "z"]


def frames(names: list[Any] = NAMES) -> list[pd.DataFrame]:
    return [pd.DataFrame(x, columns=names) for x in X]


PERMUTED = [x[["y", "x", "z"]] for x in frames()]


# ------------------------------------------------------------------------------------ fitted estimators


@where()
def test_names_are_kept_and_compared(case: Case) -> None:
    fitted = case.fitted(frames())
    assert fitted.channel_names_in_.tolist() == NAMES
    expected = outputs(case.fitted())
    assert_same(outputs(fitted, frames()), expected)
    assert_same(outputs(fitted, [x[fitted.channel_names_in_] for x in PERMUTED]), expected)
    with pytest.raises(ValueError, match=r"are \['y', 'x', 'z'\], in another order .*x\[estimator.channel_names_in_\]"):
        outputs(fitted, PERMUTED)
    with pytest.raises(ValueError, match=r"unknown \['w'\], missing \['z'\]"):
        outputs(fitted, frames(["x", "y", "w"]))


@where()
def test_one_side_without_names_warns_as_scikit_learn_does(case: Case) -> None:
    name = type(case.estimator).__name__
    with pytest.warns(UserWarning, match=f"X does not have valid channel names, but {name} was fitted with channel"):
        outputs(case.fitted(frames()), X)
    with pytest.warns(UserWarning, match=f"X has channel names, but {name} was fitted without channel names"):
        outputs(case.fitted(), frames())


@where()
def test_a_fit_forgets_the_names_of_the_earlier_one(case: Case) -> None:
    fitted = case.fitted(frames()).fit(X, case.y)
    assert not hasattr(fitted, "channel_names_in_")
    assert not hasattr(clone(case.fitted(frames())), "channel_names_in_")


@where()
def test_names_are_pickled(case: Case) -> None:
    loaded = pickle.loads(pickle.dumps(case.fitted(frames())))
    assert loaded.channel_names_in_.tolist() == NAMES
    with pytest.raises(ValueError, match="in another order"):
        outputs(loaded, PERMUTED)


@where(lambda case: case.takes("X", "partial_fit"))
def test_later_calls_of_partial_fit_compare_names(case: Case) -> None:
    model = clone(case.estimator).partial_fit(frames(), case.y)
    model.partial_fit(frames(), case.y)
    with pytest.raises(ValueError, match="in another order"):
        model.partial_fit(PERMUTED, case.y)
    assert model.channel_names_in_.tolist() == NAMES


def test_metrics_compare_the_names_of_all_arguments() -> None:
    metric = SyncGRUMetric(3, n_filters=3, coupling="alignment", **FAST).fit_pairs(frames(), PAIRS, SAME)
    for call in (metric.pair_distance, metric.pairwise_distances, metric.synchronization, metric.alignment):
        with pytest.raises(ValueError, match="in another order"):
            call(frames(), PERMUTED)
    distance = metric.get_metric()
    assert distance(X[0], X[1]) == distance(frames()[0], frames()[1])
    with pytest.raises(ValueError, match="in another order"):
        distance(*PERMUTED[:2])


@pytest.mark.parametrize(
    "form", [frames, lambda: pd.DataFrame(to_padded(X, fill=0)[:, :, 0], columns=list("abcdefghijklm"))]
)
def test_a_metric_within_neighbours_has_the_names(form: Any) -> None:
    given = form()
    fitted = SequenceKNeighborsClassifier("dtw", n_neighbors=1).fit(given, LABELS)
    kept = "channel_names_in_" if isinstance(given, list) else "feature_names_in_"
    assert getattr(fitted.metric_, kept).tolist() == getattr(fitted, kept).tolist()
    other = PERMUTED if isinstance(given, list) else given[given.columns[::-1]]
    frozen = SequenceNeighborsTransformer(FrozenEstimator(DTWMetric().fit(given)), n_neighbors=2)
    frozen.fit(given)
    with pytest.raises(ValueError, match=r"order|unseen at fit time"):
        frozen.fit(other)


def test_names_come_through_a_cross_validation_and_a_table_of_outputs() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cross_val_score(EchoStateClassifier(5, random_state=0), pd.Series(frames()), LABELS, cv=2)
        table = EchoStateTransformer(5, random_state=0).set_output(transform="pandas").fit_transform(frames())
    assert table.shape == (6, 20)


def test_incoming_steps_are_compared_too() -> None:
    model = EchoStateClassifier(5, target="step", bidirectional=False, random_state=0).fit(frames(), STEP_LABELS)
    expected = model.predict(frames())[0].tolist()
    assert list(model.predict_stream(frames()[0])) == expected
    assert [model.predict_step(row)[0] for _, row in frames()[0].head(1).iterrows()] == expected[:1]
    with pytest.raises(ValueError, match="in another order"):
        list(model.predict_stream(PERMUTED[0]))
    with pytest.raises(ValueError, match="in another order"):
        model.predict_step(PERMUTED[0].iloc[0])


# ------------------------------------------------------------------------------------ names of one input


def test_frames_of_one_input_must_agree() -> None:
    with pytest.raises(ValueError, match=r"sequence 1 differs from sequence 0: the columns are \['y', 'x', 'z'\]"):
        check_sequences([frames()[0], PERMUTED[1]])
    with pytest.warns(UserWarning, match="sequence 1 has no channel names, but sequence 0 has"):
        assert check_sequences([frames()[0], X[1]]).channel_names == tuple(NAMES)


def test_numbers_are_names_unless_they_only_count() -> None:
    assert check_sequences([pd.DataFrame(x) for x in X]).channel_names is None
    model = EchoStateTransformer(5, random_state=0).fit([pd.DataFrame(x) for x in X])
    with pytest.raises(ValueError, match=r"are \[1, 0, 2\], in another order than \[0, 1, 2\]"):
        model.transform([pd.DataFrame(x)[[1, 0, 2]] for x in X])
    levels = EchoStateTransformer(5, random_state=0).fit(frames([("a", 1), ("a", 2), ("b", 1)]))
    assert levels.channel_names_in_[2] == ("b", 1)


def test_sequences_carry_names() -> None:
    taken = check_sequences(frames()).take([2, 0])
    assert taken.channel_names == tuple(NAMES)
    table = pd.DataFrame(np.ones((2, 3)), columns=NAMES)
    assert check_sequences(table).take([1]).feature_names == tuple(NAMES)


# ------------------------------------------------------------------------------------ panels and other tables


def panel() -> Iterator[tuple[pd.DataFrame, list[int]]]:
    """Frames with the index (case, time), shuffled, and the order of their cases."""
    whole = pd.concat(dict(zip(("d", "a", "c", "b", "f", "e"), frames(), strict=True)))
    for seed in range(3):
        rows = whole.sample(frac=1, random_state=seed)
        yield rows, ["dacbfe".index(case) for case in dict.fromkeys(rows.index.get_level_values(0))]


def test_a_frame_of_cases_and_times_is_one_sequence_a_case() -> None:
    for rows, order in panel():
        sequences = check_sequences(rows)
        assert_same(sequences.to_list(), [X[i] for i in order])
        assert sequences.channel_names == tuple(NAMES)
        assert_same(check_sequences(rows["y"]).to_list(), [X[i][:, 1:2] for i in order])
        fitted = EchoStateClassifier(5, random_state=0).fit(rows, LABELS[order])
        same = EchoStateClassifier(5, random_state=0).fit([X[i] for i in order], LABELS[order])
        np.testing.assert_array_equal(fitted.coef_, same.coef_)


def test_times_may_be_dates() -> None:
    index = pd.MultiIndex.from_product([["b", "a"], pd.to_datetime(["2020-01-02", "2020-01-01"])])
    sequences = check_sequences(pd.DataFrame({"v": [2.0, 1.0, 4.0, 3.0]}, index=index))
    assert [x.ravel().tolist() for x in sequences] == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ([("a", 1), ("a", 1)], r"case 'a' has the time \(level 1 of the index\) 1 twice, in rows 0 and 1: keep one"),
        ([("a", 1, 1), ("a", 2, 1)], "index of X has 3 levels"),
        ([(None, 1), ("a", 1)], "case 'level 0' is missing in row 0"),
        ([("a", 1), ("a", float("nan"))], r"is missing in row 1 \(case 'a'\): give every row a time"),
        ([("a", 1), ("a", "b")], r"a number in row 0 \(case 'a'\) and text in row 1"),
        ([("a", "9"), ("a", "10")], "holds text in row 0"),
    ],
)
def test_wrong_panels_are_refused(index: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_sequences(pd.DataFrame({"v": [1.0, 2.0]}, index=pd.MultiIndex.from_tuples(index)))


class Columns:
    """A frame as polars and pyarrow have it: columns, shape and `__array__`, but no `ndim`."""

    def __init__(self, values: np.ndarray, names: list[str]) -> None:
        self.values, self.columns, self.shape = values, names, values.shape

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.array(self.values, dtype=dtype)


def test_frames_without_dimensions_are_frames() -> None:
    sequences = check_sequences([Columns(x, NAMES) for x in X])
    assert_same(sequences.to_list(), X)
    assert sequences.channel_names == tuple(NAMES)
    table = np.arange(6.0).reshape(2, 3)
    assert check_sequences(Columns(table, NAMES)).values.ravel().tolist() == table.ravel().tolist()


def test_polars_frames_are_frames() -> None:
    polars = pytest.importorskip("polars")
    made = [polars.DataFrame(x, schema=NAMES) for x in X]
    fitted = EchoStateTransformer(5, random_state=0).fit(made)
    assert fitted.channel_names_in_.tolist() == NAMES
    assert_same(list(fitted.transform(frames())), list(EchoStateTransformer(5, random_state=0).fit_transform(X)))
    table = polars.DataFrame(np.eye(3), schema=NAMES)
    assert EchoStateTransformer(5, random_state=0).fit(table).feature_names_in_.tolist() == NAMES


def test_missing_values_of_nullable_columns_are_named() -> None:
    column = pd.DataFrame({"v": pd.array([1, None, 2], dtype="Int64")})
    with pytest.raises(ValueError, match="sequence 0, step 1, channel 0 is NaN"):
        check_sequences([column])


# ------------------------------------------------------------------------------------ other containers


def test_tensors_of_any_kind_are_arrays() -> None:
    x = torch.arange(6.0).reshape(3, 2)
    for form in (x.requires_grad_(), x.detach().bfloat16(), x.detach().double()):
        assert_same(check_sequences([form]).to_list(), [np.arange(6.0).reshape(3, 2)])
    assert check_sequences(x.detach().bfloat16()[None]).values.dtype == np.float32
    assert_same(from_padded([x]), [x.detach().numpy()])
    assert_same(from_channels_first([x]), [x.detach().numpy().T])
    for layout in (torch.jagged, torch.strided):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # strided nested tensors are a prototype
            nested = torch.nested.nested_tensor([torch.ones(2, 3), torch.zeros(1, 3)], layout=layout)
        assert_same(check_sequences(nested).to_list(), [np.ones((2, 3)), np.zeros((1, 3))])
    with pytest.raises(ValueError, match=r"sparse tensor: pass X.to_dense\(\)"):
        check_sequences(x.detach().to_sparse())


@pytest.mark.parametrize("convert", [check_sequences, to_padded, from_padded, from_channels_first])
def test_masked_values_are_refused_wherever_they_are(convert: Any) -> None:
    masked = np.ma.masked_array(np.ones((2, 2)), [[0, 0], [0, 1]])
    for form in ([masked], [[[1.0, 2.0], [3.0, np.ma.masked]]], np.ma.stack([masked, masked])):
        with pytest.raises(ValueError, match=r"(sequence 0|X) has masked values"):
            convert(form)
    whole = np.ma.masked_array(np.ones((2, 2)), False)
    assert len(convert([whole])) == 1


@pytest.mark.parametrize("kind", ["datetime64[s]", "timedelta64[s]", "S1", "U1", [("a", float)]])
def test_other_arrays_are_no_numbers(kind: Any) -> None:
    array = np.zeros((3, 2), dtype=kind)
    for form in ([array], array[np.newaxis], [array.astype(object)]):
        with pytest.raises(ValueError, match=r"encode text, bytes, dates or records as numbers|is not a number"):
            check_sequences(form)
