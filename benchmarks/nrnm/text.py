"""Text: questions with one of six classes each, and sentences whose words are labelled by chunks."""

from __future__ import annotations

import time
import zipfile
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from benchmarks.nrnm.tasks import Fold
from benchmarks.problems import timed_accuracy
from skseqmetric import NRNMClassifier, RecurrentClassifier
from skseqmetric.metrics import step_accuracy

Chunk = tuple[int, int, int, str]
"""Sentence, first word, word after the last one, type."""


def questions(data: Path) -> Fold:
    """Question classification (Li and Roth 2002): words in lower case, six classes, the published split."""
    with zipfile.ZipFile(data / "trec_qc.zip") as archive:
        train, test = (_questions(archive.read(f"qc/{side}.txt").decode("latin-1")) for side in ("train", "test"))
    return Fold("questions", train, test)


def _questions(text: str) -> tuple[list[Any], np.ndarray]:
    rows = [line.split() for line in text.splitlines() if line]
    return [[word.lower() for word in row[1:]] for row in rows], np.array([row[0].split(":")[0] for row in rows])


def chunks(data: Path) -> Fold:
    """Chunking (Tjong Kim Sang and Buchholz 2000): a word and its part of speech a step."""
    with zipfile.ZipFile(data / "conll2000.zip") as archive:
        train, test = (_sentences(archive.read(f"conll2000/{side}.txt").decode()) for side in ("train", "test"))
    return Fold("chunks", train, test)


def _sentences(text: str) -> tuple[list[Any], list[np.ndarray]]:
    sentences = [[line.split() for line in block.split("\n")] for block in text.strip().split("\n\n")]
    X = [[(word.lower(), tag) for word, tag, _ in sentence] for sentence in sentences]
    return X, [np.array([label for _, _, label in sentence]) for sentence in sentences]


# ------------------------------------------------------------------------------------ scores of chunks


def chunks_of(labels: Iterable[Sequence[str]]) -> set[Chunk]:
    """Return the chunks of BIO labels, one sequence a sentence.

    B-X begins a chunk, and I-X continues one of the same type. I-X after O or another type begins one, as in the
    published program for this task.
    """
    found: set[Chunk] = set()
    for number, sentence in enumerate(labels):
        start, kind = 0, ""
        for t, label in enumerate([*sentence, "O"]):
            prefix, _, name = str(label).partition("-")
            if kind and (prefix != "I" or name != kind):
                found.add((number, start, t, kind))
                kind = ""
            if prefix != "O" and not kind:
                start, kind = t, name
    return found


def chunk_f1(true: Iterable[Sequence[str]], predicted: Iterable[Sequence[str]]) -> float:
    """Return 2 PR / (P + R) of whole chunks: first word, last word and type must be right."""
    known, found = chunks_of(true), chunks_of(predicted)
    return 2 * len(known & found) / max(1, len(known) + len(found))


# ------------------------------------------------------------------------------------ contenders

BOTH_WAYS: dict[str, Any] = {"bidirectional": True, "dropout": 0.3, "learning_rate": 3e-3, "batch_size": 32}
MEMORY: dict[str, Any] = {"n_filters": None, "dropout": 0.5, "pooling": "both", "max_epochs": 6}
TEXT_ARMS: dict[str, dict[str, Callable[..., Any]]] = {
    "questions": {
        "NRNM": partial(NRNMClassifier, tokens=True, **MEMORY),
        "no memory": partial(NRNMClassifier, tokens=True, window=None, **MEMORY),
        "LSTM": partial(RecurrentClassifier, 64, tokens=True, pooling="mean", max_epochs=6, **BOTH_WAYS),
        "TF-IDF": lambda random_state: tf_idf(),
    },
    "chunks": {
        "NRNM": partial(NRNMClassifier, tokens=True, target="step", batch_size=32),
        "no memory": partial(NRNMClassifier, tokens=True, target="step", window=None, batch_size=32),
        "LSTM": partial(RecurrentClassifier, 64, tokens=True, target="step", **BOTH_WAYS),
    },
}
"""Contenders of each task. "LSTM" reads in both directions, "TF-IDF" is logistic regression."""


def tf_idf(C: float = 100.0, ngrams: int = 2) -> Any:
    """Return logistic regression of TF-IDF weights of words and pairs of words."""
    vectorizer = TfidfVectorizer(analyzer=lambda words: list(_ngrams(words, ngrams)), sublinear_tf=True)
    return make_pipeline(vectorizer, LogisticRegression(C=C, max_iter=2000))


def _ngrams(words: Sequence[str], most: int) -> Iterable[tuple[str, ...]]:
    for n in range(1, most + 1):
        yield from (tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def text_scores(task: str, model: Any, fold: Fold) -> dict[str, float]:
    """Fit and score: accuracy of questions, F1 of chunks and accuracy of their labels."""
    if task == "questions":
        return timed_accuracy(model, fold.train, fold.test)
    start = time.perf_counter()
    model.fit(*fold.train)
    fitted = time.perf_counter()
    predicted = model.predict(fold.test[0])
    return {
        "accuracy": step_accuracy(fold.test[1], predicted),
        "chunk_f1": chunk_f1(fold.test[1], predicted),
        "fit_s": fitted - start,
        "predict_s": time.perf_counter() - fitted,
    }
