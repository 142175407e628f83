"""A model whose arrays lie in a file opened for reading answers and learns without a warning or a write into it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone

from skseqmetric import DTWMetric
from tests import all_answers
from tests.all_answers import FIRST, asked, cases, differences

# which torch gives of its own sparse tensors
pytestmark = pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")


# one case of every estimator, and its variants in the slow part; DTW holds no arrays
CASES = pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=name, marks=() if name in FIRST.values() else pytest.mark.slow)
        for name, case in cases().items()
        if not isinstance(case.made, DTWMetric)
    ],
)


@pytest.fixture
def every_warning() -> Iterator[None]:
    """torch gives its own warnings once in a process otherwise."""
    torch.set_warn_always(True)
    try:
        yield
    finally:
        torch.set_warn_always(False)


@pytest.mark.usefixtures("every_warning")
@CASES
def test_a_memory_mapped_model_answers_and_learns_like_any_other(case: Any, tmp_path: Path) -> None:
    file, fitted = tmp_path / "model.joblib", case.fit()
    joblib.dump(fitted, file)
    saved = file.read_bytes()
    mapped = joblib.load(file, mmap_mode="r")
    assert differences(dict(asked(case, fitted)), dict(asked(case, mapped))) == []
    once = joblib.load(file, mmap_mode="r")
    for model in (fitted, once):
        case.continued(model)
    # one method shows what was learned
    assert differences(*(dict([next(asked(case, model))]) for model in (fitted, once))) == []
    case.__class__(mapped, case.y, case.images).fit()
    assert file.read_bytes() == saved


@pytest.mark.usefixtures("every_warning")
@CASES
def test_write_protected_data_are_learned_like_any_other(case: Any) -> None:
    """A file of data that is mapped into memory gives such arrays."""
    X = [_protected(x) for x in all_answers.X]
    given = {} if case.images is None else {"images": _protected(case.images)}
    y = _protected(case.y) if isinstance(case.y, np.ndarray) else case.y
    fitted = clone(case.made).fit(X, y, **given)
    getattr(fitted, "partial_fit", fitted.fit)(X, y, **given)
    if hasattr(fitted, "transform"):
        fitted.transform(X)
    if given:
        fitted.transform_images(**given)


def _protected(array: np.ndarray) -> np.ndarray:
    array = array.copy()
    array.flags.writeable = False
    return array
