"""Ids and numbers of an index: those that follow each other take no memory, and columns never change."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from skseqmetric import SequenceIndex, load
from tests.fake_metrics import MeanMetric
from tests.small_models import fitted

X = np.random.default_rng(0).normal(size=(60, 3, 2))


def metric() -> MeanMetric:
    return MeanMetric(euclidean=False).fit(X)


@pytest.mark.parametrize(
    "steps",
    [
        ["add 20", "add 10", "remove 0 5", "add 5"],  # whole numbers that follow each other, cut at the front
        ["add 20", "remove 3 4", "add 10", "remove 0 7"],
        ["add 5", "ids 50 51 52", "add 3", "remove 50 51 52", "add 1"],
        ["ids 7 3 5", "add 4", "remove 3", "ids 3"],
        ["ids -4 -3 -2", "add 4", "remove -4 -3 -2 0"],
        ["add 4", "remove 0 1 2 3", "add 2"],
    ],
)
def test_ids_are_those_of_a_list(steps: list[str], tmp_path) -> None:
    index, expected, largest = SequenceIndex(fitted("DTWMetric")), [], -1
    for step in steps:
        word, *numbers = step.split()
        given = [int(number) for number in numbers]
        if word == "remove":
            index.remove(given)
            expected = [name for name in expected if name not in given]
            continue
        new = given if word == "ids" else list(range(largest + 1, largest + 1 + given[0]))
        index.add(X[: len(new)], given if word == "ids" else None)
        expected, largest = expected + new, max([largest, *new])
        if word == "add":
            index.save(tmp_path / "index.skm")
            index = load(tmp_path / "index.skm")
    assert index.ids.tolist() == expected
    assert index.ids.dtype == np.int64
    found = index.search(X[:1], len(expected))[1][0]
    assert sorted(found.tolist()) == sorted(expected)
    for name in (*expected, largest + 1, -9):
        assert (name in index) == (name in expected)


def test_ids_that_were_handed_out_do_not_change() -> None:
    index = SequenceIndex(metric()).add(X[:20])
    before = index.ids
    before[:] = 0
    assert index.add(X[:2]).remove([0]).ids.tolist() == list(range(1, 22))


def test_ids_that_follow_each_other_take_no_memory() -> None:
    """Of the index itself: its references are those that it was given."""
    values = np.random.default_rng(0).normal(size=(40_000, 1, 2))
    taken = {}
    for name, ids in {"range": None, "others": np.arange(40_000) * 2}.items():
        index = SequenceIndex(metric())
        index.add(values[:100], None if ids is None else ids[:100])  # what is made once
        tracemalloc.start()
        index.add(values[100:], None if ids is None else ids[100:])
        taken[name] = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    assert taken["others"] - taken["range"] > 7 * 40_000
