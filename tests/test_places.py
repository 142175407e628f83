"""States at places: linear resampling over the length of every sequence, and its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from skseqmetric._ops.places import positions_of_places, states_at_places

LENGTHS = [1, 2, 5, 9, 30]


def of_directions(n_directions: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random states (T, D, B, H), where steps past the end are not finite, and the lengths."""
    states = torch.randn(30, n_directions, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for i, length in enumerate(LENGTHS):
        states[length:, :, i] = torch.nan
    return states, torch.tensor(LENGTHS)


@pytest.mark.parametrize("n_directions", [1, 2])
@pytest.mark.parametrize("n_places", [1, 2, 7, 24])
def test_they_are_interpolated_in_time_order(n_places: int, n_directions: int) -> None:
    states, lengths = of_directions(n_directions)
    found = states_at_places(states, lengths, n_places).numpy()
    assert found.shape == (5, n_places, 3 * n_directions)
    positions = positions_of_places(lengths, n_places).numpy()
    for i, length in enumerate(LENGTHS):
        where = np.linspace(0, length - 1, n_places) if n_places > 1 else np.array([(length - 1) / 2])
        np.testing.assert_allclose(positions[i], where, rtol=1e-12)
        for d in range(n_directions):
            run = states[:length, d, i].numpy()[:: 1 if d == 0 else -1]
            expected = np.stack([np.interp(where, np.arange(length), h) for h in run.T], axis=1)
            np.testing.assert_allclose(found[i, :, 3 * d : 3 * d + 3], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n_places", [1, 4, 40])
def test_gradients_are_those_of_finite_differences(n_places: int) -> None:
    states = torch.randn(6, 2, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([6, 1, 4])
    torch.autograd.gradcheck(lambda x: states_at_places(x, lengths, n_places), states.requires_grad_())


def test_padding_changes_no_bit() -> None:
    states, lengths = of_directions(2)
    states = states.float()
    longer = torch.cat([states, torch.full((13, 2, 5, 3), torch.nan)])
    assert torch.equal(states_at_places(states, lengths, 24), states_at_places(longer, lengths, 24))
