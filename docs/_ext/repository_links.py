"""Links to files of the repository that are no pages: they lead to the page that holds the file, or become its path.

So one text reads well in the repository and on the site: CONTRIBUTING.md, whose links start at the root, is included
by a page of docs, and pages of docs link to ../benchmarks/README.md.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CITATION.cff": "citing.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks/README.md": "measurements.md",
}
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^]]*)\]\((?!\w+:|#|/)(?P<path>[^)#\s]+)(?P<anchor>#[^)]*)?\)")


def rewrite(text: str, folder: Path, docs: Path) -> str:
    """The text of a file in `folder`, with links for a page of `docs`."""

    def link(found: re.Match[str]) -> str:
        file = Path(os.path.normpath(folder / found["path"]))
        if not file.exists():
            return found[0]  # the build says that it is broken
        inside = file.relative_to(docs).as_posix() if file.is_relative_to(docs) else None
        if found["image"]:
            return f"![{found['text']}](/{inside or Path(os.path.relpath(file, docs)).as_posix()})"
        path = file.relative_to(docs.parent).as_posix()
        page = inside or PAGES.get(path)
        if page is None or not (docs / page).exists():
            return f"{found['text']} (`{path}`)" if path not in found["text"] else f"`{path}`"
        anchor = "" if path == "README.md" else found["anchor"] or ""  # its headings are spread over many pages
        return f"[{found['text']}](/{page}{anchor})"

    return LINK.sub(link, text)


def read_page(app: Sphinx, docname: str, source: list[str]) -> None:
    """Rewrite a page."""
    file = Path(app.env.doc2path(docname))
    if file.suffix == ".md":
        source[0] = rewrite(source[0], file.parent, Path(app.srcdir))


def read_included(app: Sphinx, path: Path, parent: str, source: list[str]) -> None:
    """Rewrite a file that a page includes."""
    if path.suffix == ".md":
        source[0] = rewrite(source[0], Path(os.path.normpath(app.srcdir / path)).parent, Path(app.srcdir))


def setup(app: Sphinx) -> dict[str, Any]:
    """Run on every page and on what pages include."""
    app.connect("source-read", read_page)
    app.connect("include-read", read_included)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
