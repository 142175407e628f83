"""The callback protocol of scikit-learn 1.9 and later. Before 1.9 the same names exist without effect."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn < 1.9

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """An empty class: `set_callbacks` does not exist before scikit-learn 1.9."""

    def with_callbacks(method: Method) -> Method:
        return method


@contextmanager
def reported_fit(estimator: Any, part: Any, X: Any, y: Any) -> Iterator[None]:
    """Report the fit of an estimator, and that of its part as a subtask, to the callbacks of the estimator."""
    if not vars(estimator).get("_skl_callbacks"):
        yield
        return
    data = {"X": X, "y": y}
    context = estimator._init_callback_context(max_subtasks=1)
    context.call_on_fit_task_begin(estimator=estimator, **data)
    inner = context.subcontext(task_name=f"fit-{type(part).__name__}")
    inner.call_on_fit_task_begin(estimator=estimator, **data)
    # a part without support for callbacks reports nothing
    with inner.propagate_callback_context(part) if hasattr(part, "set_callbacks") else nullcontext():
        yield
    inner.call_on_fit_task_end(estimator=estimator, **data)
    context.call_on_fit_task_end(estimator=estimator, **data)


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
