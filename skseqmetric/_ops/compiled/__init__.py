"""The optional compiled extension: fused kernels for float32 on the CPU (src/), and how tensors reach them."""

from skseqmetric._ops.compiled._library import Library, library, obstacle, warn_where_missing
from skseqmetric._ops.compiled.alignment import alignment_matches, alignment_tile
from skseqmetric._ops.compiled.cells import cell_states
from skseqmetric._ops.compiled.dtw import dtw_distances, dtw_nearest
from skseqmetric._ops.compiled.memory import memory_states
from skseqmetric._ops.compiled.random_convolution import convolution_shares
from skseqmetric._ops.compiled.recurrence import (
    gru_pooled,
    gru_states,
    sync_gru_pooled,
    sync_gru_states,
)
from skseqmetric._ops.compiled.reservoir import reservoir_pooled, reservoir_states
from skseqmetric._ops.compiled.stem import MAX_STRIDE, conv_stem
from skseqmetric._ops.compiled.tile import sync_gru_tile

__all__ = [
    "MAX_STRIDE",
    "Library",
    "alignment_matches",
    "alignment_tile",
    "cell_states",
    "conv_stem",
    "convolution_shares",
    "dtw_distances",
    "dtw_nearest",
    "gru_pooled",
    "gru_states",
    "library",
    "memory_states",
    "obstacle",
    "reservoir_pooled",
    "reservoir_states",
    "sync_gru_pooled",
    "sync_gru_states",
    "sync_gru_tile",
    "warn_where_missing",
]
