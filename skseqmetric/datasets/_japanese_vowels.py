"""Japanese Vowels: real sequences of unequal length, shipped with the package."""

from __future__ import annotations

from importlib import resources
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skseqmetric.datasets._reading import read_sequences

_N_SPEAKERS = 9


def load_japanese_vowels(*, split: str | None = None, return_X_y: bool = False) -> Any:
    """Load the Japanese Vowels dataset: tell which of nine men says /ae/.

    ================  =================================================
    sequences         640: 270 train (30 a speaker), 370 test (24 to 88)
    channels          12 LPC cepstrum coefficients, no unit
    steps             7 to 29, one every 6.4 ms
    classes           9 speakers
    ================  =================================================

    Parameters
    ----------
    split : {"train", "test"} or None, default=None
        The split of the original publication: results are comparable. None: all 640 sequences, "train" first.
    return_X_y : bool, default=False
        Return `(data, target)` instead of a Bunch.

    Returns
    -------
    data : sklearn.utils.Bunch
        data : list of ndarrays (T_i, 12) float32
            The sequences.
        target : ndarray (n,) int64
            Speakers, 0 to 8; `target_names[target]` are their names.
        target_names : ndarray of str
            "speaker 1" to "speaker 9", as numbered in the source.
        feature_names : list of str
            Names of the 12 channels.
        split : ndarray (n,) of str
            "train" or "test" for each sequence.
        DESCR : str
            Source, licence, and making of the file.
        filename : str
            The file inside the package.
    (data, target) : tuple, if `return_X_y`

    Raises
    ------
    ValueError
        `split` has another value.

    References
    ----------
    M. Kudo, J. Toyama, M. Shimbo. Multidimensional curve classification using passing-through regions.
    Pattern Recognition Letters 20(11-13), 1103-1111, 1999. Dataset: UCI Machine Learning Repository,
    doi:10.24432/C5NS47, CC BY 4.0.

    Examples
    --------
    >>> from skseqmetric.datasets import load_japanese_vowels
    >>> X, y = load_japanese_vowels(split="train", return_X_y=True)
    >>> len(X), X[0].shape, X[1].shape
    (270, (20, 12), (26, 12))
    """
    if split not in (None, "train", "test"):
        raise ValueError(f"split must be 'train', 'test' or None, got {split!r}.")
    folder = resources.files("skseqmetric.datasets") / "data"
    with resources.as_file(folder / "japanese_vowels.npz") as path:
        parts = read_sequences(path)
    names = ("train", "test") if split is None else (split,)
    data = [x for name in names for x in parts[name][0]]
    target = np.concatenate([parts[name][1] for name in names])
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        target_names=np.array([f"speaker {i + 1}" for i in range(_N_SPEAKERS)]),
        feature_names=[f"lpc_cepstrum_{c + 1}" for c in range(data[0].shape[1])],
        split=np.repeat(names, [len(parts[name][0]) for name in names]),
        DESCR=(folder / "japanese_vowels.rst").read_text(encoding="utf-8"),
        filename=str(folder / "japanese_vowels.npz"),
    )
