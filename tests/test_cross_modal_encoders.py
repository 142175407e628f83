"""The encoders of both modalities beside those of torch: padding, lengths, dropout, copies."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skseqmetric._networks.encoders import (
    BiLSTM,
    ImageEncoder,
    MaskedBatchNorm1d,
    SeriesEncoder,
    StepConvolution,
    pool_steps,
    silence_filters,
)
from tests.small_encoders import CLOSE, LENGTHS, batch, generator, gradients, small_encoder, valid

# Batch normalisation


def test_batch_norm_of_a_full_batch_is_that_of_torch() -> None:
    ours, reference = MaskedBatchNorm1d(3).double(), nn.BatchNorm1d(3).double()
    lengths = torch.full((4,), 9)
    x = batch(3, lengths) * 2 + 1
    for _ in range(2):
        torch.testing.assert_close(ours(x, lengths), reference(x.transpose(1, 2)).transpose(1, 2), **CLOSE)
    torch.testing.assert_close(ours.norm.running_var, reference.running_var, **CLOSE)
    ours.eval(), reference.eval()
    torch.testing.assert_close(ours(x, lengths), reference(x.transpose(1, 2)).transpose(1, 2), **CLOSE)


def test_batch_norm_counts_valid_steps_alone() -> None:
    norm = MaskedBatchNorm1d(3).double()
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
    assert all((row[n:] == 0).all() for row, n in zip(result, LENGTHS, strict=True))


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_does_not_see_padding(training: bool) -> None:
    results = []
    for extra, fill in ((0, 0.0), (5, torch.nan)):
        norm = MaskedBatchNorm1d(3).double().train(training)
        x = batch(3, extra=extra, fill=fill).requires_grad_()
        result = valid(norm(x, LENGTHS), LENGTHS)
        (result**3).sum().backward()
        outside = torch.arange(x.shape[1]) >= LENGTHS[:, None]
        assert (x.grad[outside] == 0).all()
        results.append([result, valid(x.grad, LENGTHS), norm.norm.running_var, *gradients(norm).values()])
    for first, second in zip(*results, strict=True):
        assert torch.equal(first, second)


def test_batch_norm_passes_gradcheck() -> None:
    norm = MaskedBatchNorm1d(2).double()
    lengths = torch.tensor([3, 1])
    assert torch.autograd.gradcheck(lambda x: norm(x, lengths), batch(2, lengths).requires_grad_())


def test_batch_norm_of_one_step_uses_the_running_statistics() -> None:
    norm = MaskedBatchNorm1d(2).double()
    norm.norm.running_mean.copy_(torch.tensor([1.0, -2.0]))
    norm.norm.running_var.fill_(4.0)
    x, lengths = torch.tensor([[[5.0, 0.0], [9.0, 9.0]]], dtype=torch.float64), torch.tensor([1])
    np.testing.assert_allclose(norm(x, lengths)[0].detach(), [[2.0, 1.0], [0.0, 0.0]], rtol=1e-5)
    assert norm.norm.running_var.tolist() == [4.0, 4.0]


# Convolution and pooling


@pytest.mark.parametrize("kernel", [1, 3, 4])
@pytest.mark.parametrize("steps", [1, 2, 9])
def test_convolution_is_that_of_torch(kernel: int, steps: int) -> None:
    ours = StepConvolution(2, 5, kernel, generator()).double()
    reference = nn.utils.skip_init(nn.Conv1d, 2, 5, kernel).double()
    reference.load_state_dict(ours.layer.state_dict())
    x = batch(2, torch.full((3,), steps))
    around = nn.functional.pad(x.transpose(1, 2), ((kernel - 1) // 2, kernel // 2))
    assert ours(x).shape == (3, steps, 5)
    torch.testing.assert_close(ours(x), reference(around).transpose(1, 2), **CLOSE)


@pytest.mark.parametrize("extra", [0, 1, 4])
def test_pooling_reads_valid_steps_alone(extra: int) -> None:
    x = batch(3, extra=extra, fill=1e6).requires_grad_()
    pooled, lengths = pool_steps(x, LENGTHS)
    assert lengths.tolist() == [5, 1, 2, 4]
    assert pooled.shape == (4, (9 + extra + 1) // 2, 3)
    for b, n in enumerate(LENGTHS.tolist()):
        for t in range(int(lengths[b])):
            expected = x[b, 2 * t : min(2 * t + 2, n)].max(0).values
            assert torch.equal(pooled[b, t], expected)
    valid(pooled, lengths).sum().backward()
    assert (x.grad[torch.arange(x.shape[1]) >= LENGTHS[:, None]] == 0).all()
    assert x.grad.sum() == 3 * lengths.sum()


# LSTM


def lstm_by_hand(lstm: nn.LSTM, row: np.ndarray) -> np.ndarray:
    """States (T, H) of one row by the equations, gates in torch's order: input, forget, cell, output."""
    w, u, b, c = (parameter.detach().numpy() for parameter in lstm.parameters())
    n_units = u.shape[1]
    h, cell, states = np.zeros(n_units), np.zeros(n_units), []
    for x in row:
        i, f, g, o = np.split(w @ x + b + u @ h + c, 4)
        cell = cell / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        h = np.tanh(cell) / (1 + np.exp(-o))
        states.append(h)
    return np.array(states)


def test_lstm_reads_every_row_from_both_its_ends() -> None:
    network = BiLSTM(2, 3, 2, generator()).double()
    result = network(batch(2, extra=2, fill=50.0), LENGTHS)
    assert result.shape == (4, 11, 6)
    for b, n in enumerate(LENGTHS.tolist()):
        states = batch(2)[b, :n].numpy()
        for ahead, back in zip(network.forwards, network.backwards, strict=True):
            states = np.hstack([lstm_by_hand(ahead, states), lstm_by_hand(back, states[::-1])[::-1]])
        np.testing.assert_allclose(result[b, :n].detach().numpy(), states, rtol=1e-10, atol=1e-14)


def test_lstm_starts_with_an_open_forget_gate_and_orthogonal_gates() -> None:
    lstm = BiLSTM(4, 3, 1, generator()).forwards[0]
    assert lstm.bias_ih_l0.tolist() == [0.0] * 3 + [1.0] * 3 + [0.0] * 6
    assert not lstm.bias_hh_l0.any()
    for gate in lstm.weight_hh_l0.detach().chunk(4):
        torch.testing.assert_close(gate @ gate.T, torch.eye(3))


# The whole series encoder


def run_padded(extra: int, fill: float, training: bool) -> tuple[list[Tensor], dict[str, Tensor], dict[str, Tensor]]:
    encoder = small_encoder().train(training)
    x = batch(2, extra=extra, fill=fill).requires_grad_()
    features, lengths = encoder(x, LENGTHS, generator(3) if training else None)
    assert lengths.tolist() == [3, 1, 1, 2]
    assert features.shape == (4, encoder.output_lengths(x.shape[1]), 4)
    assert all((row[n:] == 0).all() for row, n in zip(features, lengths, strict=True))
    # weighted, so that no gradient vanishes by symmetry
    weights = torch.arange(1.0, 5.0, dtype=torch.float64)
    (valid(features, lengths) * weights).pow(2).sum().backward()
    return [valid(features, lengths), valid(x.grad, LENGTHS)], gradients(encoder), dict(encoder.named_buffers())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("extra", [1, 2, 7])
def test_series_encoder_does_not_see_padding(training: bool, extra: int) -> None:
    plain, padded = run_padded(0, 0.0, training), run_padded(extra, torch.nan, training)
    for first, second in zip(plain, padded, strict=True):
        torch.testing.assert_close(first, second, **CLOSE)
    assert all(bool(gradient.any()) for gradient in plain[1].values())


def test_series_encoder_of_a_ragged_batch_equals_one_at_a_time() -> None:
    encoder = small_encoder()
    for _ in range(3):  # running statistics that differ from their start
        encoder(3 * batch(2) + 1, LENGTHS)
    encoder.eval()
    features, lengths = encoder(batch(2), LENGTHS)
    for b, n in enumerate(LENGTHS.tolist()):
        alone, steps = encoder(batch(2)[b : b + 1, :n], LENGTHS[b : b + 1])
        assert steps.tolist() == [int(lengths[b])] == [alone.shape[1]]
        torch.testing.assert_close(features[b, : lengths[b]], alone[0], **CLOSE)


def plain_series_encoder(encoder: SeriesEncoder, row: Tensor) -> Tensor:
    """One row (T, C) through torch's own layers, nothing masked."""
    x = row.T[None]

    def convolved(layer: StepConvolution, x: Tensor) -> Tensor:
        kernel = layer.layer.kernel_size[0]
        return layer.layer(nn.functional.pad(x, ((kernel - 1) // 2, kernel // 2)))

    for convolution, norm in zip(encoder.convolutions, encoder.norms, strict=True):
        x = norm.norm(nn.functional.max_pool1d(convolved(convolution, x), 2, ceil_mode=True))
    x = convolved(encoder.shared, x).relu()[0].T
    lstm = nn.LSTM(x.shape[1], 3, 2, bidirectional=True, device="meta").to_empty(device="cpu").double()
    for i, (ahead, back) in enumerate(zip(encoder.recurrence.forwards, encoder.recurrence.backwards, strict=True)):
        for layer, suffix in ((ahead, ""), (back, "_reverse")):
            for name, parameter in layer.named_parameters():
                getattr(lstm, name.replace("_l0", f"_l{i}{suffix}")).data.copy_(parameter.data)
    return encoder.output(lstm(x)[0])


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5, 13])
def test_series_encoder_is_what_torch_layers_make_of_one_row(steps: int) -> None:
    encoder = small_encoder()
    encoder(3 * batch(2) + 1, LENGTHS)
    encoder.eval()
    lengths = torch.tensor([steps])
    features, reduced = encoder(batch(2, lengths), lengths)
    assert reduced.tolist() == [-(-steps // 4)]
    torch.testing.assert_close(features[0], plain_series_encoder(encoder, batch(2, lengths)[0]), **CLOSE)


@pytest.mark.parametrize("n_rows", [1, 3])
def test_series_of_one_step_train(n_rows: int) -> None:
    encoder = small_encoder()
    lengths = torch.ones(n_rows, dtype=torch.int64)
    features, reduced = encoder(batch(2, lengths), lengths, generator())
    features.sum().backward()
    assert features.shape == (n_rows, 1, 4)
    assert reduced.tolist() == [1] * n_rows
    assert torch.isfinite(features).all()
    assert all(torch.isfinite(gradient).all() for gradient in gradients(encoder).values())


def test_output_lengths_are_those_of_the_features() -> None:
    encoder = small_encoder().eval()
    lengths = torch.arange(1, 18)
    _, reduced = encoder(batch(2, lengths), lengths)
    assert encoder.output_lengths(lengths).tolist() == reduced.tolist()
    assert [encoder.output_lengths(n) for n in range(1, 18)] == reduced.tolist()


# Dropout and starting values


def test_dropout_silences_whole_filters_and_keeps_the_mean() -> None:
    x = torch.ones(200, 4, 50)
    result = silence_filters(x, 0.2, 2, generator())
    assert torch.equal(result, result[:, :1].expand_as(x))
    assert set(result.unique().tolist()) == {0.0, 1.25}
    # 10 000 draws: five standard deviations of their mean are 0.025
    assert abs(result.mean().item() - 1) < 0.025
    assert silence_filters(x, 0.2, 2, None) is x
    images = silence_filters(torch.ones(3, 8, 5, 4), 0.5, 1, generator())
    assert torch.equal(images, images[:, :, :1, :1].expand_as(images))
    assert 0 < images.mean() < 2


ENCODERS: dict[str, tuple[Callable[[torch.Generator], nn.Module], tuple[Tensor, ...]]] = {
    "series": (lambda g: SeriesEncoder(2, 6, 4, 5, 3, 2, 0.3, 4, generator=g), (batch(2).float(), LENGTHS)),
    "images": (
        lambda g: ImageEncoder((1, 12, 9), 5, 4, 0.3, generator=g),
        (torch.rand(4, 1, 12, 9, generator=generator()),),
    ),
}


def first(result: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    return result[0] if isinstance(result, tuple) else result


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_draw_from_the_given_generators_alone(name: str) -> None:
    make, inputs = ENCODERS[name]
    one, same, other = (make(generator(seed)) for seed in (0, 0, 1))
    for a, b in zip(one.parameters(), same.parameters(), strict=True):
        assert torch.isfinite(a).all()
        assert torch.equal(a, b)
    assert not torch.equal(first(one(*inputs)), first(other(*inputs)))
    assert torch.equal(first(one(*inputs)), first(one(*inputs)))
    noisy = first(one(*inputs, generator(5)))
    assert torch.equal(noisy, first(one(*inputs, generator(5))))
    assert not torch.equal(noisy, first(one(*inputs)))


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_survive_copies(name: str) -> None:
    make, inputs = ENCODERS[name]
    encoder = make(generator()).eval()
    expected = first(encoder(*inputs))
    assert torch.equal(first(copy.deepcopy(encoder)(*inputs)), expected)
    assert torch.equal(first(pickle.loads(pickle.dumps(encoder))(*inputs)), expected)
    loaded = make(generator(1)).eval()
    loaded.load_state_dict(encoder.state_dict())
    assert torch.equal(first(loaded(*inputs)), expected)


# Images


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
    encoder = ImageEncoder(shape, 5, 7, generator=generator())
    assert encoder.output.in_features == 5 * n_cells
    result = encoder(torch.rand(2, *shape, generator=generator()), generator())
    assert result.shape == (2, 7)
    result.square().sum().backward()
    assert all(torch.isfinite(gradient).all() for gradient in gradients(encoder).values())
    assert encoder.convolutions[0].weight.grad.any()


def test_image_encoder_is_what_torch_layers_make() -> None:
    encoder = ImageEncoder((2, 44, 80), 5, 7, generator=generator()).double()
    images = torch.rand(3, 2, 44, 80, generator=generator(), dtype=torch.float64)
    encoder(images)
    encoder.eval()
    x = images
    for convolution, norm in zip(encoder.convolutions, encoder.norms, strict=True):
        x = nn.functional.max_pool2d(norm(convolution(x)).relu(), 2, ceil_mode=True)
    x = encoder.shared(x).relu()
    assert x.shape == (3, 5, 3, 5)  # fewer than 4 rows and 8 columns: no averaging
    torch.testing.assert_close(encoder(images), encoder.output(x.flatten(1)), **CLOSE)


def test_cells_are_means_of_what_lies_in_them() -> None:
    encoder = ImageEncoder((1, 80, 80), 3, 9 * 3, generator=generator()).double().eval()
    nn.init.eye_(encoder.output.weight), nn.init.zeros_(encoder.output.bias)
    seen: list[Tensor] = []
    encoder.shared.register_forward_hook(lambda _module, _inputs, result: seen.append(result.relu()))
    cells = encoder(torch.rand(1, 1, 80, 80, generator=generator(), dtype=torch.float64)).view(3, 3, 3)
    maps = seen[0][0]
    assert maps.shape == (3, 5, 5)
    for row in range(3):
        for column in range(3):
            expected = maps[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].mean((1, 2))
            torch.testing.assert_close(cells[:, row, column], expected, **CLOSE)


def test_a_strip_keeps_the_order_of_what_it_shows() -> None:
    encoder = ImageEncoder((1, 16, 96), 5, 7, generator=generator()).double().eval()
    strip = torch.zeros(1, 1, 16, 96, dtype=torch.float64)
    strip[..., 4:12, 6:12] = 1
    strip[..., 4:12, 80:82] = 1
    # moved by 64 pixels, a multiple of what the blocks reduce to one
    swapped = torch.cat([strip[..., 64:], strip[..., 32:64], strip[..., :32]], 3)
    assert (encoder(strip) - encoder(swapped)).abs().max() > 1e-3
