"""How the package is built, held to bars: its classes, the way of a fit, private imports of tests, results in git."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import run_house
from benchmarks.house import classes, passage, texts
from skseqmetric.metrics import step_accuracy


@pytest.fixture(scope="module")
def calls() -> dict[str, Any]:
    return passage.traced_calls()


def test_no_estimator_is_made_of_more_than_four_classes() -> None:
    assert {name: depth for name, depth in classes.depths().items() if depth > run_house.DEPTH} == {}


def test_a_method_is_abstract_or_final() -> None:
    assert classes.overridden() == {}


def test_no_base_has_a_single_child() -> None:
    assert classes.only_children() == {}


def test_no_base_can_be_instantiated() -> None:
    assert classes.unenforced() == []


@pytest.mark.parametrize("name", run_house.CHANGES_OF_FILE)
def test_a_fit_can_be_followed(name: str, calls: dict[str, Any]) -> None:
    assert passage.passage(calls[name]).changes <= run_house.CHANGES_OF_FILE[name]


@pytest.mark.parametrize("name", ["SyncGRUMetric.fit", "SequenceKNeighborsClassifier.fit"])
def test_sequences_are_converted_once(name: str) -> None:
    fits, n_bytes = passage.copying_calls(n=40, steps=10)
    assert passage.copies(fits[name], n_bytes).conversions == 1


def test_tests_import_few_private_names_and_only_those_of_ops() -> None:
    found = texts.private_imports()
    assert {name: names for name, names in found.items() if not set(names) <= run_house.MAY_BE_TESTED} == {}
    assert len(found) <= run_house.PRIVATE_TESTS


def test_the_formatter_has_few_exceptions() -> None:
    found = texts.formatter_exceptions()
    assert sum(found.values()) <= run_house.FORMATTER_EXCEPTIONS, found


def test_results_in_git_are_summaries() -> None:
    found = texts.result_bytes()
    assert sum(found.values()) <= run_house.RESULT_BYTES, found
    assert [name for name in found if not name.endswith(".json")] == []


# ----------------------------------------------------------------------------------------------- the figures themselves


class Base:
    def concrete(self) -> None: ...
    def __repr__(self) -> str: ...


class Child(Base):
    def concrete(self) -> None: ...
    def __repr__(self) -> str: ...


def test_figures_of_classes_see_what_they_are_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classes, "estimators", lambda: [Child])
    monkeypatch.setattr(classes, "PACKAGE", __name__.split(".")[0])
    assert classes.depths() == {"Child": 2}
    assert classes.overridden() == {"Base.concrete": ["Child"]}
    assert classes.only_children() == {"Base": "Child"}
    assert classes.unenforced() == ["Base"]


def test_a_passage_counts_the_turns_to_another_file() -> None:
    found = passage.Passage()
    for file, function in (("a", "f"), ("a", "g"), ("b", "f"), ("b", "f"), ("a", "f")):
        found.enter(SimpleNamespace(f_code=SimpleNamespace(co_filename=file, co_qualname=function)))
    assert found.counts() == {"files": 2, "functions": 3, "changes of file": 2}


def test_a_passage_sees_functions_of_the_package_alone() -> None:
    y = [np.array([0, 1])]
    found = passage.passage(lambda: np.mean(step_accuracy(y, y)))
    assert str(passage.ROOT / "metrics.py") in found.files
    assert all(file.startswith(str(passage.ROOT)) for file in found.files)
    assert "step_accuracy" in {name for _, name in found.functions}


def test_a_passage_leaves_the_profiler_that_was_there() -> None:
    def other(frame: Any, event: str, arg: Any) -> None: ...

    before = sys.getprofile()
    sys.setprofile(other)
    try:
        passage.passage(lambda: None)
        assert sys.getprofile() is other
    finally:
        sys.setprofile(before)


def test_memory_before_the_first_kernel_is_that_of_copies() -> None:
    fits, n_bytes = passage.copying_calls(n=1000)
    peak = passage.copies(fits["SyncGRUMetric.fit"], n_bytes).peak
    assert peak is None or 0.5 < peak < 10


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("from skseqmetric._ops.gru import gru_scan", ["_ops"]),
        ("from skseqmetric import _ops, SyncGRUMetric", ["_ops"]),
        ("from skseqmetric.datasets import _grammar", ["_grammar"]),
        ("def f():\n    import skseqmetric._base.template", ["_base"]),
        ("from skseqmetric import __version__, metrics\nfrom other._private import x", []),
    ],
)
def test_private_imports_are_seen_wherever_they_stand(
    text: str, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(text)
    monkeypatch.setattr(texts, "ROOT", tmp_path)
    assert texts.private_imports() == ({"tests/test_it.py": names} if names else {})
