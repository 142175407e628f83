"""Count the words of every sentence in Markdown pages, and name the sentences that are too long.

Run: python docs/_ext/sentences.py [FILES]; by default the README, CONTRIBUTING and all pages of docs.
"""

# ruff: noqa: T201  (a script prints)

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
LONGEST = 25
EXCEPTIONS: tuple[str, ...] = ()
"""Beginnings of sentences that may be longer, such as titles of papers that are quoted in full."""

MADE = {"_build", "auto_examples", "api"}

# what is no prose: blocks of code, formulas, comments, tables, headings, pictures, directives and their options
_BLOCKS = r"^```.*?^```|^\$\$.*?^\$\$|<!--.*?-->"
_LINES = r"^(?:\||#|!\[|:::|:[\w-]+:).*$"
_END = r"(?<=[.!?])(?<!\bal\.)(?<!\be\.g\.)(?<!\bi\.e\.)\s+|(?<=[:;])\s+(?=[A-Z0-9(\"])"


def pages() -> list[Path]:
    """Return the README, CONTRIBUTING and all pages of docs that are not made by a build."""
    written = (page for page in sorted((ROOT / "docs").rglob("*.md")) if not MADE & set(page.parts))
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *written]


def sentences(text: str) -> Iterator[tuple[int, str]]:
    """Yield the number of words of every sentence, and the sentence. Code and formulas count as one word each."""
    text = re.sub(_BLOCKS, " ", text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(_LINES, "\n", text, flags=re.MULTILINE)
    text = re.sub(r"\{\w+\}`([^`<]*?)\s*(?:<[^`]*>)?`", lambda role: f" {role[1]} ".replace(".", "-"), text)
    text = re.sub(r"`[^`]*`", "code", text)
    text = re.sub(r"\$[^$]*\$", "formula", text)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    for paragraph in re.split(r"\n\s*\n|\n\s*[-*] |\n\s*\d+\. ", text):
        for sentence in re.split(_END, " ".join(paragraph.split())):
            words = re.findall(r"[\w'’%.-]*\w", sentence)
            if len(words) > 2:
                yield len(words), sentence


def long_sentences(page: Path) -> list[tuple[int, str]]:
    """Return the sentences of a page with more than `LONGEST` words, without the exceptions."""
    found = sentences(page.read_text(encoding="utf-8"))
    return [(n, text) for n, text in found if n > LONGEST and not text.startswith(EXCEPTIONS or ("\0",))]


def main() -> None:
    """Print the median, the ninth decile and every sentence that is too long."""
    chosen = [Path(name) for name in sys.argv[1:]] or pages()
    lengths = sorted(n for page in chosen for n, _ in sentences(page.read_text(encoding="utf-8")))
    if lengths:
        decile = lengths[len(lengths) * 9 // 10]
        print(f"{len(lengths)} sentences, median {median(lengths):.0f} words, ninth decile {decile}")
    for page in chosen:
        for n, text in long_sentences(page):
            print(f"{n:3d} {page.name}: {text}")


if __name__ == "__main__":
    main()
