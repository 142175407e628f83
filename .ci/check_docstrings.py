"""Whether the docstrings of all public names are complete: the checks of numpydoc that pyproject.toml lists."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from numpydoc.validate import validate

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_ext")]

from public_names import own_members, public_objects  # noqa: E402


def public() -> list[str]:
    """Full names of classes, functions and methods; what has another's docstring, by reference to it, is left out."""
    objects = {name: member for name, member in public_objects().items() if "former name" not in (member.__doc__ or "")}
    methods = [
        f"{name}.{member}"
        for name, members in own_members().items()
        for member, kind in members.items()
        if kind == "method" and name in objects
    ]
    return [*(name for name, member in objects.items() if not hasattr(member, "_score_func")), *methods]


def faults(checks: set[str]) -> list[str]:
    """One line for each check that a docstring fails, by the line where the docstring begins."""
    found = {}
    for name in public():
        result = validate(name)
        for code, message in result["errors"]:
            if code in checks:
                place = f"{result['file'] or ''}:{result['file_line'] or ''}"
                found.setdefault((place, code, message), f"{place}: {code} {name}: {message}")
    return list(found.values())


def chosen_checks() -> set[str]:
    """The codes that pyproject.toml lists."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return set(settings["tool"]["numpydoc_validation"]["checks"])


def main() -> None:
    """Print the faults, and exit with 1 if there are any."""
    found = faults(chosen_checks())
    print(*found, f"{len(public())} docstrings, {len(found)} faults", sep="\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
