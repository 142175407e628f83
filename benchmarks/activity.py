"""Windows of human activity from DIR/hapt.npz, split by subject.

Smartphone-based recognition of human activities and postural transitions (Reyes-Ortiz et al. 2016): acceleration and
angular velocity at 50 Hz, windows of 128 steps that overlap by half, the six basic classes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from skseqmetric.datasets import write_sequences

STEPS = 128
BASIC_CLASSES = range(1, 7)

Split = tuple[list[np.ndarray], np.ndarray]


def load_activity(
    data: Path, *, n_train: int = 2000, n_test: int = 200, n_test_subjects: int = 6, seed: int = 0
) -> tuple[Split, Split]:
    """(train, test), each (sequences, labels): windows (128, 6) of subjects who are in one of both only.

    Parameters
    ----------
    data : Path
        Folder with hapt.npz: "values_int16" (steps, 6) of all recordings one after the other, "scale" (6,) of a
        count, "lengths" and "experiment" of the recordings, "windows128" rows (experiment, subject, label, first
        step in the recording, ...).
    n_train, n_test : int
        Windows of either side at most.
    n_test_subjects : int
        Subjects whose windows are the test's.
    seed : int
        Of the subjects drawn and of the windows drawn.
    """
    with np.load(data / "hapt.npz") as file:
        content = {name: file[name] for name in file.files}
    windows = content["windows128"]
    windows = windows[np.isin(windows[:, 2], BASIC_CLASSES)]
    rng = np.random.default_rng(seed)
    unseen = held_out_subjects(windows[:, 1], n_test_subjects, rng)
    in_test = np.isin(windows[:, 1], unseen)
    sides = []
    for side, most in ((windows[~in_test], n_train), (windows[in_test], n_test)):
        chosen = side[at_most(len(side), most, rng)]
        sides.append((cut_windows(content, chosen), chosen[:, 2].astype(np.int64)))
    return sides[0], sides[1]


def held_out_subjects(subjects: np.ndarray, n_held_out: int, rng: np.random.Generator) -> np.ndarray:
    """The subjects of the test, drawn without regard to their data."""
    distinct = np.unique(subjects)
    if not 0 < n_held_out < len(distinct):
        raise ValueError(f"n_held_out={n_held_out} of {len(distinct)} subjects leaves one side empty.")
    return np.sort(rng.choice(distinct, n_held_out, replace=False))


def at_most(n: int, most: int, rng: np.random.Generator) -> np.ndarray:
    """Ascending indices: `most` of n drawn at random, or all."""
    return np.sort(rng.choice(n, min(n, most), replace=False))


def cut_windows(content: dict[str, np.ndarray], windows: np.ndarray) -> list[np.ndarray]:
    """The (128, 6) float32 values of every row of `windows`."""
    starts = np.concatenate([[0], np.cumsum(content["lengths"])[:-1]])
    start_of = dict(zip(content["experiment"].tolist(), starts.tolist(), strict=True))
    scale = content["scale"].astype(np.float32)
    cuts = []
    for experiment, _, _, first, *_ in windows.tolist():
        begin = start_of[experiment] + first
        cuts.append(content["values_int16"][begin : begin + STEPS] * scale)
    return cuts


def main() -> None:
    """Write the split as a problem of `run_panel`: python -m benchmarks.activity --data DIR --out FILE.npz."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder with hapt.npz")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    parser.add_argument("--test", type=int, default=1000, help="windows of unseen subjects")
    args = parser.parse_args()
    train, test = load_activity(args.data, n_test=args.test)
    write_sequences(args.out, {"train": train, "test": test})


if __name__ == "__main__":
    main()
