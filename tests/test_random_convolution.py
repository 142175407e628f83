"""Random convolutions: every form against the plain loop, what is drawn, and the features of the transformer."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch

from skseqmetric import RandomConvolutionTransformer
from skseqmetric._ops import compiled, dispatch
from skseqmetric._ops.compiled import random_convolution as compiled_form
from skseqmetric._ops.dispatch import implementation
from skseqmetric._ops.eager import random_convolution as eager_form
from skseqmetric._ops.parallel import Team
from skseqmetric._ops.random_convolution import N_KERNELS, TAPS, ConvolutionBank, convolution_shares

SMALL: dict[str, Any] = {"n_features": 84, "random_state": 0}
RNG = np.random.default_rng(3)


def bank_of(n_channels: int, dilations: list[int], n_biases: list[int], seed: int = 0) -> ConvolutionBank:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, min(n_channels, 9) + 1, size=N_KERNELS * len(dilations))
    subsets = [np.sort(rng.permutation(n_channels)[:size]) for size in sizes]
    return ConvolutionBank(
        np.array(dilations),
        np.array(n_biases),
        np.concatenate([[0], np.cumsum(sizes)]),
        np.concatenate(subsets).astype(np.int32),
        rng.normal(size=N_KERNELS * sum(n_biases)).astype(np.float32),
    )


def data(lengths: list[int], n_channels: int) -> tuple[torch.Tensor, np.ndarray]:
    values = np.random.default_rng(1).normal(size=(sum(lengths), n_channels)).astype(np.float32)
    return torch.from_numpy(values), np.array(lengths, dtype=np.int64)


PROBLEMS = {
    "one channel": ([13, 1, 26, 2], 1, [1, 3], [1, 2]),
    "some channels": ([9, 1, 17], 3, [1, 2], [3, 1]),
    "all kinds of numbers of biases": ([18], 1, [1, 2, 3, 4, 5], [4, 5, 7, 8, 19]),
    "more channels than a kernel reads": ([12, 5], 40, [2], [2]),
    "dilations beyond the sequence": ([3, 21], 2, [1, 40], [1, 1]),
    "no sequence": ([], 2, [1], [1]),
}


@pytest.fixture(params=["eager", "avx512", "avx2", "generic"])
def form(request: pytest.FixtureRequest) -> Iterator[str]:
    """The torch form, and the compiled one with every instruction set of this machine."""
    if request.param == "eager":
        yield "eager"
        return
    if compiled.obstacle() is not None:
        pytest.skip(f"compiled: {compiled.obstacle()}")
    before = compiled.library().kernels()
    if compiled.library().use(request.param.encode()):
        pytest.skip(f"no {request.param} here")
    yield "compiled"
    compiled.library().use(before)


@cache
def plain(problem: str) -> torch.Tensor:
    """Its shares by the plain loop."""
    lengths, n_channels, dilations, n_biases = PROBLEMS[problem]
    with implementation("reference"):
        return convolution_shares(*data(lengths, n_channels), bank_of(n_channels, dilations, n_biases))


@pytest.mark.parametrize("problem", PROBLEMS)
def test_every_form_equals_the_plain_loop_in_every_bit(form: str, problem: str) -> None:
    lengths, n_channels, dilations, n_biases = PROBLEMS[problem]
    values, steps = data(lengths, n_channels)
    bank = bank_of(n_channels, dilations, n_biases)
    with implementation(form):
        found = convolution_shares(values, steps, bank)
    assert found.shape == (len(lengths), N_KERNELS * sum(n_biases))
    assert found.dtype == torch.float32
    assert torch.equal(found, plain(problem))


def test_forms_agree_on_long_sequences(form: str) -> None:
    """Longer than the part of a sequence that the compiled kernel keeps in the cache."""
    values, steps = data([5000, 2048, 2049], 2)
    bank = bank_of(2, [1, 7, 600], [2, 1, 10])
    with implementation(form):
        found = convolution_shares(values, steps, bank)
    with implementation("eager"):
        assert torch.equal(found, convolution_shares(values, steps, bank))


def test_the_plain_loop_is_a_convolution() -> None:
    """Against numpy's, in float64, for weights of 2 and -1."""
    values, steps = data([40], 2)
    bank = bank_of(2, [3], [1])
    x = np.pad(values.double().numpy(), ((12, 12), (0, 0)))
    with implementation("reference"):
        found = convolution_shares(values.double(), steps, bank)[0]
    for k, places in enumerate(combinations(range(9), 3)):
        assert TAPS[k].tolist() == list(places)
        weights = np.full(9, -1.0)
        weights[list(places)] = 2.0
        z = x[:, bank.channels[bank.starts[k] : bank.starts[k + 1]]].sum(axis=1)
        v = np.array([weights @ z[t : t + 25 : 3] for t in range(40)])
        assert found[k] == (v > bank.biases[k]).mean()


def test_forms_agree_on_huge_values(form: str) -> None:
    values, steps = data([20, 9], 3)
    bank = bank_of(3, [1, 2], [2, 1])
    with implementation(form):
        found = convolution_shares(values * 1e15, steps, bank)
        assert torch.equal(found, convolution_shares(values.contiguous() * 1e15, steps, bank))
    with implementation("reference"):
        assert torch.equal(found, convolution_shares(values * 1e15, steps, bank))


def test_values_need_not_be_contiguous(form: str) -> None:
    values, steps = data([20, 9], 4)
    bank = bank_of(2, [1], [1])
    with implementation(form):
        assert torch.equal(
            convolution_shares(values[:, ::2], steps, bank),
            convolution_shares(values[:, ::2].contiguous(), steps, bank),
        )


def test_parts_of_a_call_give_the_same(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values, steps = data([20, 9, 1, 14, 30, 2], 2)
    bank = bank_of(2, [1], [2])
    with implementation(form):
        whole = convolution_shares(values, steps, bank)
        monkeypatch.setattr(compiled_form, "CALL_COMPARISONS", 168 * 25)
        monkeypatch.setattr(eager_form, "_VALUES", 84 * 25)
        assert torch.equal(convolution_shares(values, steps, bank), whole)


@pytest.mark.skipif(compiled.obstacle() is not None, reason="not built")
def test_the_kernel_refuses_arrays_that_it_cannot_read() -> None:
    values, steps = data([5], 1)
    bank = bank_of(1, [1], [1])
    wrong = ConvolutionBank(bank.dilations, bank.n_biases, bank.starts, bank.channels, bank.biases.astype(np.float64))
    with implementation("compiled"), pytest.raises(TypeError, match="biases as contiguous float32"):
        convolution_shares(values, steps, wrong)


def test_a_wide_dtype_takes_torch() -> None:
    assert dispatch.choose("random_convolution", torch.zeros(1, 1, dtype=torch.float64), 1) == "eager"
    values, steps = data([14, 6], 2)
    bank = bank_of(2, [1], [2])
    found = convolution_shares(values.double(), steps, bank)
    with implementation("reference"):
        assert torch.equal(found, convolution_shares(values.double(), steps, bank))


@pytest.mark.cuda
def test_cuda_equals_the_cpu() -> None:
    values, steps = data([150, 30, 1, 77], 5)
    bank = bank_of(5, [1, 4, 18], [2, 1, 3])
    assert torch.equal(convolution_shares(values.cuda(), steps, bank).cpu(), convolution_shares(values, steps, bank))


# ------------------------------------------------------------------------------------------------ what is drawn


def sequences(lengths: list[int], n_channels: int = 2) -> list[np.ndarray]:
    return [RNG.normal(size=(n, n_channels)).cumsum(axis=0) for n in lengths]


def test_dilations_are_even_on_a_logarithmic_scale() -> None:
    fitted = RandomConvolutionTransformer(84 * 40, random_state=0).fit(sequences([97] * 3))
    bank = fitted.convolutions_.banks["channels"]
    assert bank.dilations[0] == 1
    assert bank.dilations[-1] == 12
    assert (np.diff(bank.dilations) > 0).all()
    assert (bank.n_biases >= 1).all()
    assert bank.n_features == 84 * 40
    assert bank.n_biases[0] == bank.n_biases.max()


@pytest.mark.filterwarnings("ignore::skseqmetric.exceptions.SuspiciousShapeWarning")
@pytest.mark.parametrize("n_channels", [1, 2, 6, 300])
def test_kernels_read_subsets_of_channels(n_channels: int) -> None:
    fitted = RandomConvolutionTransformer(84 * 32, random_state=0).fit(sequences([60] * 3, n_channels))
    bank = fitted.convolutions_.banks["differences"]
    sizes = np.diff(bank.starts)
    assert sizes.min() == 1
    assert sizes.max() == min(n_channels, 9)
    for start, stop in zip(bank.starts[:-1], bank.starts[1:], strict=True):
        assert (np.diff(bank.channels[start:stop]) > 0).all()
    assert set(bank.channels) == set(range(n_channels))


def test_biases_are_quantiles_of_a_training_sequence() -> None:
    """With one training sequence its shares are one less the levels, to a step of the quantiles."""
    fitted = RandomConvolutionTransformer(84 * 10, standardize=False, views=["channels"], random_state=0)
    shares = fitted.fit_transform(sequences([200], 1))[0]
    levels = np.arange(1, 841) * ((np.sqrt(5) + 1) / 2) % 1
    assert np.abs(shares - (1 - levels)).max() <= 1.5 / 200


@pytest.mark.filterwarnings("ignore::skseqmetric.exceptions.SuspiciousShapeWarning")
@pytest.mark.parametrize("lengths", [[1], [2], [1, 1, 1], [1, 2, 3], [40, 1]])
@pytest.mark.parametrize("n_channels", [1, 11])
def test_short_sequences_have_features(lengths: list[int], n_channels: int) -> None:
    X = sequences(lengths, n_channels)
    fitted = RandomConvolutionTransformer(**SMALL).fit(X)
    for given in (X, sequences([1, 2, 3, 50], n_channels)):
        found = fitted.transform(given)
        assert found.shape == (len(given), len(fitted.get_feature_names_out()))
        assert np.isfinite(found).all()


def test_constant_sequences_have_features() -> None:
    X = np.full((4, 20, 2), 3.0)
    found = RandomConvolutionTransformer(**SMALL).fit_transform(X)
    assert found.shape == (4, 168)
    assert not found.any()


def test_equal_values_do_not_depend_on_rounding() -> None:
    """Sums of whole numbers are often equal; in other units their rounding differs."""
    X = RNG.integers(0, 4, size=(20, 60, 2)).astype(float)
    made = RandomConvolutionTransformer(1000, random_state=0)
    np.testing.assert_array_equal(made.fit_transform(X), made.fit_transform(X * [0.1, 7.3] + [1.7, -0.3]))


def test_views_of_ragged_data() -> None:
    ragged, equal = sequences([20, 31, 12]), sequences([20, 20, 20])
    fitted = RandomConvolutionTransformer(**SMALL).fit(ragged)
    assert list(fitted.convolutions_.banks) == ["channels", "differences", "relative", "relative_differences"]
    assert fitted.convolutions_.n_steps == 20
    assert list(RandomConvolutionTransformer(**SMALL).fit(equal).convolutions_.banks) == ["channels", "differences"]


def test_relative_time_forgets_the_speed() -> None:
    slow = [np.interp(np.linspace(0, 29, 59), np.arange(30), x[:, 0])[:, None] for x in sequences([30] * 5, 1)]
    made = RandomConvolutionTransformer(840, views=["relative"], standardize=False, random_state=0)
    fitted = made.fit([x[::2] for x in slow])
    np.testing.assert_allclose(fitted.transform(slow), fitted.transform([x[::2] for x in slow]), atol=0.04)


def test_columns_are_standardised() -> None:
    X = sequences([30, 25, 40, 33])
    found = RandomConvolutionTransformer(840, random_state=0).fit_transform(X)
    np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=0), 1, rtol=1e-5)
    raw = RandomConvolutionTransformer(840, standardize=False, random_state=0).fit(X)
    shares = raw.transform(X)
    assert shares.shape == (4, 4 * 840)
    assert shares.min() >= 0
    assert shares.max() <= 1
    kept = shares[:, shares.std(axis=0) > 0]
    np.testing.assert_allclose(found, (kept - kept.mean(axis=0)) / kept.std(axis=0), atol=1e-4)


def test_fit_transform_is_fit_and_transform() -> None:
    X, weights = sequences([30, 25, 40, 33]), [1.0, 0.0, 2.0, 0.5]
    made = RandomConvolutionTransformer(840, random_state=0)
    found = made.fit_transform(X, sample_weight=weights)
    np.testing.assert_array_equal(found, made.fit(X, sample_weight=weights).transform(X))


def test_weights_count_sequences_and_order_does_not_matter() -> None:
    X = sequences([30, 25, 40, 33])
    made = RandomConvolutionTransformer(840, random_state=0)
    weighted = made.fit(X, sample_weight=[2, 1, 0, 1]).transform(X)
    repeated = made.fit([X[3], X[0], X[1], X[0]]).transform(X)
    np.testing.assert_allclose(weighted, repeated, atol=1e-5)


def test_pieces_and_pickles_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    X = sequences([30, 25, 40, 33, 8])
    made = RandomConvolutionTransformer(168, random_state=0)
    found = made.fit_transform(X)
    for name in ("_LEARNED", "_ANSWERED", "_VALUES"):
        monkeypatch.setattr(f"skseqmetric._estimators.random_convolution.features.{name}", 100)
    np.testing.assert_array_equal(made.fit_transform(X), found)
    np.testing.assert_array_equal(made.transform(X), found)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(made)).transform(X), found)


@pytest.mark.parametrize(
    ("views", "why"),
    [(["channels", "phase"], "'phase'"), ([], "is empty"), (["channels", "channels"], "twice")],
)
def test_other_views_are_refused(views: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        RandomConvolutionTransformer(views=views).fit(sequences([5]))


def test_a_fill_value_is_refused_by_its_place() -> None:
    X = sequences([30, 25, 40])
    fitted = RandomConvolutionTransformer(**SMALL).fit(X)
    X[1][3, 1] = 9.97e36
    with pytest.raises(ValueError, match="sequence 1, step 3, channel 1"):
        fitted.transform(X)
    with pytest.raises(ValueError, match="sequence 1, step 3, channel 1"):
        RandomConvolutionTransformer(**SMALL).fit(X)


@pytest.mark.skipif(compiled.obstacle() is not None, reason="not built")
def test_threads_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """By threads of our own and by those of torch's runtime."""
    values, steps = data([20, 9, 1, 14, 30, 2, 45, 3], 2)
    bank = bank_of(2, [1, 3], [2, 1])
    expected = convolution_shares(values, steps, bank)
    for team in (Team(3, 0), Team(3, Team.now(2).openmp), Team(20, 0)):
        monkeypatch.setattr(Team, "now", lambda team=team: team)
        assert torch.equal(convolution_shares(values, steps, bank), expected)
        monkeypatch.undo()
