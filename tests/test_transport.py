"""Modes of transport by recording: the folds, the answers of metrics and classifiers, the table."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import run_transport
from benchmarks.panel.fitting import Place, answers, warm_up_problem
from benchmarks.panel.problems import Problem
from benchmarks.transport import fitting, report
from benchmarks.transport.contenders import CONTENDERS, GATED
from benchmarks.transport.problem import FILE, FOLDS, load_fold
from skseqmetric import RandomConvolutionMetric, SequenceKNeighborsClassifier

ARGUMENTS = ["run_transport", "--data", "."]


@pytest.fixture
def uncosted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weighing memory collects all garbage of the process, which takes longer than what is weighed."""
    monkeypatch.setattr("benchmarks.panel.fitting.costed", lambda call, name: (call(), {}))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Slow and fast waves: 8 recordings of 6 windows, two recordings a fold."""
    rng = np.random.default_rng(0)
    recording = np.repeat(np.arange(8), 6)
    labels = np.where(np.arange(48) % 2, "train", "bus")
    steps = np.arange(40)[:, np.newaxis] * np.array([0.3, 0.5])
    windows = np.sin(steps * np.where(labels == "bus", 1, 2)[:, np.newaxis, np.newaxis] + rng.uniform(0, 6, (48, 1, 2)))
    windows = 50 + 9 * (windows + rng.normal(0, 0.3, windows.shape))
    np.savez(tmp_path / FILE, windows=windows, labels=labels, recording=recording, fold=recording // 2)
    return tmp_path


def test_a_fold_is_recordings_that_are_not_in_the_training(data: Path) -> None:
    problem = load_fold(data, "fold 1")
    (X, y), (X_test, y_test) = problem.train, problem.test
    assert (len(X), len(y), len(X_test), len(y_test)) == (36, 36, 12, 12)
    assert problem.groups is not None
    assert set(problem.groups) == set(range(8)) - {2, 3}
    np.testing.assert_allclose(np.concatenate(X).mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(np.concatenate(X).std(axis=0), 1)
    with np.load(data / FILE) as file:
        assert y_test.tolist() == (file["labels"][12:24] == "train").astype(int).tolist()


@pytest.mark.usefixtures("uncosted")
def test_recordings_reach_the_fits_that_take_them() -> None:
    seen = []

    class Takes:
        def fit(self, X: Any, y: Any, groups: Any = None) -> None:
            seen.append(groups)

        def predict(self, X: Any) -> list[int]:
            return [0] * len(X)

    class TakesNone(Takes):
        def fit(self, X: Any, y: Any) -> None:  # type: ignore[override]
            seen.append("none")

    plain = warm_up_problem(ragged=False, multivariate=True)
    problem = Problem("grouped", plain.train, plain.test, np.arange(6))
    for model in (Takes(), TakesNone()):
        answers(model, problem)
    answers(Takes(), plain)
    assert (seen[0].tolist(), *seen[1:]) == (list(range(6)), "none", None)


@pytest.mark.usefixtures("uncosted")
def test_a_metric_answers_by_the_nearest_window_and_by_class_means(data: Path) -> None:
    problem, place = load_fold(data, "fold 0"), Place((), 1, True)
    found = fitting.judged("RandomConvolutionMetric", problem, 0, place)
    (X, y), (X_test, y_test) = problem.train, problem.test
    nearest = SequenceKNeighborsClassifier(RandomConvolutionMetric(random_state=0), n_neighbors=1).fit(X, y)
    means = np.stack([nearest.metric_.transform(X)[y == k].mean(axis=0) for k in (0, 1)])
    distances = np.linalg.norm(nearest.metric_.transform(X_test)[:, np.newaxis] - means, axis=2)
    assert found["accuracy"] == nearest.score(X_test, y_test)
    assert found["class_means"] == np.mean(distances.argmin(axis=1) == y_test)
    assert "class_means" not in fitting.judged("DTW, 10 % band", problem, 0, place)


def test_gates_come_last_with_fewer_seeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [*ARGUMENTS, "--seeds", "3"])
    args = run_transport.parse()
    names = run_transport.chosen_contenders(args)
    assert "MiniROCKET" not in names
    jobs = run_transport.planned(names, args)
    assert {job.arm for job in jobs[-4 * len(GATED) :]} == {contender.name for contender in GATED}
    assert sum(job.arm == "DTW, 10 % band" for job in jobs) == 4
    assert sum(job.arm == "RandomConvolutionMetric" for job in jobs) == 12
    assert len(set(jobs)) == len(jobs)


def test_a_contender_of_aeon_needs_its_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [*ARGUMENTS, "--contenders", "MiniROCKET"])
    with pytest.raises(SystemExit):
        run_transport.parse()
    assert "--aeon-python" in capsys.readouterr().err


def test_the_table_has_means_over_folds_and_differences_to_warping() -> None:
    def row(arm: str, fold: str, seed: int = 0, **figures: float) -> dict[str, Any]:
        return {"arm": arm, "task": fold, "seed": seed, "fit_cpu_s": 2.0, "predict_cpu_s": 0.5, **figures}

    rows = [row("DTW, 10 % band", fold, accuracy=0.5) for fold in FOLDS]
    for seed in (0, 1):
        shares = {"accuracy": 0.6 + 0.1 * seed, "class_means": 0.75}
        rows += [row("RandomConvolutionMetric", fold, seed, **shares) for fold in FOLDS]
    rows += [row("forest", FOLDS[0], accuracy=0.9)]
    lines = report.table(rows)
    assert lines[0].startswith("| contender | answers by | fold 0 | fold 1 |")
    assert lines[2:] == [
        "| RandomConvolutionMetric | class means | 75.0 | 75.0 | 75.0 | 75.0 | 75.0 ± 0.0 | +25.0 | 2 | 2 | 0.5 |",
        "| RandomConvolutionMetric | 1-NN | 65.0 | 65.0 | 65.0 | 65.0 | 65.0 ± 7.1 | +15.0 | 2 | 2 | 0.5 |",
        "| DTW, 10 % band | 1-NN | 50.0 | 50.0 | 50.0 | 50.0 | 50.0 | +0.0 | 1 | 2 | 0.5 |",
        "| forest | itself | 90.0 |  |  |  |  |  | 1 | 2 | 0.5 |",
    ]
    assert report.legend(["DTW, 10 % band"]) == [f"* DTW, 10 % band: {CONTENDERS['DTW, 10 % band'].about}"]


@pytest.mark.slow
def test_one_command_measures_and_resumes(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = data / "transport.json"
    names = ["DTW, 10 % band", "RandomConvolutionMetric", "SyncGRUMetric, symmetric", "RandomConvolutionTransformer"]
    words = ["run_transport", "--data", str(data), "--quick", "--out", str(out)]
    monkeypatch.setattr(sys, "argv", [*words, "--contenders", *names])
    run_transport.main()
    found = json.loads(out.read_text())
    assert set(found["scores"]["transport"]["fold 0"]) == set(names)
    printed = capsys.readouterr().out
    log = out.with_suffix(".jsonl").read_text()
    monkeypatch.setattr(sys, "argv", [*words, "--report"])
    run_transport.main()
    assert out.with_suffix(".jsonl").read_text() == log
    assert printed.split("\n\n", 1)[1] in capsys.readouterr().out
