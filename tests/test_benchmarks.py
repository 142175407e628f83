"""The benchmarks run from end to end, their own checks of correctness included."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from skseqmetric.datasets import load_japanese_vowels, write_sequences

ROOT = Path(__file__).parents[1]


def run(name: str, *options: str) -> str:
    command = [sys.executable, "-m", f"benchmarks.{name}", "--quick", "--threads", "1", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run_fit", "run_import", "run_kneighbors"])
def test_benchmark_runs_and_writes_its_figures(name: str, tmp_path: Path) -> None:
    run(name, "--out", str(tmp_path / "result.json"))
    for result in json.loads((tmp_path / "result.json").read_text()):
        assert result["environment"]["versions"]["torch"]
        assert all(seconds > 0 for timing in result["timings"] for seconds in timing["seconds"])


@pytest.mark.slow
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


@pytest.mark.slow
def test_peers_are_checked_measured_and_drawn(tmp_path: Path) -> None:
    out, picture = tmp_path / "peers.json", tmp_path / "peers.png"
    run("run_peers", "--parts", "scans", "pairs", "neighbours", "scaling", "--out", str(out), "--plot", str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")
    found = json.loads(out.read_text())
    assert found["bars"]
    assert {"scans", "pairs", "neighbours", "scaling with references", "scaling with steps"} <= set(found["results"])


@pytest.mark.slow
def test_memory_benchmark_measures_fits_and_resumes(tmp_path: Path) -> None:
    out = tmp_path / "nrnm.json"
    first = run("run_nrnm", "--part", "cost", "memory", "--jobs", "1", "--out", str(out))
    assert "same code, no memory" in first
    found = json.loads(out.read_text())
    assert {row["arm"] for row in found["rows"]} == {"memory", "backbone"}
    assert len(found["cost"]) == 2
    log = (tmp_path / "nrnm.jsonl").read_text()
    run("run_nrnm", "--part", "memory", "--jobs", "1", "--out", str(out))
    assert (tmp_path / "nrnm.jsonl").read_text() == log
