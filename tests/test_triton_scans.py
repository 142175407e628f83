"""The Triton kernels of reservoirs and of layers with memory against the plain loops in float64.

As in `test_triton.py` they run in the interpreter, in a process of its own, and on CUDA.
"""

# ruff: noqa: F811 - `device` is a fixture of another file
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from skseqmetric._ops.dispatch import TRITON, choose, implementation
from skseqmetric._ops.memory import MemoryForm, MemoryNoise, MemoryScan, memory_scan
from skseqmetric._ops.reservoir import reservoir_pooled, reservoir_scan
from skseqmetric._ops.steps import pool_states, valid_steps
from skseqmetric._ops.triton import packing
from skseqmetric._ops.weights import ReservoirWeights
from tests import test_memory_scan, test_reservoir_scan
from tests.test_memory_scan import FORMS, name_of, single, tensors_of
from tests.test_triton import INTERPRETED, device, needs_triton, run_python  # noqa: F401 - a fixture

pytestmark = needs_triton
HERE = Path(__file__).resolve()


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="this is that process")
def test_all_of_this_in_the_interpreter() -> None:
    done = run_python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "cpu", str(HERE), TRITON_INTERPRET="1")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout


@pytest.fixture
def several_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of 4 sequences in the interpreter, and reservoirs in spans of a step."""
    from skseqmetric._ops.triton import reservoir

    monkeypatch.setattr(packing, "INTERPRETED", packing.Launch(2, 2, 1, False))
    monkeypatch.setattr(reservoir, "SPAN_BYTES", 1)


# ---------------------------------------------------------------------------------------------------------- reservoirs


def assert_reservoir_is_the_plain_loop(case: test_reservoir_scan.Case, device: str, padding: float = 0.0) -> None:
    features, weights = case.to(torch.float32)
    inside = valid_steps(case.lengths, features.shape[1]).T[None, ..., None]
    features = torch.where(inside, features, padding).to(device)
    weights = [ReservoirWeights(*(t.to(device) for t in vars(w).values())) for w in weights]
    lengths, expected = case.lengths.to(device), case.expected()
    with implementation("triton"):
        states = reservoir_scan(features, lengths, weights)
        pooled = {how: reservoir_pooled(features, lengths, weights, how) for how in ("mean", "last", "both")}
    torch.testing.assert_close(states.cpu().double(), expected, rtol=0, atol=1e-5)
    for how, found in pooled.items():
        wanted = pool_states(expected, case.lengths, how)
        torch.testing.assert_close(found.cpu().double(), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_units", [1, 30, 130])
def test_reservoirs(device: str, n_units: int) -> None:
    assert_reservoir_is_the_plain_loop(test_reservoir_scan.Case(n_units=n_units, n_rows=19, n_steps=7), device)


@pytest.mark.usefixtures("several_programs")
def test_reservoirs_of_several_programs_and_spans(device: str) -> None:
    case = test_reservoir_scan.Case(n_units=20, n_rows=9, n_steps=6)
    assert_reservoir_is_the_plain_loop(case, device, padding=torch.nan)


def test_reservoirs_with_one_leak_and_a_sparse_matrix(device: str) -> None:
    case = test_reservoir_scan.Case(0.1, n_units=20, n_directions=1, n_steps=5)
    case.weights = [replace(w, leak=torch.tensor(0.3, dtype=torch.float64)) for w in case.weights]
    features, weights = case.to(torch.float32)
    sparse = [replace(test_reservoir_scan.csr(w), leak=0.3) for w in weights]
    on_device = [replace(w, input=w.input.to(device), recurrent=w.recurrent.to(device)) for w in sparse]
    with implementation("triton"):
        states = reservoir_scan(features.to(device), case.lengths.to(device), on_device)
    torch.testing.assert_close(states.cpu().double(), case.expected(), rtol=0, atol=1e-5)


def test_reservoirs_of_no_sequence(device: str) -> None:
    features, weights = test_reservoir_scan.Case(n_units=4).to(torch.float32)
    weights = [ReservoirWeights(*(t.to(device) for t in vars(w).values())) for w in weights]
    none = torch.zeros(0, dtype=torch.int64, device=device)
    with implementation("triton"):
        assert reservoir_scan(features[:, :, :0].to(device), none, weights).shape == (15, 2, 0, 4)
        assert reservoir_pooled(features[:, :, :0].to(device), none, weights, "both").shape == (0, 16)


def test_large_reservoirs_are_not_taken(device: str) -> None:
    x, largest = torch.empty(1, device=device), TRITON["reservoir"]
    with implementation("triton"):
        assert choose("reservoir", x, largest) == "triton"
        with pytest.raises(RuntimeError, match=f"{largest + 1} units do not fit on the chip, {largest} do"):
            choose("reservoir", x, largest + 1)


@pytest.mark.cuda
@pytest.mark.parametrize(("op", "n_units"), [("reservoir", 512), ("memory", 128), ("sync_gru", 128)])
def test_cuda_takes_the_kernels_up_to_their_largest_size(op: str, n_units: int) -> None:
    x = torch.empty(1, device="cuda")
    assert [choose(op, x, n) for n in (n_units, n_units + 1)] == ["triton", "eager"]
    assert choose(op, x.double(), n_units) == "eager"


# --------------------------------------------------------------------------------------------------- layers with memory

Answer = tuple[MemoryScan, tuple[Tensor | None, ...]]


def scanned(case: test_memory_scan.Case, name: str, noise: MemoryNoise, device: str) -> Answer:
    """The states, memory and maps, and the gradients of x and of all weights of a random weighing of them."""
    weights, x = (case.weights, case.x) if name == "reference" else (single(case.weights), case.x.float())
    wanted = [t.detach().to(device).requires_grad_() for t in (x, *tensors_of(weights).values())]
    weights = replace(weights, **dict(zip(tensors_of(weights), wanted[1:], strict=True)))
    mask = MemoryNoise(*(t.to(x.dtype).to(device) if isinstance(t, Tensor) else t for t in vars(noise).values()))
    with implementation(name):
        scan = memory_scan(wanted[0], case.lengths.to(device), weights, mask, keep_memory=True, keep_attention=True)
    seeds = torch.Generator().manual_seed(7)
    outputs = [output for output in scan if output is not None]
    loss = sum((o * torch.randn(o.shape, generator=seeds, dtype=torch.float64).to(o)).sum() for o in outputs)
    return scan, torch.autograd.grad(loss, wanted, allow_unused=True)


def assert_layer_is_the_plain_loop(case: test_memory_scan.Case, noise: MemoryNoise, device: str) -> None:
    expected, expected_gradients = scanned(case, "reference", noise, "cpu")
    got, gradients = scanned(case, "triton", noise, device)
    for a, b in zip(got, expected, strict=True):
        if b is None:
            assert a is None
            continue
        torch.testing.assert_close(a.cpu().double(), b, rtol=0, atol=2e-5)
    for a, b in zip(gradients, expected_gradients, strict=True):
        if a is None or b is None:
            assert not any(gradient.any() for gradient in (a, b) if gradient is not None)
            continue
        largest = float(b.abs().max()) if b.numel() else 0.0
        torch.testing.assert_close(a.cpu().double(), b, rtol=0, atol=1e-4 * max(1.0, largest))


@pytest.mark.parametrize("form", FORMS, ids=name_of)
def test_layers_with_memory(device: str, form: MemoryForm) -> None:
    case = test_memory_scan.Case(form, n_rows=9, n_steps=10, n_units=8)
    assert_layer_is_the_plain_loop(case, case.drawn(), device)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_layers_with_shares_of_zoneout_and_without(device: str, cell: str) -> None:
    case = test_memory_scan.Case(MemoryForm(cell, 2, 2, 2), n_rows=5, n_steps=9, n_units=20)
    for noise in (MemoryNoise(0.8, 0.7), MemoryNoise()):
        assert_layer_is_the_plain_loop(case, noise, device)


@pytest.mark.usefixtures("several_programs")
@pytest.mark.parametrize(("n_rows", "n_steps", "n_units"), [(6, 1, 2), (5, 9, 1), (9, 5, 18)])
@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_layers_of_odd_sizes_in_several_programs(
    device: str, cell: str, n_rows: int, n_steps: int, n_units: int
) -> None:
    form = MemoryForm(cell, 1 if n_units == 1 else 2, 2, 1)
    case = test_memory_scan.Case(form, n_rows=n_rows, n_steps=n_steps, n_units=n_units, n_channels=1)
    assert_layer_is_the_plain_loop(case, case.drawn(), device)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_layers_at_inference_and_of_no_sequence(device: str, cell: str) -> None:
    case = test_memory_scan.Case(MemoryForm(cell, 2, 2, 2), n_steps=9)
    weights = single(case.weights)
    weights = replace(weights, **{name: t.to(device) for name, t in tensors_of(weights).items()})
    x, lengths = case.x.float().to(device), case.lengths.to(device)
    with torch.inference_mode(), implementation("triton"):
        states = memory_scan(x, lengths, weights).states
        assert memory_scan(x[:0], lengths[:0], weights).states.shape == (0, 9, 8)
    torch.testing.assert_close(states.cpu().double(), case.scan("reference").states, rtol=0, atol=2e-5)


def test_a_mask_of_another_kind_is_refused(device: str) -> None:
    case = test_memory_scan.Case(n_steps=9)
    weights = single(case.weights)
    weights = replace(weights, **{name: t.to(device) for name, t in tensors_of(weights).items()})
    noise = MemoryNoise(torch.ones(7, 9, 8, dtype=torch.float64, device=device))
    with implementation("triton"), pytest.raises(TypeError, match=r"needs noise as torch\.float32"):
        memory_scan(case.x.float().to(device), case.lengths.to(device), weights, noise)
