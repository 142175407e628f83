"""Fits of several processes with checkpoints: `python -m tests.shared_checkpoints RANK SIZE FOLDER MEETING [kills]`.

With "kills" the last rank kills itself in the third epoch of the first fit. Without it all fits go on from where they
were ended, and FOLDER/RANK.pickle says how they ended.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from skorch.callbacks import Callback

from skseqmetric import NRNMClassifier, RecurrentRegressor, SyncGRUMetric, data_parallel
from tests import small_embedder
from tests.kill_fits import equal
from tests.shared_fits import sequences

SHORT: dict[str, Any] = {"max_epochs": 5, "min_batches": 3, "batch_size": 12, "random_state": 0}


class Crashed(Exception):
    """The end of a process, in a form that the process survives."""


class End(Callback):
    """Ends the fit in the second batch of the third epoch, as `End.how` says. Counts epochs."""

    how: Callable[[], None] | None = None
    epochs = 0

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        if End.how is not None and training and len(net.history) == 3 and len(net.history[-1]["batches"]) == 2:
            End.how()

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        End.epochs += 1


def crash() -> None:
    raise Crashed


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def metric(**settings: Any) -> Any:
    return SyncGRUMetric(**SHORT, n_units=8, callbacks=[End()], **settings).fit(*sequences())


def classifier(**settings: Any) -> Any:
    patience: dict[str, Any] = {"early_stopping": True, "validation_fraction": 0.25, "n_iter_no_change": 20}
    return NRNMClassifier(**SHORT, **patience, n_units=8, callbacks=[End()], **settings).fit(*sequences())


def regressor(**settings: Any) -> Any:
    X, y = sequences()
    drawn = {**SHORT, "random_state": settings.pop("random_state", 0)}
    return RecurrentRegressor(**drawn, n_units=8, dropout=0.3, callbacks=[End()], **settings).fit(X, y.astype(float))


def embedder(**settings: Any) -> Any:
    X, y = sequences(24)
    model = small_embedder.small(**{**SHORT, "batch_size": 9}, callbacks=[End()], loss_weights="dynamic", **settings)
    return model.fit(X, y, images=small_embedder.pictures(y, seed=0))


FITS: dict[str, Callable[..., Any]] = {"classifier": classifier, "regressor": regressor, "embedder": embedder}


def ended(fit: Callable[..., Any], **settings: Any) -> None:
    """Begin a fit, and end it in the third epoch."""
    End.how = crash
    try:
        fit(**settings)
    except Crashed:
        End.how = None


def resumed(fit: Callable[..., Any], folder: Path) -> dict[str, Any]:
    """What becomes of a fit that goes on from the folder, beside one that was never ended."""
    whole, End.epochs = fit(), 0
    model = fit(checkpoint=folder)
    return {
        "equal": equal(whole, model),
        "epochs": End.epochs,
        "weights": {name: value.numpy() for name, value in model.module_.state_dict().items()},
    }


def said(fit: Callable[[], Any]) -> str:
    """The error of a fit."""
    try:
        fit()
    except ValueError as error:
        return str(error)
    return "nothing"


def outcomes(folder: Path, rank: int) -> dict[str, Any]:
    """Everything that is tested, by name."""
    found: dict[str, Any] = {"metric": resumed(metric, folder / "metric")}
    for name, fit in FITS.items():
        # the folder of the first process counts
        ended(fit, checkpoint=folder / name if rank == 0 else None)
        found[name] = resumed(fit, folder / name)
    ended(regressor, checkpoint=folder / "drawn", random_state=None)
    drawn = [regressor(checkpoint=folder / "drawn", random_state=None) for _ in range(2)]
    found["drawn"] = equal(*drawn)
    found["other"] = said(lambda: regressor(checkpoint=folder / "classifier"))
    if rank == 0:
        for path in (folder / "regressor").glob("*.safetensors"):
            path.write_bytes(path.read_bytes()[:-3])
    found["damaged"] = said(lambda: regressor(checkpoint=folder / "regressor"))
    return found


def main() -> None:
    """Fit everything as one of several processes."""
    rank, size, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    torch.set_num_threads(1)
    meeting = f"file://{folder}/{sys.argv[4]}"
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=size)
    with data_parallel():
        if sys.argv[5:] == ["kills"]:
            End.how = kill if rank == size - 1 else None
            metric(checkpoint=folder / "metric")
        else:
            (folder / f"{rank}.pickle").write_bytes(pickle.dumps(outcomes(folder, rank)))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
