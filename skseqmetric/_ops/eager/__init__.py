"""The recurrences as torch operations, their gradients by hand: every dtype, every device."""

from skseqmetric._ops.eager.gru import gru_states
from skseqmetric._ops.eager.sync_gru import sync_gru_states
from skseqmetric._ops.eager.sync_gru_tile import sync_gru_tile

__all__ = ["gru_states", "sync_gru_states", "sync_gru_tile"]
