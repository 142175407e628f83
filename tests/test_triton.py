"""The Triton kernels against the plain loops in float64: in Triton's interpreter on the CPU, and on CUDA.

Triton decides when it is imported whether it interprets, so the interpreter gets a process of its own
(`test_all_of_this_in_the_interpreter`): no other test sees it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from skseqmetric._ops import triton
from skseqmetric._ops.dispatch import TRITON, choose, implementation
from skseqmetric._ops.memory import MemoryForm, MemoryNoise, MemoryScan, memory_scan
from skseqmetric._ops.reference import gru as reference
from skseqmetric._ops.reservoir import reservoir_pooled, reservoir_scan
from skseqmetric._ops.steps import pool_states, valid_steps
from skseqmetric._ops.sync_gru import sync_gru_scan, sync_gru_tile
from skseqmetric._ops.triton import packing
from skseqmetric._ops.weights import RecurrentWeights, ReservoirWeights, Side, project
from tests import test_memory_scan, test_reservoir_scan
from tests.test_implementations import COUPLINGS, Case, leaves
from tests.test_memory_scan import FORMS, name_of, single, tensors_of

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
HERE = Path(__file__).resolve()

needs_triton = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")
pytestmark = needs_triton

TOLERANCE = {"float32": (2e-5, 2e-4), "bfloat16": (1e-2, 2e-2)}
"""Absolute, of values; of distances, and of gradients relative to the largest of their tensor."""


@pytest.fixture(
    params=[
        pytest.param("cpu", marks=pytest.mark.skipif(not INTERPRETED, reason="run in the interpreter's own process")),
        pytest.param("cuda", marks=pytest.mark.cuda),
    ]
)
def device(request: pytest.FixtureRequest) -> str:
    return request.param


def small(coupling: str | None, **settings: int) -> Case:
    return Case(coupling, **{"n_units": 5, "n_rows": 6, "n_steps": 6, **settings})


def placed(case: Case, dtype: torch.dtype, device: str) -> tuple[Tensor, Tensor, list[RecurrentWeights]]:
    """Features, lengths and weights as leaves of autograd."""

    def leaf(t: object) -> object:
        return t.detach().to(device, dtype).requires_grad_() if isinstance(t, Tensor) else t

    weights = [RecurrentWeights(**{name: leaf(t) for name, t in vars(w).items()}) for w in case.weights]
    return leaf(case.features), case.lengths.to(device), weights


Run = Callable[[Tensor, Tensor, Tensor, Tensor, list[RecurrentWeights]], tuple[Tensor, Tensor]]


def with_gradients(
    run: Run, case: Case, pairs: tuple[Tensor, Tensor], dtype: torch.dtype, device: str
) -> tuple[list[Tensor], list[Tensor | None]]:
    """Both halves, and the gradients of a random weighing of them in every leaf."""
    x, lengths, weights = placed(case, dtype, device)
    outputs = run(x, lengths, *(p.to(device) for p in pairs), weights)
    seeds = torch.Generator().manual_seed(7)
    loss = sum((o * torch.randn(o.shape, generator=seeds, dtype=torch.float64).to(o)).sum() for o in outputs)
    gradients = torch.autograd.grad(loss, leaves(x, weights), allow_unused=True)
    return [o.detach().cpu().double() for o in outputs], [None if g is None else g.cpu().double() for g in gradients]


def by_reference(how: str | None) -> Run:
    def run(
        x: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights]
    ) -> tuple[Tensor, Tensor]:
        halves: tuple[list[Tensor], list[Tensor]] = ([], [])
        for features, w in zip(x.transpose(1, 2), weights, strict=True):
            both = reference.sync_gru_scan(features[rows], features[columns], lengths[rows], lengths[columns], w)
            for kept, states, own in zip(halves, both, (rows, columns), strict=True):
                kept.append(states if how is None else reference.pool_states(states, lengths[own], how))
        if how is None:
            return tuple(torch.stack(half).permute(2, 0, 1, 3) for half in halves)
        return tuple(torch.cat(half, 1) for half in halves)

    return run


def by_kernels(how: str | None, precision: str = "float32") -> Run:
    def run(
        x: Tensor, lengths: Tensor, rows: Tensor, columns: Tensor, weights: list[RecurrentWeights]
    ) -> tuple[Tensor, Tensor]:
        operands = project(x, weights), lengths, rows, columns, weights
        with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
            if how is None:
                return triton.sync_gru_states(*operands)
            return triton.sync_gru_pooled(*operands, how)

    return run


def compare(case: Case, how: str | None, device: str, precision: str = "float32", n_pairs: int = 9) -> None:
    pairs = case.pairs(n_pairs)
    values, gradients = with_gradients(by_reference(how), case, pairs, torch.float64, "cpu")
    got, got_gradients = with_gradients(by_kernels(how, precision), case, pairs, torch.float32, device)
    tolerance, relative = TOLERANCE[precision]
    for a, b in zip(got, values, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance)
    inside = valid_steps(case.lengths, case.features.shape[1]).T[None, ..., None]
    for k, (a, b) in enumerate(zip(got_gradients, gradients, strict=True)):
        if b is None:
            assert a is None or not a.any()
            continue
        # behind the end of a sequence the features are constants
        a, b = (a * inside, b * inside) if k == 0 else (a, b)
        torch.testing.assert_close(a, b, rtol=0, atol=relative * max(1.0, b.abs().max().item()))


@pytest.fixture
def several_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of 4 pairs in the interpreter, matrices read at every step, and a backward pass in spans of two steps."""
    from skseqmetric._ops.triton import scan

    monkeypatch.setattr(packing, "INTERPRETED", packing.Launch(2, 2, 1, False))
    monkeypatch.setattr(scan, "SPAN_BYTES", 2 * 8 * 9 * (20 + 15) * 2)


@pytest.mark.parametrize("coupling", COUPLINGS)
@pytest.mark.parametrize("n_units", [5, 20])
def test_states(device: str, coupling: str | None, n_units: int) -> None:
    compare(small(coupling, n_units=n_units), None, device)


@pytest.mark.parametrize("coupling", COUPLINGS)
@pytest.mark.parametrize("how", ["mean", "last"])
def test_pooled(device: str, coupling: str | None, how: str) -> None:
    compare(small(coupling, n_directions=1 + (how == "last")), how, device)


@pytest.mark.usefixtures("several_programs")
@pytest.mark.parametrize(("coupling", "how"), [("symmetric", "mean"), ("diffusive", None), ("scalar", "last")])
def test_several_programs_and_spans(device: str, coupling: str, how: str | None) -> None:
    compare(small(coupling, n_steps=5, n_directions=2), how, device)


@pytest.mark.parametrize("coupling", ["symmetric", "diffusive"])
def test_autocast_rounds_products(device: str, coupling: str) -> None:
    case = small(coupling, n_units=16, n_directions=1)
    compare(case, "mean", device, "bfloat16")
    pairs = case.pairs(9)
    whole, rounded = (
        with_gradients(by_kernels("mean", precision), case, pairs, torch.float32, device)[0][0]
        for precision in ("float32", "bfloat16")
    )
    assert (whole - rounded).abs().max() > 1e-5


@pytest.mark.parametrize("crossed", [True, False])
@pytest.mark.parametrize("how", ["mean", "last"])
@pytest.mark.parametrize("coupling", COUPLINGS)
def test_tile(device: str, coupling: str | None, how: str, crossed: bool) -> None:
    left, right = small(coupling), small(coupling, n_steps=8, seed=1, n_rows=19 if crossed else 6)
    check_tile(left, right, device, how, crossed)


@pytest.mark.parametrize("n_units", [20, 64])
def test_tile_of_more_units(device: str, n_units: int) -> None:
    left, right = small("symmetric", n_units=n_units), small("symmetric", n_units=n_units, seed=1)
    check_tile(left, right, device, "mean", True)


@pytest.mark.usefixtures("several_programs")
@pytest.mark.parametrize("coupling", ["symmetric", "diffusive"])
def test_tile_of_several_programs(device: str, coupling: str) -> None:
    left, right = small(coupling, n_directions=1, n_rows=3), small(coupling, n_directions=1, n_rows=5, seed=1)
    check_tile(left, right, device, "mean", True)


def check_tile(left: Case, right: Case, device: str, how: str, crossed: bool) -> None:
    sides = [Side(c.features, c.lengths) for c in (left, right)]
    rows = None if crossed else (torch.arange(6), torch.arange(6))
    with implementation("reference"):
        expected = sync_gru_tile(*sides, left.weights, how, pairs=rows)
    weights = placed(left, torch.float32, device)[2]
    sides = [Side(c.features.to(device, torch.float32), c.lengths.to(device)) for c in (left, right)]
    rows = None if rows is None else (rows[0].to(device), rows[1].to(device))
    got = triton.sync_gru_tile(*sides, weights, how, pairs=rows).cpu().double()
    assert got.shape == expected.shape
    tolerance, relative = TOLERANCE["float32"]
    torch.testing.assert_close(got.sqrt(), expected.sqrt(), rtol=relative, atol=tolerance)


def test_tile_of_chosen_pairs(device: str) -> None:
    case = small("symmetric", n_rows=7)
    x, lengths, weights = placed(case, torch.float32, device)
    side = Side(x.detach(), lengths)
    rows, columns = (p.to(device) for p in case.pairs(20))
    whole = triton.sync_gru_tile(side, side, weights, "mean")
    chosen = triton.sync_gru_tile(side, side, weights, "mean", pairs=(rows, columns))
    torch.testing.assert_close(chosen, whole[rows, columns], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("coupling", ["symmetric", "diffusive"])
def test_equal_sequences_are_at_distance_zero(device: str, coupling: str) -> None:
    case = small(coupling)
    x, lengths, weights = placed(case, torch.float32, device)
    side = Side(x.detach(), lengths)
    square = triton.sync_gru_tile(side, side, weights, "mean")
    again = triton.sync_gru_tile(side, side, weights, "mean")
    assert torch.equal(square, again)
    assert not square.diagonal().any()
    torch.testing.assert_close(square, square.T, rtol=2e-5, atol=2e-5)


def test_the_same_gradients_twice(device: str) -> None:
    case = small("symmetric")
    pairs = case.pairs(12)
    first, second = (with_gradients(by_kernels("mean"), case, pairs, torch.float32, device) for _ in range(2))
    for a, b in zip(first[0] + first[1], second[0] + second[1], strict=True):
        assert torch.equal(a, b)


def test_no_pairs(device: str) -> None:
    case = small("diffusive")
    none = torch.zeros(0, dtype=torch.int64)
    values, gradients = with_gradients(by_kernels("mean"), case, (none, none), torch.float32, device)
    assert values[0].shape == (0, 10)
    assert all(g is None or not g.any() for g in gradients)


def test_many_units_are_refused(device: str) -> None:
    case = small("symmetric", n_units=packing.LARGEST_UNITS + 1, n_rows=3, n_steps=3, n_directions=1)
    x, lengths, weights = placed(case, torch.float32, device)
    pairs = [p.to(device) for p in case.pairs(2)]
    with implementation("triton"), pytest.raises(RuntimeError, match="129 units do not fit on the chip, 128 do"):
        sync_gru_scan(x, lengths, *pairs, weights)


def test_what_stands_in_the_way_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert "run on CUDA, and the operands are on cpu" in str(triton.obstacle(torch.device("cpu"), 1))
    monkeypatch.setattr(triton, "_too_small", lambda device: "too small")
    cuda = torch.device("cuda")
    for version, reason in ((None, "not installed"), ((3, 1), "is 3.1, and they need 3.6"), ((3, 10), "too small")):
        monkeypatch.setattr(triton, "_installed", lambda version=version: version)
        assert reason in str(triton.obstacle(cuda, 1))


@pytest.mark.parametrize(("shared", "fits"), [(227 * 1024, True), (99 * 1024, False)])
def test_small_multiprocessors_are_refused(monkeypatch: pytest.MonkeyPatch, shared: int, fits: bool) -> None:
    found = SimpleNamespace(name="a device", major=9, shared_memory_per_block_optin=shared)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: found)
    reason = triton._too_small.__wrapped__(torch.device("cuda"))
    assert (reason is None) == fits
    assert fits or "a device has 99" in reason


@pytest.mark.parametrize(("n_units", "size"), [(1, 16), (16, 16), (17, 32), (48, 64), (128, 128)])
def test_padded_units(n_units: int, size: int) -> None:
    assert packing.padded_units(n_units) == size
    assert all(size in table[precision] for table in (packing.FORWARD, packing.BACKWARD) for precision in table)


def test_precision_follows_autocast() -> None:
    cpu = torch.device("cpu")
    assert packing.precision_for(cpu) == "float32"
    with torch.autocast("cpu", torch.bfloat16):
        assert packing.precision_for(cpu) == "bfloat16"
    with torch.autocast("cpu", torch.float16):
        assert packing.precision_for(cpu) == "float32"


def test_split_weights_add_up() -> None:
    stacked = packing.stack_weights(placed(small("diffusive", n_units=20), torch.float32, "cpu")[2])
    packed = packing.pack(stacked, "float32").matrices
    whole = packed.sum(2)
    blocks = torch.cat(
        [stacked.hidden.unflatten(1, (3, 20)), stacked.gate_hidden[:, None], stacked.gate_other[:, None]], 1
    )
    assert torch.equal(whole[..., :20, :20], blocks.transpose(2, 3))
    assert not (packed[:, :, 0].view(torch.int32) & 8191).any()
    assert not whole[..., 20:, :].any()
    assert not whole[..., 20:].any()


def run_python(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    outside = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST", "TRITON"))}
    path = {"PYTHONPATH": str(HERE.parents[1])}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=HERE.parents[1],
        env={**outside, **path, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(INTERPRETED, reason="this is that process")
def test_all_of_this_in_the_interpreter() -> None:
    done = run_python("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "cpu", str(HERE), TRITON_INTERPRET="1")
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="the interpreter compiles nothing")
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("which", "n_kernels"),
    [(["bfloat16", "16"], 11), pytest.param(["bfloat16", "float32", "64"], 15, marks=pytest.mark.long)],
    ids=["small", "usual"],
)
def test_kernels_compile_for_hopper(tmp_path: Path, which: list[str], n_kernels: int) -> None:
    script = HERE.with_name("compile_triton.py")
    done = run_python(str(script), *which, TRITON_CACHE_DIR=str(tmp_path), OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr[-5000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == n_kernels
    for kernel in found:
        assert kernel["shared"] <= 227 * 1024, kernel
        assert kernel["HGMMA"] + kernel["HMMA"] > 0, kernel
        assert kernel["stack"] <= 4096, kernel


@pytest.mark.long
@pytest.mark.skipif(INTERPRETED, reason="starts the interpreter itself")
def test_gpu_benchmark_checks_its_answers_in_the_interpreter(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    done = run_python("-m", "benchmarks.run_gpu", "--interpret", "--out", str(out), OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads(out.read_text())
    assert found["wrong"] == []
    assert found["answers"]["n_cases"] == 21
    assert len(found["scans"]) == 8
    assert max(found["scans"].values()) < 1e-5
    kinds = [("tile float32", 4), ("pooled float32", 3), ("states float32", 3), ("pooled bfloat16", 3)]
    assert [sum(name.startswith(kind) for name in found["answers"]["worst"]) for kind, _ in kinds] == [
        n for _, n in kinds
    ]


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.skipif(INTERPRETED, reason="once is enough")
def test_gpu_benchmark_says_what_is_missing() -> None:
    done = run_python("-m", "benchmarks.run_gpu", "--quick")
    assert done.returncode == 2
    assert "no CUDA device" in done.stdout


# --------------------------------------------------------------------------------- reservoirs, and layers with memory


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of 4 sequences in the interpreter, and reservoirs in spans of a step."""
    from skseqmetric._ops.triton import reservoir

    monkeypatch.setattr(packing, "INTERPRETED", packing.Launch(2, 2, 1, False))
    monkeypatch.setattr(reservoir, "SPAN_BYTES", 1)


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


@pytest.mark.parametrize("n_units", [1, 30, 70])
def test_reservoirs(device: str, n_units: int) -> None:
    assert_reservoir_is_the_plain_loop(test_reservoir_scan.Case(n_units=n_units, n_rows=19, n_steps=4), device)


@pytest.mark.usefixtures("small_tiles")
def test_reservoirs_of_small_tiles_and_spans(device: str) -> None:
    case = test_reservoir_scan.Case(n_units=20, n_rows=7, n_steps=5)
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


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize(
    ("cell", "n_rows", "n_steps", "n_units"),
    [("gru", 6, 1, 2), ("lstm", 5, 9, 1), ("rnn", 5, 9, 1), ("lstm", 9, 5, 18), ("gru", 9, 5, 18)],
)
def test_layers_of_odd_sizes_in_small_tiles(device: str, cell: str, n_rows: int, n_steps: int, n_units: int) -> None:
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
