"""Code of the README and of the pages in docs runs as it stands and prints what it promises; links lead somewhere."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import skseqmetric

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MADE = {"_build", "auto_examples", "api", "sg_execution_times.md"}
"""What a build of the site writes into docs."""
PAGES = [
    ROOT / "README.md",
    *sorted(page for page in DOCS.rglob("*.md") if not MADE & set(page.relative_to(DOCS).parts)),
]
LONG_PAGES = {"README.md", "docs/exporting.md", "docs/guide/clustering.md", "docs/your_data.md"}
TOLERANCES = {"README.md": 0.01, "docs/index.md": 0.01}
"""For promised figures that other processors move by training; elsewhere the text must be the same."""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


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


@pytest.fixture(autouse=True)
def _closed_figures() -> Iterator[None]:
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def run_page(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], list[tuple[int, str]]]:
    """Run the code of a page in a folder that has a user's recordings. Return its names, and what it printed."""
    code = code_of(page)
    if "inspection" in code:
        pytest.importorskip("matplotlib").use("agg")
    if "import UMAP" in code:
        pytest.importorskip("umap")
    if 'backend="hnsw"' in code:
        pytest.importorskip("faiss")
    if "import pyarrow" in code:
        pytest.importorskip("pyarrow")
    if "onnxruntime" in code:
        for package in ("onnx", "onnxruntime", "onnxscript"):
            pytest.importorskip(package)
    write_recordings(folder / "recordings")
    monkeypatch.chdir(folder)
    printed: list[tuple[int, str]] = []
    names = {"__name__": "__main__", "print": recorder(printed)}
    exec(compile(code, str(page), "exec"), names)
    return names, printed


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=name_of(page), marks=pytest.mark.slow if name_of(page) in LONG_PAGES else ())
        for page in PAGES_WITH_CODE
    ],
)
@pytest.mark.filterwarnings("ignore:Tensorflow not installed:ImportWarning")
@pytest.mark.filterwarnings("ignore:using precomputed metric:UserWarning")  # UMAP's
def test_code_prints_what_it_promises(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, printed = run_page(page, tmp_path, monkeypatch)
    lines = code_of(page).split("\n")
    promised = {i: line.split(")  # ")[1] for i, line in enumerate(lines, 1) if line.lstrip().startswith("print(")}
    assert sorted({i for i, _ in printed}) == list(promised)
    wrong = [(i, text) for i, text in printed if not is_kept(promised[i], text, TOLERANCES.get(name_of(page), 0))]
    assert not wrong


def write_recordings(folder: Path) -> None:
    """The files that the README reads as a user's own."""
    folder.mkdir()
    for name, n_steps in (("walk_1", 5), ("walk_2", 7), ("rest_1", 6)):
        np.savetxt(folder / f"{name}.txt", np.ones((n_steps, 3)))


# ------------------------------------------------------------------------------------------------ links and names


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"], ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)", page.read_text(encoding="utf-8"))
    for target, anchor in links:
        file = page.parent / target if target else page
        assert file.exists(), target
        assert not anchor or anchor in anchors_of(file), (target, anchor)


def anchors_of(page: Path) -> list[str]:
    """The anchors that Markdown gives the headings of a page, and of the file that it includes."""
    text = page.read_text(encoding="utf-8")
    included = re.search(r"^```\{include\} (\S+)", text, re.MULTILINE)
    inner = anchors_of(page.parent / included[1]) if included else []
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings] + inner


@cache
def public_object(name: str) -> Any:
    """What a dotted name of the package stands for."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("page", PAGES[1:], ids=name_of)
def test_names_of_the_reference_exist(page: Path) -> None:
    roles = re.findall(r"\{(class|func)\}`~?([\w.]+)`", page.read_text(encoding="utf-8"))
    assert not [name for kind, name in roles if isinstance(public_object(name), type) != (kind == "class")]


@pytest.mark.parametrize("page", PAGES[1:], ids=name_of)
def test_trees_of_contents_name_files(page: Path) -> None:
    for entry in entries_of(page):
        assert MADE & set(entry.split("/")) or (page.parent / f"{entry}.md").exists(), entry


def test_every_page_is_in_a_tree_of_contents() -> None:
    named = {(page.parent / f"{entry}.md").resolve() for page in PAGES[1:] for entry in entries_of(page)}
    assert [name_of(page) for page in PAGES[1:] if page.resolve() not in named] == ["docs/index.md"]


def entries_of(page: Path) -> list[str]:
    """The entries of the trees of contents of a page."""
    trees = re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line for tree in trees for line in tree.split("\n") if line and not line.startswith(":")]
    return [re.sub(r".*<(.*)>", r"\1", line) for line in lines]


def test_all_names_are_in_the_guide() -> None:
    text = (DOCS / "guide" / "index.md").read_text(encoding="utf-8")
    parts = [skseqmetric.datasets, skseqmetric.inspection]
    names = {*skseqmetric.__all__, *(name for part in parts for name in part.__all__)}
    hidden = {"Images", "Sequences", "Alignment"}  # what checks and methods return
    assert not sorted(name for name in names - hidden if not re.search(rf"\b{name}\b", text))
