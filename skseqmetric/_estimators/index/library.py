"""faiss, where it is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any


def faiss_library(backend: str) -> Any:
    """Return `faiss`, or say what needs it."""
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            f'SequenceIndex(backend="{backend}") needs faiss: pip install "skseqmetric[ann]", or use backend="exact".'
        ) from error
    return faiss


def has_faiss() -> bool:
    """Whether faiss is installed."""
    return find_spec("faiss") is not None
