"""Distances between labels, and the margins and negatives that follow from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Hamming, Levenshtein

CURRICULUM_STAGES = 5


def label_distance(how: str | np.ndarray, first: Any, second: Any) -> np.ndarray:
    """Distance of every first label to every second one, (B,) and (M,) -> (B, M) in float64.

    Parameters
    ----------
    how : {"classes", "ordered", "edit", "substitutions"} or array (K, K)
        "classes": 1 for unequal classes. "ordered": abs(a - b) of the class codes. "edit": Levenshtein distance of two
        sequences of codes. "substitutions": the number of places at which two sequences of equal length differ, -1 for
        unequal lengths (`choose_negatives` leaves those out). Array: entry (a, b).
    first, second : arrays of int class codes (B,) and (M,)
        For "edit" and "substitutions" two lists of B and M integer arrays.
    """
    if not isinstance(how, str):
        return how[first[:, None], second]
    return _DISTANCES[how](first, second).astype(np.float64)


def label_matrix(how: Any, classes: np.ndarray) -> np.ndarray:
    """Return a user's label distances (K, K) in float64, checked to be finite, >= 0, and 0 on the diagonal.

    `how` is a matrix in the order of `classes`, or a function of two classes.
    """
    names, n_classes = classes.tolist(), len(classes)
    matrix = np.asarray([[_value(how, a, b) for b in names] for a in names] if callable(how) else how, dtype=np.float64)
    if matrix.shape != (n_classes, n_classes):
        raise ValueError(
            f"A matrix of label distances needs one row and one column a class, so ({n_classes}, {n_classes}); "
            f"got the shape {matrix.shape}."
        )
    wrong = ~(np.isfinite(matrix) & (matrix >= 0))
    if wrong.any():
        row, column = np.argwhere(wrong)[0].tolist()
        raise ValueError(
            f"Label distances must be finite and not negative, got {matrix[row, column]} at ({row}, {column}) "
            f"of the matrix of shape {matrix.shape}."
        )
    diagonal = np.flatnonzero(matrix.diagonal())
    if len(diagonal):
        k = int(diagonal[0])
        raise ValueError(
            f"A class has the distance 0 from itself, got {matrix[k, k]} at ({k}, {k}) "
            f"of the matrix of shape {matrix.shape}."
        )
    return matrix


def prototype_distances(sums: np.ndarray, counts: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Euclidean distances (K, K) of the means of classes, divided by their mean over all pairs.

    Parameters
    ----------
    sums : array (K, D), weighted sums of the embeddings of every class
    counts : array (K,), summed weights; 0 for a class that was not there
    before : array (K, K), distances to keep for pairs with such a class
    """
    means = sums / np.where(counts > 0, counts, 1.0)[:, None]
    return _scaled(np.linalg.norm(means[:, None] - means, axis=2), counts > 0, before)


def confusion_distances(sums: np.ndarray, counts: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Distances (K, K) of classes that are the smaller, the more often they are confused, divided by their mean.

    With P_ab, the mean probability of class b for members of class a, Shepard (1957) has

        d_ab = -ln(P_ab P_ba / (P_aa P_bb)) / 2,

    here at least 0. Parameters are those of `prototype_distances`, with the sums (K, K) of probabilities.
    """
    logs = np.log(np.maximum(sums / np.where(counts > 0, counts, 1.0)[:, None], 1e-12))
    own = logs.diagonal()
    return _scaled(np.maximum((own[:, None] + own - logs - logs.T) / 2, 0.0), counts > 0, before)


def _scaled(distances: np.ndarray, seen: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Return distances of the classes that were seen, with the mean 1 over their pairs, and the earlier ones."""
    pairs = seen[:, None] & seen & ~np.eye(len(seen), dtype=bool)
    mean = distances[pairs].mean() if pairs.any() else 0.0
    return np.where(pairs, distances / mean, before) if mean > 0 else before


def default_beta(distance: str, n_components: int) -> float:
    """Margin for each unit of label distance, for embeddings of length 1 and size D = `n_components`.

    It is 1e-3 for mse, and 0.1 for cosine and pearson. A margin must be small against the largest value of the
    distance. Otherwise the hinge never closes, and its gradient does not depend on the margin. 0.1 is a twentieth of
    the largest value 2 of cosine. The other distances have a twentieth of their largest value too:

    - kl: of `_largest_kl(D)`, which gives 0.0024 for D = 64.
    - mmd: 0.1 of the 2 of one kernel. All kernels together have 10, but narrow kernels rarely reach their maximum.
    - coral: 0.025 / D^2 of 1 / (2 D^2).
    - homm: 0.2 / D^3 of 4 / D^3.
    """
    betas = {
        "mse": 1e-3,
        "cosine": 0.1,
        "pearson": 0.1,
        "kl": _largest_kl(n_components) / 20,
        "mmd": 0.1,
        "coral": 0.025 / n_components**2,
        "homm": 0.2 / n_components**3,
    }
    return betas[distance]


def _largest_kl(n_components: int) -> float:
    """Return the largest divergence of softmax(u) from softmax(v) for u and v of length 1 and size D. 0 for D = 1.

    Softmax ignores constants, so that the best vectors sum to 0. The divergence is largest if u points to one component
    and v away from it. The logits are then g and -g there, and 0 elsewhere, with g = sqrt(D / (D - 1)). The result is
    about 3.1 / D for large D.
    """
    rest = n_components - 1
    if rest == 0:
        return 0.0
    g = math.sqrt(n_components / rest)
    share = math.exp(g) / (math.exp(g) + rest)
    return 2 * g * share + math.log((math.exp(-g) + rest) / (math.exp(g) + rest))


def least_edit_distance(epoch: int, max_epochs: int) -> int:
    """Return the smallest label distance of negatives in this epoch: 5 in the first fifth of training, 1 in the last.

    It is 1 + floor(5 (max_epochs - epoch - 1) / max_epochs) with epochs counted from 0. After the last epoch it is 1
    too. Training thus starts with far negatives, which are easy to distinguish.
    """
    return 1 + CURRICULUM_STAGES * max(max_epochs - epoch - 1, 0) // max_epochs


def choose_negatives(distances: np.ndarray, least: float, rng: np.random.Generator) -> np.ndarray:
    """Draw one of M candidates for each of B anchors, uniformly from those at a label distance of at least `least`.

    If there are none, the farthest candidates are used. A candidate at distance 0 (the same label) or below is never
    taken. An anchor without other candidates gets -1. There is one random number per anchor. The cost is O(B M).

    Parameters
    ----------
    distances : array (B, M)
    least : float
    rng : numpy Generator

    Returns
    -------
    array (B,) of int64: indices into the M candidates, or -1
    """
    draws = rng.random(len(distances))
    if distances.shape[1] == 0:
        return np.full(len(distances), -1)
    others = np.where(distances > 0, distances, 0.0)
    farthest = others.max(axis=1, keepdims=True)
    eligible = (others >= np.minimum(least, farthest)) & (others > 0)
    count = eligible.cumsum(axis=1)
    # A draw below 1 times n stays below n, but rounding may lift it there.
    wanted = np.minimum((draws * count[:, -1]).astype(np.int64), count[:, -1] - 1)
    return np.where(count[:, -1] > 0, (count > wanted[:, None]).argmax(axis=1), -1)


def _value(how: Callable[[Any, Any], float], a: Any, b: Any) -> float:
    value = float(how(a, b))
    if not 0 <= value < np.inf:
        raise ValueError(f"A label distance must be finite and not negative, got {value} for {a!r} and {b!r}.")
    return value


def _ordered(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.abs(first.astype(np.int64)[:, None] - second.astype(np.int64))


def _edit(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
    return _of_sequences(Levenshtein.distance, first, second)


def _substitutions(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> np.ndarray:
    rows, columns = (np.array([len(codes) for codes in labels], dtype=np.int64) for labels in (first, second))
    return np.where(rows[:, None] == columns, _of_sequences(Hamming.distance, first, second), -1)


def _of_sequences(
    distance: Callable[..., int], first: Sequence[np.ndarray], second: Sequence[np.ndarray]
) -> np.ndarray:
    lists = ([codes.tolist() for codes in labels] for labels in (first, second))
    return process.cdist(*lists, scorer=distance, dtype=np.int64)


_DISTANCES: dict[str, Callable[[Any, Any], np.ndarray]] = {
    "classes": lambda first, second: first[:, None] != second,
    "ordered": _ordered,
    "edit": _edit,
    "substitutions": _substitutions,
}
