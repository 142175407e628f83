#!/usr/bin/env python
"""Write the pins of constraints.txt, with the SHA-256 sums of the files that pip finds, to a requirements file.

`.venv/bin/python .ci/hash_pins.py` writes requirements-hashed.txt. Nothing is installed. Sums are of the files for this
platform and this version of Python, as the pins are.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HEAD = """\
# Made from constraints.txt by .ci/hash_pins.py: the same versions (Python 3.11, Linux x86_64), with the SHA-256 sum of
# each file. pip takes no sums from a constraints file beside an editable package, so that these are requirements:
#   python -m pip install --require-hashes --no-deps -r requirements-hashed.txt
#   python -m pip install --no-build-isolation --no-deps -e .
# torch has one file for each index: this is the sum of its build for the CPU.
"""


def pins(constraints: str) -> list[str]:
    """Return the lines of a constraints file that pin a version."""
    return [line for line in constraints.splitlines() if re.match(r"[\w.-]+==", line)]


def found_files(requirements: list[str]) -> dict[str, str]:
    """Ask pip which file it would install for each pin; return the sum of each by the name of its project."""
    with tempfile.TemporaryDirectory() as folder:
        listed, report = Path(folder, "pins.txt"), Path(folder, "report.json")
        listed.write_text("\n".join(requirements), encoding="utf-8")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps"]
        subprocess.run([*pip, "--report", str(report), "-r", str(listed)], check=True)
        installs = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {
        normal(item["metadata"]["name"]): item["download_info"]["archive_info"]["hashes"]["sha256"] for item in installs
    }


def normal(name: str) -> str:
    """Return the name of a project as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> None:
    """Write the file."""
    requirements = pins((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    sums = found_files(requirements)
    lines = [f"{pin} --hash=sha256:{sums[normal(pin.split('==')[0])]}" for pin in requirements]
    (ROOT / "requirements-hashed.txt").write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
