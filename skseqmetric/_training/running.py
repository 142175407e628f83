"""Fits as transactions. A fit that fails leaves the estimator as it was; Ctrl-C keeps what was learned."""

from __future__ import annotations

import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import wraps
from types import FrameType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import torch
from sklearn.exceptions import ConvergenceWarning

from skseqmetric._training.callbacks import with_callbacks
from skseqmetric._training.verbose import shown_by

if TYPE_CHECKING:
    from skseqmetric._training.checkpoints import Checkpoint

Method = TypeVar("Method", bound=Callable[..., Any])

SCORING_LIBRARIES = ("dask", "hyperopt", "imblearn", "joblib", "optuna", "ray", "skopt", "sklearn")
"""Packages that fit estimators of others and go on with the result, such as searches and pipelines."""

_PASSED_THROUGH = ("sklearn.base", "sklearn.callback", "sklearn.utils")
"""Modules of these packages that a user's own call of a fit goes through."""


class CtrlC:
    """Ctrl-C as a request, inside `with`: the first one is only counted, and any further one raises at once.

    Where Python's own handler of SIGINT is not in charge, or outside the main thread, nothing changes.
    """

    def __init__(self) -> None:
        self.count = self._depth = 0
        self.installed = False

    def __enter__(self) -> Self:
        self._depth += 1
        if self._depth == 1 and threading.current_thread() is threading.main_thread():
            self.installed = signal.getsignal(signal.SIGINT) is signal.default_int_handler
            if self.installed:
                signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0 and self.installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            self.installed = False

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1:
            raise KeyboardInterrupt


class RunningFit:
    """The state of a fit that only the fit itself knows.

    keeps : kinds of errors that end the fit without undoing it from now on.
    told : whether the user was told that the fit ended early.
    is_part : whether it is a part of another fit, such as that of an ensemble.
    checkpoint : what the fit goes on from and writes to, if it was asked for.
    held : what is released when the fit ends.
    """

    checkpoint: Checkpoint | None = None

    def __init__(self, ctrl_c: CtrlC, *, is_part: bool = False) -> None:
        self.ctrl_c, self.is_part = ctrl_c, is_part
        self.held = ExitStack()
        self.keeps: tuple[type[BaseException], ...] = ()
        self.told = False
        self._undo: list[Callable[[], object]] = []

    def on_error(self, undo: Callable[[], object]) -> None:
        """Call `undo` if an error ends the fit, after the attributes of the estimator are restored."""
        self._undo.append(undo)

    def undo(self) -> None:
        for undo in reversed(self._undo):
            undo()

    def leave(self, name: str) -> None:
        """Raise KeyboardInterrupt again where the caller would go on with a model that is only half trained."""
        if self.ctrl_c.count > 1 or (self.ctrl_c.count and fitted_by_a_library()):
            raise KeyboardInterrupt
        if self.ctrl_c.count and not self.told:
            warnings.warn(
                f"{name}: Ctrl-C came after the last update; the fit is complete.", ConvergenceWarning, stacklevel=3
            )


RUNNING: ContextVar[RunningFit | None] = ContextVar("skseqmetric_running_fit", default=None)
"""The fit in progress in this thread."""


def was_interrupted() -> bool:
    """Whether Ctrl-C came during the fit in progress, which is to end soon. The user is told of it by the caller."""
    running = RUNNING.get()
    if running is None or not running.ctrl_c.count:
        return False
    running.told = True
    return True


def fitting(fit: Method) -> Method:
    """Make a method a fit by gradient descent: a transaction with callbacks, which Ctrl-C ends early.

    After an error the estimator is as it was before the fit, with the weights it had then. Ctrl-C keeps what was
    learned so far, and the fit returns. It raises KeyboardInterrupt after that if Ctrl-C was pressed twice, or if a
    search, a cross-validation or a pipeline called it: they would use a model that is only half trained.
    """
    followed = with_callbacks(fit)

    @wraps(fit)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _whole_or_undone(self) as running, shown_by(self, fits=True):
            result = followed(self, *args, **kwargs)
        if running.ctrl_c.count:
            running.leave(type(self).__name__)
        return result

    return method  # type: ignore[return-value]


@contextmanager
def _whole_or_undone(estimator: Any) -> Iterator[RunningFit]:
    """Run a fit in the body. An error restores the estimator, unless it is one of the kinds that the fit keeps."""
    before, outer = dict(vars(estimator)), RUNNING.get()
    # a fit within a callback of another one hears the same Ctrl-C
    running = RunningFit(CtrlC() if outer is None else outer.ctrl_c, is_part=outer is not None)
    token = RUNNING.set(running)
    try:
        with running.ctrl_c, running.held, ExitStack() as modes:
            # gradients in full precision, whatever modes of torch the caller is in
            modes.enter_context(torch.inference_mode(False))
            modes.enter_context(torch.enable_grad())
            for device in ("cpu", "cuda"):
                modes.enter_context(torch.autocast(device, enabled=False))
            yield running
        if outer is not None and running.told:
            outer.told = True
    except BaseException as error:
        if not isinstance(error, running.keeps):
            _restore(estimator, before)
            running.undo()
        raise
    finally:
        RUNNING.reset(token)


@contextmanager
def finished_despite_ctrl_c(estimator: Any) -> Iterator[None]:
    """Finish the body at a first Ctrl-C: it completes a fit whose training is over. Then leave as a fit does."""
    with CtrlC() as ctrl_c:
        yield
    if ctrl_c.count:
        RunningFit(ctrl_c).leave(type(estimator).__name__)


@contextmanager
def unchanged_if_refused(estimator: Any) -> Iterator[None]:
    """Restore all attributes of the estimator after an error in the body, so that a refused fit changes nothing."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        _restore(estimator, before)
        raise


def _restore(estimator: Any, attributes: dict[str, Any]) -> None:
    vars(estimator).clear()
    vars(estimator).update(attributes)


def fitted_by_a_library() -> bool:
    """Return whether a search, a cross-validation, a pipeline or the like is among the callers."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        module = frame.f_globals.get("__name__") or ""
        if module.partition(".")[0] in SCORING_LIBRARIES and not module.startswith(_PASSED_THROUGH):
            return True
        frame = frame.f_back
    return False
