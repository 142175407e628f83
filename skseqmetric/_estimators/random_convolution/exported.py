"""The features of random convolutions for export: views and shares of padded batches, in the same order of additions.

Layouts: B sequences, T steps, C channels, P features.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from skseqmetric._estimators.random_convolution.features import VIEWS, ConvolutionFeatures
from skseqmetric._ops.random_convolution import TAPS
from skseqmetric._ops.scanned import BankArrays, shares_of_padded
from skseqmetric._ops.scanned.constants import constant

Padded = tuple[Tensor, Tensor]
"""Steps (B, T, C), zero past the end, and lengths (B,)."""


class ExportedFeatures(nn.Module):
    """Scaled sequences (B, T, C) -> the features (B, P), then (features - shift) / scale of chosen columns, or a map.

    convolutions : the banks of all views.
    columns, shift, scale : (D,) arrays of the columns that are kept, or None for all columns as they are.
    components : (D, P) array whose products with the shifted features are the answers, or None for no products.
    """

    def __init__(
        self,
        convolutions: ConvolutionFeatures,
        *,
        columns: np.ndarray | None = None,
        shift: np.ndarray | None = None,
        scale: np.ndarray | None = None,
        components: np.ndarray | None = None,
    ) -> None:
        super().__init__()
        n_channels, n_steps = len(convolutions.mean), convolutions.n_steps
        names = [name for name in VIEWS if name in convolutions.banks]
        # views of equal numbers of steps are read together
        groups = [[name for name in names if name in some] for some in (VIEWS[:2], VIEWS[2:])]
        self.groups = [group for group in groups if group]
        self.banks = [BankArrays.of([convolutions.banks[n] for n in group], TAPS, n_channels) for group in self.groups]
        self.order = _places([n for group in self.groups for n in group], convolutions)
        self.places = np.linspace(0, 1, n_steps)
        given = {"columns": columns, "shift": shift, "scale": scale, "components": components}
        for name, array in given.items():
            self.register_buffer(name, None if array is None else constant(array))

    def forward(self, values: Tensor, lengths: Tensor) -> tuple[Tensor]:
        parts = []
        for group, banks in zip(self.groups, self.banks, strict=True):
            x, steps = zip(*(self._viewed(name, values, lengths) for name in group), strict=True)
            parts.append(shares_of_padded(torch.stack(x), torch.stack(steps), banks))
        found = torch.cat(parts, 1)[:, constant(self.order)]
        columns, shift, scale, components = (getattr(self, n) for n in ("columns", "shift", "scale", "components"))
        found = found if columns is None else found[:, columns]
        found = found if shift is None else found - shift
        found = found if scale is None else found / scale
        return (found if components is None else found @ components.T,)

    def _viewed(self, name: str, x: Tensor, lengths: Tensor) -> Padded:
        if name.startswith("relative"):
            x, lengths = self._resampled(x, lengths)
        return _differences(x, lengths) if name.endswith("differences") else (x, lengths)

    def _resampled(self, x: Tensor, lengths: Tensor) -> Padded:
        """Return n_steps places of every sequence, evenly from its first step to its last, linear between steps."""
        n_steps = len(self.places)
        places = constant(self.places) * (lengths[:, None] - 1)
        lower = torch.minimum(places.long(), (lengths[:, None] - 2).clamp(min=0))
        share = (places - lower).to(torch.float32)[..., None]
        upper = lower + (lengths > 1).long()[:, None]
        below, above = (x.gather(1, at[..., None].expand(-1, -1, x.shape[2])) for at in (lower, upper))
        # one step of zeros more, so that differences have two steps or more
        found = torch.nn.functional.pad(below * (1 - share) + above * share, (0, 0, 0, 1))
        return found, torch.full_like(lengths, n_steps)


def _places(names: list[str], convolutions: ConvolutionFeatures) -> np.ndarray:
    """Return where the features, in the order of the banks, are among those in the order of `names`."""
    sizes = {name: bank.n_features for name, bank in convolutions.banks.items()}
    starts = dict(zip(names, np.cumsum([0, *(sizes[name] for name in names)]), strict=False))
    return np.concatenate([starts[name] + np.arange(size) for name, size in sizes.items()])


def _differences(x: Tensor, lengths: Tensor) -> Padded:
    """Return x_(t+1) - x_t for every step but the last, or a step of zeros if there is no other, and zeros behind."""
    found = torch.nn.functional.pad(x[:, 1:] - x[:, :-1], (0, 0, 0, 1))
    t = torch.arange(found.shape[1], dtype=torch.int64, device=x.device)
    inside = (t < lengths[:, None] - 1)[..., None]
    return torch.where(inside, found, 0), (lengths - 1).clamp(min=1)
