"""Fits in forked children that are killed at random moments, again and again, until they are through.

`python -m tests.kill_fits FAMILY MOMENTS` kills MOMENTS children and prints JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback

from skseqmetric import CrossModalTripletEmbedder, NRNMClassifier, RecurrentRegressor, SyncGRUMetric
from tests.every_estimator import IMAGES, LABELS, NUMBERS, X

SMALL: dict[str, Any] = {"max_epochs": 12, "min_batches": 2, "batch_size": 8, "random_state": 0, "n_units": 4}
IMAGES_OF_X = np.repeat(IMAGES, 2, axis=2)

EPOCHS = 4
"""Epochs in which a child is killed, as long as they take without a checkpoint."""

Fit = Callable[..., Any]


class Told(Callback):
    """Writes the number of every epoch that begins and ends into a file, without a buffer."""

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self._tell("begin", len(net.history))

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        self._tell("end", len(net.history))

    def _tell(self, what: str, epoch: int) -> None:
        with open(os.environ["TOLD"], "a") as file:
            file.write(f"{what} {epoch}\n")


def metric(**settings: Any) -> Any:
    return SyncGRUMetric(**SMALL, n_filters=4, **settings).fit(X, LABELS)


def classifier(**settings: Any) -> Any:
    patience: dict[str, Any] = {"early_stopping": True, "validation_fraction": 0.25, "n_iter_no_change": 20}
    return NRNMClassifier(**SMALL, n_filters=4, **patience, **settings).fit(X, LABELS)


def regressor(**settings: Any) -> Any:
    return RecurrentRegressor(**SMALL, **settings).fit(X, NUMBERS)


def embedder(**settings: Any) -> Any:
    moving: dict[str, Any] = {"label_distance": "prototypes", "loss_weights": "dynamic", "n_filters": 4}
    return CrossModalTripletEmbedder(3, **SMALL, **moving, **settings).fit(X, LABELS, images=IMAGES_OF_X)


FAMILIES: dict[str, Fit] = {
    "SyncGRUMetric": metric,
    "NRNMClassifier": classifier,
    "RecurrentRegressor": regressor,
    "CrossModalTripletEmbedder": embedder,
}


def child(work: Callable[[], object]) -> int:
    """The number of a forked process that does the work. Its status is 1 after an error, which it prints."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside other threads, from Python 3.12 on
        number = os.fork()
    if number:
        return number
    status = 1
    try:
        work()
        status = 0
    except BaseException as error:
        os.write(2, f"{error!r}\n".encode())
    finally:
        os._exit(status)


def killed(number: int, told: Path, after: float | None) -> int | None:
    """Kill a child some seconds after its first epoch began, or never. Its status if it ended by itself, else None."""
    end = None
    while end is None or time.monotonic() < end:
        found, status = os.waitpid(number, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if end is None and after is not None and told.stat().st_size:
            end = time.monotonic() + after
        time.sleep(0.001)
    os.kill(number, signal.SIGKILL)
    os.waitpid(number, 0)
    return None


def report(fit: Fit, moments: int, folder: Path, seed: int = 0) -> dict[str, Any]:
    """Kill children at so many random moments, and compare every fit that got through with one that was never killed.

    resumed : children that went on after a kill. lost : the most epochs that one of them trained again. failed :
    children that ended in an error, such as that of a damaged checkpoint. whole : fits that got through. unequal :
    those that are not, to the bit, like the fit that was never killed.
    """
    told, run, rng = folder / "told", folder / "run", np.random.default_rng(seed)
    os.environ["TOLD"] = str(told)
    expected = fit(callbacks=[Told()])
    seconds = EPOCHS * float(np.median([row["dur"] for row in expected.history_]))
    found = {"kills": 0, "failed": 0, "resumed": 0, "whole": 0, "unequal": 0, "lost": 0}
    while found["kills"] < moments or run.exists() or not found["whole"]:
        told.write_text("")
        done = int(max([0, *_ended(folder / "before")]))
        number = child(lambda: fit(checkpoint=run, callbacks=[Told()]))
        status = killed(number, told, rng.uniform(0, seconds) if found["kills"] < moments else None)
        epochs = [line.split() for line in told.read_text().splitlines()]
        first = next((int(epoch) for what, epoch in epochs if what == "begin"), None)
        if first is not None:
            found["resumed"] += first > 1
            found["lost"] = max(found["lost"], done + 1 - first)
        with open(folder / "before", "a") as file:
            file.write(told.read_text())
        if status is None:
            found["kills"] += 1
        elif status:
            found["failed"] += 1
            break
        else:
            found["whole"] += 1
            found["unequal"] += not equal(expected, fit(checkpoint=run, callbacks=[Told()]))
            shutil.rmtree(run)
            (folder / "before").unlink()
    return found


def _ended(path: Path) -> list[int]:
    lines = path.read_text().splitlines() if path.exists() else []
    return [int(line.split()[1]) for line in lines if line.startswith("end")]


def equal(first: Any, second: Any) -> bool:
    """Whether weights and history of two fits are the same, but for the seconds of an epoch."""
    weights, others = first.module_.state_dict(), second.module_.state_dict()
    rows, other_rows = (
        [{name: value for name, value in row.items() if name != "dur"} for row in estimator.history_]
        for estimator in (first, second)
    )
    same = weights.keys() == others.keys() and all(torch.equal(weights[name], others[name]) for name in weights)
    return same and rows == other_rows


def main(family: str, moments: int) -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        sys.stdout.write(json.dumps(report(FAMILIES[family], moments, Path(folder))) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
