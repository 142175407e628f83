"""The recurrences as one scan over the steps: for export, where no length may be fixed and no loop unrolled."""

from skseqmetric._ops.scanned.cells import cell_states
from skseqmetric._ops.scanned.gru import gru_states
from skseqmetric._ops.scanned.memory import memory_states
from skseqmetric._ops.scanned.nearest import nearest_references
from skseqmetric._ops.scanned.random_convolution import BankArrays, shares_of_padded
from skseqmetric._ops.scanned.reservoir import reservoir_states

__all__ = [
    "BankArrays",
    "cell_states",
    "gru_states",
    "memory_states",
    "nearest_references",
    "reservoir_states",
    "shares_of_padded",
]
