"""Whole models for export: from padded sequences as they are measured to answers.

Layouts: B sequences, T steps, C channels, K outputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from skseqmetric._networks.memory import MemoryNetwork
from skseqmetric._networks.siamese import SiameseNetwork
from skseqmetric._ops.scanned.constants import constant
from skseqmetric._ops.scanned.memory import NEVER
from skseqmetric._ops.steps import valid_steps

Answers = tuple[Tensor, ...]


class ExportedSeries(nn.Module):
    """Scale sequences as the estimator does, set everything past their ends to zero, and run the module behind it.

    mean, scale : (C,) arrays, in the precision that the estimator takes for float32 sequences.
    extra_steps : steps of padding that are added. Whatever the network divides the steps by, two or more are then left.
        torch records sizes as they are for 2 and more, and a size that may be 1 as another program.
    every_step : whether answers are of steps, (B, T, ...). They are 0 past the end.
    run : module (values (B, T, C), lengths (B,)) -> answers.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, mean: np.ndarray, scale: np.ndarray, run: nn.Module, *, extra_steps: int, every_step: bool
    ) -> None:
        super().__init__()
        self.extra_steps, self.every_step = extra_steps, every_step
        self.register_buffer("mean", constant(mean))
        self.register_buffer("scale", constant(scale))
        self.run = run

    def forward(self, values: Tensor, lengths: Tensor) -> Answers:
        inside = valid_steps(lengths, values.shape[1])[..., None]
        scaled = ((values.to(self.mean.dtype) - self.mean) / self.scale).to(torch.float32)
        padded = pad(torch.where(inside, scaled, 0), (0, 0, 0, self.extra_steps))
        answers: Answers = self.run(padded, lengths)
        if not self.every_step:
            return answers
        return tuple(zero_past_end(part[:, : values.shape[1]], lengths) for part in answers)


class ExportedImages(nn.Module):
    """Run a module (images (B, c, h, w)) -> answers."""

    def __init__(self, run: nn.Module) -> None:
        super().__init__()
        self.run = run

    def forward(self, images: Tensor) -> Answers:
        answers: Answers = self.run(images)
        return answers


class ClassAnswers(nn.Module):
    """Class scores (..., K) -> the scores, and their softmax after multiplication by `sharpness`."""

    def __init__(self, sharpness: float = 1.0) -> None:
        super().__init__()
        self.sharpness = sharpness

    def forward(self, scores: Tensor) -> Answers:
        return scores.to(torch.float32), torch.softmax(scores * self.sharpness, -1).to(torch.float32)


class NumberAnswers(nn.Module):
    """Outputs (..., K) -> numbers in the units of y, without the axis of outputs if y has none."""

    scale: Tensor
    mean: Tensor

    def __init__(self, scale: np.ndarray | float, mean: np.ndarray | float, *, one_column: bool) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float64, device="cpu"))
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float64, device="cpu"))
        self.one_column = one_column

    def forward(self, outputs: Tensor) -> Answers:
        numbers = (outputs.to(torch.float64) * self.scale + self.mean).to(torch.float32)
        return (numbers[..., 0] if self.one_column else numbers,)


class TaskAnswers(nn.Module):
    """Outputs of a network, (B, K) or (B, T, K), as answers."""

    def __init__(self, network: nn.Module, answers: nn.Module) -> None:
        super().__init__()
        self.network, self.answers = network, answers

    def forward(self, values: Tensor, lengths: Tensor) -> Answers:
        found: Answers = self.answers(self.network(values, lengths))
        return found


class MetricAnswers(nn.Module):
    """The embedding (B, D) of a siamese network, and with coupling "alignment" its states (B, P, F) at P places."""

    def __init__(self, network: SiameseNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, values: Tensor, lengths: Tensor) -> Answers:
        features, steps = self.network.encode(values, lengths)
        if self.network.coupling == "alignment":
            return self.network.free_places(features, steps)
        return (self.network.free_run(features, steps),)


def zero_past_end(answers: Tensor, lengths: Tensor) -> Tensor:
    """Set answers (B, T, ...) past the end of a sequence to 0."""
    inside = valid_steps(lengths, answers.shape[1])
    return torch.where(inside if answers.ndim == 2 else inside[..., None], answers, 0)


def reduction(network: Any) -> int:
    """Return how many steps of padding leave two or more of what a network divides the steps by."""
    stem = getattr(network, "stem", None)
    strides = 1 if stem is None else stem.strides[0] * stem.strides[1]
    windows = [layer.form.window for layer in network.memory_layers()] if isinstance(network, MemoryNetwork) else []
    return strides * max((window for window in windows if window < NEVER), default=1)
