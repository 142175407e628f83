"""Whether the built site is whole: python check_site.py FOLDER. Every link and image of its own leads somewhere.

Nothing that a page needs may lie elsewhere: scripts, styles and images come with the site, so that it opens from a
folder without a network. Links for the reader to other sites are counted, and not followed.
"""

from __future__ import annotations

import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LINKS = {"a": "href", "area": "href", "form": "action"}
PARTS = {
    "audio": "src",
    "iframe": "src",
    "img": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "video": "src",
}
NO_FILES = ("data", "mailto", "javascript")


class Page(HTMLParser):
    """What a page names: its identifiers, its links, and the files that it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.parts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect."""
        values = {key: value for key, value in attrs if value}
        self.ids |= {values[key] for key in ("id", "name") if key in values}
        self.links += [values[LINKS[tag]]] if values.get(LINKS.get(tag, "")) else []
        if values.get(PARTS.get(tag, "")) and values.get("rel") not in ("canonical", "search"):
            self.parts.append(values[PARTS[tag]])


def pages_of(site: Path) -> list[Path]:
    """The pages of a site, without what the theme brings along as templates."""
    return [file for file in sorted(site.rglob("*.html")) if "_static" not in file.relative_to(site).parts]


@cache
def page_at(file: Path) -> Page:
    """The page in a file."""
    return Page(file.read_text(encoding="utf-8"))


def faults(site: Path) -> list[str]:
    """One line for everything that leads nowhere, or elsewhere where it must not."""
    return [
        f"{file.relative_to(site)}: {fault}"
        for file in pages_of(site)
        for targets, loaded in ((page_at(file).links, False), (page_at(file).parts, True))
        for fault in (fault_of(target, file, site, loaded) for target in targets)
        if fault
    ]


def fault_of(target: str, file: Path, site: Path, loaded: bool) -> str:
    """What is wrong with a target that `file` names; "" if nothing."""
    parts = urlsplit(target)
    if parts.scheme in NO_FILES:
        return ""
    if parts.scheme or parts.netloc:
        return f"{target} is loaded from elsewhere" if loaded else ""
    found = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if not found.is_relative_to(site) or not found.is_file():
        return f"{target} leads to no file"
    anchor = unquote(parts.fragment)
    if anchor and found.suffix == ".html" and anchor not in page_at(found).ids:
        return f"{target} leads to no place in {found.name}"
    return ""


def main() -> None:
    """Print the faults of a folder, and exit with 1 if there are any."""
    site = Path(sys.argv[1]).resolve()
    pages = pages_of(site)
    if not pages:
        sys.exit(f"{site} has no pages")
    found = faults(site)
    for fault in found:
        print(fault)
    links = sum(len(page_at(page).links) + len(page_at(page).parts) for page in pages)
    print(f"{len(pages)} pages, {links} links and files, {len(found)} lead nowhere")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
