"""Training in bfloat16: its losses are those of float32 but for their rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.small_trained import SETTINGS, Data, targets

START: dict[str, Any] = {"batch_size": 24, "min_batches": 1, "max_epochs": 2, "augment": None, "random_state": 0}


@pytest.mark.parametrize("cls", list(SETTINGS))
def test_bfloat16_rounds_the_forward_pass_and_nothing_else(cls: Any, ragged: Data) -> None:
    X, y = ragged[0], targets(cls, ragged)
    exact, rounded = (
        cls(**{**SETTINGS[cls], **START}, precision=precision).fit(X, y) for precision in ("float32", "bfloat16")
    )
    losses = [[row["train_loss"] for row in fitted.history_] for fitted in (exact, rounded)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.02)
    assert losses[0] != losses[1]
    assert {p.dtype for p in rounded.module_.parameters()} == {p.dtype for p in exact.module_.parameters()}
    assert rounded.transform(X).dtype == np.float32
