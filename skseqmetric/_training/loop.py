"""The training loop. It is a skorch net, and adds the promises of this package as callbacks."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from skorch.helper import predefined_split
from torch import Tensor, nn
from torch.utils.data import Dataset

from skseqmetric._ops import buffer_pool
from skseqmetric._ops.parallel import one_intra_op_thread
from skseqmetric._ops.progress import Bar, progress
from skseqmetric._ops.ranks import RANKS
from skseqmetric._training.checkpoints import Checkpoint, Streams
from skseqmetric._training.checkpoints.hooks import callback_state, restore_callback
from skseqmetric._training.checkpoints.modules import (
    check_weights_of,
    load_optimizer,
    module_state,
    restore_module,
    restore_optimizer,
)
from skseqmetric._training.checkpoints.trees import fits_a_tree
from skseqmetric._training.running import RUNNING

CLIP_NORM = 1.0

CHECKED = 64
"""Updates after which the host asks a CUDA device whether all was finite."""


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
    callbacks: tuple[Any, ...] = ()
    on_epoch_begin: Callable[[], None] | None = None
    on_epoch_end: Callable[[], bool] | None = None
    parts: Callable[[], dict[str, float]] | None = None  # further entries of the history, per epoch
    checkpoint: Checkpoint | None = None
    streams: Streams | None = None  # what a checkpoint keeps of the batches


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
    recorder = _Recorder(options, objective, guard, report)
    if options.checkpoint is not None:
        net.callbacks.append(recorder)
    net.initialize()
    if optimizer_state is not None:
        load_optimizer(net.optimizer_, optimizer_state)
    failure = None
    try:
        with one_intra_op_thread(), progress("training", options.max_epochs, "epoch", delay=0) as report.bar:
            net.partial_fit(_Epochs(batches), None, epochs=recorder.epochs_left)
    except _Divergence as error:
        failure = str(error)
    finally:
        objective.eval()
        buffer_pool.clear()
    stopped = report.stopped or _stopped_early(net)
    return TrainingResult(
        history=report.history,
        interrupted=failure is None and not stopped and len(report.history) < options.max_epochs,
        failure=failure,
        optimizer_state=copy.deepcopy(net.optimizer_.state_dict()),
    )


class _Net(NeuralNet):
    """A net whose module returns the loss. Batches lie on the device, and the optimizer needs no closure.

    skorch would convert every batch, make a closure for every update, call every callback at every event, and wait for
    the device after every batch. With small networks this takes longer than the arithmetic.
    """

    _listeners: dict[str, list[Any]]
    _named: list[tuple[str, nn.Parameter]]

    def notify(self, method_name: str, **cb_kwargs: Any) -> None:
        """Call the callbacks that do something at this event, in their order."""
        if method_name == "on_train_begin":
            self._listeners = {}
        if method_name not in self._listeners:
            all_ = [self, *(callback for _, callback in self.callbacks_)]
            self._listeners[method_name] = [one for one in all_ if _listens(one, method_name)]
        for one in self._listeners[method_name]:
            getattr(one, method_name)(self, **cb_kwargs)

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, step_fn: Callable[..., dict[str, Any]], **fit_params: Any
    ) -> None:
        """Run one epoch. The losses of its batches become numbers when it ends, without waiting for the device."""
        if iterator is None:
            return
        self._named = list(self.get_all_learnable_params())
        losses: list[Tensor] = []
        for batch in iterator:
            self.notify("on_batch_begin", batch=batch, training=training)
            step = step_fn(batch)
            losses.append(step["loss"].detach())
            self.history.record_batch(f"{prefix}_loss", losses[-1] if losses[-1].is_cuda else losses[-1].item())
            self.history.record_batch(f"{prefix}_batch_size", len(next(iter(batch[0].values()))))
            self.notify("on_batch_end", batch=batch, training=training, **step)
        if losses and losses[0].is_cuda:
            batches = self.history[-1]["batches"][-len(losses) :]
            for row, loss in zip(batches, torch.stack(losses).tolist(), strict=True):
                row[f"{prefix}_loss"] = loss
        self.history.record(f"{prefix}_batch_count", len(losses))

    def infer(self, x: dict[str, Tensor], **fit_params: Any) -> Tensor:
        """Return the loss of a batch."""
        loss: Tensor = self.module_(**x)
        return loss

    def get_loss(self, y_pred: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return the output of the module, which is the loss already."""
        return y_pred

    def train_step(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Make one update."""
        for _, parameter in self._named:
            parameter.grad = None
        step: dict[str, Any] = self.train_step_single(batch)
        if (ranks := RANKS.get()) is not None:
            ranks.average_gradients(parameter for _, parameter in self._named)
        self.notify("on_grad_computed", named_parameters=self._named, batch=batch, training=True)
        self.optimizer_.step()
        return step


def _listens(one: Any, event: str) -> bool:
    """Whether a callback or the net overrides the method of skorch that does nothing."""
    idle = (getattr(Callback, event), getattr(NeuralNet, event) if event in _IDLE else None)
    return getattr(getattr(one, event), "__func__", None) not in idle


_IDLE = {"on_train_begin", "on_train_end", "on_epoch_end", "on_batch_end", "on_grad_computed"}
"""Events at which `NeuralNet` itself does nothing."""


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


def _make_net(objective: nn.Module, validation: Batches | None, options: TrainingOptions, own: list[Callback]) -> _Net:
    bfloat16 = options.precision == "bfloat16"
    return _Net(
        _Autocast(objective, options.device.type) if bfloat16 else objective,
        criterion=nn.Identity,
        optimizer=torch.optim.AdamW,
        lr=options.learning_rate,
        optimizer__weight_decay=options.weight_decay,
        optimizer__fused=True,
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


def _stopped_early(net: _Net) -> bool:
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
        self.found: Tensor | None = None  # 1 on the device once something was not finite

    def on_epoch_begin(self, net: _Net, **kwargs: Any) -> None:
        self.epoch += 1
        self.last_good = {name: p.clone() for name, p in _numbers(net).items()}

    def on_grad_computed(self, net: _Net, named_parameters: Any, **kwargs: Any) -> None:
        # skorch calls this between backward and the optimizer's step
        self._clip(net, [p.grad for _, p in named_parameters if p.grad is not None])
        if self.updates:
            self._end_at_ctrl_c()
        self.updates += 1

    def _clip(self, net: _Net, gradients: list[Tensor]) -> None:
        if not gradients:
            return
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        self._must_be_finite(net, norm)
        if norm.is_cuda:
            torch._foreach_mul_(gradients, (CLIP_NORM / (norm + 1e-6)).clamp_max(1.0))
        elif (size := norm.item()) > CLIP_NORM:
            torch._foreach_mul_(gradients, CLIP_NORM / (size + 1e-6))

    def on_batch_end(self, net: _Net, loss: Tensor | None = None, training: bool = False, **kwargs: Any) -> None:
        if training and loss is not None:
            self._must_be_finite(net, loss.detach())
            if self.updates % CHECKED == 0:
                self._look(net)
        self._end_at_ctrl_c()

    def on_epoch_end(self, net: _Net, **kwargs: Any) -> None:
        self._look(net)

    def _must_be_finite(self, net: _Net, number: Tensor) -> None:
        """Stop at a number that is not finite. On CUDA the optimizer stops at once, and the host hears of it later."""
        if not number.is_cuda:
            if not math.isfinite(number):
                self._stop(net)
            return
        found = (~number.isfinite()).float()
        net.optimizer_.found_inf = found if self.found is None else torch.maximum(self.found, found)
        self.found = net.optimizer_.found_inf

    def _look(self, net: _Net) -> None:
        if self.found is not None and self.found:
            self._stop(net)

    def _end_at_ctrl_c(self) -> None:
        if self.running is not None and self.running.ctrl_c.count:
            raise KeyboardInterrupt  # skorch ends training on this exception

    def _stop(self, net: _Net) -> None:
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


def _numbers(net: _Net) -> dict[str, Tensor]:
    """Return the weights and the running statistics of a network."""
    return {name: p.detach() for name, p in net.module_.state_dict().items() if p.is_floating_point()}


class _Report(Callback):
    """Keeps the history, moves the progress bar and calls the caller's hook after every epoch."""

    def __init__(self, options: TrainingOptions) -> None:
        self.options = options
        self.history: list[dict[str, Any]] = []
        self.stopped = False
        self.bar = Bar()

    def on_epoch_begin(self, net: _Net, **kwargs: Any) -> None:
        if self.options.on_epoch_begin is not None:
            self.options.on_epoch_begin()

    def on_epoch_end(self, net: _Net, **kwargs: Any) -> None:
        row = net.history[-1]
        kept = ("train_loss", "valid_loss", "dur")
        parts = {} if self.options.parts is None else self.options.parts()
        self.history.append({"epoch": len(self.history) + 1, **{k: float(row[k]) for k in kept if k in row}, **parts})
        self.bar.advance(figures={k: f"{row[k]:.4f}" for k in kept[:2] if k in row})
        if self.options.on_epoch_end is not None and self.options.on_epoch_end():
            self.stopped = True
            raise KeyboardInterrupt  # skorch ends training on this exception


class _Recorder(Callback):
    """Goes on from a checkpoint before the first epoch, and writes one after every epoch. It is the last callback."""

    def __init__(self, options: TrainingOptions, objective: nn.Module, guard: _Guard, report: _Report) -> None:
        self.options, self.objective, self.guard, self.report = options, objective, guard, report
        self.checkpoint, self.streams = options.checkpoint, options.streams
        self.written = 0
        self.found = None if self.checkpoint is None or not self.checkpoint.found else self._read(self.checkpoint)

    def _read(self, checkpoint: Checkpoint) -> Any:
        found = checkpoint.read(sum(p.nbytes for p in self.objective.state_dict().values() if isinstance(p, Tensor)))
        done = found.get("epochs") if isinstance(found, dict) else None
        if type(done) is not int or not 1 <= done <= self.options.max_epochs:
            raise checkpoint.damaged(f"it is of epoch {done!r:.20} of {self.options.max_epochs}")
        return found

    @property
    def epochs_left(self) -> int:
        """Epochs that are still to be trained."""
        if self.found is None:
            return self.options.max_epochs
        return 0 if self.found.get("finished") is True else self.options.max_epochs - int(self.found["epochs"])

    def on_train_begin(self, net: _Net, **kwargs: Any) -> None:
        if self.checkpoint is None or self.found is None:
            return
        try:
            self._restore(net, self.found)
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise self.checkpoint.damaged(error) from error
        self.found = None  # its numbers are copied

    def on_epoch_end(self, net: _Net, **kwargs: Any) -> None:
        self._write(net, finished=len(self.report.history) == self.options.max_epochs)

    def on_train_end(self, net: _Net, **kwargs: Any) -> None:
        # early stopping ends an epoch before this callback hears of it
        if _stopped_early(net) and self.written < len(self.report.history):
            self._write(net, finished=True)

    def _write(self, net: _Net, *, finished: bool) -> None:
        self.written = len(self.report.history)
        if self.checkpoint is None or self.streams is None:
            return
        state = {
            "epochs": self.written,
            "finished": finished,
            "objective": module_state(self.objective),
            "optimizer": net.optimizer_.state_dict(),
            "history": self.report.history,
            "rows": [{**{k: v for k, v in row.items() if fits_a_tree(v)}, "batches": []} for row in net.history],
            "updates": self.guard.updates,
            "callbacks": [[name, callback_state(callback)] for name, callback in self._others(net)],
            "streams": self.streams.state(),
        }
        self.checkpoint.write(state)

    def _restore(self, net: _Net, state: dict[str, Any]) -> None:
        names, epochs = [name for name, _ in self._others(net)], list(range(1, state["epochs"] + 1))
        if [name for name, _ in state["callbacks"]] != names:
            raise ValueError("it has other callbacks")
        if any([row["epoch"] for row in rows] != epochs for rows in (state["rows"], state["history"])):
            raise ValueError("its history does not have all of its epochs")
        restore_module(self.objective, state["objective"])
        restore_optimizer(net.optimizer_, state["optimizer"])
        for (_, callback), (_, own) in zip(self._others(net), state["callbacks"], strict=True):
            restore_callback(callback, own)
        if (best := getattr(dict(net.callbacks_).get("early_stopping"), "best_model_weights_", None)) is not None:
            check_weights_of(net.module_, best)
        if self.streams is not None:
            self.streams.restore(state["streams"])
        net.history.extend(state["rows"])
        self.report.history.extend(state["history"])
        self.report.bar.advance(state["epochs"])
        self.guard.epoch, self.guard.updates = state["epochs"], int(state["updates"])
        self.written = state["epochs"]

    def _others(self, net: _Net) -> list[tuple[str, Any]]:
        """Return all callbacks that remember something which is not kept here already."""
        own = (self, self.guard, self.report)
        return [(name, callback) for name, callback in net.callbacks_ if callback not in own]
