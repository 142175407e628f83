"""The compiled extension: every instruction set, hostile numbers, threads, reused memory, and doing without it."""

from __future__ import annotations

import ast
import ctypes
import gc
import os
import re
import subprocess
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from skseqmetric import EchoStateTransformer, SyncGRUMetric
from skseqmetric._ops import buffer_pool, compiled, dispatch
from skseqmetric._ops import parallel as _team
from skseqmetric._ops.compiled import _library, tile
from skseqmetric._ops.dispatch import implementation
from skseqmetric._ops.gru import gru_pooled, gru_scan
from skseqmetric._ops.reservoir import ReservoirWeights, reservoir_pooled, reservoir_scan
from skseqmetric._ops.steps import pool_states, reverse_valid, valid_steps
from skseqmetric._ops.sync_gru import sync_gru_pooled, sync_gru_scan, sync_gru_tile
from skseqmetric._ops.weights import Side
from skseqmetric.datasets import make_shifted_sequences
from tests.test_implementations import COUPLINGS, Case, compare, leaves

built = pytest.mark.skipif(compiled.obstacle() is not None, reason=f"compiled: {compiled.obstacle()}")
FORM = ("compiled", torch.float32)


@pytest.fixture(params=["avx512", "avx2", "generic"])
def kernels(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set that this machine has."""
    library = compiled.library()
    before = library.kernels()
    if library.use(request.param.encode()):
        pytest.skip(f"no {request.param} here")
    yield request.param
    library.use(before)


@built
@pytest.mark.parametrize("n_units", [1, 7, 16, 50])
@pytest.mark.parametrize("coupling", COUPLINGS)
def test_every_instruction_set_equals_the_reference(kernels: str, coupling: str | None, n_units: int) -> None:
    assert compiled.library().kernels() == kernels.encode()
    case = Case(coupling, n_units=n_units)
    pairs = case.pairs(21)
    compare(case, FORM, "sync_gru", lambda x, w: list(sync_gru_scan(x, case.lengths, *pairs, w)))
    compare(case, FORM, "gru", lambda x, w: [gru_pooled(x, case.lengths, w, "mean")])


@pytest.fixture(scope="module")
def of_default_sizes() -> Callable[[], dict[str, np.ndarray]]:
    """Embeddings, coupled distances and echo states of estimators that are fitted once."""
    X, y = make_shifted_sequences(12, n_classes=2, random_state=0)
    metric = SyncGRUMetric(coupling="symmetric", max_epochs=1, random_state=0).fit(X, y)
    echo = EchoStateTransformer(random_state=0).fit(X)

    def answers() -> dict[str, np.ndarray]:
        states = np.concatenate(echo.hidden_states(X))
        return {"embeddings": metric.transform(X), "distances": metric.pairwise_distances(X), "states": states}

    return answers


@built
def test_instruction_sets_differ_by_rounding_only(
    kernels: str, of_default_sizes: Callable[[], dict[str, np.ndarray]]
) -> None:
    """The same set gives the same bits; another one keeps the bound that docs/performance.md states."""
    found = of_default_sizes()
    for name, again in of_default_sizes().items():
        np.testing.assert_array_equal(again, found[name], err_msg=name)
    compiled.library().use(b"generic")
    for name, other in of_default_sizes().items():
        np.testing.assert_allclose(found[name], other, rtol=0, atol=1e-6 * np.abs(other).max(), err_msg=name)


@built
@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("n_rows", [1, 21, 150])
@pytest.mark.parametrize(
    ("n_units", "density"), [(1, 1.0), (30, 1.0), (200, 1.0), (100, 0.2), (203, 0.1), (203, 0.005)]
)
def test_reservoir_equals_the_reference(
    kernels: str, n_units: int, density: float, n_rows: int, n_threads: int
) -> None:
    """With weights dense enough for the dense step, and with so few that it is the sparse one."""
    case = Case(n_rows=n_rows, n_units=n_units)
    scale = 1 / (density * n_units) ** 0.5

    def recurrent() -> torch.Tensor:
        return scale * case.normal(n_units, n_units) * (case.normal(n_units, n_units).argsort(1) < density * n_units)

    weights = [ReservoirWeights(case.normal(n_units, 4), recurrent(), case.normal(n_units).sigmoid()) for _ in range(2)]
    single = [ReservoirWeights(*(t.float() for t in vars(w).values())) for w in weights]
    with implementation("reference"):
        expected = reservoir_scan(case.features, case.lengths, weights)
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        with implementation("compiled"):
            got = reservoir_scan(case.features.float(), case.lengths, single)
            mean = reservoir_pooled(case.features.float(), case.lengths, single, "mean")
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=1e-5)
    torch.testing.assert_close(mean.double(), pool_states(expected, case.lengths, "mean"), rtol=0, atol=1e-5)


@built
@pytest.mark.parametrize("density", [1.0, 0.1])
def test_a_sequence_has_the_same_states_in_any_company(kernels: str, density: float) -> None:
    """Of few sequences a sparse reservoir takes one by one, of more a vector together."""
    case = Case(n_rows=70, n_units=203)
    kept = case.normal(203, 203).argsort(1) < density * 203
    recurrent = (case.normal(203, 203) * kept / (density * 203) ** 0.5).float()
    weights = [ReservoirWeights(case.normal(203, 4).float(), recurrent.clone(), 0.3) for _ in range(2)]
    features = case.features.float()
    with implementation("compiled"):
        together = reservoir_scan(features, case.lengths, weights)
        pooled = reservoir_pooled(features, case.lengths, weights, "both")
        for n in (1, 3, 4, 17, 40):
            assert torch.equal(reservoir_scan(features[:, :, :n], case.lengths[:n], weights), together[:, :, :n])
            assert torch.equal(reservoir_pooled(features[:, :, :n], case.lengths[:n], weights, "both"), pooled[:n])


@built
@pytest.mark.parametrize("part", ["recurrent", "input"])
def test_weights_that_change_in_place_are_packed_anew(part: str) -> None:
    case = Case(n_rows=2, n_units=120)
    w = ReservoirWeights(case.normal(120, 4).float(), case.normal(120, 120).float() / 11, 0.3)
    features = case.features[:1].float()
    with implementation("compiled"):
        before = reservoir_scan(features, case.lengths, [w])
        getattr(w, part).mul_(0.5)
        after = reservoir_scan(features, case.lengths, [w])
        fresh = ReservoirWeights(w.input.clone(), w.recurrent.clone(), w.leak)
        assert torch.equal(after, reservoir_scan(features, case.lengths, [fresh]))
    assert not torch.equal(before, after)


@built
def test_packed_weights_go_with_their_reservoir() -> None:
    case = Case(n_rows=2, n_units=120)
    w = ReservoirWeights(case.normal(120, 4).float(), case.normal(120, 120).float() / 11, 0.3)
    with implementation("compiled"):
        reservoir_scan(case.features[:1].float(), case.lengths, [w])
    alive = weakref.ref(w.recurrent)
    del w
    gc.collect()
    assert alive() is None


@built
def test_gate_functions_keep_their_bounds(kernels: str) -> None:
    magnitudes = np.concatenate([np.logspace(-38, 1, 200_001), [0.0, 1e-42, 20.0, 1e30, np.inf]])
    x = np.concatenate([magnitudes, -magnitudes]).astype(np.float32)
    sigmoid, tanh = np.empty_like(x), np.empty_like(x)
    compiled.library().gates(*(a.ctypes.data for a in (x, sigmoid, tanh)), len(x))
    exact = x.astype(np.float64)
    np.testing.assert_allclose(tanh, np.tanh(exact), rtol=6e-7, atol=1e-44)
    np.testing.assert_allclose(sigmoid, 1 / (1 + np.exp(-np.clip(exact, -700, 700))), rtol=0, atol=4e-7)
    assert (np.abs(tanh) < 1).all()
    assert ((sigmoid > 0) & (sigmoid < 1)).all()
    hostile = np.array([np.nan], dtype=np.float32)
    compiled.library().gates(hostile.ctypes.data, sigmoid.ctypes.data, tanh.ctypes.data, 1)
    assert np.isnan(sigmoid[0])
    assert np.isnan(tanh[0])


@built
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30, 1e-42])
def test_hostile_numbers_go_where_they_go_in_the_reference(kernels: str, value: float) -> None:
    case = Case("symmetric", n_rows=20)
    case.features[0, 3, 0, 1] = value
    pairs = torch.arange(20), torch.arange(20).roll(-1)
    answers = []
    for name, dtype in (("reference", torch.float64), FORM):
        with implementation(name), torch.no_grad():
            features, weights = case.to(dtype)
            answers.append(sync_gru_pooled(features, case.lengths, *pairs, weights, "mean"))
    for expected, got in zip(*answers, strict=True):
        torch.testing.assert_close(got.double(), expected, rtol=0, atol=2e-5, equal_nan=True)
    if np.isnan(value):
        assert torch.stack(answers[1]).isnan().any()


def gradients(case: Case, pairs: tuple[Tensor, Tensor] | None, n_threads: int) -> list[Tensor]:
    """Read-outs of the pairs, or of the sequences alone, and their gradients."""
    before = torch.get_num_threads()
    torch.set_num_threads(n_threads)
    try:
        with implementation("compiled"):
            features, weights = case.to(torch.float32)
            if pairs is None:
                first = second = gru_pooled(features, case.lengths, weights, "mean")
            else:
                first, second = sync_gru_pooled(features, case.lengths, *pairs, weights, "mean")
            loss = first.square().sum() + second.sin().sum()
            return [first, second, *torch.autograd.grad(loss, leaves(features, weights))]
    finally:
        torch.set_num_threads(before)


@built
@pytest.mark.parametrize("rows", ["alone", "every sequence once", "sequences shared"])
@pytest.mark.parametrize("coupling", COUPLINGS)
def test_threads_change_nothing_but_the_order_of_sums(coupling: str | None, rows: str) -> None:
    case = Case(None if rows == "alone" else coupling, n_rows=200)
    once = torch.randperm(200, generator=case.generator).view(2, 100)
    pairs = {"alone": None, "every sequence once": (once[0], once[1]), "sequences shared": case.pairs(300)}[rows]
    alone = gradients(case, pairs, 1)
    for n_threads in (2, 3):
        several, again = gradients(case, pairs, n_threads), gradients(case, pairs, n_threads)
        for k, (a, b, c) in enumerate(zip(alone, several, again, strict=True)):
            assert torch.equal(b, c)
            if k < 2 or rows != "sequences shared":
                assert torch.equal(a, b)
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4 * a.detach().abs().max().item())


@built
def test_own_threads_and_those_of_torch_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("symmetric", n_rows=200)
    pairs = torch.arange(200).view(2, 100)
    shared = gradients(case, (pairs[0], pairs[1]), 2)
    monkeypatch.setattr(_team, "_gomp_parallel", lambda: 0)
    assert _team.Team.now(2) == _team.Team(2, 0)
    for a, b in zip(shared, gradients(case, (pairs[0], pairs[1]), 2), strict=True):
        assert torch.equal(a, b)


@pytest.mark.slow
@built
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_has_threads_of_its_own() -> None:
    """The workers of an OpenMP runtime do not survive a fork, and waiting for them would last for ever."""
    program = """
import os, sys, torch
from skseqmetric._ops.dispatch import implementation
from skseqmetric._ops.gru import gru_pooled
from tests.test_compiled import Case
torch.set_num_threads(2)
case = Case(n_rows=200)
features, weights = case.to(torch.float32)
def answer():
    with torch.no_grad(), implementation("compiled"):
        return gru_pooled(features, case.lengths, weights, "mean").numpy().tobytes()
before = answer()
child = os.fork()
if child == 0:
    os._exit(0 if answer() == before else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=120, check=False).returncode == 0


@built
@pytest.mark.parametrize("n_features", [1, 7, 15, 16, 40])
@pytest.mark.parametrize("coupling", COUPLINGS)
def test_features_are_projected_by_the_kernels(kernels: str, coupling: str | None, n_features: int) -> None:
    case = Case(coupling, n_rows=74, n_features=n_features)
    once = torch.randperm(74, generator=case.generator).view(2, 37)
    compare(case, FORM, "gru", lambda x, w: [gru_scan(x, case.lengths, w)])
    compare(case, FORM, "sync_gru", lambda x, w: list(sync_gru_scan(x, case.lengths, *once, w)))
    some = once[:, :20]  # the other sequences have a gradient of zero
    compare(case, FORM, "sync_gru", lambda x, w: list(sync_gru_pooled(x, case.lengths, *some, w, "mean")))


@pytest.mark.parametrize("form", ["eager", pytest.param("compiled", marks=built)])
@pytest.mark.parametrize("how", ["mean", "last", None])
def test_a_second_direction_reads_every_sequence_from_its_end(form: str, how: str | None) -> None:
    case = Case(None, n_rows=37, n_features=9)
    features, weights = case.to(torch.float32)
    batch = (features.detach()[0].transpose(0, 1) * valid_steps(case.lengths, features.shape[1])[..., None]).clone()

    def run(x: Tensor, ways: Tensor) -> list[Tensor]:
        with implementation(form):
            out = gru_scan(ways, case.lengths, weights) if how is None else gru_pooled(ways, case.lengths, weights, how)
        mixed = out * torch.linspace(-1, 1, out.numel(), dtype=torch.float32).view_as(out)
        return [out, *torch.autograd.grad(mixed.sum(), [x, *leaves(x, weights)[1:]])]

    x = batch.requires_grad_()
    both = torch.stack([x, reverse_valid(x, case.lengths)]).transpose(1, 2)
    for a, b in zip(run(x, x.transpose(0, 1)[None]), run(x, both), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@built
def test_features_may_lie_anyhow_in_memory() -> None:
    case = Case("symmetric", n_rows=20)
    once = torch.arange(20).view(2, 10)

    def run(x: Tensor, w: Any) -> list[Tensor]:
        turned = x.permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0)
        return [gru_scan(turned, case.lengths, w), *sync_gru_scan(turned, case.lengths, *once, w)]

    compare(case, FORM, "sync_gru", run)


@built
@pytest.mark.parametrize("coupling", [None, "symmetric"])
def test_features_without_a_gradient_of_their_own(coupling: str | None) -> None:
    case = Case(coupling, n_rows=40)
    features, weights = case.to(torch.float32)
    once = torch.arange(40).view(2, 20)

    def of_weights(x: Tensor) -> list[Tensor]:
        with implementation("compiled"):
            first, second = sync_gru_pooled(x, case.lengths, *once, weights, "last")
            return list(torch.autograd.grad((first.sum() + second.square().sum()), leaves(x, weights)[1:]))

    for a, b in zip(of_weights(features), of_weights(features.detach()), strict=True):
        assert torch.equal(a, b)


@built
@pytest.mark.parametrize("axes", [(0, 1, 2, 3), (0, 1, 2), (0, 2), (3,), (1, 3)])
def test_a_gradient_spread_from_few_numbers(axes: tuple[int, ...]) -> None:
    case = Case("scalar", n_rows=20)
    once = torch.arange(20).view(2, 10)
    compare(case, FORM, "gru", lambda x, w: [0.01 * gru_scan(x, case.lengths, w).sum(axes)])
    compare(case, FORM, "sync_gru", lambda x, w: [0.01 * h.sum(axes) for h in sync_gru_scan(x, case.lengths, *once, w)])


@built
def test_distances_do_not_depend_on_their_company(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("symmetric", n_rows=30)
    side = Side(case.to(torch.float32)[0].detach(), case.lengths)
    weights = case.to(torch.float32)[1]
    with implementation("compiled"):
        square = sync_gru_tile(side, side, weights, "mean", n_threads=2)
        rows, columns = case.pairs(17)
        some = sync_gru_tile(side, side, weights, "mean", pairs=(rows, columns))
        swapped = sync_gru_tile(side, side, weights, "mean", pairs=(columns, rows))
        monkeypatch.setattr(tile, "CALL_PAIRS", 7)
        in_calls = sync_gru_tile(side, side, weights, "mean")
    assert torch.equal(square, in_calls)
    assert torch.equal(some, square[rows, columns])
    assert torch.equal(some, swapped)


@built
@pytest.mark.parametrize("summed", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_gradients_of_the_halves_may_lie_differently_in_memory(shared: bool, summed: bool) -> None:
    case = Case("symmetric", n_rows=120)
    pairs = case.pairs(60) if shared else torch.randperm(120, generator=case.generator).view(2, 60)

    def run(x: Tensor, w: Any) -> list[Tensor]:
        first, second = sync_gru_scan(x, case.lengths, *pairs, w)
        return [first.sum(0) if summed else first, second.permute(2, 0, 1, 3)]

    compare(case, FORM, "sync_gru", run)


@built
def test_nothing_gives_nothing() -> None:
    case = Case("symmetric")
    features, weights = case.to(torch.float32)
    none = torch.empty(0, dtype=torch.int64)
    with implementation("compiled"):
        first, second = sync_gru_pooled(features, case.lengths, none, none, weights, "mean")
        assert first.shape == second.shape == (0, 2 * case.n_units)
        gradients = torch.autograd.grad(first.sum() + second.sum(), leaves(features, weights))
        assert not any(g.any() for g in gradients)
        nobody = Side(features[:, :, :0].detach(), case.lengths[:0])
        assert sync_gru_tile(nobody, Side(features.detach(), case.lengths), weights, "mean").shape == (0, 11)
        assert gru_pooled(nobody.features, nobody.lengths, weights, "last").shape == (0, 2 * case.n_units)


@built
def test_a_graph_may_be_used_twice() -> None:
    case = Case("symmetric")
    features, weights = case.to(torch.float32)
    with implementation("compiled"):
        loss = sum(
            out.square().sum() for out in sync_gru_pooled(features, case.lengths, *case.pairs(9), weights, "mean")
        )
    wanted = leaves(features, weights)
    once = torch.autograd.grad(loss, wanted, retain_graph=True)
    for a, b in zip(once, torch.autograd.grad(loss, wanted), strict=True):
        assert torch.equal(a, b)


@built
def test_inference_and_training_may_alternate() -> None:
    case = Case(n_rows=40)
    features, weights = case.to(torch.float32)
    buffer_pool.clear()
    with implementation("compiled"):
        with torch.inference_mode():
            before = gru_pooled(features, case.lengths, weights, "mean").clone()
        after = gru_pooled(features, case.lengths, weights, "mean")
        after.sum().backward()
    assert torch.equal(before, after.detach())


def test_memory_is_used_again_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    buffer_pool.clear()
    monkeypatch.setattr(buffer_pool, "BOUND", 4 * 3000)
    first = buffer_pool.take(10, 100)
    address = first.tensor.data_ptr()
    assert first.tensor.isnan().all()  # the suite runs torch in its deterministic mode
    first.release()
    first.release()
    again = buffer_pool.take(990)
    assert again.tensor.data_ptr() == address
    other = buffer_pool.take(1000)
    assert other.tensor.data_ptr() != address
    del again, other
    assert sum(len(memory) for memory in buffer_pool._idle) <= 3000
    buffer_pool.take(5000).release()
    assert sum(len(memory) for memory in buffer_pool._idle) <= 3000
    buffer_pool.clear()
    assert not buffer_pool._idle


def test_fit_leaves_no_memory_behind(ragged: tuple[list[np.ndarray], np.ndarray]) -> None:
    SyncGRUMetric(6, coupling="symmetric", n_filters=6, max_epochs=2, random_state=0).fit(*ragged)
    assert not buffer_pool._idle


@pytest.fixture
def without_extension(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(_library, "load", lambda: OSError("it was not built"))
    cached = (_library.library, _library.obstacle, _library.warn_where_missing)
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


@pytest.mark.usefixtures("without_extension")
def test_without_the_extension_one_warning_and_the_same_results() -> None:
    case = Case()
    features, weights = case.to(torch.float32)
    with pytest.warns(RuntimeWarning, match="without its compiled recurrences: it was not built"):
        chosen = dispatch.choose("gru", features, case.n_units)
    assert chosen == "eager"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = gru_pooled(features, case.lengths, weights, "mean")
    with implementation("eager"):
        assert torch.equal(got, gru_pooled(features, case.lengths, weights, "mean"))
    with implementation("compiled"), pytest.raises(RuntimeError, match="'gru' here: it was not built"):
        gru_pooled(features, case.lengths, weights, "mean")


FIELDS: list[Any] = list(_library.Problem._fields_)
SQUARED, SAVED = (next(i for i, (name, _) in enumerate(FIELDS) if name == wanted) for wanted in ("squared", "saved"))
SWAPPED = [FIELDS[{SQUARED: SAVED, SAVED: SQUARED}.get(i, i)] for i in range(len(FIELDS))]
RETYPED = [(name, ctypes.c_int32 if name == "mean" else kind) for name, kind in FIELDS]


@built
@pytest.mark.parametrize(
    "fields",
    [[("n", ctypes.c_int64)], SWAPPED, RETYPED, FIELDS[:-1], [*FIELDS, ("more", ctypes.c_int64)]],
    ids=["another struct", "two fields swapped", "a narrower field", "a field less", "a field more"],
)
def test_an_extension_from_other_sources_is_refused(monkeypatch: pytest.MonkeyPatch, fields: list[Any]) -> None:
    class Other(ctypes.Structure):
        _fields_: Any = fields

    monkeypatch.setattr(_library, "Problem", Other)
    path = _library.Path(_library.__file__).with_name(_library.FILE)
    with pytest.raises(OSError, match="built from other sources"):
        _library.Library(path)


@pytest.mark.slow
@built
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits its address space")
def test_no_memory_for_a_scan_is_an_error() -> None:
    program = """
import resource, torch
from skseqmetric._ops.cells import cell_scan
from skseqmetric._ops.weights import RecurrentWeights
n = 3_000
weights = [torch.zeros(4 * n, 1), torch.zeros(1).expand(4 * n, n).contiguous(), torch.zeros(4 * n), torch.zeros(4 * n)]
x, lengths = torch.zeros(1, 1, 1), torch.tensor([1])
used = 1024 * next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, used + 2**26))
try:
    cell_scan("lstm", x, lengths, [RecurrentWeights(*weights)])
except MemoryError:
    print("refused")
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr


@pytest.mark.parametrize("source", ["kernels_avx2", "kernels_avx512"])
def test_kernels_are_chosen_only_where_all_their_instructions_are(source: str) -> None:
    """What setup.py lets the compiler use, recurrence.cpp asks the processor for."""
    root = Path(__file__).parents[1]
    setup = ast.parse((root / "setup.py").read_text(encoding="utf-8"))
    constants = {ast.unparse(n.targets[0]): n.value for n in setup.body if isinstance(n, ast.Assign)}
    flags = [flag[2:] for flag in ast.literal_eval(constants["INSTRUCTION_SETS"])[source] if "=" not in flag]
    code = (root / "skseqmetric/_ops/compiled/src/recurrence.cpp").read_text(encoding="utf-8")
    question = code.partition(f"if (k == &{source})")[2].partition(";")[0]
    assert sorted(re.findall(r'__builtin_cpu_supports\("(\w+)"\)', question)) == sorted(flags)


def in_new_thread(work: Any) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def test_the_limit_of_one_thread_is_that_of_the_calling_thread() -> None:
    torch.set_num_threads(2)
    try:
        with _team.one_intra_op_thread():
            assert (torch.get_num_threads(), in_new_thread(torch.get_num_threads)) == (1, 2)
        for fail in (lambda: _team.run_tiles(divide_by, [0, 0]), lambda: limited(divide_by, 0)):
            with pytest.raises(ZeroDivisionError):
                fail()
        assert (torch.get_num_threads(), in_new_thread(torch.get_num_threads)) == (2, 2)
    finally:
        torch.set_num_threads(1)


def divide_by(number: int) -> None:
    1 // number


def limited(work: Any, *args: Any) -> None:
    with _team.one_intra_op_thread():
        work(*args)
