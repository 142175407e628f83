"""Two halves of a siamese GRU, and the forms in which they may be coupled.

Layouts: T steps, B sequences, P pairs, C channels, H units. Halves are stacked: (2, P, H).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

FORMS = ("none", "scalar", "symmetric", "diffusive", "signed", "candidate", "alignment")
"""none: two runs by themselves. scalar, symmetric, diffusive: a gate c in (0, 1/2) mixes the states of both halves
before the step. signed: its gate is 1/2 tanh, so that it may also repel. candidate: the other state enters the
candidate, n = tanh(W x + r U h + c V h_other), with c in (0, 1). alignment: no coupling; states are matched."""

READOUTS = ("mean", "last", "gap")
"""Distance of mean states, distance of last states, or root mean square gap of the states of all steps."""

GATED = ("diffusive", "signed", "candidate")
N_PLACES = 16


@dataclass(frozen=True)
class Shape:
    """Sizes of a network: channels, units, filters of a convolutional stem (0: none), directions."""

    n_channels: int
    n_units: int = 32
    n_filters: int = 0
    n_directions: int = 1


class Direction(nn.Module):
    """The weights of one direction and its coupled run."""

    def __init__(self, n_inputs: int, n_units: int, form: str) -> None:
        super().__init__()
        self.form, self.n_units = form, n_units
        self.gated = form in (*GATED, "symmetric")
        self.read = nn.Linear(n_inputs, n_units * (4 if self.gated else 3))
        self.recur = nn.Linear(n_units, 3 * n_units)
        for block in self.recur.weight.chunk(3):
            nn.init.orthogonal_(block)
        self.gate_own = nn.Linear(n_units, n_units, bias=False) if self.gated else None
        self.gate_other = nn.Linear(n_units, n_units, bias=False) if form in GATED else None
        self.from_other = nn.Linear(n_units, n_units, bias=False) if form == "candidate" else None
        self.scalar = nn.Parameter(torch.tensor(-2.0)) if form == "scalar" else None
        if self.gated:
            with torch.no_grad():
                self.read.bias[3 * n_units :] = 0.0 if form == "signed" else -2.0
            for layer in (self.gate_own, self.gate_other):
                if layer is not None:
                    nn.init.normal_(layer.weight, std=0.05)

    def forward(self, features: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Return the states (T, 2, P, H) of the pairs (rows[p], columns[p]) of features (B, T, F).

        A half that has ended keeps its state and stays a partner.
        """
        chosen = torch.stack([rows, columns])
        inputs = self.read(features).transpose(0, 1)[:, chosen]
        ends = lengths[chosen]
        state = features.new_zeros(2, len(rows), self.n_units)
        states = []
        for t, given in enumerate(inputs.unbind(0)):
            state = torch.where((t < ends)[..., None], self._step(given, state), state)
            states.append(state)
        return torch.stack(states)

    def _step(self, given: Tensor, state: Tensor) -> Tensor:
        n = self.n_units
        other = state.flip(0)
        gate = self._gate(given[..., 3 * n :], state, other)
        mixed = state if gate is None or self.form == "candidate" else state + gate * (other - state)
        update, reset, inner = self.recur(mixed).split(n, -1)
        z, r = torch.sigmoid(given[..., :n] + update), torch.sigmoid(given[..., n : 2 * n] + reset)
        candidate = given[..., 2 * n : 3 * n] + r * inner
        if self.from_other is not None and gate is not None:
            candidate = candidate + gate * self.from_other(other)
        return (1 - z) * torch.tanh(candidate) + z * mixed

    def _gate(self, given: Tensor, state: Tensor, other: Tensor) -> Tensor | None:
        if self.scalar is not None:
            return 0.5 * torch.sigmoid(self.scalar)
        if self.gate_own is None:
            return None
        if self.gate_other is None:
            both = given + given.flip(0) - self.read.bias[3 * self.n_units :]
            return 0.5 * torch.sigmoid(both + self.gate_own((other - state).abs()))
        total = given + self.gate_own(state) + self.gate_other(other)
        if self.form == "signed":
            return 0.5 * torch.tanh(total)
        return torch.sigmoid(total) * (1.0 if self.form == "candidate" else 0.5)


class Siamese(nn.Module):
    """Squared distances of pairs, by a form and a readout."""

    def __init__(self, shape: Shape, form: str, readout: str) -> None:
        super().__init__()
        self.form, self.readout = form, readout
        f = shape.n_filters
        self.stem = (
            nn.ModuleList([nn.Conv1d(shape.n_channels, f, 7, padding="same"), nn.Conv1d(f, f, 5, padding="same")])
            if f
            else None
        )
        self.runs = nn.ModuleList(
            Direction(f or shape.n_channels, shape.n_units, form) for _ in range(shape.n_directions)
        )
        self.log_scale = nn.Parameter(torch.zeros(()))

    def features(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Return what the recurrences read, (B, T, F): 0 past the end of a sequence."""
        valid = (torch.arange(values.shape[1]) < lengths[:, None])[..., None]
        for layer in self.stem or ():
            values = nn.functional.gelu(layer(values.transpose(1, 2)).transpose(1, 2)) * valid
        return values

    def distances(self, values: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Return the squared distances (P,) of pairs of padded sequences (B, T, C)."""
        features = self.features(values, lengths)
        total = features.new_zeros(len(rows))
        for k, run in enumerate(self.runs):
            ordered = reversed_in_time(features, lengths) if k else features
            if self.form == "alignment":
                alone = torch.arange(len(lengths))
                states = run(ordered, lengths, alone, alone)[:, 0]
                total = total + matched(at_places(states, lengths), rows, columns)
            else:
                total = total + self._read(run(ordered, lengths, rows, columns), lengths, rows, columns)
        return total

    def _read(self, states: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Return squared distances (P,) of states (T, 2, P, H)."""
        ends = lengths[torch.stack([rows, columns])]
        if self.readout == "last":  # a half that has ended keeps its state
            return (states[-1, 0] - states[-1, 1]).square().sum(-1)
        steps = torch.arange(len(states))[:, None]
        if self.readout == "gap":
            valid = (steps < ends.amax(0)).to(states.dtype)
            return ((states[:, 0] - states[:, 1]).square().sum(-1) * valid).sum(0) / valid.sum(0)
        valid = (steps[..., None] < ends).to(states.dtype)
        means = (states * valid[..., None]).sum(0) / ends[..., None]
        return (means[0] - means[1]).square().sum(-1)


def reversed_in_time(features: Tensor, lengths: Tensor) -> Tensor:
    """Return every sequence (B, T, F) in reverse, its padding still at the end."""
    steps = torch.arange(features.shape[1])
    at = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
    return features.gather(1, at[..., None].expand_as(features))


def at_places(states: Tensor, lengths: Tensor) -> Tensor:
    """Return the states (B, N_PLACES, H) nearest to places evenly from the first to the last step, from (T, B, H)."""
    places = (torch.linspace(0, 1, N_PLACES) * (lengths[:, None] - 1)).round().long()
    return states.transpose(0, 1).gather(1, places[..., None].expand(-1, -1, states.shape[2]))


def matched(places: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return mean_p min_q c_pq + mean_q min_p c_pq for squared costs of the states at the places."""
    costs = torch.cdist(places[rows], places[columns], compute_mode="donot_use_mm_for_euclid_dist").square()
    return costs.amin(2).mean(1) + costs.amin(1).mean(1)
