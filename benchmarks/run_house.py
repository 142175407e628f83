"""How the package is built, in figures, and the bars that they are held to.

python -m benchmarks.run_house [--out FILE.json]

classes : own classes in the MRO of every public estimator; concrete methods overridden; bases with a single child, and
          bases that can be instantiated.
calls   : files and functions that a fit enters, and how often control changes file.
copies  : how often X is converted between the caller's list and the first kernel, and the memory held there.
texts   : test files that import private names, formatter exceptions, lines of code, bytes of results in git.
"""

from __future__ import annotations

from typing import Any

from benchmarks.environment import environment
from benchmarks.harness import argument_parser, write_json
from benchmarks.house.classes import depths, only_children, overridden, unenforced
from benchmarks.house.passage import copies, copying_calls, passage, traced_calls
from benchmarks.house.texts import formatter_exceptions, lines, private_imports, result_bytes
from benchmarks.peers.bars import Bar
from benchmarks.threads import fixed_threads

DEPTH = 4
CHANGES_OF_FILE = {
    "SyncGRUMetric.fit": 162,
    "NRNMClassifier.fit, a label a step": 326,
    "CrossModalTranscriber.fit": 800,
}
"""Half of what they were when this was first counted (62, 231, 218), and what the way of a fit pays since for being a
transaction, for results that are checked and rounded alike in any batch, for kernels of the stem and of matched states,
for the choice of instance channels, for bars that show how far long work is, for the questions whether sequences are
tokens and whether their shape is suspicious, for large input that is read block by block where it lies, for fits
that processes share, and, in a transcriber, for a second loss, a second shared layer, and the compiled scans of its
LSTM, where torch's own layer was one call."""

CONVERSIONS = 1
PRIVATE_TESTS = 27
MAY_BE_TESTED = {"_ops"}
"""Private parts of the package that tests may import: equations have a reference of their own."""

FORMATTER_EXCEPTIONS = 9
RESULT_BYTES = 309_999


def figures(*, quick: bool = False) -> dict[str, Any]:
    """All of them, by the names above."""
    calls, n_bytes = copying_calls(400) if quick else copying_calls()
    return {
        "classes": {
            "own classes in the MRO": depths(),
            "overridden": overridden(),
            "only children": only_children(),
            "not abstract": unenforced(),
        },
        "calls": {name: passage(call).counts() for name, call in traced_calls().items()},
        "copies": {name: copies(call, n_bytes).counts() for name, call in calls.items()},
        "texts": {
            "private imports of tests": private_imports(),
            "formatter exceptions": formatter_exceptions(),
            "lines": lines(),
            "bytes of results": result_bytes(),
        },
    }


def bars(found: dict[str, Any]) -> list[Bar]:
    """What the figures are held to."""
    classes, calls, texts = found["classes"], found["calls"], found["texts"]
    private = texts["private imports of tests"]
    counts = {
        "own classes in an MRO": (max(classes["own classes in the MRO"].values()), DEPTH),
        "concrete methods overridden": (len(classes["overridden"]), 0),
        "bases with one child": (len(classes["only children"]), 0),
        "bases that are not abstract": (len(classes["not abstract"]), 0),
        **{f"{name}, changes of file": (calls[name]["changes of file"], n) for name, n in CHANGES_OF_FILE.items()},
        **{f"{name}, conversions of X": (c["conversions"], CONVERSIONS) for name, c in found["copies"].items()},
        "test files with private imports": (len(private), PRIVATE_TESTS),
        "test files that import more than _ops": (sum(not set(n) <= MAY_BE_TESTED for n in private.values()), 0),
        "formatter exceptions": (sum(texts["formatter exceptions"].values()), FORMATTER_EXCEPTIONS),
        "bytes of results": (sum(texts["bytes of results"].values()), RESULT_BYTES),
    }
    return [Bar(name, measured, bound, at_most=True) for name, (measured, bound) in counts.items()]


def main() -> None:
    """Count, print, write."""
    args = argument_parser(__doc__).parse_args()
    threads = args.threads or 1
    with fixed_threads(threads):
        found = figures(quick=args.quick)
    reached = bars(found)
    for part, values in found.items():
        print(f"\n{part}")
        for name, value in values.items():
            print(f"  {name}: {value}")
    print("\n" + "\n".join(map(str, reached)))
    if args.out is not None:
        write_json(
            args.out, {"environment": environment(threads=threads), **found, "bars": [bar.row() for bar in reached]}
        )


if __name__ == "__main__":
    main()
