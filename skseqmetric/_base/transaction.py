"""Fits as transactions: a fit that is refused or fails leaves the estimator as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

from skseqmetric._training.callbacks import with_callbacks
from skseqmetric._training.running import restore, whole_or_undone

Method = TypeVar("Method", bound=Callable[..., Any])


@contextmanager
def unchanged_if_refused(estimator: Any) -> Iterator[None]:
    """Restore all attributes of the estimator after an error in the body, so that a refused fit changes nothing."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        restore(estimator, before)
        raise


def fitting(fit: Method) -> Method:
    """Make a method a fit by gradient descent: a transaction with callbacks, which Ctrl-C ends early.

    After an error the estimator is as it was before the fit, with the weights it had then. Ctrl-C keeps what was
    learned so far, and the fit returns. It raises KeyboardInterrupt after that if Ctrl-C was pressed twice, or if a
    search, a cross-validation or a pipeline called it: they would use a model that is only half trained.
    """
    followed = with_callbacks(fit)

    @wraps(fit)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        with whole_or_undone(self) as running:
            result = followed(self, *args, **kwargs)
        running.leave(type(self).__name__)
        return result

    return method  # type: ignore[return-value]
