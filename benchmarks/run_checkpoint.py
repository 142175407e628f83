"""What a checkpoint costs: the time of an epoch, that of a write beside it, and the size of the file.

python -m benchmarks.run_checkpoint [--threads N] [--quick]

Every estimator has its defaults and learns 200 sequences of 50 to 100 steps. "written" is what a write adds to an
epoch, with its two waits for the disk. Both times are medians.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import argument_parser
from benchmarks.threads import fixed_threads
from skseqmetric import CrossModalTripletEmbedder, NRNMClassifier, RecurrentClassifier, SyncGRUMetric
from skseqmetric._training.checkpoints import folder
from skseqmetric.datasets import make_shifted_sequences

ESTIMATORS = (SyncGRUMetric, NRNMClassifier, RecurrentClassifier, CrossModalTripletEmbedder)
EPOCHS = 5


def row(cls: Any, X: list[Any], y: Any, epochs: int) -> str:
    """The name, milliseconds of an epoch and of a write, their ratio, and the size of a file."""
    with tempfile.TemporaryDirectory() as place:
        writes: list[float] = []
        real = folder.write_file

        def timed(*arguments: Any) -> None:
            began = time.perf_counter()
            real(*arguments)
            writes.append(time.perf_counter() - began)

        folder.write_file = timed
        try:
            model = cls(max_epochs=epochs, random_state=0, checkpoint=place).fit(X, y)
        finally:
            folder.write_file = real
        size = sum(path.stat().st_size for path in Path(place).iterdir())
    epoch, write = (1e3 * statistics.median(values) for values in ([r["dur"] for r in model.history_], writes))
    return f"{cls.__name__:26} {epoch:10.1f} {write:12.1f} {write / epoch:8.1%} {size / 2**20:6.2f}"


def main() -> None:
    """Measure and print."""
    args = argument_parser(__doc__).parse_args()
    X, y = make_shifted_sequences(40 if args.quick else 200, n_classes=4, random_state=0)
    with fixed_threads(args.threads or 1):
        rows = [row(cls, X, y, 2 if args.quick else EPOCHS) for cls in ESTIMATORS]
    print(f"{'estimator':26} {'epoch, ms':>10} {'written, ms':>12} {'share':>8} {'MiB':>6}", *rows, sep="\n")


if __name__ == "__main__":
    main()
