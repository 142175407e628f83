"""The callback protocol of scikit-learn 1.9 and later. Before 1.9 the same names exist without effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial, wraps
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """An empty class: `set_callbacks` does not exist before scikit-learn 1.9."""

    def with_callbacks(method: Method) -> Method:
        return method


Part = Callable[[Any], AbstractContextManager[Any]]
"""The fit of a part of an estimator, as a task below the fit of the whole."""


@contextmanager
def reported_fit(estimator: Any, X: Any, y: Any, *, n_parts: int) -> Iterator[Part]:
    """Report a fit that fits `n_parts` other estimators to the callbacks of the whole, which follow the parts too."""
    if not vars(estimator).get("_skl_callbacks"):
        yield nullcontext
        return
    data = {"X": X, "y": y}
    context = estimator._init_callback_context(max_subtasks=n_parts)
    context.call_on_fit_task_begin(estimator=estimator, **data)
    yield partial(_reported_part, estimator, context, data)
    # nothing is to be added to the estimator: its fit is over
    context.call_on_fit_task_end(estimator=estimator, reconstruction_attributes={}, **data)


@contextmanager
def _reported_part(estimator: Any, context: Any, data: dict[str, Any], part: Any) -> Iterator[None]:
    task = context.subcontext(task_name=f"fit-{type(part).__name__}")
    # a part without support for callbacks reports nothing
    with task.propagate_callback_context(part) if hasattr(part, "set_callbacks") else nullcontext():
        task.call_on_fit_task_begin(estimator=estimator, **data)
        yield
    task.call_on_fit_task_end(estimator=estimator, **data)


def reported(learn: Method) -> Method:
    """Report a method that fits at once to callbacks, as one task. Its first arguments are X and y."""

    @with_callbacks
    @wraps(learn)
    def method(self: Any, X: Any, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        with reported_fit(self, X, y, n_parts=0):
            return learn(self, X, y, *args, **kwargs)

    return method


class EpochReporter:
    """Reports the beginning and end of every epoch to the callbacks that `set_callbacks` set."""

    def __init__(self, estimator: Any, X: Any, y: Any, max_epochs: int, fitted: Callable[[], dict[str, Any]]) -> None:
        self.estimator, self.data, self.fitted = estimator, {"X": X, "y": y}, fitted
        self.context = estimator._init_callback_context(max_subtasks=max_epochs)
        self.context.call_on_fit_task_begin(estimator=estimator, **self.data)

    def begin_epoch(self) -> None:
        self.epoch = self.context.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def end_epoch(self) -> bool:
        """Report the end of an epoch. Return True if a callback asks to stop."""
        return bool(
            self.epoch.call_on_fit_task_end(
                estimator=self.estimator, reconstruction_attributes=self.fitted, **self.data
            )
        )

    def end(self) -> None:
        self.context.call_on_fit_task_end(estimator=self.estimator, reconstruction_attributes=self.fitted, **self.data)
