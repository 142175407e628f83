"""The non-local recurrent memory as a plain loop: the definition that every fast form is tested against.

Sources: Fu et al. (ICCV 2019), Pei et al. (IJCV 2022). Layouts: B sequences, T steps, D channels, H units, S memory
slots, m heads, U memory updates, win steps between them, S * stride steps in a block. The function sigma is the
logistic function. Products * are elementwise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from skseqmetric._ops.weights import MemoryForm, MemoryNoise, MemoryScan, MemoryWeights


def make_tokens(rows: Tensor, hidden: Tensor, present: Tensor, w: MemoryWeights) -> tuple[Tensor, Tensor, Tensor]:
    """Equation 1: tokens C (B, n, H), which of them exist (B, n), and u (B, H).

    The arguments are input rows (B, S, D), hidden rows (B, S, H), and whether they are inside their sequence (B, S). A
    missing input row counts as 0 in vec(X), and not at all in the mean.
    """
    if w.form.memory_input == "pooled":
        u = rows.flatten(1) @ w.token.T + w.token_bias
        return torch.cat([hidden, u[:, None]], 1), torch.cat([present, torch.ones_like(present[:, :1])], 1), u
    projected = rows @ w.token.T
    u = (projected * present[..., None]).sum(1) / present.sum(1).clamp(min=1)[:, None]
    # where nothing is left of a block its update is thrown away; softmax must not meet a row without a key
    exists = present | ~present.any(1, keepdim=True)
    return torch.cat([hidden, projected], 1), torch.cat([exists, exists], 1), u


def attend(tokens: Tensor, exists: Tensor, w: MemoryWeights) -> tuple[Tensor, Tensor | None]:
    """Equation 2: M_att = concat_heads(A V), A = softmax(Q K^T / sqrt(H / m)) over the tokens that exist; A.

    Without attention one linear map of every token, and no A.
    """
    mixed = tokens @ w.mixing.T + w.mixing_bias
    if not w.form.attention:
        return mixed, None
    q, k, v = (part.unflatten(2, (w.form.n_heads, -1)).transpose(1, 2) for part in mixed.chunk(3, dim=2))
    scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])
    maps = torch.softmax(scores.masked_fill(~exists[:, None, None, :], -torch.inf), dim=3)
    return (maps @ v).transpose(1, 2).flatten(2), maps


def candidate(tokens: Tensor, exists: Tensor, w: MemoryWeights) -> tuple[Tensor, Tensor | None]:
    """Equations 2 to 4: M~ (B, S, H), the hidden rows of C2, and the attention maps.

    C1 = LayerNorm(C + M_att), C2 = LayerNorm(C1 + MLP(C1)), MLP two layers of a linear map and ReLU.
    """
    mixed, maps = attend(tokens, exists, w)
    first = layer_norm(tokens + mixed, (w.n_units,), w.first_gain, w.first_shift)
    inner = torch.relu(first @ w.first_layer.T + w.first_layer_bias)
    outer = torch.relu(inner @ w.second_layer.T + w.second_layer_bias)
    second = layer_norm(first + outer, (w.n_units,), w.second_gain, w.second_shift)
    return second[:, : w.form.n_slots], maps


def update_gates(u: Tensor, memory: Tensor, w: MemoryWeights) -> tuple[Tensor, Tensor]:
    """Equation 5: [G_i, G_f] = sigma(W_g u + V_g tanh(M) + [b_i, b_f]), (B, S, H) each, u the same for all slots."""
    gates = (u @ w.update_input.T)[:, None] + torch.tanh(memory) @ w.update_memory.T + w.update_bias
    gate_new, gate_old = torch.sigmoid(gates).chunk(2, dim=2)
    return gate_new, gate_old


def update_memory(
    rows: Tensor, hidden: Tensor, present: Tensor, memory: Tensor, w: MemoryWeights
) -> tuple[Tensor, Tensor | None]:
    """Equations 1 to 6: M_t = G_i * tanh(M~) + G_f * M_{t-win}, (B, S, H), and the attention maps.

    The slot of a missing row gets no candidate: it only decays, M_t = G_f * M_{t-win}. A missing token is no key, and
    its row of the map is 0. Where every row is missing the memory stays and the map is 0.
    """
    tokens, exists, u = make_tokens(rows, hidden, present, w)
    new, maps = candidate(tokens, exists, w)
    gate_new, gate_old = update_gates(u, memory, w)
    written = present.any(1)
    updated = gate_new * torch.tanh(new) * present[..., None] + gate_old * memory
    if maps is not None:
        maps = maps * (exists & written[:, None])[:, None, :, None]
    return torch.where(written[:, None, None], updated, memory), maps


def memory_read(x: Tensor, v: Tensor, w: MemoryWeights) -> Tensor:
    """Equation 8 and its use: (g_m * v) W_mt with g_m = sigma(x_t W_mi + v W_mh + b_m), v (B, S H) the memory."""
    gate = torch.sigmoid(x @ w.memory_gate_input.T + v @ w.memory_gate_memory.T + w.memory_gate_bias)
    return (gate * v) @ w.read.T


def recurrent_step(x: Tensor, h: Tensor, c: Tensor, v: Tensor, w: MemoryWeights) -> tuple[Tensor, Tensor]:
    """Equations 7 to 10 without zoneout: the new (h, c), (B, H) each. gru and rnn do not change c.

    - lstm: c_t = sigma(f) * c_{t-1} + sigma(i) * tanh(g) + read, h_t = sigma(o) * tanh(c_t)
    - gru: n = tanh(W_n x + b_n + r * (U_n h + b'_n) + read), h_t = (1 - z) * n + z * h_{t-1}
    - rnn: h_t = tanh(W x + U h + b + read)
    """
    from_input, from_hidden, read = x @ w.input.T + w.bias, h @ w.hidden.T, memory_read(x, v, w)
    if w.form.cell == "lstm":
        f, i, o, g = (from_input + from_hidden).chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g) + read
        return torch.sigmoid(o) * torch.tanh(c), c
    if w.form.cell == "gru":
        (x_r, x_z, x_n), (h_r, h_z, h_n) = from_input.chunk(3, dim=1), from_hidden.chunk(3, dim=1)
        r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
        n = torch.tanh(x_n + r * (h_n + w.candidate_bias) + read)
        return (1 - z) * n + z * h, c
    return torch.tanh(from_input + from_hidden + read), c


def memory_scan(x: Tensor, lengths: Tensor, w: MemoryWeights, noise: MemoryNoise) -> MemoryScan:
    """States, memory blocks and attention maps of inputs (B, T, D) with true lengths (B,), as the interface says."""
    n_steps, window, n_slots = x.shape[1], w.form.window, w.form.n_slots
    h = c = x.new_zeros(len(x), w.n_units)
    memory = x.new_zeros(len(x), n_slots, w.n_units)
    v = memory.flatten(1)
    states: list[Tensor] = []
    memories: list[Tensor] = []
    maps: list[Tensor | None] = []
    for t in range(n_steps + 1):
        if t == n_steps or (t and t % window == 0):
            rows, hidden, present = _block(x, states, lengths, len(memories), w.form)
            memory, attention = update_memory(rows, hidden, present, memory, w)
            v = _dropped(memory, len(memories), noise)
            memories.append(memory)
            maps.append(attention)
        if t < n_steps:
            alive = (t < lengths)[:, None]
            new_h, new_c = recurrent_step(torch.where(alive, x[:, t], 0), h, c, v, w)
            h = torch.where(alive, torch.lerp(h, new_h, _at(noise.hidden, t, h)), h)
            c = torch.where(alive, torch.lerp(c, new_c, _at(noise.cell, t, c)), c)
            states.append(h)
    attention = torch.stack(maps, 1) if w.form.attention else None  # type: ignore[arg-type]
    return MemoryScan(torch.stack(states, 1), torch.stack(memories, 1), attention)


def _block(x: Tensor, states: list[Tensor], lengths: Tensor, k: int, form: MemoryForm) -> tuple[Tensor, Tensor, Tensor]:
    """The input and hidden rows of update k, 0 outside of the sequence, and which are inside it.

    Where a sequence ended before the last window, it has no rows, so that its memory stays.
    """
    steps = form.rows(k)
    number = torch.tensor(steps, dtype=torch.int64, device=lengths.device)
    present = (number >= 0) & (number < lengths[:, None]) & (k * form.window < lengths[:, None])
    inside = [0 <= t < len(states) for t in steps]
    inputs = [x[:, t] if known else torch.zeros_like(x[:, 0]) for t, known in zip(steps, inside, strict=True)]
    hidden = [states[t] if known else torch.zeros_like(states[0]) for t, known in zip(steps, inside, strict=True)]
    rows = torch.where(present[..., None], torch.stack(inputs, 1), 0)
    return rows, torch.stack(hidden, 1), present


def _dropped(memory: Tensor, k: int, noise: MemoryNoise) -> Tensor:
    """v, the memory of update k as the steps read it, (B, S H)."""
    if noise.memory is None:
        return memory.flatten(1)
    return (memory * noise.memory[:, k if noise.memory.shape[1] > 1 else 0]).flatten(1)


def _at(keep: Tensor | float, t: int, like: Tensor) -> Tensor:
    return keep[:, t] if isinstance(keep, Tensor) else torch.full_like(like, keep)
