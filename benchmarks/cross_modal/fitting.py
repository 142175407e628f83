"""One fit of one contender, and what is asked of it: accuracy, retrieval, error rates, accuracy after adaptation."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from skorch.callbacks import Callback

from benchmarks.claims.pictures.tasks import TASKS as DEVELOPED
from benchmarks.cross_modal.tasks import (
    ADAPTATION_TASKS,
    ADAPTED_WITH,
    DIGIT_TASKS,
    SYNTHETIC_TASKS,
    WORD_TASKS,
    Problem,
    adaptation,
    chosen,
    digits,
    omniglot,
    rank_in_group,
    synthetic,
    words,
)
from benchmarks.jobs import Job
from skseqmetric import CrossModalTripletEmbedder
from skseqmetric._ops.margins import default_beta
from skseqmetric.metrics import character_error_rate, word_error_rate

Scores = dict[str, Any]
Settings = dict[str, Any]

DISTANCES = ("cosine", "pearson", "mse", "kl")
N_CLASSES = 10
MEAN_LABEL_DISTANCE = (N_CLASSES + 1) / 3
"""Of two different ones of ten ordered classes: a fixed margin equals the dynamic one on average."""

SERIES, IMAGES, ALONE, EMBEDDED = "series", "images", "images alone", "images not transcribed"
PAIR_OF_ARMS: dict[str, Settings] = {SERIES: {}, IMAGES: {}}
OFFLINE_ARMS: dict[str, Settings] = {
    SERIES: {},
    ALONE: {"loss_weights": (0, 1, 0)},
    "both, no cross term": {"loss_weights": (1, 1, 0)},
    IMAGES: {},
    EMBEDDED: {"transcribe_images": False},
}
"""What is trained; the cross term has images and sequences in one embedding."""

CLASSES = "classes"
MARGIN_ARMS: dict[str, Settings] = {how: {"label_distance": how} for how in (CLASSES, "prototypes", "confusion")}
"""Distances of classes that need nothing from the user."""


def _synthetic_arms() -> dict[str, Settings]:
    arms: dict[str, Settings] = {SERIES: {}}
    size = CrossModalTripletEmbedder().n_components
    for distance in DISTANCES:
        fixed = {"distance": distance, "margin": default_beta(distance, size) * MEAN_LABEL_DISTANCE}
        arms[f"pair, {distance}"] = {"loss": "pair", "distance": distance}
        arms[f"contrastive, {distance}"] = {"loss": "contrastive", **fixed}
        arms[f"triplet, fixed margin, {distance}"] = {"loss": "triplet", **fixed}
        arms[f"triplet, dynamic margin, {distance}"] = {
            "loss": "triplet",
            "distance": distance,
            "margin": "dynamic",
            "label_distance": "ordered",
        }
    return arms


def _layer_arms() -> dict[str, Settings]:
    dynamic = {"label_distance": "ordered"}
    own = {f"loss on {layers}": {**dynamic, "shared_layers": layers} for layers in ("embedding", "convolution", "both")}
    common = {f"{arm}, common weights": {**settings, "common_convolution": True} for arm, settings in own.items()}
    return {SERIES: {}, **own, **common}


ARMS: dict[str, dict[str, Settings]] = {
    "synthetic": _synthetic_arms(),
    "layers": _layer_arms(),
    "margins": MARGIN_ARMS,
    "omniglot": PAIR_OF_ARMS,
    "digits": PAIR_OF_ARMS,
    "words": PAIR_OF_ARMS,
    "offline": OFFLINE_ARMS,
    "adaptation": PAIR_OF_ARMS,
}
OF_SINES = ("synthetic", "layers")
TASKS: dict[str, tuple[str, ...]] = {
    "synthetic": tuple(SYNTHETIC_TASKS),
    "layers": ("noise 0.9, 20 a class", "noise 1.9, 20 a class"),
    "margins": tuple(f"{of}, {n} a class" for of in ("digits", "Omniglot") for n in (5, 10)),
    "omniglot": ("136 characters",),
    "digits": tuple(DIGIT_TASKS),
    "words": tuple(WORD_TASKS),
    "offline": tuple(WORD_TASKS),
    "adaptation": tuple(ADAPTATION_TASKS),
}
ADAPTATION_EPOCHS = 20
ADAPTATION_RATE = 3e-4
"""A tenth of the learning rate at which the estimator is fitted."""


class TestCurve(Callback):
    """Accuracy on the test set after every epoch, read from the network in training without touching it."""

    def __init__(self, X: Any, y: Any) -> None:
        self.data = X, y
        self.estimator: Any = None
        self.accuracies: list[float] = []
        self.seconds = 0.0

    def on_epoch_end(self, net: Any, **kwargs: Any) -> None:
        """One accuracy more."""
        start = time.process_time()
        network = self.estimator.module_
        training = network.training
        network.eval()
        self.accuracies.append(round(float(self.estimator.score(*self.data)), 4))
        network.train(training)
        self.seconds += time.process_time() - start


def run_job(job: Job, data: Path | None) -> Scores:
    """Scores and seconds of one fit; the part is a key of `ARMS`."""
    settings = {**dict(job.settings), **ARMS[job.part][job.arm], "random_state": job.seed}
    if job.part in OF_SINES:
        return _synthetic(job, settings)
    if data is None:
        raise ValueError("--data DIR is needed for real tasks.")
    return PARTS[job.part](job, settings, data)


def _synthetic(job: Job, settings: Settings) -> Scores:
    problem = synthetic(*SYNTHETIC_TASKS[job.task], job.seed)
    curve = TestCurve(*problem.test)
    curve.estimator = CrossModalTripletEmbedder(callbacks=[curve], **settings)
    _, seconds = fitted(curve.estimator, problem, job.arm)
    return {
        "accuracy": float(curve.estimator.score(*problem.test)),
        "curve": curve.accuracies,
        "fit_s": seconds - curve.seconds,
        "curve_s": curve.seconds,
    }


def _margins(job: Job, settings: Settings, data: Path) -> Scores:
    """Inside the training people: some are learned from, others are asked."""
    problem = DEVELOPED[job.task](data, "development", job.seed, 1.0)
    embedder, seconds = fitted(CrossModalTripletEmbedder(**settings), problem, job.arm)
    return {"accuracy": float(embedder.score(*problem.test)), "fit_s": seconds}


def _omniglot(job: Job, settings: Settings, data: Path) -> Scores:
    problem = omniglot(data, job.seed)
    embedder, seconds = fitted(CrossModalTripletEmbedder(**settings), problem, job.arm)
    scores = {"accuracy": float(embedder.score(*problem.test)), "fit_s": seconds}
    return {**scores, **retrieval(embedder, problem)} if job.arm != SERIES else scores


def _digits(job: Job, settings: Settings, data: Path) -> Scores:
    problem = digits(data, DIGIT_TASKS[job.task], job.seed)
    embedder, seconds = fitted(CrossModalTripletEmbedder(**settings), problem, job.arm)
    return {"accuracy": float(embedder.score(*problem.test)), "fit_s": seconds}


def _words(job: Job, settings: Settings, data: Path) -> Scores:
    from skseqmetric import CrossModalTranscriber

    problem = words(data, WORD_TASKS[job.task], job.seed)
    # images for the embedding alone: what they add to sequences, as it was measured before images were transcribed
    transcriber, seconds = fitted(CrossModalTranscriber(transcribe_images=False, **settings), problem, job.arm)
    read = transcriber.predict(problem.test[0])
    return {
        "cer": character_error_rate(problem.test[1], read),
        "wer": word_error_rate(problem.test[1], read),
        "fit_s": seconds,
    }


def _offline(job: Job, settings: Settings, data: Path) -> Scores:
    """Character error rates of both branches on words of unseen writers, each branch where it was trained."""
    from skseqmetric import CrossModalTranscriber

    problem = words(data, WORD_TASKS[job.task], job.seed)
    transcriber, seconds = fitted(CrossModalTranscriber(**settings), problem, job.arm)
    scores: Scores = {"fit_s": seconds}
    if job.arm != ALONE:
        scores["cer"] = character_error_rate(problem.test[1], transcriber.predict(problem.test[0]))
    if job.arm not in (SERIES, EMBEDDED):
        scores["cer of images"] = character_error_rate(problem.test[1], transcriber.predict_images(problem.test_images))
    return scores


def _adaptation(job: Job, settings: Settings, data: Path) -> Scores:
    problem = adaptation(data, ADAPTATION_TASKS[job.task], job.seed)
    base, seconds = fitted(CrossModalTripletEmbedder(**settings), problem, job.arm)
    people = np.unique(problem.test_people)
    rows = [_adapted_to(base, problem, person, job.arm, settings) for person in people]
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]} | {"fit_s": seconds}


PARTS: dict[str, Callable[[Job, Settings, Path], Scores]] = {
    "margins": _margins,
    "omniglot": _omniglot,
    "digits": _digits,
    "words": _words,
    "offline": _offline,
    "adaptation": _adaptation,
}


def fitted(estimator: Any, problem: Problem, arm: str) -> tuple[Any, float]:
    """The estimator, fitted with the images of the problem or, in the arm "series", without; and the seconds."""
    start = time.process_time()
    estimator.fit(*problem.train, **pictures(problem, arm))
    return estimator, time.process_time() - start


def pictures(problem: Problem, arm: str) -> Settings:
    """What `fit` is given with sequences and labels."""
    if arm == SERIES:
        return {}
    return {"images": problem.images, "image_labels": problem.image_labels}


def retrieval(embedder: Any, problem: Problem, k: int = 5) -> Scores:
    """Recall at 1 and k, trajectory -> image and image -> trajectory, characters of unseen drawers.

    A gallery is what one unseen drawer drew, each character once; the queries are what the other unseen drawers drew,
    so that the query's own drawing is never among the answers. Every drawer's is the gallery once. Also the
    same among the query's own drawer's images ("own"), where the answer is the picture of the very trajectory.
    """
    X, y = problem.test
    hits: dict[str, list[np.ndarray]] = {"": [], "own ": [], "image ": []}
    sizes = set()
    for drawer in np.unique(problem.test_people):
        here = problem.test_people == drawer
        drawn, others, own = np.flatnonzero(here), np.flatnonzero(~here), np.flatnonzero(here)
        sizes.add(len(drawn))
        gallery = problem.test_images[drawn]
        for name, asked in (("", others), ("own ", own)):
            found = embedder.kneighbors([X[i] for i in asked], k, gallery=gallery, return_distance=False)
            hits[name].append(y[drawn][found] == y[asked][:, None])
        series = [X[i] for i in drawn]
        found = embedder.kneighbors(
            images=problem.test_images[others], n_neighbors=k, gallery=series, return_distance=False
        )
        hits["image "].append(y[drawn][found] == y[others][:, None])
    scores: Scores = {"gallery": float(max(sizes))}
    for name, found in hits.items():
        right = np.concatenate(found)
        scores[f"{name}recall@1"] = float(right[:, 0].mean())
        scores[f"{name}recall@{k}"] = float(right.any(axis=1).mean())
    return scores


def _adapted_to(base: Any, problem: Problem, person: Any, arm: str, settings: Settings) -> Scores:
    """Accuracy on one new writer: as it is, after a few samples of the writer, learned from those alone as long."""
    rows = np.flatnonzero(problem.test_people == person)
    ranks = rank_in_group(problem.test[1][rows])
    rest = chosen(problem.test, rows[ranks >= max(ADAPTED_WITH)])
    scores = {"before": float(base.score(*rest))}
    for n in ADAPTED_WITH:
        few = chosen(problem.test, rows[ranks < n])
        model = copy.deepcopy(base).set_params(learning_rate=ADAPTATION_RATE)
        for _ in range(ADAPTATION_EPOCHS):
            model.partial_fit(*few, **pictures(problem, arm))
        scores[f"adapted {n}"] = float(model.score(*rest))
        budget = {**settings, "max_epochs": min(ADAPTATION_EPOCHS, settings["max_epochs"])}
        alone = CrossModalTripletEmbedder(**budget).fit(*few, **pictures(problem, arm))
        scores[f"alone {n}"] = float(alone.score(*rest))
    return scores
