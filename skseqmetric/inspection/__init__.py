"""Look into a fitted metric: data first (plain arrays), drawing second (matplotlib, imported when used)."""

from skseqmetric.inspection._embedding import EmbeddingDisplay
from skseqmetric.inspection._synchronization import SynchronizationDisplay

__all__ = ["EmbeddingDisplay", "SynchronizationDisplay"]
