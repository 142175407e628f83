"""Four problems of DIR/transport_modes.npz: each fold of whole recordings is tested once.

The windows are of the US-TransportationMode recordings (Carpineti et al. 2018): phone sensors in a bus, car or train,
at rest or carried by someone who walks; 32 s at 4 Hz, 5 channels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.panel.problems import Problem

FILE = "transport_modes.npz"
FOLDS = tuple(f"fold {k}" for k in range(4))


def load_fold(data: Path, name: str) -> Problem:
    """The windows of a fold to test and those of the others to train, channels standardised by the latter.

    Labels are codes. `groups` are the recordings of the training windows.
    """
    with np.load(data / FILE) as file:
        windows, labels, recordings, folds = (file[key] for key in ("windows", "labels", "recording", "fold"))
    in_test = folds == FOLDS.index(name)
    codes = np.unique(labels, return_inverse=True)[1]
    known = windows[~in_test].astype(np.float64)
    X = (windows - known.mean(axis=(0, 1))) / known.std(axis=(0, 1))
    train, test = ((list(X[side]), codes[side]) for side in (~in_test, in_test))
    return Problem(name, train, test, recordings[~in_test])
