"""One layer of non-local recurrent memory as torch operations (`_ops.reference.memory` defines it).

The memory is constant within a window. One product per window, or one for all steps, thus computes everything that
depends only on inputs and memory. A step computes only the plain backbone. The candidate uses only its S hidden rows,
so that the other tokens are only keys and values. The recurrence is causal: steps past the end of a sequence are
computed from zeros and replaced at the end.

Layouts: B sequences, T steps, D channels, H units, S memory slots, m heads, K windows (and updates), L steps of a
window, E input tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import layer_norm, pad, scaled_dot_product_attention

from skseqmetric._ops.eager.memory_cells import Keep, RunWindow, run_window
from skseqmetric._ops.products import Linear, MakeMatrix, Matrix, steady_linear
from skseqmetric._ops.steps import freeze_ended, valid_steps
from skseqmetric._ops.weights import MemoryForm, MemoryNoise, MemoryScan, MemoryWeights


def memory_scan(
    x: Tensor,
    lengths: Tensor,
    w: MemoryWeights,
    noise: MemoryNoise,
    *,
    keep_memory: bool,
    keep_attention: bool,
    make_matrix: MakeMatrix = Matrix,
    run_window: RunWindow = run_window,
) -> MemoryScan:
    """States (B, T, H); the memory blocks and the attention maps where they are asked for.

    `make_matrix` says how products with the weights are computed, and `run_window` the steps between two updates.
    """
    window, n_steps = w.form.window, x.shape[1]
    ragged = bool((lengths < n_steps).any())
    if ragged:
        x = x.masked_fill(~valid_steps(lengths, n_steps)[..., None], 0)
    keep = keep_memory or keep_attention
    with torch.autocast(x.device.type, enabled=False):
        by_step = x.to(w.hidden.dtype).transpose(0, 1).contiguous()
        update = _Update(by_step, lengths, w, make_matrix, keep=keep, maps=keep_attention)
        states, memories = _run(by_step, update, w, noise, make_matrix, run_window)
    states = (freeze_ended(states[:, None], lengths)[:, 0] if ragged else states).transpose(0, 1)
    if not keep:
        return MemoryScan(states, None, None)
    memory = torch.stack(memories)
    n_updates = torch.div(lengths + window - 1, window, rounding_mode="floor")
    memory = freeze_ended(memory.flatten(2)[:, None], n_updates)[:, 0].view_as(memory) if ragged else memory
    maps = torch.stack(update.maps, 1) if update.maps else None
    return MemoryScan(states, memory.transpose(0, 1), maps)


def _run(
    x: Tensor, update: _Update, w: MemoryWeights, noise: MemoryNoise, make: MakeMatrix, run_window: RunWindow
) -> tuple[Tensor, list[Tensor]]:
    """States (T, B, H) and the memory after every update, (B, S, H) each, from inputs (T, B, D)."""
    window, n_steps = w.form.window, len(x)
    keeps = list(zip(_windows(noise.hidden, window, n_steps), _windows(noise.cell, window, n_steps), strict=True))
    weights = [w.input, w.bias, w.hidden]
    weights += [] if w.candidate_bias is None else [w.candidate_bias]
    matrices = make(w.input.detach()), make(w.hidden.detach())
    of_read = make(w.memory_gate_input.detach()), make(w.read.detach())
    gate = Linear(w.memory_gate_memory, w.memory_gate_bias, make)
    h = c = x.new_zeros(x.shape[1], w.n_units)
    read = memory = None
    states: list[Tensor] = []
    memories: list[Tensor] = []
    for k, part in enumerate(x.split(window)):
        if k:
            v = _dropped(memory, k - 1, noise).flatten(1)
            read = _Read.apply(part, gate(v), v, w.memory_gate_input, w.read, of_read)
        block, c = run_window(w.form.cell, part, read, (h, c), weights, keeps[k], matrices)
        states.append(block)
        h = block[-1]
        if k < update.n_updates:
            memory = update(k, _block_rows(states, k, w.form), memory)
            memories.append(memory)
    return torch.cat(states), memories


def _block_rows(states: list[Tensor], k: int, form: MemoryForm) -> Tensor:
    """The hidden rows (S, B, H) of update k from the states (L, B, H) of windows 0 to k, 0 where there is no step."""
    if form.every is None:
        rows, missing = states[k][:: form.stride], 0
    else:
        steps = form.rows(k)
        missing = sum(step < 0 for step in steps)
        first = max(0, steps[0]) // form.window
        rows = torch.cat(states[first : k + 1])[steps[0] + missing * form.stride - first * form.window :: form.stride]
    return pad(rows, (0, 0, 0, 0, missing, form.n_slots - missing - len(rows)))


def _windows(keep: Keep, window: int, n_steps: int) -> list[Any]:
    if isinstance(keep, Tensor):
        return list(keep.transpose(0, 1).split(window))
    return [keep] * -(-n_steps // window)


def _dropped(memory: Any, k: int, noise: MemoryNoise) -> Tensor:
    if noise.memory is None:
        return memory
    return memory * noise.memory[:, k if noise.memory.shape[1] > 1 else 0]


class _Update:
    """M_t from the block that just ended; what depends on inputs alone is computed for all updates at once.

    An unfinished block matters to nothing but the returned memory: masks are made where that is kept.
    """

    def __init__(
        self, x: Tensor, lengths: Tensor, w: MemoryWeights, make: MakeMatrix, *, keep: bool, maps: bool
    ) -> None:
        self.w, self.form, self.n = w, w.form, w.n_units
        blocks = self.form.n_updates(len(x))
        self.n_updates = blocks if keep else blocks - 1
        self.maps: list[Tensor] = []
        self.keep_maps = maps and self.form.attention
        if not self.n_updates:
            return
        present = self._present(lengths, blocks)[: self.n_updates]
        tokens, u = self._input_tokens(x, blocks, present)
        masked = keep or self.form.every is not None
        self.masks: list[Any] = self._masks(present, tokens.shape[2]) if masked else [None] * self.n_updates
        self.gates = steady_linear(u, w.update_input, w.update_bias).unbind(0)
        self.tokens = tokens.unbind(0)
        n = self.n if self.form.attention else 0
        self.query = Linear(w.mixing[:n], w.mixing_bias[:n], make)
        self.pair = Linear(w.mixing[n:], w.mixing_bias[n:], make)
        self.first_layer = Linear(w.first_layer, w.first_layer_bias, make)
        self.second_layer = Linear(w.second_layer, w.second_layer_bias, make)
        self.by_memory = Linear(w.update_memory, None, make)

    def _present(self, lengths: Tensor, blocks: int) -> Tensor:
        """Which rows lie inside their sequence, (K, B, S)."""
        steps = self._steps(blocks, lengths.device)[:, None]
        ended = self.form.window * torch.arange(blocks, dtype=torch.int64, device=lengths.device) >= lengths[:, None]
        return (steps >= 0) & (steps < lengths[:, None]) & ~ended.T[..., None]

    def _steps(self, blocks: int, device: torch.device) -> Tensor:
        """The steps of the rows of every update, (K, S)."""
        ends = self.form.window * torch.arange(1, blocks + 1, dtype=torch.int64, device=device)
        back = self.form.stride * torch.arange(self.form.n_slots, 0, -1, dtype=torch.int64, device=device)
        return ends[:, None] - back

    def _input_tokens(self, x: Tensor, blocks: int, present: Tensor) -> tuple[Tensor, Tensor]:
        """Input tokens (K, B, E, H) and u (K, B, H), equation 1."""
        w = self.w
        rows = self._input_rows(x, blocks)[: self.n_updates].transpose(1, 2)
        if self.form.memory_input == "pooled":
            u = steady_linear(rows.flatten(2), w.token, w.token_bias)
            return u[:, :, None], u
        tokens = steady_linear(rows, w.token, None)
        counts = present.sum(2).clamp(min=1)[..., None]
        return tokens, (tokens * present[..., None]).sum(2) / counts

    def _input_rows(self, x: Tensor, blocks: int) -> Tensor:
        """The rows of the inputs (T, B, D) of every update, (K, S, B, D), 0 where there is no step."""
        if self.form.every is None:
            rows = x[:: self.form.stride]
            rows = pad(rows, (0, 0, 0, 0, 0, blocks * self.form.n_slots - len(rows)))
            return rows.unflatten(0, (blocks, -1))
        steps = self._steps(blocks, x.device)
        inside = (steps >= 0) & (steps < len(x))
        return x[torch.where(inside, steps, 0)] * inside[..., None, None]

    def _masks(self, present: Tensor, n_inputs: int) -> list[Any]:
        """For each update None where all rows are there, else (present (B, S), tokens that exist, block written)."""
        masks: list[Any] = []
        for rows, whole in zip(present.unbind(0), present.flatten(1).all(1).tolist(), strict=True):
            written = rows.any(1)
            inputs = rows if self.form.memory_input == "tokens" else torch.ones_like(rows[:, :n_inputs])
            exists = torch.cat([rows, inputs], 1) | ~written[:, None]
            masks.append(None if whole else (rows, exists, written))
        return masks

    def __call__(self, k: int, rows: Tensor, memory: Tensor | None) -> Tensor:
        """Equations 2 to 6 on the hidden rows of a block (S, B, H) and the old memory (B, S, H), None for 0."""
        w, n = self.w, self.n
        hidden = rows.transpose(0, 1).contiguous()
        first = layer_norm(hidden + self._mixed(k, hidden), (n,), w.first_gain, w.first_shift)
        outer = torch.relu(self.second_layer(torch.relu(self.first_layer(first))))
        new = layer_norm(first + outer, (n,), w.second_gain, w.second_shift).tanh()
        if self.masks[k] is not None:
            new = new * self.masks[k][0][..., None]
        gates = self.gates[k][:, None]
        if memory is None:
            return torch.sigmoid(gates[..., :n]) * new
        gate_new, gate_old = torch.sigmoid(gates + self.by_memory(memory.tanh())).chunk(2, dim=2)
        updated = torch.addcmul(gate_new * new, gate_old, memory)
        if self.masks[k] is None or self.form.every is None or self.form.every <= self.form.block:
            return updated
        return torch.where(self.masks[k][2][:, None, None], updated, memory)  # a sequence may end before the block

    def _mixed(self, k: int, hidden: Tensor) -> Tensor:
        """Equation 2 for the hidden rows, (B, S, H)."""
        if not self.form.attention:
            return self.pair(hidden)
        tokens = torch.cat([hidden, self.tokens[k]], 1)
        keys, values = (self._heads(part) for part in self.pair(tokens).chunk(2, dim=2))
        # only a map that is asked for needs the queries of the input tokens
        query = self._heads(self.query(tokens if self.keep_maps else hidden))
        if self.keep_maps:
            self._store_map(k, query, keys)
        mask = None if self.masks[k] is None else self.masks[k][1][:, None, None, :]
        mixed = scaled_dot_product_attention(query[:, :, : self.form.n_slots], keys, values, attn_mask=mask)
        return mixed.transpose(1, 2).flatten(2)

    def _heads(self, part: Tensor) -> Tensor:
        return part.unflatten(2, (self.form.n_heads, -1)).transpose(1, 2)

    def _store_map(self, k: int, query: Tensor, keys: Tensor) -> None:
        scores = query @ keys.transpose(2, 3) / query.shape[3] ** 0.5
        if self.masks[k] is None:
            self.maps.append(torch.softmax(scores, 3))
            return
        _, exists, written = self.masks[k]
        maps = torch.softmax(scores.masked_fill(~exists[:, None, None, :], -torch.inf), 3)
        self.maps.append(maps * (exists & written[:, None])[:, None, :, None])


class _Read(torch.autograd.Function):
    """Equation 8 and the read for a window: (g * v) W_mt, g = sigma(x_t W_mi + q), x (L, B, D), q and v (B, S H)."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, q: Tensor, v: Tensor, gate_input: Tensor, weight: Tensor, matrices: tuple[Matrix, Matrix]
    ) -> Tensor:
        gate = matrices[0].forward(x.flatten(0, 1), q.repeat(len(x), 1)).unflatten(0, x.shape[:2]).sigmoid_()
        ctx.matrices = matrices
        ctx.save_for_backward(x, gate, v, gate_input, weight)
        return matrices[1].forward((gate * v).flatten(0, 1)).unflatten(0, x.shape[:2])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (x, gate, v, _, _), (gate_input, matrix) = ctx.saved_tensors, ctx.matrices
        # one pass more, against (L, B, S H) floats kept for every window
        read = gate * v
        flat = grad.flatten(0, 1).contiguous()
        grad_read = matrix.backward(flat).view_as(gate)
        grad_v = (grad_read * gate).sum(0)
        grad_gate = grad_read.mul_(read).addcmul_(grad_read, gate, value=-1)
        grad_matrix = matrix.gradient(flat, read.flatten(0, 1))
        grad_x, grad_gate_input = gate_input.project_backward(grad_gate, x, wanted=ctx.needs_input_grad[0])
        return grad_x, grad_gate.sum(0), grad_v, grad_gate_input, grad_matrix, None
