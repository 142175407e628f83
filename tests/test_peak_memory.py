"""Answers and fits on a memory map hold a few batches, and a fit at most one copy: highest marks of the process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.memory import reset_peak_memory
from benchmarks.run_memory import MEGABYTE, answering, fits, in_a_process, made_map, weighed

pytestmark = pytest.mark.skipif(reset_peak_memory() is None, reason="this system keeps no mark that can be lowered")


@pytest.fixture(scope="module")
def small_map(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_map(tmp_path_factory.mktemp("maps"), 32, 500, 10)


@pytest.mark.parametrize(
    "name",
    ["RandomConvolutionMetric.transform", "SequenceKNeighborsClassifier.kneighbors"],
)
def test_an_answer_holds_less_than_the_data(name: str, small_map: Path) -> None:
    row = weighed(name, small_map)
    assert row["data"] > 30 * MEGABYTE
    assert row["beyond"] < 0.8 * row["data"]


def one_of(names: list[str]) -> list[Any]:
    """The first of the calls among the slow tests, the others among the long ones."""
    return [pytest.param(name, marks=pytest.mark.long if i else pytest.mark.slow) for i, name in enumerate(names)]


@pytest.mark.parametrize("name", one_of([*answering()]))
def test_an_answer_holds_at_most_50_megabytes(name: str, tmp_path: Path) -> None:
    row = in_a_process(name, made_map(tmp_path, 200, 500, 10))
    assert row["data"] == 200 * MEGABYTE
    assert row["beyond"] < 50 * MEGABYTE


@pytest.mark.parametrize("name", one_of(["NRNMMetric.fit", *(name for name in fits() if name != "NRNMMetric.fit")]))
def test_a_fit_holds_at_most_one_copy_and_batches(name: str, tmp_path: Path) -> None:
    row = in_a_process(name, made_map(tmp_path, 200, 500, 10))
    assert row["beyond"] < 1.3 * row["data"]


def test_a_map_is_of_the_size_that_was_asked_for(small_map: Path) -> None:
    found = np.load(small_map, mmap_mode="r")
    assert found.shape == (1600, 500, 10)
    assert found.dtype == np.float32
