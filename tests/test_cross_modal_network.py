"""The network of two encoders, and what a user's own encoder must be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from skseqmetric._networks.cross_modal import CrossModalNetwork, encoder_width, mean_of_steps
from skseqmetric._networks.encoders import (
    ImageEncoder,
    SeriesEncoder,
)
from tests.small_encoders import LENGTHS, batch, generator


class Steps(nn.Module):
    """A user's series encoder: every second step as it is, in a linear layer; NaN past the end."""

    def __init__(self, n_features: int = 4) -> None:
        super().__init__()
        self.layer = nn.Parameter(torch.linspace(-1, 1, 2 * n_features).view(2, n_features))
        self.norm = nn.BatchNorm1d(2)

    def forward(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        kept = self.norm(values[:, ::2].transpose(1, 2)).transpose(1, 2)
        lengths = (lengths + 1) // 2
        outside = torch.arange(kept.shape[1]) >= lengths[:, None]
        return (kept @ self.layer).masked_fill(outside[..., None], torch.nan), lengths


class Pixels(nn.Module):
    """A user's image encoder, with noise of its own."""

    def forward(self, images: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        vectors = images.flatten(1)[:, :4]
        return vectors if generator is None else vectors + torch.rand(vectors.shape, generator=generator)


def rows() -> tuple[Tensor, Tensor]:
    return batch(2).float(), LENGTHS


def pictures() -> Tensor:
    return torch.rand(4, 1, 8, 8, generator=generator())


def network(head: str = "classes", *, own: bool = True, with_images: bool = True) -> CrossModalNetwork:
    series: nn.Module = SeriesEncoder(2, 6, 4, 5, 3, 2, 0.3, 4, generator=generator()) if own else Steps()
    images: nn.Module | None = ImageEncoder((1, 8, 8), 5, 4, generator=generator()) if own else Pixels()
    images = images if with_images else None
    width = encoder_width(series, images, *rows(), pictures())
    return CrossModalNetwork(series, images, width, 3, 6, head, generator())


@pytest.mark.parametrize("own", [True, False])
def test_network_embeds_both_modalities_at_length_one(own: bool) -> None:
    net = network(own=own)
    features, lengths = net.encode_series(*rows(), generator())
    vectors = net.encode_images(pictures(), generator())
    series, images = net.embed_series(features, lengths), net.embed_images(vectors)
    assert series.shape == images.shape == (4, 3)
    torch.testing.assert_close(series.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(images.norm(dim=1), torch.ones(4))
    assert net.series_logits(features, lengths).shape == net.image_logits(vectors).shape == (4, 6)
    (series * images).sum().backward()
    assert net.projection.weight.grad.any()


def test_both_modalities_share_the_projection_but_not_the_head() -> None:
    net = network()
    vectors = torch.rand(5, 4, generator=generator())
    one_step = torch.ones(5, dtype=torch.int64)
    assert torch.equal(net.embed_images(vectors), net.embed_series(vectors[:, None], one_step))
    assert not torch.equal(net.image_logits(vectors), net.series_logits(vectors[:, None], one_step))


def test_steps_head_scores_every_step() -> None:
    net = network("steps").eval()
    features, lengths = net.encode_series(*rows())
    scores = net(*rows())
    assert scores.shape == (4, 3, 6)
    torch.testing.assert_close(scores[0, 1], net.series_head(features[0, 1]))
    assert net.embed_series(features, lengths).shape == (4, 3)
    with pytest.raises(ValueError, match='beside head="classes"'):
        net.image_logits(net.encode_images(pictures()))


def test_network_without_images_refuses_them() -> None:
    net = network(with_images=False)
    assert not any("image" in name for name, _ in net.named_parameters())
    assert net(*rows()).shape == (4, 6)
    with pytest.raises(ValueError, match="made without images"):
        net.encode_images(pictures())
    with pytest.raises(ValueError, match="made with an image encoder"):
        net.image_logits(torch.zeros(1, 4))


@pytest.mark.parametrize("own", [True, False])
def test_means_and_logits_do_not_read_past_the_end(own: bool) -> None:
    net = network(own=own).eval()
    features, lengths = net.encode_series(*rows())
    outside = torch.arange(features.shape[1]) >= lengths[:, None]
    dirty = features.masked_fill(outside[..., None], torch.nan).detach().requires_grad_()
    result = net.series_logits(dirty, lengths)
    for b, n in enumerate(lengths.tolist()):
        torch.testing.assert_close(mean_of_steps(dirty, lengths)[b], dirty[b, :n].mean(0))
    result.sum().backward()
    assert torch.isfinite(dirty.grad).all()
    assert torch.isfinite(net.embed_series(dirty, lengths)).all()


def test_only_user_modules_that_ask_for_it_get_the_generator() -> None:
    net = network(own=False).eval()
    quiet = net.encode_images(pictures())
    assert torch.equal(quiet, pictures().flatten(1)[:, :4])
    assert not torch.equal(net.encode_images(pictures(), generator()), quiet)
    series, _ = net.encode_series(*rows(), generator())
    torch.testing.assert_close(series, net.encode_series(*rows())[0], equal_nan=True)


def test_dry_run_leaves_modes_and_statistics_alone() -> None:
    series = Steps()
    series.norm.eval()
    noisy = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.LazyLinear(4))
    assert encoder_width(series, noisy, *rows(), pictures()) == 4
    assert series.training
    assert not series.norm.training
    assert noisy[1].training
    assert series.norm.num_batches_tracked == 0


class Returns(nn.Module):
    """Gives back what a function makes of its inputs."""

    def __init__(self, function: Callable[..., object]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs: Tensor) -> object:
        return self.function(*inputs)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x, n: x, r"\(4, T', F\) and \(4,\), for .* shape \(4, 9, 2\); got a tensor of shape \(4, 9, 2\)"),
        (lambda x, n: (x, n, n), "got a tuple of 3"),
        (lambda x, n: (x.mean(1), n), r"got features: a tensor of shape \(4, 2\)"),
        (lambda x, n: (x[:2], n), r"got features: a tensor of shape \(2, 9, 2\)"),
        (lambda x, n: (x.long(), n), "got features: .* dtype torch.int64"),
        (lambda x, n: ([x], n), "got features: a list of 1"),
        (lambda x, n: (x, n.float()), "integer dtype; got lengths: .* dtype torch.float32"),
        (lambda x, n: (x, n[:2]), r"got lengths: a tensor of shape \(2,\)"),
        (lambda x, n: (x, 9), "got lengths: an object of type int"),
        (lambda x, n: (x[:, ::2], n), r"lengths from 1 to T' = 5, .* for lengths \[9, 1, 4, 7\] got \[9, 1, 4, 7\]"),
        (lambda x, n: (x, n // 2), r"got \[4, 0, 2, 3\]"),
        (lambda x, n: (x @ x, n), r"series_encoder fails on a batch of shape \(4, 9, 2\) and \(4,\)"),
    ],
)
def test_unfit_series_encoders_are_named(function: Callable[..., object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoder_width(Returns(function), None, *rows(), None)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x, r"here \(4, F\), for images of shape \(4, 1, 8, 8\); got a tensor of shape \(4, 1, 8, 8\)"),
        (lambda x: x.flatten(), r"got a tensor of shape \(256,\)"),
        (lambda x: x.flatten(1)[:2], r"got a tensor of shape \(2, 64\)"),
        (lambda x: None, "got an object of type NoneType"),
        (lambda x: x.flatten(1), r"image_encoder returns \(4, 64\), so F = 64 features, and series_encoder F = 4"),
        (lambda x: x.view(3, 7), r"image_encoder fails on a batch of shape \(4, 1, 8, 8\)"),
    ],
)
def test_unfit_image_encoders_are_named(function: Callable[..., object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encoder_width(Steps(), Returns(function), *rows(), pictures())


def test_encoders_must_be_modules() -> None:
    with pytest.raises(TypeError, match=r"image_encoder must be a torch\.nn\.Module; got function"):
        encoder_width(Steps(), lambda x: x, *rows(), pictures())
