"""The ablation's helpers: constraints, splits by subject, the plan and its resumption, paired tests, tables."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from benchmarks import activity, jobs
from benchmarks.ablation import design, fitting, paired, tables
from benchmarks.ablation.design import Arm, Job
from skseqmetric import SyncGRUMetric

# ---------------------------------------------------------------------------------------------------------- constraints


def test_constraints_are_half_same_and_half_different_for_every_class(rng: np.random.Generator) -> None:
    y = np.repeat(["a", "b", "c"], 20)
    pairs, same = fitting.sample_constraints(y, 10, rng)
    equal = y[pairs[:, 0]] == y[pairs[:, 1]]
    np.testing.assert_array_equal(equal, same == 1)
    assert len({frozenset(pair) for pair in pairs.tolist()}) == len(pairs) == 30
    for label in "abc":
        assert np.count_nonzero(equal & (y[pairs[:, 0]] == label)) == 5
    assert np.count_nonzero(~equal) == 15


def test_a_small_class_gives_all_its_pairs(rng: np.random.Generator) -> None:
    y = np.array([0, 0, 0, *[1] * 30])
    pairs, same = fitting.sample_constraints(y, 50, rng)
    both_small = (y[pairs] == 0).all(axis=1)
    assert {tuple(pair) for pair in pairs[both_small].tolist()} == {(0, 1), (0, 2), (1, 2)}
    assert np.count_nonzero(same == 1) == 3 + 25


def test_constraints_repeat_with_their_generator() -> None:
    y = np.arange(60) % 4
    first, second, other = (fitting.sample_constraints(y, 10, np.random.default_rng(s))[0] for s in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


# ------------------------------------------------------------------------------------------------------------- activity


def recordings(folder: Path) -> None:
    """Five subjects, one recording each of 400 steps; every value tells its recording and step."""
    steps, n = 400, 5
    values = np.concatenate([100 * k + np.arange(steps) // 4 for k in range(n)])
    rows = [(10 + k, k, 1 + i % 7, 50 * i, 0) for k in range(n) for i in range(6)]
    np.savez(
        folder / "hapt.npz",
        values_int16=np.repeat(values[:, None], 6, axis=1).astype(np.int16),
        scale=np.full(6, 0.5, dtype=np.float32),
        lengths=np.full(n, steps, dtype=np.int32),
        experiment=np.arange(10, 10 + n, dtype=np.int8),
        windows128=np.array(rows, dtype=np.int32),
    )


def test_activity_windows_are_those_of_their_recording(tmp_path: Path) -> None:
    recordings(tmp_path)
    train, test = activity.load_activity(tmp_path, n_test_subjects=2)
    assert (len(train[0]), len(test[0])) == (3 * 6, 2 * 6)
    for X, y in (train, test):
        for window, label in zip(X, y, strict=True):
            assert window.shape == (128, 6)
            first = 50 * (label - 1)
            counts = 2 * window[:, 0]
            np.testing.assert_array_equal(counts % 100, (first + np.arange(128)) // 4)
            assert len(np.unique(counts // 100)) == 1


def test_no_subject_is_on_both_sides(tmp_path: Path) -> None:
    recordings(tmp_path)
    train, test = activity.load_activity(tmp_path, n_train=10, n_test=5, n_test_subjects=2)
    subjects = [{int(2 * window[0, 0] // 100) for window in X} for X, _ in (train, test)]
    assert not subjects[0] & subjects[1]
    assert (len(train[0]), len(test[0])) == (10, 5)


def test_a_split_without_training_subjects_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="leaves one side empty"):
        activity.held_out_subjects(np.array([1, 2, 2]), 2, rng)


# ----------------------------------------------------------------------------------------------------------------- plan


@pytest.mark.parametrize("part", design.PARTS)
def test_every_arm_has_its_plain_twin(part: str) -> None:
    arms = design.arms_of(part, 2, common={"max_updates": 9})
    places = {(a.configuration, a.job.problem, a.job.seed, a.job.coupling) for a in arms}
    assert len(places) == len(arms)
    assert all((name, problem, seed, None) in places for name, problem, seed, _ in places)
    assert all(a.job.settings["max_updates"] == 9 for a in arms)


@pytest.mark.parametrize("part", design.PARTS)
def test_an_interrupted_run_is_balanced(part: str) -> None:
    jobs = design.distinct_jobs(design.arms_of(part, 3, common={}))
    seeds = [job.seed for job in jobs]
    assert seeds == sorted(seeds)
    assert seeds.count(0) == seeds.count(1) == seeds.count(2)


def test_parts_share_their_fits_and_done_ones_are_skipped() -> None:
    arms = [a for part in ("coupling", "weak") for a in design.arms_of(part, 1, common={})]
    jobs = design.distinct_jobs(arms)
    # of the weak part, the fits from labels are the coupling part's
    assert len(jobs) == 3 * 4 * 5 + 6 * 2 * 5
    assert len({job.key for job in jobs}) == len(jobs)
    assert design.distinct_jobs(arms, [job.key for job in jobs[3:]]) == jobs[:3]


def test_settings_of_the_coupling_are_no_part_of_a_plain_fit() -> None:
    arms = design.arms_of("search", 1, common={}, problems=["Libras"])
    plain = {a.configuration: a.job.key for a in arms if a.job.coupling is None}
    coupled = {a.configuration: a.job.key for a in arms if a.job.coupling == "symmetric"}
    for name in ("gate bias 0", "embedding weight 0"):
        assert plain[name] == plain["default"]
        assert coupled[name] != coupled["default"]


def test_a_plan_can_be_restricted() -> None:
    arms = design.arms_of(
        "search", 1, common={}, problems=["shifted"], configurations=["default"], couplings=["symmetric"]
    )
    assert [(a.job.problem, a.job.coupling) for a in arms] == [("shifted", None), ("shifted", "symmetric")]


# ------------------------------------------------------------------------------------------------------------------ log


def test_log_survives_an_interruption_within_a_line(tmp_path: Path) -> None:
    path = tmp_path / "new" / "log.jsonl"
    assert jobs.read_log(path) == {}
    jobs.append_row(path, {"key": "a", "accuracy": 0.5})
    with path.open("a") as file:
        file.write('{"key": "b", "accur')
    jobs.append_row(path, {"key": "c", "accuracy": 0.75})
    assert jobs.read_log(path) == {"a": {"key": "a", "accuracy": 0.5}, "c": {"key": "c", "accuracy": 0.75}}


# ---------------------------------------------------------------------------------------------------------------- tests


def sign_flip_by_enumeration(differences: list[float]) -> float:
    signs = np.array(list(itertools.product([-1, 1], repeat=len(differences))))
    return float(np.mean(np.abs(signs @ differences) >= abs(sum(differences)) - 1e-12))


@pytest.mark.parametrize("n", [1, 2, 5, 11])
def test_sign_flip_is_the_count_over_all_patterns(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.3, 1, n).tolist()
    assert paired.sign_flip_p(differences) == pytest.approx(sign_flip_by_enumeration(differences))


def test_sign_flip_counts_ties_and_ignores_zeros() -> None:
    assert paired.sign_flip_p([0.1, 0.2, 0.3, 0.0, 0.0]) == pytest.approx(2 / 8)
    assert paired.sign_flip_p([0.1, 0.2, -0.3]) == 1.0
    assert paired.sign_flip_p([0.0, 0.0]) == paired.sign_flip_p([]) == 1.0


def test_sign_flip_of_many_differences_is_near_the_normal_law() -> None:
    values = np.random.default_rng(1).normal(0.2, 1, 120)
    expected = 2 * stats.norm.sf(abs(values.sum()) / np.sqrt((values**2).sum()))
    assert paired.sign_flip_p(values) == pytest.approx(expected, rel=0.1)


def test_paired_t_is_scipys_and_none_where_undefined() -> None:
    a, b = np.random.default_rng(3).normal(size=(2, 6))
    assert paired.paired_t_p(a - b) == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert paired.paired_t_p([0.1]) is None
    assert paired.paired_t_p([0.1, 0.1]) is None


def test_holm_steps_down_and_keeps_the_order() -> None:
    assert paired.holm([0.04, 0.01, 0.03, 0.9]) == pytest.approx([0.09, 0.04, 0.09, 0.9])
    assert paired.holm([0.6, 0.7]) == [1.0, 1.0]
    assert paired.holm([]) == []


# --------------------------------------------------------------------------------------------------------------- tables


def finished(accuracies: dict[tuple[str, str | None], list[float]]) -> tuple[list[Arm], dict[str, dict[str, Any]]]:
    arms, done = [], {}
    for (problem, coupling), values in accuracies.items():
        for seed, accuracy in enumerate(values):
            job = Job(problem, coupling, seed)
            arms.append(Arm("coupling", "nca", job))
            done[job.key] = {
                "key": job.key,
                "accuracy": accuracy,
                "embedding_accuracy": accuracy - 0.1,
                "fit_s": 2.0 + seed,
                "failure": None,
            }
    return arms, done


def test_tables_compare_seed_by_seed() -> None:
    arms, done = finished(
        {
            ("A", None): [0.5, 0.6, 0.7],
            ("A", "symmetric"): [0.6, 0.6, 0.9],
            ("B", None): [0.5],
            ("B", "symmetric"): [0.4, 0.8],
        }
    )
    rows = {(row["problem"], row["coupling"]): row for row in tables.by_problem(arms, done)}
    coupled = rows["A", "symmetric"]
    assert coupled["mean"] == pytest.approx(0.7)
    assert coupled["std"] == pytest.approx(np.std([0.6, 0.6, 0.9], ddof=1))
    assert coupled["embedding_mean"] == pytest.approx(0.6)
    assert coupled["difference"] == pytest.approx(0.1)
    assert coupled["fit_s"] == 3.0
    assert "difference" not in rows["A", None]
    # the seed that only one of both has finished is no difference
    assert rows["B", "symmetric"]["difference"] == pytest.approx(-0.1)
    (overall,) = tables.over_problems(arms, done)
    assert overall["problems"] == pytest.approx({"A": 0.1, "B": -0.1})
    assert (overall["blocks"], overall["better"], overall["worse"]) == (4, 2, 1)
    assert overall["difference"] == pytest.approx(0.0)
    assert overall["p"] == overall["p_holm"] == 1.0


def test_markdown_has_a_line_for_every_row() -> None:
    arms, done = finished({("A", None): [0.5, 0.6], ("A", "scalar"): [0.75, 0.75]})
    text = tables.markdown(
        tables.by_problem(arms, done), tables.by_setting(arms, done), tables.over_problems(arms, done)
    )
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| nca")]
    assert lines[0][:5] == ["nca", "A", "None", "2", "55.0 ± 7.1"]
    assert lines[1][3:7] == ["2", "75.0 ± 0.0", "65.0 ± 0.0", "+20.0"]
    assert lines[2] == ["nca", "scalar", "+20.0", "2 / 0 / 2", "0.500", "0.500", "+20.0"]
    assert lines[3:] == [["nca", "None", "55.0 ± 7.1", "2.5"], ["nca", "scalar", "75.0 ± 0.0", "2.5"]]


def test_seconds_of_a_setting_are_the_median_of_all_its_fits() -> None:
    arms, done = finished({("A", None): [0.5] * 5, ("B", None): [0.5]})
    (row,) = tables.by_setting(arms, done)  # 2 to 6 seconds on A, 2 on B
    assert row == {"part": "coupling", "configuration": "nca", "coupling": None, "fit_s": 3.5}


def test_nested_rows_come_back_rounded() -> None:
    arms, done = finished({("A", None): [0.5, 0.6], ("A", "scalar"): [0.75, 0.7512345678], ("B", "scalar"): [0.25]})
    rows = tables.by_problem(arms, done)
    tree = json.loads(json.dumps(tables.nested(rows, tables.PROBLEM_NAMES)))
    back = tables.unnested(tree, tables.PROBLEM_NAMES)
    assert [set(row) for row in back] == [set(row) for row in rows]
    assert back == [pytest.approx(row, abs=1e-6) for row in rows]
    assert back[1]["mean"] == 0.750617


# ---------------------------------------------------------------------------------------------------------------- a job

TINY = {"n_units": 3, "n_filters": 4, "max_epochs": 1, "min_batches": 1, "batch_size": 8}


@pytest.mark.parametrize("coupling", ["scalar", "diffusive"])
def test_gate_starts_where_it_is_told(coupling: str, ragged: tuple[list[np.ndarray], np.ndarray]) -> None:
    settings: dict[str, Any] = {**TINY, "coupling": coupling, "random_state": 0, "learning_rate": 1e-12}
    for callbacks, start in (([fitting.GateStart(1.5)], 1.5), (None, -2.0)):
        metric = SyncGRUMetric(**settings, callbacks=callbacks).fit(*ragged)
        for cell in metric.module_.cells:
            torch.testing.assert_close(cell.gate_bias, torch.full_like(cell.gate_bias, start))


def test_a_job_tells_both_accuracies_and_repeats(tmp_path: Path) -> None:
    job = Job("shifted", "symmetric", 1, TINY, constraints=4, gate_bias=0.0)
    first, second = (fitting.run_job(job, tmp_path) for _ in range(2))
    assert first["failure"] is None
    assert first["epochs"] == 1
    json.dumps(first)
    for column in ("accuracy", "embedding_accuracy"):
        assert 1 / 8 < first[column] <= 1
        assert first[column] == second[column]


def test_a_diverged_fit_is_a_result(tmp_path: Path) -> None:
    settings = {**TINY, "max_epochs": 3, "learning_rate": 1e30}
    row = fitting.run_job(Job("aligned", None, 0, settings), tmp_path)
    assert "NaN or infinite" in row["failure"]
    assert row["accuracy"] == row["embedding_accuracy"] == 0.0
