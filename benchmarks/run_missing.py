"""Missing values of Japanese Vowels by lines or with masks, and summary statistics against random convolutions.

python -m benchmarks.run_missing [--data DIR] [--out FILE.json] [--seeds N] [--contenders NAME ...]

Values are removed at random from all training and test sequences, each by itself. Every contender fills them with
`missing`, and is fitted to the training split and tested on the other. The statistics are compared by five folds inside
training splits alone: of Japanese Vowels, and of the problems below DIR/uea and DIR/ucr.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.environment import environment
from benchmarks.harness import argument_parser, write_json
from benchmarks.problems import Split
from skseqmetric import (
    EchoStateClassifier,
    RandomConvolutionMetric,
    RandomConvolutionTransformer,
    SequenceFeatures,
    SequenceKNeighborsClassifier,
    SyncGRUMetric,
)
from skseqmetric.datasets import load_japanese_vowels, read_sequences

SHARES = (0.3, 0.6, 0.8)
STRATEGIES = ("interpolate", "mask")
PROBLEMS = ("uea/BasicMotions", "uea/Libras", "uea/RacketSports", "ucr/GunPoint", "ucr/SyntheticControl")

Made = Callable[[str, int], Any]

FILLING: dict[str, Made] = {
    "RandomConvolutionMetric, 1-NN": lambda missing, seed: SequenceKNeighborsClassifier(
        RandomConvolutionMetric(missing=missing, random_state=seed), n_neighbors=1
    ),
    "EchoStateClassifier": lambda missing, seed: EchoStateClassifier(missing=missing, random_state=seed),
    "SyncGRUMetric, 1-NN": lambda missing, seed: SequenceKNeighborsClassifier(
        SyncGRUMetric(missing=missing, random_state=seed), n_neighbors=1
    ),
}

DESCRIBING: dict[str, Callable[[int], Any]] = {
    "SequenceFeatures, ridge": lambda seed: make_pipeline(SequenceFeatures(), StandardScaler(), _ridge()),
    "SequenceFeatures, logistic regression": lambda seed: make_pipeline(
        SequenceFeatures(), StandardScaler(), LogisticRegression(max_iter=1000)
    ),
    "SequenceFeatures, random forest": lambda seed: make_pipeline(
        SequenceFeatures(), RandomForestClassifier(random_state=seed)
    ),
    "RandomConvolutionTransformer, ridge": lambda seed: make_pipeline(
        RandomConvolutionTransformer(random_state=seed), _ridge()
    ),
}


def _ridge() -> RidgeClassifierCV:
    return RidgeClassifierCV(np.logspace(-3, 3, 7))


def removed(X: list[np.ndarray], share: float, rng: np.random.Generator) -> list[np.ndarray]:
    """Sequences without this share of their values, which become NaN."""
    return [np.where(rng.random(x.shape) < share, np.nan, x) for x in X]


def vowels() -> tuple[Split, Split]:
    """The training and the test split."""
    train, test = (load_japanese_vowels(split=split, return_X_y=True) for split in ("train", "test"))
    return train, test


def filled(names: list[str], seeds: int) -> Iterator[dict[str, Any]]:
    """Yield the test accuracy of every contender, share and strategy, a row for each seed."""
    (X, y), (X_new, y_new) = vowels()
    for share in SHARES:
        for seed in range(seeds):
            rng = np.random.default_rng(seed)
            train, test = removed(X, share, rng), removed(X_new, share, rng)
            for name in names:
                for strategy in STRATEGIES:
                    score = FILLING[name](strategy, seed).fit(train, y).score(test, y_new)
                    yield {"contender": name, "missing": share, "strategy": strategy, "seed": seed, "accuracy": score}


def described(names: list[str], data: Path | None, seeds: int) -> Iterator[dict[str, Any]]:
    """Yield the mean accuracy over five folds of a training split, and seconds of all folds, for each seed."""
    for problem in ("JapaneseVowels", *(() if data is None else PROBLEMS)):
        X, y = vowels()[0] if data is None or "/" not in problem else _training_split(data, problem)
        for name in names:
            for seed in range(seeds):
                folds = StratifiedKFold(5, shuffle=True, random_state=seed)
                began = time.process_time()
                score = cross_val_score(DESCRIBING[name](seed), X, y, cv=folds).mean()
                seconds = time.process_time() - began
                yield {"contender": name, "problem": problem, "seed": seed, "accuracy": score, "seconds": seconds}


def _training_split(data: Path, problem: str) -> Split:
    splits: Any = read_sequences(data / f"{problem}.npz")
    return splits["train"]


def means(rows: list[dict[str, Any]], *names: str) -> list[str]:
    """Lines with the mean of each group of rows that agree in these names, in the order of their first rows."""
    groups: dict[tuple[Any, ...], list[float]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row["accuracy"])
    return [f"{np.mean(found):.3f}  {'  '.join(map(str, key))}" for key, found in groups.items()]


def main() -> None:
    """Run the command."""
    parser = argument_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--contenders", nargs="+", choices=[*FILLING, *DESCRIBING], default=[*FILLING, *DESCRIBING])
    args = parser.parse_args()
    names, seeds = args.contenders[:1] if args.quick else args.contenders, 1 if args.quick else args.seeds
    rows = list(filled([name for name in names if name in FILLING], seeds))
    print(*means(rows, "missing", "contender", "strategy"), sep="\n", flush=True)
    others = list(described([name for name in names if name in DESCRIBING], args.data, seeds))
    print(*means(others, "problem", "contender"), sep="\n")
    if args.out:
        write_json(args.out, {"environment": environment(), "filled": rows, "described": others})


if __name__ == "__main__":
    main()
