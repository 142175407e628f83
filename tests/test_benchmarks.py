"""The benchmarks run from end to end, their own checks of correctness included."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import run_nrnm
from benchmarks.ablation import tables as ablation_tables
from benchmarks.cross_modal import report as cross_modal_report
from benchmarks.cross_modal.report import with_epochs
from benchmarks.cross_modal.tasks import equal_steps, rank_in_group, words
from benchmarks.echo_state import report as echo_state_report
from benchmarks.nrnm.text import chunk_f1, chunks_of
from benchmarks.subsequence.problems import Place, Recording
from benchmarks.subsequence.scores import Match, average_precision, is_right
from benchmarks.summaries import rows_of, scores_of
from skseqmetric.datasets import load_japanese_vowels, write_sequences

ROOT = Path(__file__).parents[1]


def run(name: str, *options: str) -> str:
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--threads", "1", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
@pytest.mark.parametrize("name", ["run_fit", "run_import", "run_kneighbors"])
def test_benchmark_runs_and_writes_its_figures(name: str, tmp_path: Path) -> None:
    run(name, "--out", str(tmp_path / "result.json"))
    for result in json.loads((tmp_path / "result.json").read_text()):
        assert result["environment"]["versions"]["torch"]
        assert all(seconds > 0 for timing in result["timings"] for seconds in timing["seconds"])


@pytest.mark.long
def test_scans_are_measured_by_both_clocks(tmp_path: Path) -> None:
    run("run_recurrence", "--out", str(tmp_path / "result.json"))
    rows = json.loads((tmp_path / "result.json").read_text())["rows"]
    assert [row["what"].split(",")[0] for row in rows] == [
        "lstm",
        "rnn",
        "echo state classifier",
        "echo state classifier",
        "recurrent classifier",
    ]
    assert all(clock > 0 for row in rows for of in row["ms"].values() for clock in of.values())


@pytest.mark.long
def test_models_for_a_gpu_run_on_the_cpu_too(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    assert "every answer right" in run("run_gpu", "--device", "cpu", "--out", str(out))
    found = json.loads(out.read_text())
    timed = [part for part in found.values() if isinstance(part, list) and part and "seconds" in part[0]]
    assert len(timed) == 6
    assert found["tests for CUDA"]["status"] == 0


@pytest.mark.long
def test_accuracy_benchmark_reads_a_folder_of_problems(tmp_path: Path) -> None:
    (tmp_path / "uea").mkdir()
    splits = {}
    for split in ("train", "test"):
        X, y = load_japanese_vowels(split=split, return_X_y=True)
        chosen = np.flatnonzero(y < 2)
        splits[split] = ([X[i] for i in chosen], y[chosen])
    write_sequences(tmp_path / "uea" / "JapaneseVowels.npz", splits)
    run("run_accuracy", "--data", str(tmp_path), "--problems", "JapaneseVowels", "--out", str(tmp_path / "a.json"))
    (row,) = json.loads((tmp_path / "a.json").read_text())["rows"]
    assert row["mean"] > 0.9


@pytest.mark.long
def test_echo_state_networks_are_measured_beside_their_peers(tmp_path: Path) -> None:
    out, arms = tmp_path / "echo_state.json", ("ESN, final", "keyword memory")
    parts = ["--part", "language", "throughput", "map"]
    run("run_echo_state", *parts, "--tasks", "4 objects", "--arms", *arms, "--out", str(out))
    found = json.loads(out.read_text())
    (final,), (memory,) = (found["scores"]["language"]["4 objects"][arm]["exact"] for arm in arms)
    assert final < 0.1 < memory
    assert 0.5 < found["map"]["trustworthiness"] <= 1
    assert {timing["name"] for timing in found["throughput"][0]["timings"]} == {"EchoStateRegressor", "reservoirpy"}


@pytest.mark.long
def test_peers_are_checked_measured_and_drawn(tmp_path: Path) -> None:
    out, picture = tmp_path / "peers.json", tmp_path / "peers.png"
    parts = ["scans", "pairs", "neighbours", "convolutions", "scaling"]
    run("run_peers", "--parts", *parts, "--out", str(out), "--plot", str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(out.read_text())
    assert found["bars"]
    assert {"scans", "pairs", "neighbours", "convolutions", "scaling with references", "scaling with steps"} <= set(
        found["results"]
    )


@pytest.mark.long
def test_memory_benchmark_measures_fits_and_resumes(tmp_path: Path) -> None:
    out = tmp_path / "nrnm.json"
    first = run("run_nrnm", "--part", "cost", "memory", "--jobs", "1", "--out", str(out))
    assert "same code, no memory" in first
    found = json.loads(out.read_text())
    assert set(found["scores"]["memory"]["long memory"]) == {"memory", "backbone"}
    assert len(found["cost"]) == 2
    log = (tmp_path / "nrnm.jsonl").read_text()
    run("run_nrnm", "--part", "memory", "--jobs", "1", "--out", str(out))
    assert (tmp_path / "nrnm.jsonl").read_text() == log


@pytest.fixture
def folder_of_drawings(tmp_path: Path) -> Path:
    """Small files in the form of the real ones: scribbles in five characters and ten digits."""
    folder, rng = tmp_path / "data", np.random.default_rng(0)
    folder.mkdir()

    def scribbles(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        lengths = rng.integers(6, 20, size=n)
        xy = rng.normal(size=(lengths.sum(), 2)).cumsum(axis=0).astype(np.float32)
        strokes = np.concatenate([np.arange(t) // 5 for t in lengths]).astype(np.float32)
        return lengths, xy, strokes[:, None]

    characters, drawers = np.repeat(["a/1", "a/2", "a/3", "b/1", "b/2"], 20), np.tile(np.arange(1, 21), 5)
    lengths, xy, strokes = scribbles(len(characters))
    np.savez(
        folder / "omniglot_pairs.npz",
        stroke_values=np.hstack([xy, 0 * strokes, strokes]),
        stroke_lengths=lengths,
        images_28=rng.integers(0, 255, (len(characters), 28, 28), dtype=np.uint8),
        character=characters,
        drawer=drawers,
    )
    digits, writers = np.tile(np.repeat(np.arange(10).astype(str), 6), 30), np.repeat(np.arange(1, 31), 60)
    lengths, xy, strokes = scribbles(len(digits))
    np.savez(
        folder / "pendigits_strokes.npz",
        values=np.hstack([xy, strokes]),
        lengths=lengths,
        labels=digits,
        writer=writers,
    )
    np.savez(
        folder / "usps_digits.npz",
        images=rng.integers(0, 255, (20, 16, 16), dtype=np.uint8),
        labels=np.tile(np.arange(10, dtype=np.uint8), 2),
    )
    return folder


@pytest.mark.long
def test_cross_modal_benchmark_measures_fits_and_resumes(folder_of_drawings: Path, tmp_path: Path) -> None:
    out = tmp_path / "cross_modal.json"
    parts = ["synthetic", "omniglot", "digits", "adaptation"]
    tasks = ["noise 0.9, 20 a class", "136 characters", "all", "from 3 writers"]
    options = ["--data", str(folder_of_drawings), "--jobs", "1", "--out", str(out), "--tasks", *tasks]
    first = run("run_cross_modal", *options, "--part", *parts, "cost")
    assert "epochs to 90 %" in first
    found = json.loads(out.read_text())
    scores = found["scores"]
    assert set(scores) == set(parts)
    assert len(scores["synthetic"][tasks[0]]) == 17
    assert set(scores["omniglot"][tasks[1]]) == {"series", "images"}
    assert set(scores["omniglot"][tasks[1]]["images"]) >= {"recall@1", "recall@5"}
    assert len(found["bars"]) == 4
    log = (tmp_path / "cross_modal.jsonl").read_text()
    run("run_cross_modal", *options, "--part", *parts)
    assert (tmp_path / "cross_modal.jsonl").read_text() == log


def test_words_of_unseen_writers_are_the_same_for_any_number_of_training_writers(folder_of_drawings: Path) -> None:
    few, many = (words(folder_of_drawings, n, seed=0, n_words=30, n_test=10) for n in (5, 22))
    assert few.test[1] == many.test[1]
    assert [len(few.train[0]), few.train[0][0].shape[1], len(few.images)] == [30, 4, 30]
    assert {len(word) for word in few.train[1]} <= {3, 4, 5, 6}
    assert len(np.unique(few.test_people)) <= 8


def test_pen_is_resampled_in_equal_steps_stroke_by_stroke() -> None:
    corner, dot = np.array([[0.0, 0.0], [0.0, 0.1], [0.0, 1.0], [2.0, 1.0]]), np.array([[5.0, 5.0]])
    points, starts = equal_steps(np.concatenate([corner, dot]), np.array([0, 0, 0, 0, 1]), 0.5)
    way = [[0, 0], [0, 0.5], [0, 1], [0.5, 1], [1, 1], [1.5, 1], [2, 1], [5, 5]]
    np.testing.assert_allclose(points, way, atol=1e-12)
    np.testing.assert_array_equal(starts, [1, 0, 0, 0, 0, 0, 0, 1])


def test_epochs_are_counted_against_the_plateau_of_the_series_alone() -> None:
    def row(arm: str, *curve: float) -> dict[str, Any]:
        return {"task": "t", "arm": arm, "seed": 0, "curve": curve}

    rows = [row("series", 0.1, 0.5, 0.7, 0.8, 0.9), row("fast", 0.1, 0.75, 0.1, 0.1, 0.1), row("never", 0, 0, 0, 0, 0)]
    needed = {row["arm"]: (row["epochs"], row["reached"]) for row in with_epochs(rows)}
    assert needed == {"series": (4, True), "fast": (2, True), "never": (5, False)}
    assert all("curve" not in row for row in with_epochs(rows))
    assert all("epochs" not in row for row in with_epochs(rows[1:]))


# ------------------------------------------------------------------------------------------------------------ summaries


def summary(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))


def test_scores_give_the_rows_back_less_what_identifies_a_fit() -> None:
    def row(arm: str, seed: int, **scores: float) -> dict[str, Any]:
        return {"part": "p", "task": "t", "arm": arm, "seed": seed, **scores}

    rows = [row("a", 0, accuracy=1 / 3), row("a", 1, accuracy=0.5, extra=2.0), row("b", 0, fit_s=12.3456)]
    scores = scores_of({**r, "key": "k", "settings": [["n_units", 3]], "commit": "c"} for r in rows)
    assert scores["p"]["t"]["a"] == {"seed": [0, 1], "accuracy": [1 / 3, 0.5], "extra": [None, 2.0]}
    assert rows_of(json.loads(json.dumps(scores))) == [*rows[:2], row("b", 0, fit_s=12.35)]


@pytest.mark.parametrize(("name", "documented"), [("cross_modal", 49), ("echo_state", 8), ("nrnm", 16)])
def test_summary_gives_the_tables_of_the_documentation(name: str, documented: int) -> None:
    found = summary(name)
    tables = {
        "cross_modal": cross_modal_report.tables,
        "echo_state": echo_state_report.tables,
        "nrnm": lambda rows: run_nrnm.table(rows, found["dtw"]),
    }
    rows = {row for row in tables[name](rows_of(found["scores"])) if "±" in row or " / " in row}
    pages = (ROOT / "benchmarks" / "README.md", ROOT / "docs" / "measurements.md")
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    assert sum(row.removesuffix(" |") in text for row in rows) == documented  # pages may leave rows out


@pytest.mark.parametrize("part", ["coupling", "weak"])
def test_summary_gives_the_table_of_the_documentation(part: str) -> None:
    found = summary(f"ablation_{part}")
    problems = ablation_tables.unnested(found["problems"], ablation_tables.PROBLEM_NAMES)
    seconds = ablation_tables.unnested(found["seconds"], ablation_tables.SETTING_NAMES)
    lines = ablation_tables.setting_table(problems, seconds)
    assert set(lines) <= set((ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8").splitlines())


def test_average_precision_counts_a_place_once() -> None:
    values = np.zeros((100, 1), dtype=np.float32)
    places = [Place(1, 10, 20), Place(1, 50, 70), Place(1, 80, 90), Place(2, 30, 40)]
    recordings = [Recording(values, np.zeros(100, dtype=np.int64), places, 0)]
    ranked = [(10, 20), (11, 21), (30, 40), (55, 64), (84, 96)]  # right, again, of another kind, centre inside, by IoU
    matches = [Match(float(rank), 0, *place) for rank, place in enumerate(ranked)]
    assert average_precision(matches, recordings, 1) == pytest.approx((1 / 1 + 2 / 4 + 3 / 5) / 3)
    assert average_precision(matches[::-1], recordings, 2) == pytest.approx(1 / 3)
    assert average_precision([Match(0.0, 1, 10, 20)], recordings, 1) == 0
    assert not is_right(Match(0.0, 0, 16, 40), places[0])


@pytest.mark.long
def test_searches_for_subsequences_are_measured_beside_their_peers(tmp_path: Path) -> None:
    pytest.importorskip("stumpy")
    pytest.importorskip("dtaidistance")
    run("run_subsequence", "--out", str(tmp_path / "found.json"))
    rows = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert len(rows) == 3
    assert all(0 < row["precision"] <= 1 for row in rows)


def test_rank_in_group_counts_those_before() -> None:
    np.testing.assert_array_equal(rank_in_group(np.array(["b", "a", "b", "b", "a"])), [0, 0, 1, 2, 1])


def test_chunks_are_whole() -> None:
    sentence = ["B-NP", "I-NP", "B-NP", "I-VP", "O", "I-PP", "B-NP"]
    # I-X after another type, or after O, begins a chunk too
    assert chunks_of([sentence]) == {
        (0, 0, 2, "NP"),
        (0, 2, 3, "NP"),
        (0, 3, 4, "VP"),
        (0, 5, 6, "PP"),
        (0, 6, 7, "NP"),
    }
    assert chunks_of([["O"], ["B-NP"]]) == {(1, 0, 1, "NP")}
    # of two chunks and three that are found, one has the right end and type
    assert chunk_f1([["B-NP", "I-NP", "B-VP"]], [["B-NP", "B-NP", "B-VP"]]) == 2 * 1 / (2 + 3)
    assert chunk_f1([["B-NP"]], [["B-VP"]]) == 0
    assert chunk_f1([sentence], [sentence]) == 1
