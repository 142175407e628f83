"""The training loop. It holds a skorch net and adds the promises of this package as callbacks."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.helper import predefined_split
from torch import Tensor, nn
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from skseqmetric._ops import buffer_pool
from skseqmetric._ops.parallel import one_intra_op_thread
from skseqmetric._training.running import RUNNING

CLIP_NORM = 1.0


Batch = tuple[dict[str, Tensor], Tensor]
"""Tensors with a common first axis, and a target that skorch demands and that is not used."""


class Batches(Protocol):
    """Batches of training data. Each iteration is one epoch."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch]: ...


@dataclass(frozen=True)
class TrainingOptions:
    """Options of training. `n_updates`, the batches of the whole run, turns on the one-cycle schedule."""

    max_epochs: int
    learning_rate: float
    weight_decay: float
    n_updates: int | None = None
    early_stopping: bool = False
    n_iter_no_change: int = 10
    tol: float = 1e-4
    precision: str = "float32"
    device: torch.device = torch.device("cpu")
    verbose: int = 0
    callbacks: tuple[Any, ...] = ()
    on_epoch_begin: Callable[[], None] | None = None
    on_epoch_end: Callable[[], bool] | None = None
    parts: Callable[[], dict[str, float]] | None = None  # further entries of the history, per epoch


@dataclass
class TrainingResult:
    """The result of training.

    history : one dict per epoch.
    interrupted : whether Ctrl-C ended the training.
    failure : the reason if training had to stop, else None.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    interrupted: bool = False
    failure: str | None = None
    optimizer_state: dict[str, Any] | None = None


def train(
    objective: nn.Module,
    batches: Batches,
    validation: Batches | None,
    options: TrainingOptions,
    optimizer_state: dict[str, Any] | None = None,
) -> TrainingResult:
    """Minimise `objective(**batch)` in place. Ctrl-C or a loss that is not finite keeps the last finite weights.

    The objective is in evaluation mode afterwards, whatever was raised.
    """
    guard, report = _Guard(options), _Report(options)
    net = _make_net(objective, validation, options, [guard, report])
    net.initialize()
    if optimizer_state is not None:
        # a copy, because the optimizer changes the moments in place
        net.optimizer_.load_state_dict(copy.deepcopy(optimizer_state))
    failure = None
    try:
        with one_intra_op_thread():
            net.partial_fit(_Epochs(batches), None)
    except _Divergence as error:
        failure = str(error)
    finally:
        objective.eval()
        buffer_pool.clear()
        report.close()
    stopped = report.stopped or _stopped_early(net)
    return TrainingResult(
        history=report.history,
        interrupted=failure is None and not stopped and len(report.history) < options.max_epochs,
        failure=failure,
        optimizer_state=copy.deepcopy(net.optimizer_.state_dict()),
    )


class _Loss(nn.Module):
    """The criterion of skorch. It returns the output of the module, which is the loss already."""

    def forward(self, loss: Tensor, _: Tensor) -> Tensor:
        return loss


class _Autocast(nn.Module):
    """Run the forward pass under torch's autocast to bfloat16. Weights and their updates stay float32."""

    def __init__(self, module: nn.Module, device_type: str) -> None:
        super().__init__()
        self.module, self.device_type = module, device_type

    def forward(self, **batch: Tensor) -> Tensor:
        with torch.autocast(self.device_type, torch.bfloat16):
            # where the caller is under autocast too, torch would keep the converted weights of earlier updates
            torch.clear_autocast_cache()
            return self.module(**batch)


class _Epochs(Dataset[Any]):
    """Batches that serve skorch as data set and as iterator, because nothing is left to load."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.batches)


def _pass_through(dataset: _Epochs, batch_size: int) -> _Epochs:
    return dataset


def _make_net(
    objective: nn.Module, validation: Batches | None, options: TrainingOptions, own: list[Callback]
) -> NeuralNet:
    bfloat16 = options.precision == "bfloat16"
    return NeuralNet(
        _Autocast(objective, options.device.type) if bfloat16 else objective,
        criterion=_Loss,
        optimizer=torch.optim.AdamW,
        lr=options.learning_rate,
        optimizer__weight_decay=options.weight_decay,
        max_epochs=options.max_epochs,
        iterator_train=_pass_through,
        iterator_valid=_pass_through,
        train_split=None if validation is None else predefined_split(_Epochs(validation)),
        callbacks=[*own, *_schedule(options), *_early_stopping(options), *options.callbacks],
        callbacks__print_log=None,
        device=options.device,
        verbose=0,
    )


def _schedule(options: TrainingOptions) -> list[Any]:
    if options.n_updates is None:
        return []
    one_cycle = LRScheduler(
        torch.optim.lr_scheduler.OneCycleLR,
        step_every="batch",
        event_name=None,
        max_lr=options.learning_rate,
        # OneCycleLR divides by the length of its phases, which must not be zero
        total_steps=max(options.n_updates, 4),
    )
    return [("schedule", one_cycle)]


def _early_stopping(options: TrainingOptions) -> list[Any]:
    if not options.early_stopping:
        return []
    rule = EarlyStopping(
        monitor="valid_loss",
        patience=options.n_iter_no_change,
        threshold=options.tol,
        threshold_mode="abs",
        load_best=True,
        sink=_silent,
    )
    return [("early_stopping", rule)]


def _silent(_: str) -> None:
    pass


def _stopped_early(net: NeuralNet) -> bool:
    rule = dict(net.callbacks_).get("early_stopping")
    return rule is not None and rule.misses_ >= rule.patience


class _Divergence(Exception):
    """The loss or its gradient is not finite. It is no FloatingPointError, which callbacks may raise themselves."""


class _Guard(Callback):
    """Clips gradients, stops before an update would make a weight infinite or NaN, and stops at Ctrl-C.

    Ctrl-C stops between two updates. At least one update is made, so that something is learned.
    """

    def __init__(self, options: TrainingOptions) -> None:
        self.options = options
        self.running = RUNNING.get()
        self.epoch = self.updates = 0
        self.last_good: dict[str, Tensor] = {}

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.epoch += 1
        self.last_good = {name: p.clone() for name, p in _numbers(net).items()}

    def on_grad_computed(self, net: NeuralNet, named_parameters: Any, **kwargs: Any) -> None:
        # skorch calls this between backward and the optimizer's step
        norm = nn.utils.clip_grad_norm_([p for _, p in named_parameters], CLIP_NORM)
        if not torch.isfinite(norm):
            self._stop(net)
        if self.updates:
            self._end_at_ctrl_c()
        self.updates += 1

    def on_batch_end(self, net: NeuralNet, loss: Tensor | None = None, training: bool = False, **kwargs: Any) -> None:
        if training and loss is not None and not torch.isfinite(loss):
            self._stop(net)
        self._end_at_ctrl_c()

    def _end_at_ctrl_c(self) -> None:
        if self.running is not None and self.running.ctrl_c.count:
            raise KeyboardInterrupt  # skorch ends training on this exception

    def _stop(self, net: NeuralNet) -> None:
        numbers = _numbers(net)
        if not all(torch.isfinite(p).all() for p in numbers.values()):
            for name, p in numbers.items():
                p.copy_(self.last_good[name])
        rate = net.optimizer_.param_groups[0]["lr"]
        raise _Divergence(
            f"the training loss or its gradient became NaN or infinite in epoch {self.epoch} at learning rate "
            f"{rate:.3g} (learning_rate={self.options.learning_rate:.3g}). Lower learning_rate, for example to "
            f"{self.options.learning_rate / 10:.1g}, or look for extreme values in X."
        )


def _numbers(net: NeuralNet) -> dict[str, Tensor]:
    """Return the weights and the running statistics of a network."""
    return {name: p.detach() for name, p in net.module_.state_dict().items() if p.is_floating_point()}


class _Report(Callback):
    """Keeps the history, shows the progress bar and calls the caller's hook after every epoch."""

    def __init__(self, options: TrainingOptions) -> None:
        self.options = options
        self.history: list[dict[str, Any]] = []
        self.stopped = False
        self.bar: Any = None

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        if self.options.verbose:
            self.bar = tqdm(total=self.options.max_epochs, desc="fit", unit="epoch")

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        if self.options.on_epoch_begin is not None:
            self.options.on_epoch_begin()

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        row = net.history[-1]
        kept = ("train_loss", "valid_loss", "dur")
        parts = {} if self.options.parts is None else self.options.parts()
        self.history.append({"epoch": len(self.history) + 1, **{k: float(row[k]) for k in kept if k in row}, **parts})
        if self.bar is not None:
            self.bar.set_postfix({k: f"{row[k]:.4f}" for k in kept[:2] if k in row}, refresh=False)
            self.bar.update()
        if self.options.on_epoch_end is not None and self.options.on_epoch_end():
            self.stopped = True
            raise KeyboardInterrupt  # skorch ends training on this exception

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
