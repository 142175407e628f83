"""Input: what a caller passes becomes `Sequences`, `Images` or checked targets, or an error that says what to do."""

from __future__ import annotations

from skseqmetric._input.arrays import as_array, is_missing, positional, real_numbers, unnested
from skseqmetric._input.columns import Columns
from skseqmetric._input.door import MISSING, check_sequences, missing_rule
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
from skseqmetric._input.long_tables import bunch_of
from skseqmetric._input.missing import completed, n_channels_read, with_masks
from skseqmetric._input.named_arrays import named
from skseqmetric._input.sequences import Sequences
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
    "EARTH_RADIUS",
    "MISSING",
    "Columns",
    "Images",
    "Sequences",
    "Vocabulary",
    "are_numbers",
    "as_array",
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
    "completed",
    "holds_tokens",
    "is_missing",
    "joined_labels",
    "label_array",
    "missing_rule",
    "n_channels_read",
    "named",
    "one_label_each",
    "positional",
    "real_numbers",
    "steps_of",
    "token_codes",
    "token_sequences",
    "unnested",
    "vocabularies_of",
    "with_masks",
]
