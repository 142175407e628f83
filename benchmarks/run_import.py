"""What `import skseqmetric` costs against `import torch, sklearn`, each in a fresh interpreter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.harness import argument_parser, measure, report

STATEMENTS = {
    "python": "pass",
    "torch, sklearn": "import torch, sklearn",
    "skseqmetric": "import skseqmetric",
}


def importer(statement: str) -> Callable[[], int]:
    """A call that runs `statement` in a new process and returns the number of modules it loaded."""
    code = f"{statement}; import sys; print(len(sys.modules))"
    return lambda: int(subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True).stdout)


def check(counts: dict[str, int]) -> dict[str, dict[str, Any]]:
    """Every import worked, and the package loads more than what it is compared with."""
    if not counts["python"] < counts["torch, sklearn"] < counts["skseqmetric"]:
        raise AssertionError(f"unexpected numbers of loaded modules: {counts}")
    return {name: {"modules": count} for name, count in counts.items()}


def main() -> None:
    """Measure, print the table and the ratio."""
    args = argument_parser(__doc__).parse_args()
    result = measure(
        "seconds to import, in a fresh interpreter",
        {name: importer(statement) for name, statement in STATEMENTS.items()},
        check=check,
        repeats=3 if args.quick else 15,
        threads=args.threads,
        memory=False,
    )
    report([result], args.out)
    print(f"\nimport skseqmetric / import torch, sklearn: {result.ratio('skseqmetric', 'torch, sklearn'):.2f}")


if __name__ == "__main__":
    main()
