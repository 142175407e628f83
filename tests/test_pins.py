"""The pins with sums are the pins that were tested."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def lines_of(name: str) -> list[str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_every_pin_has_the_sum_of_its_file() -> None:
    """After a change of pins: `.venv/bin/python .ci/hash_pins.py`."""
    hashed = lines_of("requirements-hashed.txt")
    assert [line.split(" ")[0] for line in hashed] == lines_of("constraints.txt")
    assert [line for line in hashed if not re.fullmatch(r"\S+==\S+( --hash=sha256:[0-9a-f]{64})+", line)] == []
