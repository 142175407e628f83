"""faiss, where it is installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any


def faiss_library(value: str, parameter: str = "backend") -> Any:
    """Return `faiss`, or say which value of a parameter needs it."""
    try:
        import faiss
    except ImportError as error:
        raise ImportError(
            f'{parameter}="{value}" needs faiss: pip install "skseqmetric[ann]", or use {parameter}="exact".'
        ) from error
    return faiss


def has_faiss() -> bool:
    """Whether faiss is installed."""
    return find_spec("faiss") is not None
