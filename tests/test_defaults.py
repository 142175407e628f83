"""The cross-validation that chooses defaults: no test split is read, and folds are whole."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import run_defaults
from benchmarks.jobs import Job
from skseqmetric.datasets import write_sequences

QUICK = (("max_epochs", 1), ("max_updates", 2), ("n_units", 4), ("n_filters", 4))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One problem. Its class 2 has two sequences, and no fold could hold one of them back from training twice."""
    rng = np.random.default_rng(0)
    y = np.array([0, 1] * 9 + [2, 2])
    X = [rng.normal(size=(rng.integers(5, 9), 2)) + label for label in y]
    write_sequences(tmp_path / "made.npz", {"train": (X, y), "test": (X[:2], y[:2])})
    return tmp_path


def test_a_class_that_three_folds_cannot_share_is_left_out(folder: Path) -> None:
    X, y = run_defaults.training_split(folder / "made.npz")
    assert len(X) == len(y) == 18
    assert set(y) == {0, 1}


def test_a_fold_is_one_fit_of_a_setting(folder: Path) -> None:
    found = [run_defaults.run_job(Job("defaults", "made", "pooled", fold, QUICK), folder) for fold in (0, 0, 1)]
    assert 0 <= found[0]["accuracy"] <= 1
    assert found[0]["accuracy"] == found[1]["accuracy"]


def test_few_of_each_class_are_trained_on_and_all_others_held_out() -> None:
    y = np.repeat([0, 1, 2], [9, 3, 20])
    train, held_out = run_defaults.few_of_each(y, 4, 0)
    assert np.bincount(y[train]).tolist() == [4, 2, 4]
    assert np.array_equal(np.sort(np.concatenate([train, held_out])), np.arange(32))
    assert not np.array_equal(train, run_defaults.few_of_each(y, 4, 1)[0])


def test_the_mean_is_over_problems_that_have_all_settings() -> None:
    rows = [{"task": "a", "arm": arm, "accuracy": share} for arm, share in (("pooled", 0.5), ("matched", 0.75))]
    rows += [{"task": "b", "arm": "pooled", "accuracy": 1.0}, {"task": "a", "arm": "pooled", "accuracy": 0.7}]
    lines = run_defaults.table(rows, ["pooled", "matched"])
    assert lines[2:] == ["| a | 60.0 | 75.0 |", "| **mean** | 60.0 | 75.0 |"]


@pytest.mark.slow
def test_one_command_writes_the_table(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run_defaults", "--data", str(folder), "--quick", "--settings", "pooled", "matched"]
    monkeypatch.setattr(sys, "argv", [*words, "--out", str(folder / "defaults.json")])
    run_defaults.main()
    assert "| made |" in capsys.readouterr().out
    assert (folder / "defaults.json").is_file()
