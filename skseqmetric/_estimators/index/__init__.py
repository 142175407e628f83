"""An index: references with ids that come and go, searched exactly or approximately."""

from __future__ import annotations

from skseqmetric._estimators.index.index import SequenceIndex
from skseqmetric._estimators.index.sharded import ShardedIndex

__all__ = ["SequenceIndex", "ShardedIndex"]
