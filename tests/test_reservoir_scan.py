"""The reservoir's step loop against the plain one: values, forms of the matrix, ragged ends, streaming."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from skseqmetric._ops.dispatch import implementation, obstacle
from skseqmetric._ops.eager import reservoir as eager
from skseqmetric._ops.reference import reservoir as reference
from skseqmetric._ops.reservoir import ReservoirWeights, reservoir_pooled, reservoir_scan
from skseqmetric._ops.steps import pool_states, reverse_valid, valid_steps

FORMS = ["reference", "eager"]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


class Case:
    """Ragged sequences in every direction (D, T, B, F) and a reservoir for each, drawn in float64."""

    def __init__(
        self, density: float = 0.85, n_units: int = 200, n_rows: int = 12, n_steps: int = 15, n_directions: int = 2
    ) -> None:
        self.generator = torch.Generator().manual_seed(3)
        self.lengths = torch.randint(1, n_steps + 1, (n_rows,), generator=self.generator)
        self.lengths[2] = n_steps
        x = self.normal(n_rows, n_steps, 3) * valid_steps(self.lengths, n_steps)[..., None]
        both = [x, reverse_valid(x, self.lengths)][:n_directions]
        self.features = torch.stack(both).transpose(1, 2).contiguous()
        self.weights = [self.reservoir(density, n_units) for _ in range(n_directions)]

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def reservoir(self, density: float, n_units: int) -> ReservoirWeights:
        kept = torch.rand(n_units, n_units, generator=self.generator) < density
        recurrent = self.normal(n_units, n_units) * kept * (1.1 / (density * n_units) ** 0.5)
        leak = 0.05 + 0.9 * torch.rand(n_units, generator=self.generator, dtype=torch.float64)
        return ReservoirWeights(self.normal(n_units, 4), recurrent, leak)

    def to(self, dtype: torch.dtype) -> tuple[Tensor, list[ReservoirWeights]]:
        weights = [ReservoirWeights(w.input.to(dtype), w.recurrent.to(dtype), w.leak.to(dtype)) for w in self.weights]
        return self.features.to(dtype), weights

    def expected(self) -> Tensor:
        with implementation("reference"):
            return reservoir_scan(self.features, self.lengths, self.weights)


def csr(w: ReservoirWeights) -> ReservoirWeights:
    eager._take_csr_warning()
    return replace(w, recurrent=w.recurrent.to_sparse_csr())


def test_reference_is_the_recurrence_unit_by_unit() -> None:
    w = ReservoirWeights(torch.tensor([[0.5, 2.0], [-1.0, 0.0]]), torch.tensor([[0.1, -0.4], [0.0, 0.9]]), 0.25)
    u = torch.tensor([[[0.3], [-0.7], [1.1]]])
    first = second = torch.tensor(0.0)
    states = []
    for u_t in u[0, :, 0]:
        pre = (0.5 + 2.0 * u_t + 0.1 * first - 0.4 * second, -1.0 + 0.9 * second)
        first, second = 0.75 * first + 0.25 * pre[0].tanh(), 0.75 * second + 0.25 * pre[1].tanh()
        states.append(torch.stack([first, second]))
    torch.testing.assert_close(reference.reservoir_scan(u, torch.tensor([3]), w)[0], torch.stack(states))


def test_reference_is_differentiable() -> None:
    case = Case(n_units=4, n_rows=3, n_steps=4, n_directions=1)
    w, u = case.weights[0], case.features[0].transpose(0, 1)

    def run(*tensors: Tensor) -> Tensor:
        return reference.reservoir_scan(tensors[0], case.lengths, ReservoirWeights(*tensors[1:]))

    assert torch.autograd.gradcheck(run, [t.clone().requires_grad_() for t in (u, w.input, w.recurrent, w.leak)])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("n_units", [1, 30, 200])
@pytest.mark.parametrize("density", [0.1, 0.85])
def test_eager_equals_the_plain_loop(density: float, n_units: int, dtype: torch.dtype) -> None:
    case = Case(density, n_units)
    got = reservoir_scan(case.to(dtype)[0], case.lengths, case.to(dtype)[1])
    assert got.dtype == dtype
    torch.testing.assert_close(got.double(), case.expected(), rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("leak", [0.05, 0.7, 1.0])
@pytest.mark.parametrize("density", [0.1, 0.85])
def test_one_leak_for_all_units(density: float, leak: float) -> None:
    case = Case(density)
    weights = [replace(w, leak=leak) for w in case.weights]
    spread = [replace(w, leak=torch.full((200,), leak, dtype=torch.float64)) for w in case.weights]
    with implementation("reference"):
        expected = reservoir_scan(case.features, case.lengths, weights)
    for form in (weights, spread):
        got = reservoir_scan(case.features, case.lengths, form)
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("density", [0.1, 0.85])
def test_dense_and_sparse_matrices_give_the_same(density: float, name: str) -> None:
    case = Case(density)
    with implementation(name):
        states = reservoir_scan(case.features, case.lengths, [csr(w) for w in case.weights])
    torch.testing.assert_close(states, case.expected(), rtol=0, atol=1e-12)


def test_the_form_of_the_product_follows_density_and_size(monkeypatch: pytest.MonkeyPatch) -> None:
    assert eager.sparse_pays(0.1, 1000)
    assert not eager.sparse_pays(0.85, 1000)
    assert not eager.sparse_pays(0.1, 100)
    assert eager.sparse_pays(0.2, 100, fused=True)
    assert not eager.sparse_pays(0.3, 100, fused=True)
    case = Case(0.85)
    monkeypatch.setattr(eager, "sparse_pays", lambda *_, **__: True)
    forced = reservoir_scan(case.features, case.lengths, case.weights)
    torch.testing.assert_close(forced, case.expected(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("density", [0.1, 0.85])
def test_blocks_of_steps_change_nothing(density: float, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(density)
    whole = reservoir_scan(case.features, case.lengths, case.weights)
    monkeypatch.setattr(eager, "BLOCK_ELEMENTS", 4 * 2 * 12 * 200)
    torch.testing.assert_close(reservoir_scan(case.features, case.lengths, case.weights), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", FORMS)
def test_an_ended_sequence_keeps_its_last_state_whatever_follows(name: str) -> None:
    case = Case(0.1)
    inside = valid_steps(case.lengths, case.features.shape[1]).T[None, ..., None]
    with implementation(name):
        states = reservoir_scan(torch.where(inside, case.features, torch.nan), case.lengths, case.weights)
    torch.testing.assert_close(states, case.expected(), rtol=0, atol=1e-12)
    for row, length in enumerate(case.lengths.tolist()):
        last = states[length - 1, :, row]
        assert torch.equal(states[length:, :, row], last.expand_as(states[length:, :, row]))


@pytest.mark.parametrize("density", [0.1, 0.85])
def test_a_batch_equals_one_sequence_at_a_time(density: float) -> None:
    case = Case(density)
    together = reservoir_scan(case.features, case.lengths, case.weights)
    for row, length in enumerate(case.lengths.tolist()):
        alone = reservoir_scan(case.features[:, :length, row : row + 1], case.lengths[row : row + 1], case.weights)
        torch.testing.assert_close(alone[:, :, 0], together[:length, :, row], rtol=0, atol=1e-12)


@pytest.mark.parametrize("lengths", [[5, 6], [3, 6, 6, 5], [6, 2, 6], [1, 1, 4, 9]])
def test_any_order_of_lengths(lengths: list[int]) -> None:
    """Two rows the wrong way round are an order that is its own inverse."""
    case = Case(n_units=20, n_rows=4, n_steps=9)
    case.lengths, case.features = torch.tensor(lengths), case.features[:, :, : len(lengths)]
    states = reservoir_scan(case.features, case.lengths, case.weights)
    torch.testing.assert_close(states, case.expected(), rtol=0, atol=1e-12)
    for how in ("mean", "last"):
        summary = reservoir_pooled(case.features, case.lengths, case.weights, how)
        torch.testing.assert_close(summary, pool_states(case.expected(), case.lengths, how), rtol=0, atol=1e-12)


def test_steps_behind_the_longest_sequence_are_frozen_too() -> None:
    case = Case()
    lengths = case.lengths.clamp(max=9)
    longer = reservoir_scan(case.features, lengths, case.weights)
    torch.testing.assert_close(longer[:9], reservoir_scan(case.features[:, :9], lengths, case.weights))
    assert torch.equal(longer[9:], longer[8:9].expand_as(longer[9:]))


@pytest.mark.parametrize("how", ["mean", "last", "both"])
@pytest.mark.parametrize("name", FORMS)
def test_readout_equals_that_of_the_states(name: str, how: str) -> None:
    case = Case(0.1)
    with implementation(name):
        summary = reservoir_pooled(case.features, case.lengths, case.weights, how)
    kinds = ["last", "mean"] if how == "both" else [how]
    expected = torch.cat([pool_states(case.expected(), case.lengths, kind) for kind in kinds], 1)
    torch.testing.assert_close(summary, expected, rtol=0, atol=1e-12)


def test_weights_that_require_a_gradient_are_taken_as_fixed() -> None:
    case = Case()
    weights = [replace(w, recurrent=w.recurrent.clone().requires_grad_()) for w in case.weights]
    assert not reservoir_scan(case.features, case.lengths, weights).requires_grad
    assert not reservoir_pooled(case.features, case.lengths, weights, "both").requires_grad
    assert torch.is_grad_enabled()


def test_operands_are_left_as_they_were() -> None:
    case = Case(0.1)
    before = [t.clone() for w in case.weights for t in (w.input, w.recurrent, w.leak)] + [case.features.clone()]
    reservoir_scan(case.features, case.lengths, case.weights)
    after = [t for w in case.weights for t in (w.input, w.recurrent, w.leak)] + [case.features]
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize("density", [0.1, 0.85])
@pytest.mark.parametrize("form", [*FORMS, "compiled"])
def test_no_sequences_give_no_states(form: str, density: float) -> None:
    case = Case(density)
    if obstacle(form, "reservoir", case.features.float(), 200) is not None:
        pytest.skip("the extension is not built")
    features, weights = case.to(torch.float32)
    features, lengths = features[:, :, :0], case.lengths[:0]
    with implementation(form):
        assert reservoir_scan(features, lengths, weights).shape == (15, 2, 0, 200)
        for how, width in (("mean", 400), ("last", 400), ("both", 800)):
            assert reservoir_pooled(features, lengths, weights, how).shape == (0, width)


@pytest.mark.slow
def test_torch_warns_of_sparse_tensors_in_no_order_of_its_switches() -> None:
    """torch gives the warning once in a process, or every time if the user asks so: taken once, it must stay away."""
    program = """
import torch, warnings
from tests.test_reservoir_scan import Case
from skseqmetric._ops.dispatch import implementation
from skseqmetric._ops.reservoir import reservoir_scan
case = Case(density=0.02)
features, weights = case.to(torch.float32)
torch.set_warn_always(True)
with warnings.catch_warnings(record=True), implementation("eager"):
    reservoir_scan(features, case.lengths, weights)
assert torch.is_warn_always_enabled()
torch.set_warn_always(False)
warnings.simplefilter("error")
with implementation("eager"):
    reservoir_scan(features, case.lengths, weights)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
