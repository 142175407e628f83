"""tslearn, where it is installed."""

from __future__ import annotations

from typing import Any


def tslearn_metrics(needed_by: str) -> Any:
    """Return `tslearn.metrics`, or say what needs it."""
    try:
        import tslearn.metrics
    except ImportError as error:
        raise ImportError(f'{needed_by} needs tslearn: pip install "skseqmetric[baselines]"') from error
    return tslearn.metrics


def tslearn_sax(**settings: Any) -> Any:
    """Return tslearn's symbolic aggregate approximation."""
    tslearn_metrics('metric="sax"')
    from tslearn.piecewise import SymbolicAggregateApproximation

    return SymbolicAggregateApproximation(**settings)
