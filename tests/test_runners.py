"""The command lines of the benchmarks: each can say what it does."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "benchmarks"
RUNNERS = [f"benchmarks.{path.stem}" for path in sorted(ROOT.glob("run_*.py"))]
CLAIMS = [
    f"benchmarks.claims.{path.stem}" for path in sorted((ROOT / "claims").glob("*.py")) if path.stem != "__init__"
]


@pytest.mark.parametrize("name", RUNNERS + CLAIMS)
def test_help_can_be_rendered(name, monkeypatch, capsys):
    module = importlib.import_module(name)
    if not hasattr(module, "main"):
        pytest.skip("no command of its own")
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as left:
        module.main()
    assert left.value.code == 0
    assert "usage:" in capsys.readouterr().out
