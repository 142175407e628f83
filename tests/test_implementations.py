"""Every implementation of the recurrences against the plain loops in float64: values, gradients, shapes, laws."""

from __future__ import annotations

import gc
import itertools
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skseqmetric._ops import dispatch, scanned
from skseqmetric._ops.dispatch import implementation
from skseqmetric._ops.gru import gru_pooled, gru_scan
from skseqmetric._ops.memory import memory_scan
from skseqmetric._ops.random_convolution import TAPS, ConvolutionBank, convolution_shares
from skseqmetric._ops.reservoir import reservoir_pooled
from skseqmetric._ops.steps import reverse_valid, valid_steps
from skseqmetric._ops.sync_gru import sync_gru_pooled, sync_gru_scan, sync_gru_tile
from skseqmetric._ops.weights import (
    MemoryForm,
    MemoryNoise,
    MemoryWeights,
    RecurrentWeights,
    ReservoirWeights,
    Side,
)
from tests.small_exported import EXPORTABLE, fitted
from tests.test_export import assert_answers_are, batches

COUPLINGS = [None, "scalar", "symmetric", "diffusive"]
FORMS = [("eager", torch.float64), ("eager", torch.float32), ("compiled", torch.float32), ("triton", torch.float32)]
TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5}
"""Absolute, of values; gradients are compared relative to the largest of their tensor."""


@pytest.fixture(params=FORMS, ids=lambda form: f"{form[0]}-{str(form[1])[6:]}")
def form(request: pytest.FixtureRequest) -> tuple[str, torch.dtype]:
    return request.param


class Case:
    """Random ragged sequences in every direction, and weights for them, in float64."""

    def __init__(
        self,
        coupling: str | None = None,
        n_units: int = 20,
        n_rows: int = 11,
        n_steps: int = 13,
        n_directions: int = 2,
        n_features: int = 3,
        seed: int = 0,
    ) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.coupling, self.n_units = coupling, n_units
        self.lengths = torch.randint(1, n_steps + 1, (n_rows,), generator=self.generator)
        self.lengths[0] = n_steps
        inside = valid_steps(self.lengths, n_steps)[..., None]
        x = self.normal(n_rows, n_steps, n_features) * inside
        both = [x, reverse_valid(x, self.lengths)][:n_directions]
        self.features = torch.stack(both).transpose(1, 2).contiguous()
        self.weights = [self._direction(n_features) for _ in range(n_directions)]

    def normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def _direction(self, n_features: int) -> RecurrentWeights:
        n, gated, diffusive = self.n_units, self.coupling in ("symmetric", "diffusive"), self.coupling == "diffusive"

        def new(*shape: int) -> Tensor:
            return 1.2 * self.normal(*shape) / max(1, n) ** 0.5

        return RecurrentWeights(
            new(3 * n, n_features),
            new(3 * n, n),
            new(3 * n),
            new(3 * n),
            self.coupling,
            gate_input=new(n, n_features) if gated else None,
            gate_hidden=new(n, n) if gated else None,
            gate_other=new(n, n) if diffusive else None,
            gate_bias=new(n) if gated else new() if self.coupling == "scalar" else None,
        )

    def pairs(self, n_pairs: int) -> tuple[Tensor, Tensor]:
        rows, columns = torch.randint(0, len(self.lengths), (2, n_pairs), generator=self.generator)
        return rows, columns

    def to(self, dtype: torch.dtype) -> tuple[Tensor, list[RecurrentWeights]]:
        """Leaves of autograd in another precision."""
        leaf = lambda t: t.detach().to(dtype).requires_grad_() if isinstance(t, Tensor) else t  # noqa: E731
        weights = [RecurrentWeights(**{name: leaf(t) for name, t in vars(w).items()}) for w in self.weights]
        return leaf(self.features), weights


def usable(name: str, op: str, dtype: torch.dtype) -> None:
    reason = dispatch.obstacle(name, op, torch.empty(0, dtype=dtype), 1)
    if reason is not None:
        pytest.skip(f"{name}: {reason}")


def leaves(features: Tensor, weights: list[RecurrentWeights]) -> list[Tensor]:
    return [features, *(t for w in weights for t in vars(w).values() if isinstance(t, Tensor))]


def compare(
    case: Case, form: tuple[str, torch.dtype], op: str, run: Callable[[Tensor, list[RecurrentWeights]], list[Tensor]]
) -> None:
    """Values and gradients of `run` under the implementation against those of the reference in float64."""
    name, dtype = form
    usable(name, op, dtype)
    answers = []
    for which, precision in (("reference", torch.float64), (name, dtype)):
        with implementation(which):
            features, weights = case.to(precision)
            outputs = run(features, weights)
            wanted = leaves(features, weights)
            seeds = torch.Generator().manual_seed(7)
            loss = sum(
                (o * torch.randn(o.shape, generator=seeds, dtype=torch.float64).to(o.dtype)).sum() for o in outputs
            )
            gradients = torch.autograd.grad(loss, wanted, allow_unused=True)
        answers.append((outputs, gradients))
    (expected, expected_gradients), (got, got_gradients) = answers
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=0, atol=TOLERANCE[dtype])
    inside = valid_steps(case.lengths, case.features.shape[1]).T[None, ..., None]
    for k, (a, b) in enumerate(zip(got_gradients, expected_gradients, strict=True)):
        if b is None:
            assert a is None or not a.any()
            continue
        # behind the end of a sequence the features are constants
        a, b = (a.double() * inside, b * inside) if k == 0 else (a.double(), b)
        assert a.shape == b.shape
        largest = b.abs().max().item() if b.numel() else 0.0
        torch.testing.assert_close(a, b, rtol=0, atol=10 * TOLERANCE[dtype] * max(1.0, largest))


@pytest.mark.parametrize("n_units", [1, 8, 20, 48])
def test_gru_scan(form: tuple[str, torch.dtype], n_units: int) -> None:
    case = Case(n_units=n_units)
    compare(case, form, "gru", lambda x, w: [gru_scan(x, case.lengths, w)])


@pytest.mark.parametrize("how", ["mean", "last"])
def test_gru_pooled(form: tuple[str, torch.dtype], how: str) -> None:
    case = Case(n_units=33, n_rows=40)
    compare(case, form, "gru", lambda x, w: [gru_pooled(x, case.lengths, w, how)])


@pytest.mark.parametrize("n_units", [1, 20, 48])
@pytest.mark.parametrize("coupling", COUPLINGS)
def test_sync_gru_scan(form: tuple[str, torch.dtype], coupling: str | None, n_units: int) -> None:
    case = Case(coupling, n_units=n_units)
    pairs = case.pairs(21)
    compare(case, form, "sync_gru", lambda x, w: list(sync_gru_scan(x, case.lengths, *pairs, w)))


@pytest.mark.parametrize("how", ["mean", "last"])
@pytest.mark.parametrize("coupling", COUPLINGS)
def test_sync_gru_pooled(form: tuple[str, torch.dtype], coupling: str | None, how: str) -> None:
    case = Case(coupling, n_directions=1 + (how == "mean"))
    pairs = case.pairs(40)
    compare(case, form, "sync_gru", lambda x, w: list(sync_gru_pooled(x, case.lengths, *pairs, w, how)))


@pytest.mark.parametrize("crossed", [True, False])
@pytest.mark.parametrize("how", ["mean", "last"])
@pytest.mark.parametrize("coupling", COUPLINGS)
def test_sync_gru_tile(form: tuple[str, torch.dtype], coupling: str | None, how: str, crossed: bool) -> None:
    name, dtype = form
    usable(name, "sync_gru", dtype)
    left, right = Case(coupling, n_steps=13), Case(coupling, n_steps=17, seed=1, n_rows=19)
    pairs = None if crossed else tuple(torch.randint(0, 11, (2, 30), generator=left.generator))

    def run(which: str, precision: torch.dtype) -> Tensor:
        sides = [Side(case.features.to(precision), case.lengths) for case in (left, right)]
        with implementation(which):
            return sync_gru_tile(*sides, left.to(precision)[1], how, pairs=pairs)

    expected, got = run("reference", torch.float64), run(name, dtype)
    assert got.shape == ((11, 19) if crossed else (30,))
    torch.testing.assert_close(got.double().sqrt(), expected.sqrt(), rtol=10 * TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("coupling", COUPLINGS[1:])
def test_tile_laws(form: tuple[str, torch.dtype], coupling: str) -> None:
    name, dtype = form
    usable(name, "sync_gru", dtype)
    case = Case(coupling, n_rows=23)
    features, weights = case.to(dtype)
    side = Side(features.detach(), case.lengths)
    with implementation(name):
        square = sync_gru_tile(side, side, weights, "mean")
        again = sync_gru_tile(side, side, weights, "mean")
    assert torch.equal(square, again)
    assert not square.diagonal().any()
    if name == "compiled":  # a pair's arithmetic does not depend on its place in the tile
        assert torch.equal(square, square.T)
    torch.testing.assert_close(square, square.T, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


def test_scan_without_gradient_is_the_same(form: tuple[str, torch.dtype]) -> None:
    name, dtype = form
    usable(name, "sync_gru", dtype)
    case = Case("symmetric")
    pairs, (features, weights) = case.pairs(9), case.to(dtype)
    with implementation(name):
        kept = sync_gru_scan(features, case.lengths, *pairs, weights)
        with torch.no_grad():
            free = sync_gru_scan(features, case.lengths, *pairs, weights)
    for a, b in zip(kept, free, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_eager_gradients_pass_gradcheck(coupling: str | None) -> None:
    case = Case(coupling, n_units=3, n_rows=4, n_steps=5, n_features=2)
    pairs, (features, weights) = case.pairs(3), case.to(torch.float64)
    names = [name for name, t in vars(weights[0]).items() if isinstance(t, Tensor)]

    def run(x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        n = len(names)
        split = [
            RecurrentWeights(**dict(zip(names, tensors[d * n : (d + 1) * n], strict=True)), coupling=coupling)
            for d in range(2)
        ]
        with implementation("eager"):
            return sync_gru_scan(x, case.lengths, *pairs, split)

    assert torch.autograd.gradcheck(run, tuple(leaves(features, weights)))


@pytest.mark.parametrize(("name", "dtype"), FORMS[1:3])
def test_a_graph_is_freed_with_its_last_reference(name: str, dtype: torch.dtype) -> None:
    usable(name, "sync_gru", dtype)
    case = Case("symmetric")
    features, weights = case.to(dtype)
    gc.collect()
    gc.disable()
    try:
        with implementation(name):
            first, _ = sync_gru_scan(features, case.lengths, *case.pairs(5), weights)
        alive = weakref.ref(first)
        del first, _
        assert alive() is None
    finally:
        gc.enable()


def test_an_unknown_implementation_is_refused() -> None:
    with pytest.raises(ValueError, match="must be one of reference, eager"), implementation("fast"):
        pass


def test_an_implementation_that_cannot_do_it_says_why() -> None:
    case = Case()
    with implementation("compiled"), pytest.raises(RuntimeError, match="cannot compute 'gru' here: it takes float32"):
        gru_scan(case.features, case.lengths, case.weights)


@pytest.mark.parametrize("coupling", COUPLINGS)
def test_nothing_gives_nothing(form: tuple[str, torch.dtype], coupling: str | None) -> None:
    """No pairs of some sequences, and no sequences at all; gradients are 0."""
    case, none = Case(coupling, n_steps=4), torch.empty(0, dtype=torch.int64)
    for n_rows in (11, 0):
        case.features, case.lengths = case.features[:, :, :n_rows], case.lengths[:n_rows]
        pooled = (n_rows, 2 * case.n_units)
        compare(case, form, "gru", lambda x, w: [gru_scan(x, case.lengths, w)])
        compare(case, form, "sync_gru", lambda x, w: list(sync_gru_scan(x, case.lengths, none, none, w)))
        for how in ("mean", "last"):
            compare(case, form, "gru", lambda x, w, how=how: [gru_pooled(x, case.lengths, w, how)])
            compare(
                case, form, "sync_gru", lambda x, w, how=how: list(sync_gru_pooled(x, case.lengths, none, none, w, how))
            )
            with implementation(form[0]), torch.no_grad():
                features, weights = case.to(form[1])
                side, nobody = Side(features, case.lengths), Side(features[:, :, :0], case.lengths[:0])
                assert gru_pooled(features, case.lengths, weights, how).shape == pooled
                assert sync_gru_tile(nobody, side, weights, how).shape == (0, n_rows)
                assert sync_gru_tile(side, nobody, weights, how).shape == (n_rows, 0)
                assert sync_gru_tile(side, side, weights, how, pairs=(none, none)).shape == (0,)


# ------------------------------------------------------------------------------------------------ the scans of exports


GENERATOR = torch.Generator("cpu").manual_seed(0)
SCANNED_LENGTHS = torch.tensor([14, 1, 4, 9, 5], dtype=torch.int64, device="cpu")
MEMORY_FORMS = [
    MemoryForm(cell, 2, 2, 2, attention, memory_input, every)
    for cell, every, memory_input, attention in itertools.product(
        ("lstm", "gru", "rnn"), (None, 1, 3, 5), ("pooled", "tokens"), (True, False)
    )
]


def normal(*shape: int, scale: float = 0.5) -> Tensor:
    return scale * torch.randn(shape, generator=GENERATOR, dtype=torch.float64, device="cpu")


def both_forms(function: Callable[..., Tensor], *arguments: Any) -> list[Tensor]:
    """The results of the plain loop and of the scan."""
    found = []
    for name in ("reference", "scanned"):
        with implementation(name):
            found.append(function(*arguments))
    return found


def memory_weights(form: MemoryForm, n_features: int = 3, n: int = 4) -> MemoryWeights:
    gates, room = {"lstm": 4, "gru": 3, "rnn": 1}[form.cell] * n, form.n_slots * n
    pooled, mixed = form.memory_input == "pooled", (3 if form.attention else 1) * n
    return MemoryWeights(
        form,
        input=normal(gates, n_features),
        hidden=normal(gates, n),
        bias=normal(gates),
        memory_gate_input=normal(room, n_features),
        memory_gate_memory=normal(room, room),
        memory_gate_bias=normal(room),
        read=normal(n, room),
        token=normal(n, form.n_slots * n_features if pooled else n_features),
        mixing=normal(mixed, n),
        mixing_bias=normal(mixed),
        first_gain=1 + normal(n),
        first_shift=normal(n),
        second_gain=1 + normal(n),
        second_shift=normal(n),
        first_layer=normal(n, n),
        first_layer_bias=normal(n),
        second_layer=normal(n, n),
        second_layer_bias=normal(n),
        update_input=normal(2 * n, n),
        update_memory=normal(2 * n, n),
        update_bias=normal(2 * n),
        token_bias=normal(n) if pooled else None,
        candidate_bias=normal(n) if form.cell == "gru" else None,
    )


@pytest.mark.parametrize("form", MEMORY_FORMS, ids=lambda f: f"{f.cell}-{f.every}-{f.memory_input}-{f.attention}")
def test_the_memory_is_that_of_the_plain_loop(form: MemoryForm) -> None:
    x, weights, noise = normal(5, 14, 3, scale=1.0), memory_weights(form), MemoryNoise(0.9, 0.8)
    true, found = both_forms(lambda: memory_scan(x, SCANNED_LENGTHS, weights, noise).states)
    torch.testing.assert_close(found, true, rtol=0, atol=1e-12)


def test_no_memory_is_the_plain_backbone() -> None:
    weights = memory_weights(MemoryForm("lstm", 1, 2**31, 2))
    x = normal(5, 14, 3)
    true, found = both_forms(lambda: memory_scan(x, SCANNED_LENGTHS, weights).states)
    torch.testing.assert_close(found, true, rtol=0, atol=1e-12)


def test_a_gru_is_that_of_the_plain_loop() -> None:
    features = normal(1, 14, 5, 3)
    weights = [RecurrentWeights(normal(12, 3), normal(12, 4), normal(12), normal(12)) for _ in range(2)]
    true, found = both_forms(gru_scan, features, SCANNED_LENGTHS, weights)
    torch.testing.assert_close(found, true, rtol=0, atol=1e-12)


def test_an_lstm_is_that_of_torch() -> None:
    layer = nn.LSTM(3, 4, batch_first=True, dtype=torch.float64, device="meta").to_empty(device="cpu")
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    x = normal(5, 14, 3)
    with torch.no_grad():
        weights = [layer.get_parameter(name).copy_(normal(*layer.get_parameter(name).shape)) for name in names]
        found = scanned.cell_states("lstm", x.transpose(0, 1), RecurrentWeights(*weights), onnx=False).transpose(0, 1)
        torch.testing.assert_close(found, layer(x)[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("leak", [0.3, torch.linspace(0.1, 1, 6, dtype=torch.float64, device="cpu")], ids=str)
def test_a_reservoir_is_that_of_the_plain_loop(leak: float | Tensor) -> None:
    features = normal(2, 14, 5, 3)
    weights = [ReservoirWeights(normal(6, 4), normal(6, 6), leak) for _ in range(2)]
    true, found = both_forms(reservoir_pooled, features, SCANNED_LENGTHS, weights, "both")
    torch.testing.assert_close(found, true, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_channels", [1, 4])
def test_random_convolutions_have_the_same_bits(n_channels: int) -> None:
    rng = np.random.default_rng(n_channels)
    sizes = rng.integers(1, min(3, n_channels) + 1, 2 * len(TAPS))
    channels = [np.sort(rng.choice(n_channels, size, replace=False)) for size in sizes]
    bank = ConvolutionBank(
        dilations=np.array([1, 3]),
        n_biases=np.array([2, 1]),
        starts=np.concatenate([[0], np.cumsum(sizes)]),
        channels=np.concatenate(channels).astype(np.int32),
        biases=rng.normal(size=3 * len(TAPS)).astype(np.float32),
    )
    lengths = SCANNED_LENGTHS.numpy()
    steps = torch.from_numpy(rng.normal(size=(int(lengths.sum()), n_channels)).astype(np.float32))
    padded = nn.utils.rnn.pad_sequence(list(steps.split(lengths.tolist())), batch_first=True)
    banks = scanned.BankArrays.of([bank, bank], TAPS, n_channels)
    found = scanned.shares_of_padded(padded.expand(2, -1, -1, -1), SCANNED_LENGTHS.expand(2, -1), banks)
    assert torch.equal(found, convolution_shares(steps, lengths, bank).repeat(1, 2))


@pytest.mark.parametrize("form", EXPORTABLE)
def test_what_is_recorded_answers_as_its_estimator(form: str) -> None:
    """The operations of a program, run as they are, without the recording, which takes seconds."""
    estimator = fitted(form)
    model = estimator._exportable()

    def run(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with implementation("scanned"), torch.no_grad():
            found = model.module(*map(torch.from_numpy, arrays.values()))
        return {name: part.numpy() for name, part in zip(model.outputs, found, strict=True)}

    assert_answers_are(estimator, run, model.notes, batches(1, seed=3, n_channels=estimator.n_channels_, longest=20))


def test_a_coupled_run_has_no_form_for_export() -> None:
    weights = [RecurrentWeights(normal(12, 3), normal(12, 4), normal(12), normal(12))]
    pair = torch.tensor([0], dtype=torch.int64, device="cpu")
    with implementation("scanned"), pytest.raises(RuntimeError, match="no form that can be exported"):
        sync_gru_scan(normal(1, 14, 5, 3), SCANNED_LENGTHS, pair, pair, weights)
