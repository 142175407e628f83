"""Sentences of the README and of the pages in docs are short enough to be read once."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sentences", ROOT / "docs" / "_ext" / "sentences.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


counted = load()


@pytest.mark.parametrize("page", counted.pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_no_sentence_is_too_long(page: Path) -> None:
    assert counted.long_sentences(page) == []


def test_every_exception_is_needed() -> None:
    starts = [
        text for page in counted.pages() for n, text in counted.sentences(page.read_text()) if n > counted.LONGEST
    ]
    assert [e for e in counted.EXCEPTIONS if not any(text.startswith(e) for text in starts)] == []


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("One two three. Four five six seven.", [3, 4]),
        ("It took 2.5 s, as Fu et al. say. Then it ended.", [9, 3]),
        ("* first item here\n* second item is longer", [3, 4]),
        ("Read [the long title](page.md) of {class}`~a.Name` and `x = 1` here.", [9]),
        ("# A heading that does not count\n\n| a | table |\n\n```python\na = 1\n```\n\nSo it is.", [3]),
        ("With $a + b + c$ it holds:\n\n$$\nx = 1\n$$\n\n:::{card} title of it\n:link: there\nA b c.\n:::", [4, 3]),
        ("`partial_fit` goes on. `fit` starts again.", [3, 3]),
    ],
)
def test_what_counts_as_a_word(text: str, lengths: list[int]) -> None:
    assert [n for n, _ in counted.sentences(text)] == lengths


def test_a_long_sentence_is_found(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(" ".join(["word"] * 26) + ".\n\n" + " ".join(["word"] * 25) + ".")
    assert [n for n, _ in counted.long_sentences(tmp_path / "page.md")] == [26]


def test_the_readme_is_one_page() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
