"""Look into a fitted metric or network: data first (plain arrays), drawing second (matplotlib, imported when used)."""

from skseqmetric._metrics.alignment import Alignment
from skseqmetric.inspection._alignment import AlignmentDisplay
from skseqmetric.inspection._attention import AttentionDisplay
from skseqmetric.inspection._cross_modal import CrossModalMapDisplay, CrossModalRetrievalDisplay
from skseqmetric.inspection._embedding import EmbeddingDisplay
from skseqmetric.inspection._hidden_states import hidden_states
from skseqmetric.inspection._nested_states import NestedStatesDisplay
from skseqmetric.inspection._state_animation import StateAnimation
from skseqmetric.inspection._state_display import RecurrentStateDisplay
from skseqmetric.inspection._state_map import RecurrentStateMap
from skseqmetric.inspection._state_panels import HyperparameterPanels
from skseqmetric.inspection._synchronization import SynchronizationDisplay
from skseqmetric.inspection._unit_activity import UnitActivityDisplay
from skseqmetric.inspection._unit_encoding import UnitEncodingDisplay

__all__ = [
    "Alignment",
    "AlignmentDisplay",
    "AttentionDisplay",
    "CrossModalMapDisplay",
    "CrossModalRetrievalDisplay",
    "EmbeddingDisplay",
    "HyperparameterPanels",
    "NestedStatesDisplay",
    "RecurrentStateDisplay",
    "RecurrentStateMap",
    "StateAnimation",
    "SynchronizationDisplay",
    "UnitActivityDisplay",
    "UnitEncodingDisplay",
    "hidden_states",
]
