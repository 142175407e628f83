"""The panel: which problems it finds, what it says of them, and that one command makes the table."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import run_panel
from benchmarks.panel import contenders, report, statistics
from benchmarks.panel.cost import costed
from benchmarks.panel.padding import common_length, padded
from benchmarks.panel.problems import find_problems, read_problem
from benchmarks.panel.summary_features import summarised
from benchmarks.panel.warping import BandByLeaveOneOut
from benchmarks.problems import CHOSEN_ON, GROUPS, PROBLEMS, group_of, is_chosen_on
from skseqmetric import DTWMetric
from skseqmetric.datasets import make_shifted_sequences, write_sequences

ROOT = Path(__file__).parents[1]


def made(n: int = 12, seed: int = 0) -> tuple[Any, np.ndarray]:
    X, y = make_shifted_sequences(n, n_classes=2, random_state=seed)
    return X, np.where(y == 0, "walk", "run")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two problems in folders of their own, and files that are none."""
    data = tmp_path / "data"
    for name in ("a/first", "b/c/second", "b/gaps", "b/train_only", "b/steps"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(("a/first", "b/c/second")):
        write_sequences(data / f"{name}.npz", {"train": made(seed=seed), "test": made(20, seed=seed + 2)})
    X, y = made()
    gaps = [np.full_like(x, np.nan) for x in X]
    write_sequences(data / "b" / "gaps.npz", {"train": (X, y), "test": (gaps, y)})
    write_sequences(data / "b" / "train_only.npz", {"train": (X, y)})
    steps = [np.zeros(len(x), dtype=int) for x in X]
    write_sequences(data / "b" / "steps.npz", {"train": (X, steps), "test": (X, steps)})
    np.savez(data / "other.npz", numbers=np.arange(3))
    return data


# ------------------------------------------------------------------------------------------------------------ problems


def test_problems_are_found_in_every_folder_and_others_left_out_with_a_word(folder: Path) -> None:
    files, left_out = find_problems(folder)
    assert list(files) == ["first", "second"]
    assert left_out["gaps"] == "split test has missing values"
    assert left_out["train_only"] == "no split test"
    assert left_out["steps"] == "split train has no label for every sequence"
    assert left_out["other"].startswith("not in the form of read_sequences")
    assert not any(str(folder) in why for why in left_out.values())
    assert list(find_problems(folder, ["second"])[0]) == ["second"]
    with pytest.raises(ValueError, match=r"has no problem \['third'\]"):
        find_problems(folder, ["third"])


def test_two_files_of_one_name_are_called_by_their_folders(folder: Path) -> None:
    (folder / "b" / "first.npz").write_bytes((folder / "a" / "first.npz").read_bytes())
    assert {"a/first", "b/first", "second"} == set(find_problems(folder)[0])


def test_labels_become_codes_that_both_splits_share(folder: Path) -> None:
    problem = read_problem("first", folder / "a" / "first.npz")
    expected = [made(seed=0)[1], made(20, seed=2)[1]]
    for (_, codes), labels in zip((problem.train, problem.test), expected, strict=True):
        np.testing.assert_array_equal(np.array(["run", "walk"])[codes], labels)
    described = problem.described()
    assert (described["train"], described["test"], described["classes"]) == (12, 20, 2)


def test_every_problem_is_in_one_group_and_stars_mark_what_was_chosen_there() -> None:
    assert {group_of(name) for name in PROBLEMS} == {"tuned on"}
    assert group_of("ucr/GunPoint") == "tuned on"
    assert group_of("Trace") == "seen"
    assert group_of("MyOwn") == "not tuned on"
    assert list(GROUPS) == ["tuned on", "seen", "not tuned on"]
    assert set(CHOSEN_ON) <= set(contenders.CONTENDERS)
    assert is_chosen_on("RandomConvolutionMetric", "Trace")
    assert not is_chosen_on("SyncGRUMetric", "Trace")
    assert not is_chosen_on("MiniROCKET", "GunPoint")


# ---------------------------------------------------------------------------------------------------------- contenders


def test_a_contender_that_does_not_exist_is_an_error_only_when_it_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contenders.importlib, "import_module", lambda name: SimpleNamespace())
    with pytest.raises(ImportError, match="has no RandomConvolutionMetric"):
        contenders.CONTENDERS["RandomConvolutionMetric"].build(0, 1, True)


def test_summary_features_are_what_they_say() -> None:
    x = np.array([[0.0, 1.0], [2.0, 1.0], [7.0, 1.0]])
    (row,) = summarised([x])
    mean, deviation, least, largest, median, slope = (row[i] for i in (0, 2, 4, 6, 12, 18))
    np.testing.assert_allclose((mean, deviation, least, largest, median, slope), (3, np.std([0, 2, 7]), 0, 7, 2, 3.5))
    np.testing.assert_allclose(row[20], 3.5)  # mean difference of the first channel
    assert (len(row), row[-1]) == (2 * 2 * 10 + 1, 3)
    assert np.isfinite(summarised([x[:1]])).all()


def test_sequences_are_padded_with_zeros_to_the_longest_of_training() -> None:
    X = [np.ones((10, 2)), np.ones((12, 2))]
    assert common_length(X) == 12
    assert common_length([np.ones((4, 1))]) == 9
    out = padded([np.ones((5, 2)), np.full((20, 2), 3.0)], 12)
    assert out.shape == (2, 2, 12)
    np.testing.assert_array_equal(out.sum(axis=2), [[5, 5], [36, 36]])


def test_the_band_is_the_narrowest_that_leave_one_out_likes_best() -> None:
    X, y = make_shifted_sequences(24, n_classes=3, random_state=0)
    model = BandByLeaveOneOut().fit(X, y)
    longest = max(map(len, X))
    errors = {}
    for radius in range(longest + 1):
        distances = DTWMetric(window=radius).fit(X).pairwise_distances(X)
        np.fill_diagonal(distances, np.inf)
        errors[radius] = np.sum(y[distances.argmin(1)] != y)
    tried = sorted({int(share * longest) for share in (*np.arange(21) / 100, 0.25, 0.3, 0.4, 0.5, 0.75, 1)})
    assert model.radius_ == min(tried, key=lambda radius: (errors[radius], radius))
    assert model.predict(X[:3]).tolist() == y[:3].tolist()


def test_cost_is_of_the_processor_the_clock_and_the_highest_point_of_memory() -> None:
    def busy() -> float:
        held = np.ones(64 * 2**17)  # 64 MiB
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass
        return held[0]

    answer, cost = costed(busy, "fit")
    assert answer == 1.0
    assert 0.05 <= cost["fit_cpu_s"] < 2
    assert cost["fit_s"] >= 0.05
    assert 60 < cost.get("fit_mib", 64) < 80
    _, waited = costed(lambda: time.sleep(0.05), "predict")
    assert waited["predict_s"] >= 0.05 > waited["predict_cpu_s"]


# ---------------------------------------------------------------------------------------------------------- statistics


def test_ranks_and_outcomes_count_ties() -> None:
    accuracies = np.array([[0.9, 0.8, 0.8], [0.5, 0.7, 0.6]])
    np.testing.assert_allclose(statistics.mean_ranks(accuracies), [2.0, 1.75, 2.25])
    assert statistics.outcomes(accuracies, 1, 2) == (1, 1, 0)
    assert statistics.outcomes(accuracies, 0, 1) == (1, 0, 1)


def test_holm_adjusts_by_the_number_of_pairs_left() -> None:
    rng = np.random.default_rng(0)
    base = rng.uniform(size=12)
    accuracies = np.column_stack([base + 0.3 + rng.uniform(0, 0.01, 12), base, base + rng.normal(0, 0.02, 12)])
    raw = sorted(statistics._signed_rank_p(accuracies[:, i] - accuracies[:, j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    expected = np.maximum.accumulate([3 * raw[0], 2 * raw[1], raw[2]])
    p = statistics.wilcoxon_holm(accuracies)
    np.testing.assert_allclose(sorted(p[np.triu_indices(3, 1)]), np.minimum(expected, 1))
    np.testing.assert_array_equal(p, p.T)
    assert raw[0] == pytest.approx(2 / 2**12)
    assert statistics.friedman_p(accuracies) < 0.01
    assert statistics.friedman_p(np.ones((5, 3))) == 1


def test_cliques_are_the_largest_runs_without_a_difference() -> None:
    p = np.ones((4, 4))
    p[0, 2] = p[2, 0] = p[0, 3] = p[3, 0] = 0.01
    assert statistics.cliques([1.0, 2.0, 3.0, 4.0], p) == [[0, 1], [1, 2, 3]]
    assert statistics.cliques([4.0, 3.0, 2.0, 1.0], p) == [[3, 2, 1], [1, 0]]
    assert statistics.cliques([1.0, 2.0], np.zeros((2, 2))) == []


def row(task: str, arm: str, seed: int, accuracy: float) -> dict[str, Any]:
    costs = {"fit_cpu_s": 2.0, "predict_cpu_s": 1.0, "fit_mib": 10.0, "predict_mib": 20.0}
    return {"part": "panel", "task": task, "arm": arm, "seed": seed, "accuracy": accuracy, **costs}


def test_tables_are_apart_for_what_was_tuned_on_and_compare_complete_problems_only() -> None:
    rows = [row("GunPoint", "SyncGRUMetric", seed, accuracy) for seed, accuracy in enumerate((0.9, 1.0))]
    rows += [row("GunPoint", "forest", 0, 0.8), row("Mine", "SyncGRUMetric", 0, 0.5), row("Mine", "forest", 0, 0.7)]
    rows += [row("Other", "forest", 0, 0.1)]
    scores = report.scores_by_problem(rows)
    assert scores.problems == ("GunPoint", "Mine", "Other")
    text = "\n".join(report.tables(scores))
    tuned, own = text.index("### Problems tuned on"), text.index("### Problems not tuned on")
    assert tuned < text.index("| GunPoint | 0.800 | 0.950* | 1.000 | 1.000 |") < own
    assert own < text.index("| Mine | 0.700 | 0.500 |  |  |") < text.index("| Other | 0.100 |  |  |  |")
    everything = text[text.index("### All problems") :]
    assert "Over the 2 problem(s) that every contender was fitted on" in everything
    assert "| SyncGRUMetric | 0.7250 | 1.50 | 1 | 4 | 2 | 2 | 20 |" in everything
    assert "1 / 0 / 1 (1)" in everything
    assert "| HC2, published | 1.0000 |" in everything


def test_published_figures_are_of_known_problems() -> None:
    published = report.read_published()
    assert published["ArrowHead"] == {"ROCKET": 0.8229, "HC2": 0.8686}
    assert "JapaneseVowels" not in published
    assert all(0 < value <= 1 for figures in published.values() for value in figures.values())


# -------------------------------------------------------------------------------------------------------- the command


def test_cheap_contenders_come_first_and_fixed_ones_once() -> None:
    args = SimpleNamespace(seeds=2, threads=1, quick=False)
    names = ("SyncGRUMetric", "DTW", "forest")
    jobs = run_panel.planned([contenders.CONTENDERS[name] for name in names], ["a", "b"], args)
    order = [(job.arm, job.task, job.seed) for job in jobs]
    assert order[:4] == [("DTW", "a", 0), ("DTW", "b", 0), ("forest", "a", 0), ("forest", "b", 0)]
    assert order[4:6] == [("forest", "a", 1), ("forest", "b", 1)]
    assert [arm for arm, *_ in order[6:]] == ["SyncGRUMetric"] * 4


def command(*options: str) -> str:
    words = [sys.executable, "-m", "benchmarks.run_panel", "--quick", "--threads", "1", *options]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_one_command_fits_sums_up_draws_and_goes_on_where_it_was(folder: Path, tmp_path: Path) -> None:
    out, picture = tmp_path / "panel.json", tmp_path / "panel.png"
    common = ("--data", str(folder), "--out", str(out))
    names = ("forest", "EchoStateClassifier", "SyncGRUMetric")
    text = command(*common, "--contenders", *names, "--plot", str(picture))
    assert "left out: gaps: split test has missing values" in text
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(out.read_text())
    assert set(found["scores"]["panel"]) == {"first", "second"}
    (accuracy,) = found["scores"]["panel"]["first"]["forest"]["accuracy"]
    assert 0.5 < accuracy <= 1
    assert set(found["contenders"]) == set(names)
    assert found["environment"]["threads"] == 1
    assert "dirty" in found["environment"]
    log = (tmp_path / "panel.jsonl").read_text()
    assert len(log.splitlines()) == 6
    command(*common, "--contenders", *names)
    assert (tmp_path / "panel.jsonl").read_text() == log
    assert "| forest |" in command(*common, "--report")


def test_contenders_of_aeon_need_its_python(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setattr(sys, "argv", ["run_panel", "--data", str(folder), "--contenders", "MiniROCKET"])
    with pytest.raises(SystemExit):
        run_panel.parse()
    assert "--aeon-python" in capsys.readouterr().err
