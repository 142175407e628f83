"""The README's examples run as they stand, and say what they print."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

README = Path(__file__).parents[1] / "README.md"


def blocks(section: str) -> list[str]:
    """Python code under a heading."""
    text = README.read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


@pytest.mark.slow
def test_network_with_a_memory(capsys: pytest.CaptureFixture[str]) -> None:
    namespace: dict[str, Any] = {}
    (code,) = blocks("A network with a memory")
    exec(code, namespace)
    printed = capsys.readouterr().out.splitlines()
    promised = [float(number) for number in re.findall(r"# (0\.\d+)$", code, re.MULTILINE)]
    scores = float(printed[0]), float(printed[-1])
    assert scores == pytest.approx(promised, abs=0.01)
    labels = namespace["labeller"].predict(namespace["X_new"][:1])[0]
    assert printed[1:-1] == [str(label) for label in labels]


@pytest.mark.slow
def test_images_beside_sequences(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = blocks("Images beside sequences")
    exec(code, {})
    promised = [float(number) for number in re.findall(r"# (\d\.\d+)$", code, re.MULTILINE)]
    assert [float(line) for line in capsys.readouterr().out.splitlines()] == pytest.approx(promised, abs=0.02)


@pytest.mark.slow
def test_echo_state_networks_and_a_look_into_recurrent_ones(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("umap")
    pytest.importorskip("matplotlib").use("agg")
    codes = blocks("Echo state networks, and a look into recurrent ones")
    namespace: dict[str, Any] = {}
    for code in codes:
        exec(code, namespace)
    promised = re.findall(r"\)  # (\S+)$", codes[0], re.MULTILINE)
    assert capsys.readouterr().out.split() == promised
    assert len(namespace["display"].difficult_examples(3)) == 3
