"""What the files of a checkout say: imports of private names, formatter exceptions, lines, bytes of results."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PARTS = {"package": "skseqmetric", "tests": "tests", "benchmarks": "benchmarks"}
RESULTS = "benchmarks/results"
FORMATTER_EXCEPTION = re.compile(r"# fmt: (?:skip|off)")


def sources(part: str) -> list[Path]:
    """The Python files of a part of the checkout."""
    return sorted((ROOT / PARTS[part]).glob("**/*.py"))


def private_imports() -> dict[str, list[str]]:
    """Test files that import private modules or names of the package, and which; parts of `_ops` count as one."""
    found = {}
    for path in sources("tests"):
        names = set(_private(path.read_text(encoding="utf-8")))
        if names:
            found[path.relative_to(ROOT).as_posix()] = sorted(names)
    return found


def _private(text: str) -> Iterator[str]:
    """First private name on the way to everything that `text` imports from the package."""
    for imported in _imported(ast.parse(text)):
        package, *names = imported.split(".")
        private = next((name for name in names if name.startswith("_") and not name.startswith("__")), None)
        if package == "skseqmetric" and private is not None:
            yield private


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def formatter_exceptions() -> dict[str, int]:
    """Files with lines that the formatter is told to leave alone, and how many."""
    counts = {
        path.relative_to(ROOT).as_posix(): len(FORMATTER_EXCEPTION.findall(path.read_text(encoding="utf-8")))
        for part in PARTS
        for path in sources(part)
    }
    return {name: count for name, count in counts.items() if count}


def lines() -> dict[str, int]:
    """Lines of Python of every part."""
    return {part: sum(len(p.read_text(encoding="utf-8").splitlines()) for p in sources(part)) for part in PARTS}


def result_bytes() -> dict[str, int]:
    """Bytes of every file of results that git tracks, the largest first; of every JSON file outside a repository."""
    command = ["git", "-C", str(ROOT), "ls-files", RESULTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    tracked = [ROOT / name for name in done.stdout.splitlines()] or list((ROOT / RESULTS).glob("*.json"))
    sizes = {path.name: path.stat().st_size for path in tracked if path.exists()}
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))
