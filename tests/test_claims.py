"""What claims are tried with: comparisons of arms, tasks that are made, sizes at equal parameters."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.claims.judging import above_all, adjusted, by_arm, compared
from benchmarks.claims.memories.fitting import backbone_parameters, count, estimator, units_of_as_many
from benchmarks.claims.memories.tasks import TASKS
from benchmarks.claims.pictures.tasks import WRITERS, sides


def test_an_arm_is_judged_by_the_comparison_that_speaks_least_for_it() -> None:
    found = {"a": [0.9, 0.8, 0.9], "low": [0.1, 0.1, 0.2], "near": [0.85, 0.7, 0.86], "above": [0.95, 0.9, 0.93]}
    judged = above_all({arm: found[arm] for arm in ("a", "low", "near")}, "a")
    assert (judged["against"], judged["p"]) == ("near", compared(found["a"], found["near"])["p"])
    assert above_all(found, "a") | {"interval": []} == {
        "against": "above",
        "difference": -0.06,
        "interval": [],
        "p": 1.0,
    }


def test_a_family_of_comparisons_is_adjusted() -> None:
    results = adjusted({"x": {"p": 0.01}, "y": {"p": 0.04}})
    assert [round(result["adjusted p"], 3) for result in results.values()] == [0.02, 0.04]


def test_scores_are_in_the_order_of_the_seeds() -> None:
    rows = [{"task": "t", "arm": "a", "seed": seed, "score": seed / 10} for seed in (2, 1)]
    assert by_arm([*rows, {"task": "u", "arm": "a", "seed": 0, "score": 1.0}], "t") == {"a": [0.1, 0.2]}


def test_sums_are_of_one_marked_number_of_either_half() -> None:
    task = TASKS["adding, 200 steps"](None, "test", 1, 0.01)
    for x, total in zip(*task.train, strict=True):
        first, second = np.flatnonzero(x[:, 1])
        assert first < 100 <= second
        assert total == pytest.approx(x[first, 0] + x[second, 0])
    assert task.constant == 0


def test_what_is_copied_is_asked_at_the_end_alone() -> None:
    task = TASKS["copying, 400 steps"](None, "development", 0, 0.01)
    x, y = task.train[0][3], task.train[1][3]
    np.testing.assert_array_equal(x[:5, :4].argmax(axis=1), y[-5:])
    assert set(y[:-5]) == {task.silent}
    assert x[5:, :4].sum() == 0
    assert 0.2 < task.constant < 0.5


def test_stages_and_seeds_have_sequences_of_their_own() -> None:
    made = [
        TASKS["adding, 200 steps"](None, *given, 0.01).train[0][0] for given in (("test", 0), ("test", 1), ("x", 0))
    ]
    assert not any(np.array_equal(made[i], made[j]) for i, j in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize("name", ["adding, 200 steps", "copying, 200 steps"])
def test_backbone_counts_the_parameters_that_it_uses(name: str) -> None:
    task = TASKS[name](None, "test", 1, 0.002)
    model = estimator(task, {"window": None, "n_units": 8}, 1, 0).fit(*task.train)
    read = ("input", "hidden", "bias", "weight")
    lstm = sum(p.numel() for name, p in model.module_.named_parameters() if name.rsplit(".", 1)[-1] in read)
    assert backbone_parameters(task, 8) == lstm < count(model)
    units = units_of_as_many(5000, task)
    assert backbone_parameters(task, units - 4) < 5000 <= backbone_parameters(task, units)


def test_people_are_tested_chosen_by_or_trained_on() -> None:
    people = np.arange(30).repeat(2)
    (train, development), (both, test) = (sides(people, WRITERS, stage) for stage in ("development", "test"))
    assert (len(train), len(development), len(test)) == (16, 6, 8)
    assert set(both) == {*train, *development}
    assert {*both, *test} == set(range(30))
