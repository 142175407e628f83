"""Random calls of every public estimator: an answer that is finite, or a documented error and nothing changed."""

from __future__ import annotations

import copy
import datetime
import pickle
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

from tests.every_estimator import CASES, Case, as_arrays

ANSWERS = ("transform", "predict", "predict_proba", "kneighbors", "hidden_states")
DOCUMENTED = (ValueError, TypeError, FloatingPointError)
NUMBERS = [np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, 1e-300, 1e-30, 1e15, 1e16, 9.97e36, 3e38, 1e200, 1e308, -1e308]
OBJECTS: list[Any] = [
    None,
    0,
    3.5,
    True,
    "text",
    b"bytes",
    {},
    {"a": 1},
    set(),
    object(),
    np.nan,
    [],
    [[]],
    [None],
    [[None]],
    (),
    np.array(1.0),
    np.array([]),
    np.array(["a", "b"]),
    np.array([datetime.datetime(2020, 1, 1)], dtype="datetime64[s]"),
    len,
    int,
    1 + 2j,
    np.zeros((2, 2, 2, 2)),
    pd.DataFrame(),
    torch.zeros(3),
]


# ---------------------------------------------------------------------------------------- what is passed for sequences


def _value(x: list[np.ndarray], draw: Callable[..., Any]) -> Any:
    i = draw(st.integers(0, len(x) - 1))
    x[i] = x[i].copy()
    x[i][draw(st.integers(0, len(x[i]) - 1)), draw(st.integers(0, 1))] = draw(st.sampled_from(NUMBERS))
    return x


def _dtype(x: list[np.ndarray], draw: Callable[..., Any]) -> Any:
    kind = draw(st.sampled_from(["f2", "f4", ">f8", "g", "i1", "u8", "?", "O", "U", "S", "c16", "M8[s]", "m8[s]"]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [a.astype("i8").astype(kind) if kind[0] in "Mm" else a.astype(kind) for a in x]


def _shape(x: list[np.ndarray], draw: Callable[..., Any]) -> Any:
    i = draw(st.integers(0, len(x) - 1))
    ways: list[Callable[[np.ndarray], Any]] = [
        lambda a: a[:0],
        lambda a: a[:1],
        lambda a: a[:, :1],
        lambda a: a[:, :0],
        lambda a: np.column_stack([a, a]),
        lambda a: a.T,
        lambda a: a[:, 0],
        lambda a: a[np.newaxis],
        lambda a: np.full_like(a, 1.0),
        lambda a: np.tile(a, (7, 1)),
        lambda a: None,
        lambda a: "abc",
    ]
    way = draw(st.sampled_from(ways))
    return [way(a) if j == i or draw(st.just(True)) is None else a for j, a in enumerate(x)]


def _all_alike(x: list[np.ndarray], draw: Callable[..., Any]) -> Any:
    ways: list[Callable[[list[np.ndarray]], Any]] = [
        lambda x: [a.T for a in x],
        lambda x: [a[:1] for a in x],
        lambda x: [a[:, ::-1] for a in x],
        lambda x: [a[::-1] for a in x],
        lambda x: [np.asfortranarray(a) for a in x],
        lambda x: [np.zeros_like(a) for a in x],
        lambda x: [x[0]] * len(x),
        lambda x: x[:1],
        lambda x: x[:-1],
        lambda x: x * 3,
        lambda x: [np.tile(a, (5, 1)) for a in x],
    ]
    return draw(st.sampled_from(ways))(x)


def _padded(x: list[np.ndarray]) -> np.ndarray:
    out = np.full((len(x), max(map(len, x)), x[0].shape[1]), np.nan)
    for row, a in zip(out, x, strict=True):
        row[: len(a)] = a
    return out


def _object_array(x: list[np.ndarray]) -> np.ndarray:
    out = np.empty(len(x), dtype=object)
    out[:] = x
    return out


def _container(x: list[np.ndarray], draw: Callable[..., Any]) -> Any:
    ways: list[Callable[[list[np.ndarray]], Any]] = [
        tuple,
        _object_array,
        _padded,
        lambda x: _padded(x)[:, :, 0],
        lambda x: pd.DataFrame(_padded(x)[:, :3, 0]),
        lambda x: [a.tolist() for a in x],
        lambda x: [pd.DataFrame(a, columns=["a", "b"]) for a in x],
        lambda x: pd.Series(_object_array(x), index=np.arange(len(x))[::-1]),
        lambda x: [torch.from_numpy(a) for a in x],
        lambda x: [torch.from_numpy(a).requires_grad_() for a in x],
        lambda x: [torch.from_numpy(a).bfloat16() for a in x],
        lambda x: [np.ma.masked_array(a, a > 1) for a in x],
        lambda x: [np.ma.masked_array(a, False) for a in x],
        lambda x: (a for a in x),
        lambda x: dict(enumerate(x)),
        lambda x: torch.from_numpy(_padded(x)),
        lambda x: np.concatenate(x),
        lambda x: x[0],
    ]
    return draw(st.sampled_from(ways))(x)


CHANGES = [_value, _value, _dtype, _shape, _all_alike, _container, _container]


@st.composite
def sequences(draw: Callable[..., Any], case: Case) -> Any:
    """The sequences of the case, changed once or twice, or an object of another kind."""
    if draw(st.integers(0, 9)) == 0:
        return copy.copy(draw(st.sampled_from(OBJECTS)))
    x: Any = list(case.X)
    for _ in range(draw(st.integers(0, 2))):
        change = draw(st.sampled_from(CHANGES))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of complex numbers made real, and the like
                x = change(x, draw)
        except Exception:
            break  # the second change does not fit what the first one made
    return x


@st.composite
def arguments(draw: Callable[..., Any], given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a fit but X, one of them changed."""
    out = dict(given)
    if not out or draw(st.integers(0, 2)) == 0:
        return out
    name = draw(st.sampled_from(sorted(out)))
    value = out[name]
    ways: list[Callable[[], Any]] = [
        lambda: draw(st.sampled_from(OBJECTS)),
        lambda: value[:-1],
        lambda: value[::-1],
        lambda: pd.Series(list(value), index=np.arange(len(value))[::-1]),
        lambda: np.asarray(value, dtype=object),
        lambda: np.asarray(value).astype(str),
        lambda: np.asarray(value, dtype=float) * draw(st.sampled_from(NUMBERS)),
        lambda: np.asarray(value)[:, np.newaxis],
        lambda: np.zeros(len(value)),
        lambda: np.ma.masked_array(np.asarray(value, dtype=float), np.arange(len(value)) == 1),
        lambda: [None, *list(value)[1:]],
        lambda: ["a", *list(value)[1:]],
        lambda: list(value) + [0],
        lambda: -np.asarray(value, dtype=float),
    ]
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out[name] = draw(st.sampled_from(ways))()
    except Exception:
        out[name] = None
    return out


PARAMETERS: dict[str, list[Any]] = {
    "learning_rate": [1e-30, 1e20],
    "scaling": [None],
    "batch_size": [2, 1000],
    "pooling": ["last", "mean", "both"],
    "augment": [None, "jitter"],
    "precision": ["bfloat16"],
    "max_updates": [1, None],
    "early_stopping": [True],
    "weight_decay": [0.0, 1e30],
    "class_weight": ["balanced", {0: -1.0}, {0: np.nan}, {"b": 1.0}],
    "target": ["step", "sequence"],
    "n_neighbors": [1, 100],
    "weights": ["distance", lambda d: d * np.nan, lambda d: -d],
    "algorithm": ["rerank"],
    "warm_start": [True],
    "alpha": [1e-300, "auto"],
    "n_bins": [2, 5],
    "window": [0, None],
    "random_state": [1, None, np.random.default_rng(0)],
}


@st.composite
def parameters(draw: Callable[..., Any], case: Case) -> dict[str, Any]:
    """Up to two parameters of the estimator, in and out of their ranges."""
    known = sorted(PARAMETERS.keys() & case.make().get_params(deep=False).keys())
    names = draw(st.lists(st.sampled_from(known), max_size=2, unique=True)) if known else []
    return {name: draw(st.sampled_from(PARAMETERS[name])) for name in names}


# ------------------------------------------------------------------------------------------------- what must come out


@cache
def fitted_bytes(case_name: str) -> bytes:
    case = next(c for c in CASES if c.name == case_name)
    return pickle.dumps(case.make().fit(case.X, **case.fits["fit"]))


@cache
def fitted_answers(case_name: str) -> bytes:
    """The answers of every model from `fitted_bytes`."""
    case = next(c for c in CASES if c.name == case_name)
    return pickle.dumps(case.answers(pickle.loads(fitted_bytes(case_name))))


def state_of(model: Any) -> dict[str, Any]:
    return {k: v for k, v in vars(model).items() if k not in model.get_params(deep=False)}


def assert_finite(answer: Any, what: str) -> None:
    for part in as_arrays(answer):
        if part.dtype.kind == "f":
            assert np.isfinite(part).all(), what
        elif part.dtype == object:
            assert_finite(list(part.ravel()), what)


def check_call(call: Callable[[], Any], model: Any, changed: dict[str, Any], case: Case, what: str) -> None:
    """Call a method of the model with changed parameters, and look at the answer or at what an error has left."""
    before, parameters = state_of(model), model.get_params(deep=False)
    expected = fitted_answers(case.name) if before else None
    model.set_params(**changed)
    try:
        answer = call()
    except DOCUMENTED as error:
        model.set_params(**parameters)
        if not isinstance(error, FloatingPointError) or "as it was before" in str(error):
            after = state_of(model)
            assert after.keys() == before.keys(), what
            assert all(after[k] is before[k] for k in before), what
            if expected is None:
                with pytest.raises(NotFittedError):
                    case.answers(model)
            else:
                assert pickle.dumps(case.answers(model)) == expected, what
        return
    if answer is model:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                answers = case.answers(model)
            except ValueError:  # it was fitted to other channels, or to values that are far away
                return
        assert_finite([a for a in answers if a.dtype.kind == "f"], what)
    else:
        assert_finite(answer, what)


def one_call(case: Case, data: st.DataObject) -> None:
    draw = data.draw
    x, fitted = draw(sequences(case)), draw(st.booleans())
    model = pickle.loads(fitted_bytes(case.name)) if fitted else case.make()
    changed = draw(parameters(case))
    methods = sorted(case.fits)
    if fitted:
        methods += [
            n for n in ("transform", "predict", "predict_proba", "kneighbors", "hidden_states") if hasattr(model, n)
        ]
    name = draw(st.sampled_from(methods))
    given = draw(arguments(case.fits[name])) if name in case.fits else {}
    if case.trained:
        changed = {"max_epochs": 1, **changed}
    what = (
        f"{case}.{name}({type(x).__name__}: {str(x)[:200]}, {str(given)[:200]}), parameters {changed}, fitted {fitted}"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check_call(lambda: getattr(model, name)(x, **given), model, changed, case, what)


def _fuzz(examples: int) -> Callable[..., None]:
    @settings(max_examples=examples, suppress_health_check=list(HealthCheck), print_blob=False)
    @given(st.data())
    def run(case: Case, data: st.DataObject) -> None:
        one_call(case, data)

    return run


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_random_call_answers_or_refuses(case: Case) -> None:
    _fuzz(24)(case)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_ten_thousand_random_calls_answer_or_refuse(case: Case) -> None:
    _fuzz(420)(case)
