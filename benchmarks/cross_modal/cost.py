"""Seconds of a training step of the embedder, against forward and backward of its two encoders alone."""

from __future__ import annotations

import copy
import statistics
import time
from typing import Any

import torch
from skorch.callbacks import Callback
from torch import Tensor

from benchmarks.environment import environment
from benchmarks.harness import Result, Timing
from benchmarks.threads import fixed_threads
from skseqmetric import CrossModalTripletEmbedder
from skseqmetric.datasets import make_sine_images

STEP, ENCODERS, GRADIENTS = "training step", "encoders alone", "its forward and backward"


class _Clock(Callback):
    """Seconds from the end of one update to the end of the next, of the forward and backward pass in between, batches.

    A whole step holds everything that is done once an update: taking the batch, augmentation, choice of negatives,
    forward, backward, clipping, the optimiser, skorch's own. The first of an epoch has no beginning and is left out.
    """

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.steps: list[float] = []
        self.gradients: list[float] = []
        self.batches: list[dict[str, Tensor]] = []
        self.last: float | None = None

    def on_batch_begin(self, net: Any, batch: Any = None, training: bool = False, **kwargs: Any) -> None:
        self.batches.append(batch[0])
        self.begin = time.perf_counter()

    def on_grad_computed(self, net: Any, **kwargs: Any) -> None:
        self.gradients.append(time.perf_counter() - self.begin)

    def on_batch_end(self, net: Any, training: bool = False, **kwargs: Any) -> None:
        now = time.perf_counter()
        if self.last is not None:
            self.steps.append(now - self.last)
        self.last = now


def step_cost(*, threads: int, quick: bool) -> Result:
    """Batches of 32 sequences of 200 steps and images of 64 x 64, every parameter at its default, in turns."""
    rows, steps, size = (8, 24, 16) if quick else (32, 200, 64)
    n_batches, rounds = (3, 2) if quick else (12, 9)
    with fixed_threads(threads):
        seconds = _rounds(rows, n_batches, rounds, steps=steps, size=size)
    title = f"one update, {rows} sequences of {steps} steps and images of {size} x {size}, {threads} thread(s)"
    timings = tuple(Timing(name, tuple(found)) for name, found in seconds.items())
    return Result(title, timings, "updates", environment("cpu", threads))


def _rounds(rows: int, n_batches: int, rounds: int, *, steps: int, size: int) -> dict[str, list[float]]:
    """Median seconds of a step in every round: an epoch of training, then the encoders on the batches it had."""
    n = rows * n_batches
    X, y, images = make_sine_images(-(-n // 10), n_steps=steps, image_size=size, random_state=0)
    X, y, images = X[:n], y[:n], images[:n]
    clock = _Clock()
    embedder = CrossModalTripletEmbedder(batch_size=rows, min_batches=1, callbacks=[clock], random_state=0)
    embedder.partial_fit(X, y, images=images)
    encode = _Encoders(embedder.module_)
    encode(clock.batches[0])
    seconds: dict[str, list[float]] = {STEP: [], GRADIENTS: [], ENCODERS: []}
    for _ in range(rounds):
        embedder.partial_fit(X, y, images=images)
        seconds[STEP].append(statistics.median(clock.steps))
        seconds[GRADIENTS].append(statistics.median(clock.gradients))
        seconds[ENCODERS].append(statistics.median(map(encode, clock.batches)))
    return seconds


class _Encoders:
    """Forward and backward of copies of both encoders, in training with dropout; gives its seconds."""

    def __init__(self, network: Any) -> None:
        network = copy.deepcopy(network).train()
        self.series, self.images = network.series_encoder, network.image_encoder
        self.generator = torch.Generator().manual_seed(0)

    def __call__(self, batch: dict[str, Tensor]) -> float:
        for module in (self.series, self.images):
            module.zero_grad()
        start = time.perf_counter()
        features, _ = self.series(batch["values"], batch["lengths"], self.generator)
        vectors = self.images(batch["images"], self.generator)
        torch.autograd.backward([features, vectors], [torch.ones_like(features), torch.ones_like(vectors)])
        seconds = time.perf_counter() - start
        if not (torch.isfinite(features).all() and torch.isfinite(vectors).all()):
            raise ValueError("the encoders gave values that are not finite")
        return seconds
