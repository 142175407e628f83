"""Labels that are sequences of symbols, learned by connectionist temporal classification (CTC)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from torch import Tensor
from torch.nn.functional import ctc_loss

from skseqmetric._files import record
from skseqmetric._input import Sequences
from skseqmetric._tasks.base import Targets, Task
from skseqmetric._tasks.spelling import (
    BLANK,
    check_alphabet,
    check_known,
    check_room,
    check_symbol_labels,
    spelled,
    with_start_symbol,
    written,
)
from skseqmetric.metrics import character_error_rate


@record(every_step="bool", mean_weight="number", alphabet="none|labels K", kind="none|str", steps_left="none")
@dataclass(frozen=True)
class Symbols(Task):
    """Strings or lists of symbols. Targets are their codes after a start symbol. Outputs are the scores of every step.

    alphabet : the sorted symbols as an array of objects, known after `check`.
    kind : type of the labels, "string" or "list", known after `check`.
    steps_left : function (sequences, continued=...) that returns how many steps (n,) the network leaves of the
        sequences. Labels must fit into them. `continued` means that an earlier network is trained further.
    """

    alphabet: Any = None
    kind: str | None = None
    steps_left: Callable[..., np.ndarray] | None = None

    # ------------------------------------------------------------------ fitting
    def following(self, earlier: Symbols) -> Self:
        return replace(self, alphabet=earlier.alphabet, kind=earlier.kind)

    def check(self, y: Any, sequences: Sequences) -> tuple[Self, Targets]:
        labels = check_symbol_labels(y, len(sequences.lengths))
        alphabet = (
            check_alphabet([s for label in labels.labels for s in label]) if self.alphabet is None else self.alphabet
        )
        codes = spelled(labels, alphabet)
        check_known(codes, labels, alphabet)
        if self.kind not in (None, labels.kind):
            raise ValueError(f"The labels of y are {labels.kind}s, but those of the first fit were {self.kind}s.")
        if self.steps_left is not None:
            check_room(codes, sequences.lengths, self.steps_left(sequences, continued=self.kind is not None))
        task = replace(self, alphabet=alphabet, kind=labels.kind, steps_left=None)
        return task, with_start_symbol(codes)

    def learn(self, targets: Targets, weights: np.ndarray) -> Self:
        return replace(self, mean_weight=float(weights.mean()))

    def network_targets(self, targets: Targets) -> Targets:
        return targets

    def regression_rows(self, targets: Targets) -> np.ndarray | None:
        """Return how often each symbol is in a label."""
        counts = [np.bincount(codes[1:], minlength=self.n_outputs)[1:] for codes in targets]
        return np.array(counts, dtype=np.float64)

    def loss(self, outputs: Tensor, lengths: Tensor, targets: Tensor) -> Tensor:
        """Return the CTC loss per symbol of the label."""
        codes = targets[:, 1:]
        n_symbols = (codes > BLANK).sum(1)
        log_probs = outputs.log_softmax(2).transpose(0, 1)
        losses = ctc_loss(log_probs, codes.clamp_min(BLANK), lengths, n_symbols, blank=BLANK, reduction="none")
        return losses / n_symbols.clamp_min(1)

    # ------------------------------------------------------------------ answers
    @property
    def n_outputs(self) -> int:
        return len(self.alphabet) + 1

    @property
    def attributes(self) -> dict[str, Any]:
        return {"classes_": self.alphabet, "symbols_": self.alphabet, "label_kind_": self.kind}

    def in_units_of_y(self, outputs: Any) -> Any:
        return outputs

    def answer(self, outputs: list[np.ndarray]) -> list[Any]:
        """Convert decoded codes to labels of the same type as y."""
        return [written(codes, self.alphabet, str(self.kind)) for codes in outputs]

    def score(self, y: Any, answers: Any, sample_weight: Any) -> float:
        """Return 1 - character error rate. The best score is 1; more errors than symbols give a score below 0."""
        return 1.0 - character_error_rate(y, answers, sample_weight=sample_weight)
