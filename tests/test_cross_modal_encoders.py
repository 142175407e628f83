"""The encoders of both modalities against layers of torch: padding, lengths, dropout, copies."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool1d, max_pool2d, pad

from tests.small_encoders import (
    CLOSE,
    LENGTHS,
    batch,
    generator,
    gradients,
    image_encoder,
    network,
    outside,
    pixels,
    series_encoder,
    valid,
)

# ------------------------------------------------------------------------------------------------- batch normalisation


def batch_norm(n_features: int = 3) -> Any:
    """The normalisation of the first block."""
    return series_encoder(n_filters=n_features).norms[0]


def test_batch_norm_of_a_full_batch_is_that_of_torch() -> None:
    ours, reference = batch_norm(), nn.BatchNorm1d(3).double()
    lengths = torch.full((4,), 9)
    x = batch(3, lengths) * 2 + 1
    for _ in range(2):
        torch.testing.assert_close(ours(x, lengths), reference(x.transpose(1, 2)).transpose(1, 2), **CLOSE)
    torch.testing.assert_close(ours.norm.running_var, reference.running_var, **CLOSE)
    ours.eval(), reference.eval()
    torch.testing.assert_close(ours(x, lengths), reference(x.transpose(1, 2)).transpose(1, 2), **CLOSE)


def test_batch_norm_counts_valid_steps_alone() -> None:
    norm = batch_norm()
    nn.init.normal_(norm.norm.weight, generator=generator())
    nn.init.normal_(norm.norm.bias, generator=generator(2))
    x = batch(3, fill=100.0)
    steps = np.array([x[b, t].tolist() for b, n in enumerate(LENGTHS) for t in range(n)])
    scaled = (steps - steps.mean(0)) / np.sqrt(steps.var(0) + norm.norm.eps)
    expected = scaled * norm.norm.weight.detach().numpy() + norm.norm.bias.detach().numpy()
    result = norm(x, LENGTHS)
    np.testing.assert_allclose(valid(result, LENGTHS).detach().numpy(), expected, rtol=1e-10)
    np.testing.assert_allclose(norm.norm.running_mean.numpy(), 0.1 * steps.mean(0), rtol=1e-10)
    np.testing.assert_allclose(norm.norm.running_var.numpy(), 0.9 + 0.1 * steps.var(0, ddof=1), rtol=1e-10)
    assert (result[outside(LENGTHS, 9)] == 0).all()


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_does_not_see_padding(training: bool) -> None:
    results = []
    for extra, fill in ((0, 0.0), (5, torch.nan)):
        norm = batch_norm().train(training)
        x = batch(3, extra=extra, fill=fill).requires_grad_()
        result = valid(norm(x, LENGTHS), LENGTHS)
        (result**3).sum().backward()
        assert (x.grad[outside(LENGTHS, x.shape[1])] == 0).all()
        results.append([result, valid(x.grad, LENGTHS), norm.norm.running_var, *gradients(norm).values()])
    for first, second in zip(*results, strict=True):
        assert torch.equal(first, second)


def test_batch_norm_passes_gradcheck() -> None:
    norm = batch_norm(2)
    lengths = torch.tensor([3, 1])
    assert torch.autograd.gradcheck(lambda x: norm(x, lengths), batch(2, lengths).requires_grad_())


def test_batch_norm_of_one_step_uses_the_running_statistics() -> None:
    norm = batch_norm(2)
    norm.norm.running_mean.copy_(torch.tensor([1.0, -2.0]))
    norm.norm.running_var.fill_(4.0)
    x, lengths = torch.tensor([[[5.0, 0.0], [9.0, 9.0]]], dtype=torch.float64), torch.tensor([1])
    np.testing.assert_allclose(norm(x, lengths)[0].detach(), [[2.0, 1.0], [0.0, 0.0]], rtol=1e-5)
    assert norm.norm.running_var.tolist() == [4.0, 4.0]


# --------------------------------------------------------------------------------------------- convolution and pooling


@pytest.mark.parametrize("kernel", [1, 3, 4])
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_convolution_is_that_of_torch(kernel: int, steps: int) -> None:
    ours = type(series_encoder().shared)(2, 5, kernel, generator()).double()
    reference = nn.utils.skip_init(nn.Conv1d, 2, 5, kernel).double()
    reference.load_state_dict(ours.layer.state_dict())
    x = batch(2, torch.full((3,), steps))
    around = pad(x.transpose(1, 2), ((kernel - 1) // 2, kernel // 2))
    assert ours(x).shape == (3, steps, 5)
    torch.testing.assert_close(ours(x), reference(around).transpose(1, 2), **CLOSE)


@pytest.mark.parametrize("extra", [0, 1, 4])
def test_pooling_reads_valid_steps_alone(extra: int) -> None:
    encoder, seen = series_encoder(n_filters=3), []

    def convolved(_module: nn.Module, _inputs: Any, x: Tensor) -> Tensor:
        seen.append(x.masked_fill(outside(LENGTHS, x.shape[1])[..., None], 1e6))
        return seen[0]

    encoder.convolutions[0].register_forward_hook(convolved)
    encoder.norms[0].register_forward_pre_hook(lambda _module, inputs: seen.extend(inputs))
    encoder(batch(2, extra=extra), LENGTHS)
    x, pooled, lengths = seen
    assert lengths.tolist() == [5, 1, 2, 4]
    assert pooled.shape == (4, (9 + extra + 1) // 2, 3)
    for b, n in enumerate(LENGTHS.tolist()):
        for t in range(int(lengths[b])):
            assert torch.equal(pooled[b, t], x[b, 2 * t : min(2 * t + 2, n)].max(0).values)


# ------------------------------------------------------------------------------------------- the whole series encoder


def run_padded(extra: int, fill: float, training: bool) -> tuple[list[Tensor], dict[str, Tensor], dict[str, Tensor]]:
    encoder = series_encoder().train(training)
    x = batch(2, extra=extra, fill=fill).requires_grad_()
    features, lengths = encoder(x, LENGTHS, generator(3) if training else None)
    assert lengths.tolist() == [3, 1, 1, 2]
    assert features.shape == (4, encoder.output_lengths(x.shape[1]), 4)
    assert (features[outside(lengths, features.shape[1])] == 0).all()
    # weighted, so that no gradient vanishes by symmetry
    weights = torch.arange(1.0, 5.0, dtype=torch.float64)
    (valid(features, lengths) * weights).pow(2).sum().backward()
    assert (x.grad[outside(LENGTHS, x.shape[1])] == 0).all()
    return [valid(features, lengths), valid(x.grad, LENGTHS)], gradients(encoder), dict(encoder.named_buffers())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("extra", [1, 2, 7])
def test_series_encoder_does_not_see_padding(training: bool, extra: int) -> None:
    plain, padded = run_padded(0, 0.0, training), run_padded(extra, torch.nan, training)
    for first, second in zip(plain, padded, strict=True):
        torch.testing.assert_close(first, second, **CLOSE)
    assert all(bool(gradient.any()) for gradient in plain[1].values())


def moved_encoder() -> Any:
    """An encoder in evaluation, whose running statistics are no longer those of its start."""
    encoder = series_encoder()
    for _ in range(3):
        encoder(3 * batch(2) + 1, LENGTHS)
    return encoder.eval()


def test_series_encoder_of_a_ragged_batch_equals_one_at_a_time() -> None:
    encoder = moved_encoder()
    features, lengths = encoder(batch(2), LENGTHS)
    for b, n in enumerate(LENGTHS.tolist()):
        alone, steps = encoder(batch(2)[b : b + 1, :n], LENGTHS[b : b + 1])
        assert steps.tolist() == [int(lengths[b])] == [alone.shape[1]]
        torch.testing.assert_close(features[b, : lengths[b]], alone[0], **CLOSE)


def plain_series_encoder(encoder: Any, row: Tensor) -> Tensor:
    """One row (T, C) through layers of torch, nothing masked."""
    x = row.T[None]

    def convolved(layer: Any, x: Tensor) -> Tensor:
        return layer.layer(pad(x, (1, 2)))

    for convolution, norm in zip(encoder.convolutions, encoder.norms, strict=True):
        x = norm.norm(max_pool1d(convolved(convolution, x), 2, ceil_mode=True))
    x = convolved(encoder.shared, x).relu()[0].T
    lstm = nn.LSTM(x.shape[1], 3, 2, bidirectional=True, device="meta").to_empty(device="cpu").double()
    for i, (ahead, back) in enumerate(zip(encoder.recurrence.forwards, encoder.recurrence.backwards, strict=True)):
        for layer, suffix in ((ahead, ""), (back, "_reverse")):
            for name, parameter in layer.named_parameters():
                getattr(lstm, name.replace("_l0", f"_l{i}{suffix}")).data.copy_(parameter.data)
    return encoder.output(lstm(x)[0])


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 13])
def test_series_encoder_is_what_torch_layers_make_of_one_row(steps: int) -> None:
    encoder, lengths = moved_encoder(), torch.tensor([steps])
    features, reduced = encoder(batch(2, lengths), lengths)
    assert reduced.tolist() == [-(-steps // 4)]
    torch.testing.assert_close(features[0], plain_series_encoder(encoder, batch(2, lengths)[0]), **CLOSE)


@pytest.mark.parametrize("n_rows", [1, 3])
def test_series_of_one_step_train(n_rows: int) -> None:
    encoder, lengths = series_encoder(), torch.ones(n_rows, dtype=torch.int64)
    features, reduced = encoder(batch(2, lengths), lengths, generator())
    features.sum().backward()
    assert features.shape == (n_rows, 1, 4)
    assert reduced.tolist() == [1] * n_rows
    assert torch.isfinite(features).all()
    assert all(torch.isfinite(gradient).all() for gradient in gradients(encoder).values())


def test_output_lengths_are_those_of_the_features() -> None:
    encoder, lengths = series_encoder().eval(), torch.arange(1, 18)
    _, reduced = encoder(batch(2, lengths), lengths)
    assert encoder.output_lengths(lengths).tolist() == reduced.tolist()
    assert [encoder.output_lengths(n) for n in range(1, 18)] == reduced.tolist()


# ----------------------------------------------------------------------------------------- dropout and starting values


def dropped(encoder: Any, *inputs: Tensor, noise: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """What leaves the first block's normalisation, and what enters the second block."""
    seen: list[Tensor] = []
    hooks = [
        encoder.norms[0].register_forward_hook(lambda _module, _inputs, x: seen.append(x)),
        encoder.convolutions[1].register_forward_pre_hook(lambda _module, inputs: seen.extend(inputs)),
    ]
    encoder(*inputs, noise)
    for hook in hooks:
        hook.remove()
    return seen[0], seen[1]


def test_dropout_silences_whole_filters_and_keeps_the_mean() -> None:
    encoder, lengths = series_encoder(n_filters=50, dropout=0.2), torch.full((200,), 8)
    inputs = batch(2, lengths), lengths
    before, after = dropped(encoder, *inputs, noise=generator())
    share = after / before
    torch.testing.assert_close(share, share[:, :1].expand_as(share), **CLOSE)
    assert set(share.round(decimals=9).unique().tolist()) == {0.0, 1.25}
    # 10 000 draws: five standard deviations of their mean are 0.025
    assert abs(share.mean().item() - 1) < 0.025
    assert torch.equal(*dropped(encoder, *inputs, noise=None))


def test_dropout_of_images_silences_whole_filters() -> None:
    encoder = image_encoder(1, 12, 9, dropout=0.5)
    before, after = dropped(encoder, pixels(3, 1, 12, 9), noise=generator())
    before = max_pool2d(before, 2, ceil_mode=True).relu()
    silent = (after == 0).all((2, 3))
    assert 0 < silent.double().mean() < 1
    torch.testing.assert_close(after, torch.where(silent[..., None, None], 0, 2 * before), **CLOSE)
    assert not (before == 0).all((2, 3)).any()
    assert torch.equal(dropped(encoder, pixels(3, 1, 12, 9), noise=None)[1], before)


INPUTS: dict[str, tuple[Tensor, ...]] = {
    "series_encoder": (batch(2).float(), LENGTHS),
    "image_encoder": (pixels(4, 1, 12, 9).float(),),
}


def encoder_of(name: str, seed: int = 0) -> Any:
    return getattr(network(seed=seed, image_shape=(1, 12, 9)), name)


def first(result: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    return result[0] if isinstance(result, tuple) else result


@pytest.mark.parametrize("name", INPUTS)
def test_encoders_draw_from_the_given_generators_alone(name: str) -> None:
    inputs = INPUTS[name]
    one, same, other = (encoder_of(name, seed) for seed in (0, 0, 1))
    for a, b in zip(one.parameters(), same.parameters(), strict=True):
        assert torch.isfinite(a).all()
        assert torch.equal(a, b)
    assert not torch.equal(first(one(*inputs)), first(other(*inputs)))
    assert torch.equal(first(one(*inputs)), first(one(*inputs)))
    noisy = first(one(*inputs, generator(5)))
    assert torch.equal(noisy, first(one(*inputs, generator(5))))
    assert not torch.equal(noisy, first(one(*inputs)))


@pytest.mark.parametrize("name", INPUTS)
def test_encoders_survive_copies(name: str) -> None:
    inputs = INPUTS[name]
    encoder, loaded = encoder_of(name).eval(), encoder_of(name, seed=1).eval()
    expected = first(encoder(*inputs))
    loaded.load_state_dict(encoder.state_dict())
    for again in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder)), loaded):
        assert torch.equal(first(again(*inputs)), expected)


# -------------------------------------------------------------------------------------------------------------- images


@pytest.mark.parametrize(
    ("shape", "n_cells"),
    [
        ((1, 8, 8), 1),
        ((1, 8, 9), 2),
        ((3, 15, 200), 50),
        ((1, 28, 140), 18),
        ((4, 140, 28), 18),
        ((1, 64, 64), 16),
        ((1, 105, 105), 16),
        ((1, 200, 180), 16),
    ],
)
def test_images_of_any_size_give_one_vector(shape: tuple[int, int, int], n_cells: int) -> None:
    encoder = image_encoder(*shape, n_features=7)
    assert encoder.output.in_features == 100 * n_cells
    result = encoder(pixels(2, *shape), generator())
    assert result.shape == (2, 7)
    result.square().sum().backward()
    assert all(torch.isfinite(gradient).all() for gradient in gradients(encoder).values())
    assert encoder.convolutions[0].weight.grad.any()


def test_image_encoder_is_what_torch_layers_make() -> None:
    encoder = image_encoder(2, 44, 80)
    images = pixels(3, 2, 44, 80)
    encoder(images)
    encoder.eval()
    x = images
    for convolution, norm in zip(encoder.convolutions, encoder.norms, strict=True):
        x = max_pool2d(norm(convolution(x)).relu(), 2, ceil_mode=True)
    x = encoder.shared(x).relu()
    assert x.shape == (3, 100, 3, 5)  # fewer than 4 rows and 8 columns: no averaging
    torch.testing.assert_close(encoder(images), encoder.output(x.flatten(1)), **CLOSE)


def test_cells_are_means_of_what_lies_in_them() -> None:
    encoder = image_encoder(1, 80, 80, n_features=900).eval()
    nn.init.eye_(encoder.output.weight), nn.init.zeros_(encoder.output.bias)
    seen: list[Tensor] = []
    encoder.shared.register_forward_hook(lambda _module, _inputs, result: seen.append(result.relu()))
    cells = encoder(pixels(1, 1, 80, 80)).view(100, 3, 3)
    maps = seen[0][0]
    assert maps.shape == (100, 5, 5)
    for row in range(3):
        for column in range(3):
            expected = maps[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].mean((1, 2))
            torch.testing.assert_close(cells[:, row, column], expected, **CLOSE)


def test_a_strip_keeps_the_order_of_what_it_shows() -> None:
    encoder = image_encoder(1, 16, 96, n_features=7).eval()
    strip = torch.zeros(1, 1, 16, 96, dtype=torch.float64)
    strip[..., 4:12, 6:12] = 1
    strip[..., 4:12, 80:82] = 1
    # moved by 64 pixels, a multiple of what the blocks reduce to one
    swapped = torch.cat([strip[..., 64:], strip[..., 32:64], strip[..., :32]], 3)
    assert (encoder(strip) - encoder(swapped)).abs().max() > 1e-3
