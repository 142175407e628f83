"""Classes never seen in training: parts, trials, figures, and that one command measures and resumes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from benchmarks import run_unseen
from benchmarks.unseen import report
from benchmarks.unseen.contenders import ALL, CONTENDERS, GATES
from benchmarks.unseen.design import QUICK, Collection, Parts, Sizes, mixed, parted
from benchmarks.unseen.problems import PROBLEMS, after_rest, find_problems, pen_steps
from benchmarks.unseen.raw import FeatureMetric, FunctionMetric, chamfer, euclid
from benchmarks.unseen.trials import (
    equal_error_rate,
    hit_rate,
    judged,
    one_shot_trials,
    verification_pairs,
)
from skseqmetric import RandomConvolutionTransformer

RNG = np.random.default_rng


def collection(n_classes: int = 8, n_sources: int = 4, noise: float = 0.0, seed: int = 0) -> Collection:
    """Constant sequences whose level is the class, one of every class by every source."""
    labels = np.repeat(np.arange(n_classes), n_sources)
    levels = labels + noise * RNG(seed).normal(size=len(labels))
    return Collection([np.full((9, 1), level) for level in levels], labels, np.tile(np.arange(n_sources), n_classes))


# --------------------------------------------------------------------------------------------------------------- parts


def test_no_class_is_in_two_parts() -> None:
    data, rng = collection(), RNG(0)
    parts = parted(data, [0, 1], [2, 3], Sizes(most_a_class=3), rng)
    assert [sorted(set(part.labels)) for part in (parts.train, parts.calibration, parts.test)] == [
        [4, 5, 6, 7],
        [2, 3],
        [0, 1],
    ]
    assert all(np.bincount(part.labels).max() == 3 for part in (parts.train, parts.calibration, parts.test))
    with pytest.raises(ValueError, match=r"classes \[3\] are in train and in test"):
        Parts(data.take(np.array([12])), data.take(np.array([0])), data.take(np.array([13])))


def test_any_run_of_mixed_classes_has_classes_of_every_group() -> None:
    order = mixed([["a", "b", "c"], [1, 2, 3, 4]], RNG(0))
    assert [isinstance(label, str) for label in order] == [True, False, True, False, True, False, False]
    assert sorted(map(str, order)) == ["1", "2", "3", "4", "a", "b", "c"]


# -------------------------------------------------------------------------------------------------------------- trials


def test_a_trial_has_one_reference_a_class_of_another_source_and_the_right_one_first() -> None:
    data = collection()
    trials = one_shot_trials(data, 5, 60, RNG(0))
    query, references = trials[:, 0, 0], trials[:, :, 1]
    assert_array_equal(trials[:, :, 0], np.tile(query[:, np.newaxis], 5))
    assert_array_equal(data.labels[references[:, 0]], data.labels[query])
    assert all(len(set(row)) == 5 for row in data.labels[references])
    assert (data.sources[references] != data.sources[query][:, np.newaxis]).all()
    assert set(data.labels[query]) == set(range(8))


def test_half_of_the_pairs_are_of_one_class_and_none_of_one_source() -> None:
    data = collection()
    pairs, same = verification_pairs(data, 100, RNG(0))
    assert_array_equal(same == 1, data.labels[pairs[:, 0]] == data.labels[pairs[:, 1]])
    assert same.sum() == 0
    assert (data.sources[pairs[:, 0]] != data.sources[pairs[:, 1]]).all()


def test_a_class_of_one_source_has_no_pairs() -> None:
    data = collection(n_sources=1)
    with pytest.raises(ValueError, match=r"class \d has no sequence of another source than 0"):
        verification_pairs(data, 2, RNG(0))


# ------------------------------------------------------------------------------------------------------------- figures


def test_a_hit_counts_in_part_where_others_are_as_near() -> None:
    assert hit_rate(np.array([[1.0, 2.0, 3.0], [2.0, 1.0, 3.0], [1.0, 1.0, 2.0], [0.0, 0.0, 0.0]])) == pytest.approx(
        (1 + 0 + 1 / 2 + 1 / 3) / 4
    )


@pytest.mark.parametrize(
    ("same", "other", "rate"),
    [
        ([1, 2], [3, 4], 0.0),
        ([3, 4], [1, 2], 1.0),
        ([1, 1], [1, 1], 0.5),
        ([1, 2, 3, 10], [4, 5, 6, 0], 0.25),
        ([1, 3], [2, 4, 5], 0.5 * 2 / 3),  # between thresholds
    ],
)
def test_equal_error_rate_of_known_pairs(same: list[float], other: list[float], rate: float) -> None:
    kinds = np.repeat([1, -1], [len(same), len(other)])
    assert equal_error_rate(np.array([*same, *other], dtype=float), kinds) == pytest.approx(rate)


def test_a_metric_is_judged_on_the_classes_of_the_test_with_a_threshold_of_others() -> None:
    # levels 1 apart in the classes of the test and 2 apart in those of the threshold: it lies at 1 and accepts all
    labels = np.repeat(np.arange(10), 4)
    levels = np.where(labels < 5, labels, 2.0 * labels)
    data = Collection([np.full((5, 1), level) for level in levels], labels, np.tile(np.arange(4), 10))
    parts = parted(data, range(5), range(5, 8), Sizes(), RNG(0))
    metric = FunctionMetric(euclid).fit(parts.train.X)
    found = judged(metric, parts, Sizes(trials=20, pairs=200), 0)
    assert metric.threshold_ == 1.0
    assert found["one_shot_5"] == found["auc"] == 1.0
    assert "one_shot_20" not in found
    assert found["eer"] == 0.0
    pairs, same = verification_pairs(parts.test, 2000, RNG(1))
    near = np.abs(np.subtract(*parts.test.labels[pairs].T)) <= 1
    assert found["accuracy"] == pytest.approx(np.mean(near == (same > 0)), abs=0.05)
    assert found["accuracy"] < 0.9


def test_chance_is_judged_as_chance() -> None:
    parts = parted(collection(30, noise=1e6), range(20), range(20, 25), Sizes(), RNG(0))
    found = judged(FunctionMetric(euclid).fit(parts.train.X), parts, Sizes(trials=150, pairs=400), 0)
    assert found["one_shot_20"] == pytest.approx(0.05, abs=0.04)
    assert found["one_shot_5"] == pytest.approx(0.2, abs=0.08)
    assert found["auc"] == pytest.approx(0.5, abs=0.1)
    assert found["eer"] == pytest.approx(0.5, abs=0.1)


def test_raw_distances_of_known_sequences() -> None:
    x, y = np.array([[0.0], [0.0], [3.0]]), np.array([[0.0], [3.0]])
    assert euclid(x, y) == pytest.approx(np.sqrt(9 / 2))
    assert chamfer(x, y) == 0.0
    assert chamfer(x, y + 1) == chamfer(y + 1, x) == pytest.approx(np.sqrt(1 + (1 + 1) / 2))


# ------------------------------------------------------------------------------------------------------------ problems


def test_a_character_has_equal_steps_in_a_box_of_one() -> None:
    xy = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 1.0], [4.0, 2.0]])
    x = pen_steps(xy, np.array([0.0, 0.0, 1.0, 1.0]), 7)
    assert np.ptp(x[:, 0]) == 1.0
    assert np.ptp(x[:, 1]) == pytest.approx(0.5)
    assert np.hypot(x[1:, 2], x[1:, 3]) == pytest.approx(1.5 / 6)
    assert_array_equal(x[0, 2:], 0)
    assert_array_equal(np.flatnonzero(x[:, 4]), [5])
    rested = after_rest(x, 3)
    assert_array_equal(rested[:3], 0)
    assert_array_equal(rested[3:], x)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Small files in the form of the real ones."""
    data, rng = tmp_path / "data", RNG(0)
    data.mkdir()
    labels = np.array([f"{a}/{k:02}" for a, n in (("Greek", 12), ("Latin", 12), ("Korean", 20)) for k in range(n)])
    characters = np.repeat(labels, 3)
    pens = [rng.normal(size=(rng.integers(6, 20), 2)).cumsum(axis=0) for _ in range(len(characters))]
    np.savez(
        data / "omniglot_pairs.npz",
        stroke_values=np.vstack([np.column_stack([x, 0 * x[:, 0], np.arange(len(x)) // 5]) for x in pens]),
        stroke_lengths=[len(x) for x in pens],
        character=characters,
        alphabet=np.array([name.split("/")[0] for name in characters]),
        drawer=np.tile(np.arange(3), len(labels)),
    )
    np.savez(
        data / "pendigits_strokes.npz",
        values=np.vstack([np.column_stack([x, np.arange(len(x)) // 5]) for x in pens[:40]]),
        lengths=[len(x) for x in pens[:40]],
        labels=np.tile(np.arange(10).astype(str), 4),
        writer=np.repeat(np.arange(4), 10),
    )
    experiments = np.arange(24)
    rows = [(e, e // 2, label, 20 * label, 0) for e in experiments for label in range(1, 13)]
    np.savez(
        data / "hapt.npz",
        values_int16=rng.integers(-99, 99, (24 * 400, 6)).astype(np.int16),
        scale=np.ones(6, dtype=np.float32),
        lengths=np.full(24, 400),
        experiment=experiments,
        windows128=np.array(rows),
    )
    return data


def test_problems_of_a_folder_are_apart_by_class(folder: Path) -> None:
    names, left_out = find_problems(folder)
    assert (len(names), left_out) == (5, {})
    (folder / "hapt.npz").rename(folder / "other.npz")
    assert set(find_problems(folder)[1]) == {"activities", "walkers"}
    (folder / "other.npz").rename(folder / "hapt.npz")
    assert find_problems(None)[0] == ["made"]
    for name in names:
        parts = PROBLEMS[name].make(folder, Sizes(), 1)
        assert len(set(parts.test.labels)) >= 5
        one_shot_trials(parts.test, 5, 3, RNG(0))
        verification_pairs(parts.calibration, 4, RNG(0))
        again = PROBLEMS[name].make(folder, Sizes(), 1)
        assert all(map(np.array_equal, parts.train.X, again.train.X))


def test_only_shifted_characters_begin_with_a_rest(folder: Path) -> None:
    aligned, shifted = (PROBLEMS[name].make(folder, Sizes(), 0) for name in ("Omniglot", "Omniglot, shifted"))
    assert {len(x) for x in aligned.test.X} == {32}
    assert {name.split("/")[0] for name in aligned.test.labels} == {"Greek", "Latin"}
    rests = [len(x) - 32 for x in shifted.test.X]
    assert min(rests) == 0
    assert max(rests) == 10
    assert all(not x[:rest].any() for x, rest in zip(shifted.test.X, rests, strict=True))


def test_walkers_are_compared_across_recordings(folder: Path) -> None:
    parts = PROBLEMS["walkers"].make(folder, Sizes(), 0)
    assert_array_equal(parts.test.sources // 2, parts.test.labels)


# ------------------------------------------------------------------------------------------------------------- command


@pytest.mark.parametrize("name", list(CONTENDERS))
def test_every_contender_can_be_judged(name: str) -> None:
    parts = parted(collection(12, noise=0.1), range(5), range(5, 8), QUICK, RNG(0))
    metric = CONTENDERS[name].build(0, 1).fit(parts.train.X, parts.train.labels)
    found = judged(metric, parts, Sizes(updates=1, trials=4, pairs=8), 0)
    assert set(found) == {"one_shot_5", "auc", "eer", "accuracy"}
    assert all(0 <= value <= 1 for value in found.values())


def test_features_are_compared_by_their_euclidean_distance() -> None:
    X = [RNG(k).normal(size=(12, 2)) for k in range(4)]
    metric = FeatureMetric(RandomConvolutionTransformer(100, random_state=0)).fit(X)
    features = RandomConvolutionTransformer(100, random_state=0).fit_transform(X)
    expected = np.linalg.norm(features[:, np.newaxis] - features, axis=2)
    np.testing.assert_allclose(metric.pairwise_distances(X), expected, rtol=1e-5, atol=1e-5)


def test_gates_come_last_with_fewer_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["run_unseen", "--seeds", "3", "--gate-seeds", "1", "--updates", "7"])
    jobs = run_unseen.planned(list(CONTENDERS), ["made"], run_unseen.parse())
    assert len(jobs) == 3 * (len(ALL) - len(GATES)) + len(GATES)
    assert {job.arm.split(", ")[-1] for job in jobs[-len(GATES) :]} == set(GATES)
    assert dict(jobs[0].settings)["updates"] == 7


def test_tables_are_made_from_the_summary() -> None:
    def rows(task: str, arm: str, **figures: float) -> list[dict[str, Any]]:
        of_fit = {"part": "unseen", "task": task, "arm": arm, "fit_s": 9.0, "ask_cpu_s": 1.0, **figures}
        return [{**of_fit, "seed": seed, "eer": 0.1 + 0.2 * seed, "fit_cpu_s": 1.0 + seed} for seed in (1, 0)]

    fits = rows("made", "DTW", one_shot_20=0.25, one_shot_5=0.5, auc=0.9) + rows("made", "Euclid", auc=0.75)
    scores = report.scores_of([*fits, *rows("activities", "DTW", one_shot_5=0.5, auc=0.80004)])
    assert scores["made"]["Euclid"] == [[], [], [75.0, 75.0], [10.0, 30.0], [], [1.0, 2.0], [1.0, 1.0]]
    about = {"classes": [3, 2, 5], "sequences": [30, 20, 50], "channels": 2, "steps": [32, 42]}
    sizes = {"updates": 300, "trials": 500, "pairs": 2000}
    document = {"columns": report.COLUMNS, "scores": scores, "problems": dict.fromkeys(scores, about), "sizes": sizes}
    lines = report.tables(document)
    assert "300 updates. A seed has 500 one-shot queries and 2000 pairs." in lines[2]
    assert lines[4] == "|  | activities, 5-way | activities, ROC-AUC | made, 20-way | made, ROC-AUC | mean AUC |"
    assert lines[6] == "| DTW | 50.0 ± 0.0 | 80.0 ± 0.0 | 25.0 ± 0.0 | 90.0 ± 0.0 | 85.0 |"
    assert lines[7] == "| Euclid |  |  |  | 75.0 ± 0.0 |  |"
    assert "| DTW | 25.0 ± 0.0 | 50.0 ± 0.0 | 90.0 ± 0.0 | 20.0 ± 14.1 | 2 | 1.5 | 1 |" in lines
    assert any(row.startswith("3 classes to train on, 2 for the threshold, 5 to test on") for row in lines)


@pytest.mark.slow
def test_one_command_measures_draws_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, picture = tmp_path / "unseen.json", tmp_path / "unseen.png"
    words = ["run_unseen", "--quick", "--threads", "1", "--out", str(out), "--plot", str(picture)]
    monkeypatch.setattr(sys, "argv", [*words, "--contenders", "DTW", "SyncGRUMetric, alignment"])
    run_unseen.main()
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(out.read_text())
    assert set(found["scores"]["made"]) == {"DTW", "SyncGRUMetric, alignment"}
    assert found["sizes"]["updates"] == QUICK.updates
    printed = capsys.readouterr().out
    assert "\n".join(report.tables(found)) in printed
    log = out.with_suffix(".jsonl").read_text()
    run_unseen.main()
    assert out.with_suffix(".jsonl").read_text() == log
    assert "min left" in printed
    monkeypatch.setattr(sys, "argv", [*words, "--report"])
    assert "min left" not in capsys.readouterr().out
