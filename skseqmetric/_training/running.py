"""A fit in progress: what Ctrl-C asks of it, and how an error undoes it."""

from __future__ import annotations

import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any, Self

from sklearn.exceptions import ConvergenceWarning

SCORING_LIBRARIES = ("dask", "hyperopt", "imblearn", "joblib", "optuna", "ray", "skopt", "sklearn")
"""Packages that fit estimators of others and go on with the result, such as searches and pipelines."""

_PASSED_THROUGH = ("sklearn.base", "sklearn.callback", "sklearn.utils")
"""Modules of these packages that a user's own call of a fit goes through."""


class CtrlC:
    """Ctrl-C as a request, inside `with`: the first one is only counted, and any further one raises at once.

    Where Python's own handler of SIGINT is not in charge, or outside the main thread, nothing changes.
    """

    def __init__(self) -> None:
        self.count = 0
        self._installed = False

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._installed = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if self._installed:
            signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count > 1:
            raise KeyboardInterrupt


class RunningFit:
    """The state of a fit that only the fit itself knows.

    keeps : kinds of errors that end the fit without undoing it from now on.
    told : whether the user was told that the fit ended early.
    """

    def __init__(self, ctrl_c: CtrlC) -> None:
        self.ctrl_c = ctrl_c
        self.keeps: tuple[type[BaseException], ...] = ()
        self.told = False
        self._undo: list[Callable[[], object]] = []

    @property
    def asked_to_stop(self) -> bool:
        return self.ctrl_c.count > 0

    def on_error(self, undo: Callable[[], object]) -> None:
        """Call `undo` if an error ends the fit, after the attributes of the estimator are restored."""
        self._undo.append(undo)

    def undo(self) -> None:
        for undo in reversed(self._undo):
            undo()

    def leave(self, name: str) -> None:
        """Raise KeyboardInterrupt again where the caller would go on with a model that is only half trained."""
        if self.ctrl_c.count > 1 or (self.asked_to_stop and _fitted_by_a_library()):
            raise KeyboardInterrupt
        if self.asked_to_stop and not self.told:
            warnings.warn(
                f"{name}: Ctrl-C came after the last update; the fit is complete.", ConvergenceWarning, stacklevel=4
            )


_running: ContextVar[RunningFit | None] = ContextVar("skseqmetric_running_fit", default=None)


def running_fit() -> RunningFit:
    """Return the fit in progress in this thread, or one that nobody interrupts."""
    return _running.get() or RunningFit(CtrlC())


@contextmanager
def whole_or_undone(estimator: Any) -> Iterator[RunningFit]:
    """Run a fit in the body. An error restores the estimator, unless it is one of the kinds that the fit keeps."""
    before, outer = dict(vars(estimator)), _running.get()
    running = RunningFit(CtrlC() if outer is None else outer.ctrl_c)
    token = _running.set(running)
    try:
        if outer is None:
            with running.ctrl_c:
                yield running
        else:
            yield running
    except BaseException as error:
        if not isinstance(error, running.keeps):
            restore(estimator, before)
            running.undo()
        raise
    finally:
        _running.reset(token)


def restore(estimator: Any, attributes: dict[str, Any]) -> None:
    """Let the estimator have these attributes and no others."""
    vars(estimator).clear()
    vars(estimator).update(attributes)


def _fitted_by_a_library() -> bool:
    """Return whether a search, a cross-validation, a pipeline or the like is among the callers."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        module = frame.f_globals.get("__name__") or ""
        if module.partition(".")[0] in SCORING_LIBRARIES and not module.startswith(_PASSED_THROUGH):
            return True
        frame = frame.f_back
    return False
