"""The non-local recurrent memory: implementations against the plain loop, and the laws that its equations imply."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor

from skseqmetric._ops.dispatch import implementation, obstacle
from skseqmetric._ops.memory import MemoryForm, MemoryNoise, MemoryScan, MemoryWeights, draw_noise, memory_scan
from skseqmetric._ops.reference import memory as reference
from skseqmetric._ops.steps import valid_steps
from skseqmetric._ops.weights import CELLS

IMPLEMENTATIONS = ["reference", "eager"]
FORMS = [
    MemoryForm(cell, n_slots=3, stride=2, n_heads=2, attention=attention, memory_input=memory_input)
    for cell, attention, memory_input in product(["lstm", "gru", "rnn"], [True, False], ["pooled", "tokens"])
]
FORMS += [  # blocks that overlap, that overlap out of step with their rows, and that leave steps out
    MemoryForm("lstm", n_slots=3, stride=2, n_heads=2, every=4),
    MemoryForm("gru", n_slots=3, stride=2, n_heads=2, memory_input="tokens", every=1),
    MemoryForm("lstm", n_slots=2, stride=2, n_heads=2, memory_input="tokens", every=7),
]
PLAIN = FORMS[0]


def name_of(form: MemoryForm) -> str:
    name = f"{form.cell}-{'attention' if form.attention else 'linear'}-{form.memory_input}"
    return name if form.every is None else f"{name}-every-{form.every}"


@pytest.fixture(params=FORMS, ids=name_of)
def form(request: pytest.FixtureRequest) -> MemoryForm:
    return request.param


@pytest.fixture(params=IMPLEMENTATIONS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


class Case:
    """Random ragged sequences (B, T, D) and weights for them, in float64."""

    def __init__(
        self, form: MemoryForm = PLAIN, n_rows: int = 7, n_steps: int = 15, n_units: int = 8, n_channels: int = 3
    ) -> None:
        self.generator = torch.Generator().manual_seed(5)
        self.form, self.n_units = form, n_units
        self.lengths = torch.randint(1, n_steps + 1, (n_rows,), generator=self.generator)
        self.lengths[1] = n_steps
        self.x = self.normal(n_rows, n_steps, n_channels) * valid_steps(self.lengths, n_steps)[..., None]
        self.weights = self._weights(n_channels)

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def matrix(self, rows: int, columns: int) -> Tensor:
        return 1.2 * self.normal(rows, columns) / columns**0.5

    def _weights(self, d: int) -> MemoryWeights:
        form, h, s = self.form, self.n_units, self.form.n_slots
        g, pooled, mixed = CELLS[form.cell] * h, form.memory_input == "pooled", 3 * h if form.attention else h
        matrices = {
            "input": (g, d),
            "hidden": (g, h),
            "memory_gate_input": (s * h, d),
            "memory_gate_memory": (s * h, s * h),
            "read": (h, s * h),
            "token": (h, s * d if pooled else d),
            "mixing": (mixed, h),
            "first_layer": (h, h),
            "second_layer": (h, h),
            "update_input": (2 * h, h),
            "update_memory": (2 * h, h),
        }
        vectors = {
            "bias": g,
            "memory_gate_bias": s * h,
            "mixing_bias": mixed,
            "first_shift": h,
            "second_shift": h,
            "first_layer_bias": h,
            "second_layer_bias": h,
            "update_bias": 2 * h,
        }
        tensors = {k: self.matrix(*shape) for k, shape in matrices.items()}
        tensors |= {k: 0.4 * self.normal(n) for k, n in vectors.items()}
        tensors |= {k: 1 + 0.4 * self.normal(h) for k in ("first_gain", "second_gain")}
        tensors["token_bias"] = self.normal(h) if pooled else None
        tensors["candidate_bias"] = self.normal(h) if form.cell == "gru" else None
        return MemoryWeights(form, **tensors)

    def noises(self) -> list[MemoryNoise]:
        memory = self.normal(len(self.x), 1, self.form.n_slots, self.n_units)
        return [MemoryNoise(0.8, 0.7), self.drawn(), MemoryNoise(memory=memory)]

    def drawn(self) -> MemoryNoise:
        return draw_noise(self.x, self.weights, self.generator)

    def scan(self, name: str, noise: MemoryNoise = MemoryNoise(), **changes: Tensor) -> MemoryScan:  # noqa: B008
        with implementation(name):
            return memory_scan(
                changes.pop("x", self.x),
                changes.pop("lengths", self.lengths),
                replace(self.weights, **changes),
                noise,
                keep_memory=True,
                keep_attention=True,
            )


def tensors_of(w: MemoryWeights) -> dict[str, Tensor]:
    return {name: t for name, t in vars(w).items() if isinstance(t, Tensor)}


def single(w: MemoryWeights) -> MemoryWeights:
    return replace(w, **{name: t.float() for name, t in tensors_of(w).items()})


def close(a: Tensor | None, b: Tensor | None, atol: float = 1e-12) -> None:
    if a is None or b is None:
        assert a is b
        return
    torch.testing.assert_close(a, b, rtol=0, atol=atol)


def one_sequence_by_hand(x: Tensor, w: MemoryWeights) -> tuple[Tensor, list[Tensor]]:
    """The lstm with attention over pooled tokens on one sequence (T, D), row by row and head by head."""
    form, n = w.form, w.n_units
    h = c = torch.zeros(n, dtype=x.dtype)
    memory = torch.zeros(form.n_slots, n, dtype=x.dtype)
    v, states, memories = memory.flatten(), [], []
    for t, x_t in enumerate(x):
        if t and t % form.window == 0:
            steps = range(t - form.window, t, form.stride)
            u = w.token @ torch.cat([x[j] for j in steps]) + w.token_bias
            c0 = torch.stack([*(states[j] for j in steps), u])
            mixed = torch.zeros_like(c0)
            size = n // form.n_heads
            for head in range(form.n_heads):
                rows = slice(head * size, (head + 1) * size)
                q, k, val = ((c0 @ m.T + b)[:, rows] for m, b in zip(w.mixing.chunk(3), w.mixing_bias.chunk(3)))  # noqa: B905
                for i in range(len(c0)):
                    share = torch.exp(k @ q[i] / size**0.5)
                    mixed[i, rows] = share @ val / share.sum()
            norm = lambda z, gain, shift: (  # noqa: E731
                (z - z.mean(1, keepdim=True)) / (z.var(1, keepdim=True, correction=0) + 1e-5).sqrt() * gain + shift
            )
            c1 = norm(c0 + mixed, w.first_gain, w.first_shift)
            inner = (c1 @ w.first_layer.T + w.first_layer_bias).clamp(min=0)
            outer = (inner @ w.second_layer.T + w.second_layer_bias).clamp(min=0)
            c2 = norm(c1 + outer, w.second_gain, w.second_shift)[: form.n_slots]
            gates = torch.sigmoid(w.update_input @ u + memory.tanh() @ w.update_memory.T + w.update_bias)
            memory = gates[:, :n] * c2.tanh() + gates[:, n:] * memory
            v = memory.flatten()
            memories.append(memory)
        f, i, o, g = (w.input @ x_t + w.hidden @ h + w.bias).chunk(4)
        g_m = torch.sigmoid(w.memory_gate_input @ x_t + w.memory_gate_memory @ v + w.memory_gate_bias)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * g.tanh() + w.read @ (g_m * v)
        h = torch.sigmoid(o) * c.tanh()
        states.append(h)
    return torch.stack(states), memories


def test_the_equations_written_for_one_sequence(name: str) -> None:
    case = Case()
    states, memories = one_sequence_by_hand(case.x[1], case.weights)
    scan = case.scan(name)
    close(scan.states[1], states)
    assert len(memories) == 2
    close(scan.memory[1, :2], torch.stack(memories))


@pytest.mark.parametrize("n_steps", [4, 6, 7, 12, 15, 17])
def test_eager_equals_the_plain_loop(form: MemoryForm, n_steps: int) -> None:
    case = Case(form, n_steps=n_steps)
    for noise in [MemoryNoise(), *case.noises()]:
        for got, expected in zip(case.scan("eager", noise), case.scan("reference", noise), strict=True):
            close(got, expected)


@pytest.mark.parametrize("keep", [False, True])
def test_eager_gradients_equal_those_of_the_plain_loop(form: MemoryForm, keep: bool) -> None:
    case = Case(form, n_steps=15)
    wanted = [case.x, *tensors_of(case.weights).values()]
    for t in wanted:
        t.requires_grad_()
    for noise in [MemoryNoise(), *case.noises()]:
        gradients = []
        for name in IMPLEMENTATIONS:
            with implementation(name):
                scan = memory_scan(case.x, case.lengths, case.weights, noise, keep_memory=keep, keep_attention=keep)
            seeds = torch.Generator().manual_seed(7)
            outputs = [o for o in scan if o is not None]
            loss = sum((o * torch.randn(o.shape, generator=seeds, dtype=o.dtype)).sum() for o in outputs)
            gradients.append(torch.autograd.grad(loss, wanted, allow_unused=True))
        for got, expected in zip(*gradients, strict=True):
            close(torch.zeros_like(expected) if got is None else got, expected, 1e-10 * max(1.0, expected.abs().max()))


@pytest.mark.slow
def test_eager_gradients_against_finite_differences(form: MemoryForm) -> None:
    small = replace(form, n_slots=2, stride=1, every=form.every and (1 if form.window < form.block else 3))
    case = Case(small, n_rows=2, n_steps=5, n_units=4, n_channels=1)
    names, noise = list(tensors_of(case.weights)), case.drawn()

    def run(x: Tensor, *tensors: Tensor) -> Tensor:
        with implementation("eager"):
            weights = replace(case.weights, **dict(zip(names, tensors, strict=True)))
            return memory_scan(x, case.lengths, weights, noise, keep_memory=True).states

    leaves = [t.clone().requires_grad_() for t in (case.x, *tensors_of(case.weights).values())]
    assert torch.autograd.gradcheck(run, leaves)


def test_float32_is_close_to_float64(form: MemoryForm) -> None:
    case = Case(form, n_steps=40, n_units=32)
    with implementation("eager"):
        got = memory_scan(case.x.float(), case.lengths, single(case.weights)).states
    assert got.dtype == torch.float32
    close(got.double(), case.scan("reference").states, 1e-4)


def plain_states(case: Case, keep: float = 1.0) -> Tensor:
    """The backbone from `torch.nn`, with zoneout, on one padded batch; states behind an end mean nothing."""
    w, n = case.weights, case.n_units
    kind = {"lstm": torch.nn.LSTMCell, "gru": torch.nn.GRUCell, "rnn": torch.nn.RNNCell}[case.form.cell]
    cell = torch.nn.utils.skip_init(kind, case.x.shape[2], n, dtype=torch.float64)
    order = [1, 0, 3, 2] if case.form.cell == "lstm" else range(len(w.input) // n)
    blocks = [torch.cat([t.split(n)[k] for k in order]) for t in (w.input, w.hidden, w.bias)]
    hidden_bias = torch.zeros_like(w.bias)
    if w.candidate_bias is not None:
        hidden_bias[2 * n :] = w.candidate_bias
    for parameter, value in zip(cell.parameters(), [*blocks, hidden_bias], strict=True):
        parameter.data = value
    h = c = torch.zeros(len(case.x), n, dtype=torch.float64)
    states = []
    for x in case.x.unbind(1):
        new, new_c = cell(x, (h, c)) if case.form.cell == "lstm" else (cell(x, h), c)
        h, c = keep * new + (1 - keep) * h, keep * new_c + (1 - keep) * c
        states.append(h)
    return torch.stack(states, 1).detach()


@pytest.mark.parametrize("keep", [1.0, 0.8])
def test_without_a_read_it_is_the_plain_backbone(name: str, form: MemoryForm, keep: float) -> None:
    case = Case(form)
    states = case.scan(name, MemoryNoise(keep, keep), read=torch.zeros_like(case.weights.read)).states
    inside = valid_steps(case.lengths, case.x.shape[1])[..., None]
    close(states * inside, plain_states(case, keep) * inside, 1e-6)


def test_before_the_first_update_it_is_the_plain_backbone_and_not_after(name: str, form: MemoryForm) -> None:
    case = Case(form)
    difference = (case.scan(name).states - plain_states(case))[1].abs().amax(1)
    first = next(t for t in range(form.window, 15, form.window) if form.rows(t // form.window - 1)[-1] >= 0)
    assert difference[:first].max() < 1e-12
    assert difference[first:].min() > 1e-6


def test_permuted_hidden_rows_permute_the_candidate(form: MemoryForm) -> None:
    case = Case(form)
    n = form.n_slots
    rows, hidden = case.normal(5, n, 3), case.normal(5, n, 8)
    present = torch.ones(5, n, dtype=torch.bool)
    order = torch.tensor([2, 0, 1] if n == 3 else [1, 0])
    straight, permuted = (
        reference.candidate(*reference.make_tokens(rows, h, present, case.weights)[:2], case.weights)[0]
        for h in (hidden, hidden[:, order])
    )
    close(permuted, straight[:, order])
    assert not torch.allclose(permuted, straight)


def test_the_memory_is_bounded_by_the_products_of_its_forget_gates(name: str, form: MemoryForm) -> None:
    case = Case(form, n_steps=40)
    case.lengths = torch.full_like(case.lengths, 40)
    scan = case.scan(name)
    memory, bound = torch.zeros_like(scan.memory[:, 0]), torch.zeros_like(scan.memory[:, 0])
    for k in range(scan.memory.shape[1]):
        steps = torch.tensor(form.rows(k))
        inside = (steps >= 0) & (steps < 40)
        padded = case.x[:, steps.clamp(0, 39)] * inside[:, None]
        nothing = torch.zeros(7, form.n_slots, 8, dtype=torch.float64)
        u = reference.make_tokens(padded, nothing, inside.expand(7, -1), case.weights)[2]
        gate_new, gate_old = reference.update_gates(u, memory, case.weights)
        if not inside.any():  # nothing is read, and the memory stays
            gate_new, gate_old = torch.zeros_like(gate_new), torch.ones_like(gate_old)
        # sum over j <= k of the products of the forget gates after j, each candidate below G_i in size
        bound = gate_new + gate_old * bound
        memory = scan.memory[:, k]
        assert (memory.abs() <= bound + 1e-12).all()
    assert memory.abs().max() > 0.1


def test_what_lies_behind_the_end_changes_nothing(name: str, form: MemoryForm) -> None:
    case = Case(form)
    inside = valid_steps(case.lengths, case.x.shape[1])[..., None]
    expected, got = case.scan(name), case.scan(name, x=torch.where(inside, case.x, torch.nan))
    for a, b in zip(got, expected, strict=True):
        close(a, b)


def test_a_batch_equals_one_sequence_at_a_time(name: str, form: MemoryForm) -> None:
    case = Case(form, n_rows=12, n_steps=20)
    together = case.scan(name)
    for row, length in enumerate(case.lengths.tolist()):
        alone = case.scan(name, x=case.x[row : row + 1, :length], lengths=case.lengths[row : row + 1])
        n_updates = form.n_updates(length)
        close(alone.states[0], together.states[row, :length])
        close(alone.memory[0], together.memory[row, :n_updates])
        if alone.attention is not None:
            close(alone.attention[0], together.attention[row, :n_updates])


def test_states_memory_and_maps_of_an_ended_sequence(name: str, form: MemoryForm) -> None:
    case = Case(form, n_rows=12, n_steps=20)
    states, memory, attention = case.scan(name)
    for row, length in enumerate(case.lengths.tolist()):
        n_updates = form.n_updates(length)
        assert torch.equal(states[row, length:], states[row, length - 1].expand_as(states[row, length:]))
        assert torch.equal(memory[row, n_updates:], memory[row, n_updates - 1].expand_as(memory[row, n_updates:]))
        if attention is not None:
            assert not attention[row, n_updates:].any()


def test_the_last_block_is_written_even_if_unfinished(name: str) -> None:
    case = Case(n_rows=2, n_steps=9)  # blocks of 6: rows 6 and 8 of the last one exist, row 10 does not
    memory, attention = (part[1] for part in case.scan(name)[1:])
    assert len(memory) == 2
    u = case.weights.token @ torch.cat([case.x[1, 6], case.x[1, 8], torch.zeros(3)]) + case.weights.token_bias
    gate_old = reference.update_gates(u[None], memory[:1], case.weights)[1][0]
    close(memory[1, 2], gate_old[2] * memory[0, 2])
    assert not attention[1, :, 2].any()
    assert not attention[1, :, :, 2].any()
    close(attention[1][:, [0, 1, 3]].sum(2), torch.ones(2, 3, dtype=torch.float64))


def test_no_step_sees_what_comes_later(name: str, form: MemoryForm) -> None:
    case = Case(form, n_rows=3, n_steps=20)
    case.lengths = torch.full_like(case.lengths, 20)
    whole = case.scan(name).states
    for t in (1, 5, 6, 7, 12, 19):
        close(case.scan(name, x=case.x[:, :t], lengths=torch.full((3,), t)).states, whole[:, :t])


def test_a_window_longer_than_the_sequences_never_updates(name: str) -> None:
    case = Case(replace(PLAIN, stride=10))
    inside = valid_steps(case.lengths, case.x.shape[1])[..., None]
    close(case.scan(name).states * inside, plain_states(case) * inside)


def test_noise_is_drawn_for_every_sequence_alone_and_from_its_generator() -> None:
    case = Case(n_steps=40)
    first, again = (
        draw_noise(case.x, case.weights, torch.Generator().manual_seed(1), keep_new=0.8, dropout=0.5) for _ in range(2)
    )
    for mask, value, share in ((first.hidden, 1.0, 0.8), (first.cell, 1.0, 0.8), (first.memory, 2.0, 0.5)):
        assert set(mask.unique().tolist()) == {0.0, value}
        assert mask.dtype == torch.float64
        # four standard deviations
        assert abs((mask > 0).double().mean() - share) < 4 * (share * (1 - share) / mask.numel()) ** 0.5
        assert len(mask.flatten(1).unique(dim=0)) == len(case.x)
    assert first.memory.shape == (7, 7, 3, 8)
    assert all(torch.equal(a, b) for a, b in zip(vars(first).values(), vars(again).values(), strict=True))
    assert draw_noise(case.x, case.weights, case.generator, keep_new=1.0, dropout=0.0) == MemoryNoise()


def test_only_what_is_asked_for_is_returned(name: str) -> None:
    case = Case()
    with implementation(name):
        plain = memory_scan(case.x, case.lengths, case.weights)
        with_memory = memory_scan(case.x, case.lengths, case.weights, keep_memory=True)
    assert plain.memory is None
    assert plain.attention is None
    assert with_memory.attention is None
    assert with_memory.memory.shape == (7, 3, 3, 8)
    close(plain.states, with_memory.states)


def test_without_gradient_it_is_the_same(form: MemoryForm) -> None:
    case = Case(form)
    for t in tensors_of(case.weights).values():
        t.requires_grad_()
    kept = case.scan("eager")
    with torch.no_grad():
        free = case.scan("eager")
    for a, b in zip(kept, free, strict=True):
        assert a is b is None or torch.equal(a, b)


def test_under_autocast_the_recurrence_keeps_its_precision(form: MemoryForm) -> None:
    case = Case(form)
    weights, x = single(case.weights), case.x.bfloat16()
    with implementation("eager"):
        expected = memory_scan(x.float(), case.lengths, weights).states
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(memory_scan(x, case.lengths, weights).states, expected)


@pytest.mark.parametrize("name", ["reference", "eager", "compiled"])
@pytest.mark.parametrize("form", FORMS, ids=name_of)
def test_no_sequences_give_no_states(form: MemoryForm, name: str) -> None:
    case = Case(form, n_steps=22)
    x, weights = case.x[:0].float(), single(case.weights)
    if obstacle(name, "memory", x, case.n_units) is not None:
        pytest.skip("the extension is not built")
    for tensor in tensors_of(weights).values():
        tensor.requires_grad_()
    with implementation(name):
        scan = memory_scan(x, case.lengths[:0], weights, keep_memory=True, keep_attention=True)
    assert scan.states.shape == (0, 22, case.n_units)
    assert scan.memory is not None
    assert scan.memory.shape == (0, form.n_updates(22), form.n_slots, case.n_units)
    assert (scan.attention is None) == (not form.attention)
    scan.states.sum().backward()
    assert not any(t.grad.any() for t in tensors_of(weights).values() if t.grad is not None)
