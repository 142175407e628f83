"""Look into a fitted metric: data first (plain arrays), drawing second (matplotlib, imported when used)."""

from skseqmetric.inspection._attention import AttentionDisplay
from skseqmetric.inspection._cross_modal import CrossModalMapDisplay, CrossModalRetrievalDisplay
from skseqmetric.inspection._embedding import EmbeddingDisplay
from skseqmetric.inspection._synchronization import SynchronizationDisplay

__all__ = [
    "AttentionDisplay",
    "CrossModalMapDisplay",
    "CrossModalRetrievalDisplay",
    "EmbeddingDisplay",
    "SynchronizationDisplay",
]
