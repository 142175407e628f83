"""Code of the README and of the pages in docs runs as it stands and prints what it promises; links lead somewhere."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LONG_PAGES = {"README.md", "cross_modal.md", "echo_state.md", "metrics.md", "nrnm.md"}  # with many or default fits
TOLERANCES = {"README.md": 0.01, "nrnm.md": 0.01, "cross_modal.md": 0.02}
"""For promised figures that other processors move by training; elsewhere the text must be the same."""


def code_of(page: Path) -> str:
    """The Python blocks of a page, each at its own lines."""
    text = page.read_text(encoding="utf-8")
    blocks = re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    kept = {i for b in blocks for i in range(text.count("\n", 0, b.start(1)), text.count("\n", 0, b.end(1)))}
    return "\n".join(line if i in kept else "" for i, line in enumerate(text.split("\n")))


PAGES_WITH_CODE = [page for page in PAGES if code_of(page).strip()]


def recorder(printed: list[tuple[int, str]]) -> Callable[..., None]:
    """A `print` that notes in which line it was called."""
    return lambda *values: printed.append((sys._getframe(1).f_lineno, " ".join(map(str, values))))


def is_kept(promise: str, text: str, tolerance: float) -> bool:
    if promise == text or tolerance == 0:
        return promise == text
    return float(text) == pytest.approx(float(promise), abs=tolerance)


@pytest.mark.parametrize(
    "page",
    [pytest.param(p, id=p.name, marks=pytest.mark.slow if p.name in LONG_PAGES else ()) for p in PAGES_WITH_CODE],
)
def test_code_prints_what_it_promises(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = code_of(page)
    if "inspection" in code:
        pytest.importorskip("umap")
        pytest.importorskip("matplotlib").use("agg")
    write_recordings(tmp_path / "recordings")
    monkeypatch.chdir(tmp_path)
    printed: list[tuple[int, str]] = []
    exec(compile(code, str(page), "exec"), {"__name__": "__main__", "print": recorder(printed)})
    lines = code.split("\n")
    promised = {i: line.split(")  # ")[1] for i, line in enumerate(lines, 1) if line.lstrip().startswith("print(")}
    assert [i for i, _ in printed] == list(promised)
    wrong = [(i, text) for i, text in printed if not is_kept(promised[i], text, TOLERANCES.get(page.name, 0))]
    assert not wrong


def write_recordings(folder: Path) -> None:
    """The files that the README reads as a user's own."""
    folder.mkdir()
    for name, n_steps in (("walk_1", 5), ("walk_2", 7), ("rest_1", 6)):
        np.savetxt(folder / f"{name}.txt", np.ones((n_steps, 3)))


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8"))
    for target, anchor in links:
        file = page.parent / target if target else page
        assert file.exists(), target
        assert not anchor or anchor in anchors_of(file), (target, anchor)


def anchors_of(page: Path) -> list[str]:
    """The anchors that Markdown gives the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


def test_index_names_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    assert not [page.name for page in PAGES[1:] if page.name != "index.md" and f"({page.name})" not in index]
