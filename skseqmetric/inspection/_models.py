"""Estimators that are shown side by side, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from skseqmetric._input import positional


def named_estimators(estimators: Any) -> dict[str, Any]:
    """Return estimators by name: their own names, or those of their classes with a number if these are equal."""
    if isinstance(estimators, Mapping):
        found = {str(name): own for name, own in estimators.items()}
    else:
        listed = positional(
            estimators, "estimators", "Pass a mapping from names to fitted estimators, or a list of them."
        )
        classes = [type(own).__name__ for own in listed]
        names = [f"{own} {i}" if classes.count(own) > 1 else own for i, own in enumerate(classes)]
        found = dict(zip(names, listed, strict=True))
    if not found:
        raise ValueError("estimators is empty: pass at least one fitted estimator.")
    return found
