"""The examples that need nothing but the package run, and say and draw what they promise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "pictures", "said"),
    [
        ("cross_modal_retrieval.py", ["joint_map.png", "retrieval.png"], "recall@5"),
        ("unseen_classes.py --quick", ["alignment.png"], "matched states"),
        pytest.param("adapt_to_a_writer.py", ["adaptation.png"], "old writers", marks=pytest.mark.long),
        (
            "state_maps.py --quick",
            [
                "learning.gif",
                "learning.html",
                "lstm_places.png",
                "lstm_trajectories.png",
                "reservoir_errors.png",
                "reservoirs_before_training.png",
                "units_of_the_cup.png",
            ],
            "Hardest sentences",
        ),
    ],
)
def test_example_runs(command: str, pictures: list[str], said: str, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    name, *options = command.split()
    run = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name), *options, "--out", str(tmp_path / "new")],
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert said in run.stdout
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == pictures
