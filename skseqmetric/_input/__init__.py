"""Input: what a caller passes becomes `Sequences`, `Images` or checked targets, or an error that says what to do."""

from __future__ import annotations

from skseqmetric._input.arrays import as_array, is_missing, positional, real_numbers, unnested
from skseqmetric._input.columns import Columns
from skseqmetric._input.door import MISSING, check_sequences, lent_sequences, missing_rule
from skseqmetric._input.fixes import EARTH_RADIUS
from skseqmetric._input.frames import check_step_names, steps_of
from skseqmetric._input.images import Images, check_images
from skseqmetric._input.labels import (
    are_numbers,
    check_classes,
    check_groups,
    check_labels,
    check_step_labels,
    joined_labels,
    label_array,
    one_label_each,
)
from skseqmetric._input.lent import (
    BLOCK,
    LentSteps,
    blocks_of_steps,
    chosen,
    each_sequence,
    in_parts,
    is_large,
    owned,
)
from skseqmetric._input.long_tables import bunch_of
from skseqmetric._input.missing import completed, n_channels_read, with_masks
from skseqmetric._input.named_arrays import named
from skseqmetric._input.pieces import Piece, pieces_of
from skseqmetric._input.sequences import Sequences, rows_of_steps
from skseqmetric._input.stamps import check_stamps
from skseqmetric._input.targets import (
    check_pair_indices,
    check_pairs,
    check_real_targets,
    check_step_targets,
    check_weights,
)
from skseqmetric._input.tokens import Vocabulary, holds_tokens, token_codes, token_sequences, vocabularies_of

__all__ = [
    "BLOCK",
    "EARTH_RADIUS",
    "MISSING",
    "Columns",
    "Images",
    "LentSteps",
    "Piece",
    "Sequences",
    "Vocabulary",
    "are_numbers",
    "as_array",
    "blocks_of_steps",
    "bunch_of",
    "check_classes",
    "check_groups",
    "check_images",
    "check_labels",
    "check_pair_indices",
    "check_pairs",
    "check_real_targets",
    "check_sequences",
    "check_stamps",
    "check_step_labels",
    "check_step_names",
    "check_step_targets",
    "check_weights",
    "chosen",
    "completed",
    "each_sequence",
    "holds_tokens",
    "in_parts",
    "is_large",
    "is_missing",
    "joined_labels",
    "label_array",
    "lent_sequences",
    "missing_rule",
    "n_channels_read",
    "named",
    "one_label_each",
    "owned",
    "pieces_of",
    "positional",
    "real_numbers",
    "rows_of_steps",
    "steps_of",
    "token_codes",
    "token_sequences",
    "unnested",
    "vocabularies_of",
    "with_masks",
]
