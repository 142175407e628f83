"""The members of an ensemble to which none are given."""

from __future__ import annotations

from typing import Any

from skseqmetric._metrics.protocol import metric_named

DEFAULT_WEIGHTS = (0.5, 0.5)
"""Of the members, in their order."""

_REGISTERED = {"convolution": "random_convolution", "alignment": "alignment"}


def default_metrics() -> list[tuple[str, Any]]:
    """Return new members with their names: the one sees local shapes, the other one the order of states."""
    return [(name, metric_named(known).set_params(random_state=None)) for name, known in _REGISTERED.items()]


def names_default(parameters: dict[str, Any]) -> bool:
    """Whether some of the parameters are those of a default member, or are such a member."""
    return any(key.partition("__")[0] in _REGISTERED for key in parameters)
