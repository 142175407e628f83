"""What belongs to every state: the outputs of the estimator, codes that judge them, and the caller's names."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from skseqmetric._input import as_array, is_missing, one_label_each, positional
from skseqmetric.inspection._with_gaps import sequences_with_gaps

Judge = Callable[[np.ndarray, int], Any]


def step_outputs(estimator: Any, X: Any, steps: list[np.ndarray], *, from_prefixes: bool) -> list[np.ndarray] | None:
    """Return outputs (S_i, K) at every state, NaN at the initial one; None if the estimator gives none.

    They come from the estimator's `predict_prefixes`, or from its probabilities if it labels steps. With
    `from_prefixes`, any other classifier predicts the probabilities of every prefix, one prediction per state.
    """
    outputs = None
    if hasattr(estimator, "predict_prefixes"):
        with suppress(ValueError):  # X was checked before; some estimators need target="step"
            outputs = estimator.predict_prefixes(X)
    if outputs is None and hasattr(estimator, "predict_proba"):
        if isinstance(estimator.predict_proba(sequences_with_gaps(X).take([0])), list):
            outputs = estimator.predict_proba(X)
        elif from_prefixes:
            outputs = _of_prefixes(estimator, X, steps)
    if outputs is None:
        return None
    return [at_states(own, read, "outputs") for own, read in zip(outputs, steps, strict=True)]


def _of_prefixes(estimator: Any, X: Any, steps: list[np.ndarray]) -> list[np.ndarray]:
    sequences = sequences_with_gaps(X)
    parts = zip(sequences.to_list(), steps, strict=True)
    prefixes = sequences_with_gaps([x[:n] for x, read in parts for n in read[read > 0]])
    outputs = np.asarray(estimator.predict_proba(replace(prefixes, channel_names=sequences.channel_names)))
    return np.split(outputs, np.cumsum([np.count_nonzero(read) for read in steps])[:-1])


def at_states(values: Any, steps: np.ndarray, name: str, missing: Any = np.nan) -> np.ndarray:
    """Turn values of the input steps, or of the recurrent steps, into values of the states.

    values : (T, ...) for T input steps, or one row for every state but the initial one. The first of the S states is
    the initial one if steps[0] = 0; it gets the value `missing`.
    """
    values, first = _values(values, name), int(steps[0] == 0)
    n_states, n_steps = len(steps) - first, int(steps[-1])
    if len(values) == n_steps:
        values = values[steps[first:] - 1]
    if len(values) != n_states:
        raise ValueError(f"{name} has {len(values)} entries for a sequence of {n_steps} steps and {n_states} states.")
    if not first:
        return values
    start = np.full((1, *values.shape[1:]), missing, dtype=object if missing is None else np.float64)
    return np.concatenate([start, values])


def _values(values: Any, name: str) -> np.ndarray:
    """Array of the values of one sequence. Names of unequal types stay objects."""
    found = positional(values, name, "Pass one entry for every step.")
    if isinstance(found, list) and any(isinstance(item, str) or item is None for item in found):
        array = np.empty(len(found), dtype=object)
        array[:] = found
        return array
    return as_array(found, name)


def values_of_output(outputs: list[np.ndarray] | None, output: Any, names: Any) -> tuple[np.ndarray, str]:
    """Return one output at all states of all sequences, and its name."""
    if outputs is None:
        raise ValueError("There are no outputs to show: the estimator has neither predict_prefixes nor predict_proba.")
    n = outputs[0].shape[1]
    names = [str(k) for k in range(n)] if names is None else names_of(names, n, "output_names", "outputs")
    k = names.index(output) if output in names else output
    if not isinstance(k, (int, np.integer)) or not 0 <= k < n:
        raise ValueError(f"output={output!r} is none of the {n} outputs: pass a number below {n}, or a name.")
    return np.concatenate([own[:, k] for own in outputs]), names[k]


def judged(outputs: list[np.ndarray], steps: list[np.ndarray], judge: Judge, n_codes: int) -> list[np.ndarray]:
    """Return codes (S_i,) or (S_i, parts) of int from judge(outputs (T_i', K), i), -1 at the initial state."""
    codes = []
    for i, (values, read) in enumerate(zip(outputs, steps, strict=True)):
        first = int(read[0] == 0)
        own = np.asarray(judge(values[first:], i))
        if own.ndim not in (1, 2) or len(own) != len(values) - first:
            raise ValueError(
                f"judge returned shape {own.shape} for sequence {i}, which has {len(values) - first} states: one code, "
                "or one row of them, is needed for each."
            )
        if not np.isin(own, range(n_codes)).all():
            wrong = own[~np.isin(own, range(n_codes))][0]
            raise ValueError(f"judge returned {wrong} for sequence {i}: codes are 0 to {n_codes - 1}.")
        codes.append(np.concatenate([np.full((first, *own.shape[1:]), -1), own.astype(np.int64)]))
    return codes


def class_judge(estimator: Any, y: Any, steps: list[np.ndarray]) -> Judge | None:
    """Return a judge: 1 if the class of the largest output is that of y, else 0. None without classes or y."""
    classes = getattr(estimator, "classes_", None)
    if y is None or classes is None:
        return None

    targets = list(positional(y, "y", "Pass a class for each sequence, or for each step."))
    if len(targets) != len(steps):
        raise ValueError(f"y has {len(targets)} entries, but X has {len(steps)} sequences: give each of them one.")

    def judge(outputs: np.ndarray, i: int) -> np.ndarray:
        read = steps[i][steps[i] > 0]
        target = as_array(targets[i], f"y[{i}]") if np.ndim(targets[i]) else np.asarray(targets[i])
        if target.ndim and target.shape != (read[-1],):
            raise ValueError(f"y[{i}] has shape {target.shape}, but sequence {i} has {read[-1]} steps: one class each.")
        return classes[outputs.argmax(axis=1)] == (target[read - 1] if target.ndim else target)

    return judge


def codes_of_part(codes: list[np.ndarray], part: int | None) -> list[np.ndarray]:
    """Return the codes (S_i,) of one part, or the code of the worst part at every state."""
    parts = [own.reshape(len(own), -1) for own in codes]
    if part is None:
        return [own.min(axis=1) for own in parts]
    n_parts = parts[0].shape[1]
    if not 0 <= part < n_parts:
        raise ValueError(f"part={part} is none of the {n_parts} of these codes: the first is 0.")
    return [own[:, part] for own in parts]


def by_difficulty(codes: list[np.ndarray]) -> list[tuple[int, int, float]]:
    """Rank sequences, the worst first: number, code of the last state, share of the judged states with code 0.

    The order follows the worst part of the last state, then the sum of its parts, then that share. Sequences whose
    last state is not judged are left out.
    """
    ranked = []
    for i, (own, worst) in enumerate(zip(codes, codes_of_part(codes, None), strict=True)):
        if worst[-1] >= 0:
            share = float(np.mean(worst[worst >= 0] == 0))
            ranked.append((int(worst[-1]), int(own[-1].sum()), -share, i))
    return [(i, code, -share) for code, _, share, i in sorted(ranked)]


def of_states(values: Any, steps: list[np.ndarray], name: str) -> list[np.ndarray] | None:
    """Turn values of the input steps into values of the states, None at the initial one."""
    if values is None:
        return None
    values = positional(values, name, "Pass a list with one array for each sequence.")
    if len(values) != len(steps):
        raise ValueError(f"{name} is given for {len(values)} sequences, but X has {len(steps)}.")
    return [at_states(own, read, f"{name}[{i}]", None) for i, (own, read) in enumerate(zip(values, steps, strict=True))]


def names_of(names: Any, n: int, name: str, what: str) -> list[str]:
    """Return one name for each of n things; none is missing."""
    found = positional(names, name, "Pass a list of names.")
    if len(found) != n:
        raise ValueError(f"{name} has {len(found)} names, but there are {n} {what}: give each of them one.")
    for i, own in enumerate(found):
        if own is np.ma.masked or is_missing(own):
            raise ValueError(f"{name}[{i}] is {own!r}: every name must be given.")
    return [str(own) for own in found]


def labels_of(labels: Any, y: Any, n: int) -> np.ndarray | None:
    """Return one label per sequence: `labels`, or y if it has one entry per sequence."""
    if labels is None:
        y = None if y is None else positional(y, "y")
        if y is None or not len(y) or np.ndim(y[0]):
            return None
    return one_label_each(y if labels is None else labels, n, "y" if labels is None else "labels", "sequences")
