"""The examples run, say and draw what they promise. The build of the documentation runs those of the gallery."""

from __future__ import annotations

import ast
import operator
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import skseqmetric

EXAMPLES = Path(__file__).parents[1] / "examples"
GALLERY = sorted(EXAMPLES.glob("plot_*.py"))
DRAWN = {"subplots", "figure", "from_estimator"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "pictures", "said"),
    [
        pytest.param(
            "cross_modal_retrieval.py", ["joint_map.png", "retrieval.png"], "recall@5", marks=pytest.mark.long
        ),
        ("unseen_classes.py --quick", ["alignment.png"], "matched states"),
        pytest.param("adapt_to_a_writer.py", ["adaptation.png"], "old writers", marks=pytest.mark.long),
        pytest.param(
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
            marks=pytest.mark.long,
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


def test_gallery_is_complete() -> None:
    assert len(GALLERY) >= 16
    header = (EXAMPLES / "GALLERY_HEADER.rst").read_text()
    assert re.search(r"^Gallery\n=======$", header, re.MULTILINE)


@pytest.mark.parametrize("file", GALLERY, ids=lambda file: file.stem)
def test_gallery_example_has_its_parts(file: Path) -> None:
    """Title, paragraph, links that lead somewhere, cells of prose, pictures, and repeatable numbers."""
    source = file.read_text()
    tree = ast.parse(source)
    title, underline, paragraph = (ast.get_docstring(tree) or "").split("\n", 2)
    assert title.strip()
    assert underline == "=" * len(title)
    assert "You learn" in paragraph
    links = re.findall(r":(?:class|func):`skseqmetric\.([\w.]+)`", source)
    assert re.search(r":(?:class|func):`skseqmetric\.", paragraph)
    for link in links:
        assert callable(operator.attrgetter(link)(skseqmetric)), link
    assert source.count("\n# %%\n") >= 3
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    called = {func.attr for func in calls if isinstance(func, ast.Attribute)}
    assert called & DRAWN
    assert "show" in called
    assert "filterwarnings" not in called
    assert "default_rng()" not in source
