"""What a stranger looks for beside the code: how to cite it, what is supported, forms that can be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import skseqmetric

ROOT = Path(__file__).parents[1]


def parsed(path: Path) -> Any:
    """A YAML file."""
    return pytest.importorskip("yaml").safe_load(path.read_text(encoding="utf-8"))


def test_citation_is_of_this_version_and_names_the_papers() -> None:
    citation = parsed(ROOT / "CITATION.cff")
    assert citation["version"] == skseqmetric.__version__
    assert [reference["authors"][0]["family-names"] for reference in citation["references"]] == [
        "Compagnon",
        "Fu",
        "Ott",
        "Variengien",
    ]


def test_papers_are_cited_as_in_the_docstrings() -> None:
    docs = [getattr(skseqmetric, name).__doc__ for name in skseqmetric.__all__]
    sources = " ".join(" ".join(docs).split()).lower()
    for reference in parsed(ROOT / "CITATION.cff")["references"]:
        names = ", ".join(f"{author['given-names']} {author['family-names']}" for author in reference["authors"])
        assert f'{names}, "{reference["title"]}"'.lower() in sources
        assert str(reference["year"]) in sources


def test_supported_versions_hold_this_one() -> None:
    table = (ROOT / "SECURITY.md").read_text(encoding="utf-8").split("## What")[0]
    minor = ".".join(skseqmetric.__version__.split(".")[:2])
    assert re.search(rf"\| {re.escape(minor)}\b.*\| yes \|", table)


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_forms_and_workflows_can_be_read(path: Path) -> None:
    content = parsed(path)
    assert content["name"]
    if path.parent.name == "workflows":
        assert all(job["steps"] and job["runs-on"] for job in content["jobs"].values())
    else:
        assert all(field["type"] in ("markdown", "textarea") for field in content["body"])


def test_no_address_is_invented() -> None:
    for name in ("pyproject.toml", "CITATION.cff", "SECURITY.md", "README.md"):
        found = re.findall(r"https?://[^\s)>\"]+", (ROOT / name).read_text(encoding="utf-8"))
        assert [address for address in found if "skseqmetric" in address] == []
