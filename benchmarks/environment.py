"""The circumstances of a measurement, written into every result."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
WRITTEN = ("benchmarks/results", "docs/images")
"""What benchmarks write: a change there changes nothing that is measured."""

PACKAGES = ("skseqmetric", "numpy", "scipy", "scikit-learn", "torch", "skorch", "tslearn", "numba")


def environment(device: str = "cpu", threads: int | None = None) -> dict[str, Any]:
    """Versions, commit, whether the tree differs from it, hardware, threads and date."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": checkout().name,
        "dirty": _dirty(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": _cpu_model(),
        "cores": available_cores(),
        "threads": threads or available_cores(),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else device,
    }


@dataclass(frozen=True)
class Checkout:
    """The state of the repository: its commit, and the files of code that differ from it; None outside a repository."""

    commit: str | None
    modified: tuple[str, ...] = ()

    @property
    def name(self) -> str | None:
        """The commit, with "+dirty" where files differ from it."""
        return None if self.commit is None else self.commit + ("+dirty" if self.modified else "")


@functools.cache
def checkout() -> Checkout:
    """As it was when this process first asked: what is measured was read then.

    Modified are tracked files and new modules. Results and pictures do not count: every benchmark changes some.
    """
    try:
        tracked = _git("status", "--porcelain", "--untracked-files=no", "--", ".", *map(":(exclude){}".format, WRITTEN))
        new = _git("ls-files", "--others", "--exclude-standard", "--", "skseqmetric", "benchmarks/*.py")
        return Checkout(_git("rev-parse", "HEAD").strip(), (*(line[3:] for line in tracked.splitlines()), *new.split()))
    except (OSError, subprocess.CalledProcessError):
        return Checkout(None)


def _dirty() -> bool | None:
    """Whether the tree differed from its commit at the start, or does now; None outside a repository."""
    if checkout().commit is None:
        return None
    return bool(checkout().modified or checkout.__wrapped__().modified)


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def version(package: str) -> str | None:
    """Of an installed package; None where it is not."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
