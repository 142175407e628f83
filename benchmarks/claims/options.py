"""The command line of a claim."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.harness import argument_parser


def claim_arguments(doc: str | None, out: Path, tasks: Sequence[str]) -> argparse.Namespace:
    """The options of a claim that has tasks, of which some are real ones, and two stages."""
    parser = argument_parser(doc)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.set_defaults(out=out)
    parser.add_argument("--stage", nargs="+", choices=["development", "test"], default=["development", "test"])
    parser.add_argument("--tasks", nargs="+", choices=list(tasks), default=list(tasks))
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    args = parser.parse_args()
    if args.data is None:
        sys.exit("--data DIR is needed: some of the tasks are real ones")
    return args
