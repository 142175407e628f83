"""Docstrings are written to be read as text: bars, `mean_` and initials of authors in them are no markup of Sphinx."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

MARKED = re.compile(r"(``.+?``|`[^`]+`)")
INITIAL = re.compile(r"^(\s*(?:\.\. \[\d+\] )?)(?=[A-Z]\. )")
TRAILING = re.compile(r"(?<=\w)_(?![\w`])")


def escape(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Escape what Sphinx would read as markup in a docstring, but for equations, code and examples."""
    equation = None  # the indent of the directive, while inside of it
    example = False
    for i, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if line.strip() and equation is not None and indent <= equation:
            equation = None
        if line.lstrip().startswith(".. math::"):
            equation = indent
        example = bool(line.strip()) and (example or line.lstrip().startswith(">>>"))
        if equation is None and not example:
            lines[i] = escaped(line)


def escaped(line: str) -> str:
    """One line of prose."""
    parts = MARKED.split(line)  # what is marked has odd places
    parts[::2] = [TRAILING.sub(r"\\_", part).replace("|", r"\|") for part in parts[::2]]
    return INITIAL.sub(r"\1\\", "".join(parts))


def setup(app: Sphinx) -> dict[str, Any]:
    """Run before numpydoc reads the docstring."""
    app.connect("autodoc-process-docstring", escape, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
