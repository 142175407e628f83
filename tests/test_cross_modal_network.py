"""The network of two encoders, and what a user's own encoder must be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skseqmetric import CrossModalTranscriber, CrossModalTripletEmbedder
from tests import small_embedder
from tests.small_encoders import LENGTHS, batch, generator, network, outside, pixels


class Steps(nn.Module):
    """A user's series encoder: every second step as it is, in a linear layer; NaN past the end."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Parameter(torch.linspace(-1, 1, 8, dtype=torch.float32).view(2, 4))
        self.norm = nn.BatchNorm1d(2, dtype=torch.float32)

    def forward(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        kept = self.norm(values[:, ::2].transpose(1, 2)).transpose(1, 2)
        lengths = (lengths + 1) // 2
        past = outside(lengths, kept.shape[1])[..., None]
        return (kept @ self.layer).masked_fill(past, torch.nan), lengths


class Pixels(nn.Module):
    """A user's image encoder, with noise of its own."""

    def forward(self, images: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        vectors = images.flatten(1)[:, :4]
        return (
            vectors
            if generator is None
            else vectors + torch.rand(vectors.shape, generator=generator, dtype=torch.float32)
        )


ENCODERS: dict[str, dict[str, Any]] = {
    "own": {},
    "of the user": {"series_encoder": Steps(), "image_encoder": Pixels()},
}


def rows() -> tuple[Tensor, Tensor]:
    return batch(2).float(), LENGTHS


def pictures() -> Tensor:
    return pixels(4, 1, 8, 8).float()


# ---------------------------------------------------------------------------------------------------------- the network


@pytest.mark.parametrize("encoders", ENCODERS)
def test_network_embeds_both_modalities_at_length_one(encoders: str) -> None:
    net = network(**ENCODERS[encoders])
    features, lengths = net.encode_series(*rows(), generator())
    vectors = net.encode_images(pictures(), generator())
    series, images = net.embed_series(features, lengths), net.embed_images(vectors)
    assert series.shape == images.shape == (4, 3)
    torch.testing.assert_close(series.norm(dim=1), torch.ones(4, dtype=torch.float32))
    torch.testing.assert_close(images.norm(dim=1), torch.ones(4, dtype=torch.float32))
    assert net.series_logits(features, lengths).shape == net.image_logits(vectors).shape == (4, 6)
    (series * images).sum().backward()
    assert net.projection.weight.grad.any()


def test_both_modalities_share_the_projection_but_not_the_head() -> None:
    net = network()
    vectors = torch.rand(5, 4, generator=generator(), dtype=torch.float32)
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
    assert net.image_logits(net.encode_images(pictures())).shape[::2] == (len(pictures()), 6)  # of columns
    with pytest.raises(ValueError, match='need a network with head="classes" or strips'):
        network("steps", strips=False).image_logits(torch.zeros(1, 4))


def test_network_without_images_refuses_them() -> None:
    net = network(image_shape=None)
    assert not any("image" in name for name, _ in net.named_parameters())
    assert net(*rows()).shape == (4, 6)
    with pytest.raises(ValueError, match="made without images"):
        net.encode_images(pictures())
    with pytest.raises(ValueError, match=r"need a network with .* an image encoder"):
        net.image_logits(torch.zeros(1, 4))


@pytest.mark.parametrize("encoders", ENCODERS)
def test_means_and_logits_do_not_read_past_the_end(encoders: str) -> None:
    net = network(**ENCODERS[encoders]).eval()
    features, lengths = net.encode_series(*rows())
    past = outside(lengths, features.shape[1])[..., None]
    dirty = features.masked_fill(past, torch.nan).detach().requires_grad_()
    means = torch.stack([dirty[b, :n].mean(0) for b, n in enumerate(lengths.tolist())])
    result = net.series_logits(dirty, lengths)
    torch.testing.assert_close(result, net.series_head(means))
    torch.testing.assert_close(net.embed_series(dirty, lengths), net.embed_images(means))
    result.sum().backward()
    assert torch.isfinite(dirty.grad).all()


def test_only_user_modules_that_ask_for_it_get_the_generator() -> None:
    net = network(**ENCODERS["of the user"]).eval()
    quiet = net.encode_images(pictures())
    assert torch.equal(quiet, pictures().flatten(1)[:, :4])
    assert not torch.equal(net.encode_images(pictures(), generator()), quiet)
    series, _ = net.encode_series(*rows(), generator())
    torch.testing.assert_close(series, net.encode_series(*rows())[0], equal_nan=True)


# ------------------------------------------------------------------------------------------------- encoders of the user


def fit(**encoders: Any) -> CrossModalTripletEmbedder:
    """Encoders are run on the shortest and the longest of four sequences (T, 2), and on two images (1, 8, 8)."""
    X = [row[:n].numpy() for row, n in zip(batch(2), LENGTHS, strict=True)]
    embedder = CrossModalTripletEmbedder(3, n_filters=2, n_units=2, max_epochs=1, min_batches=1, **encoders)
    return embedder.fit(X, [0, 1, 0, 1], images=pictures()[:, 0].numpy())


def test_looking_at_an_encoder_leaves_modes_statistics_and_generators_alone() -> None:
    # a lazy layer draws its weights when it runs for the first time
    series, images = Steps(), nn.Sequential(nn.Flatten(), nn.LazyLinear(4), nn.Dropout(0.0).eval())
    embedder = fit(series_encoder=series, image_encoder=images)
    of_series, of_images = (embedder.network_config_[name] for name in ("series_encoder", "image_encoder"))
    assert of_series.norm.num_batches_tracked == 0
    assert of_series.norm.training
    assert of_images.training
    assert not of_images[2].training
    again = type(embedder.module_)(**embedder.network_config_)
    assert torch.equal(again.series_encoder.layer, series.layer)
    assert not torch.equal(embedder.module_.series_encoder.layer, series.layer)
    assert again.image_encoder[1].weight.shape == (4, 64)


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
        (lambda x, n: x, r"\(2, T', F\) and \(2,\), for .* shape \(2, 9, 2\); got a tensor of shape \(2, 9, 2\)"),
        (lambda x, n: (x, n, n), "got a tuple of 3"),
        (lambda x, n: (x.mean(1), n), r"got features: a tensor of shape \(2, 2\)"),
        (lambda x, n: (x[:1], n), r"got features: a tensor of shape \(1, 9, 2\)"),
        (lambda x, n: (x.long(), n), "got features: .* dtype torch.int64"),
        (lambda x, n: ([x], n), "got features: a list of 1"),
        (lambda x, n: (x, n.float()), "integer dtype; got lengths: .* dtype torch.float32"),
        (lambda x, n: (x, n[:1]), r"got lengths: a tensor of shape \(1,\)"),
        (lambda x, n: (x, 9), "got lengths: an object of type int"),
        (lambda x, n: (x[:, ::2], n), r"lengths from 1 to T' = 5, .* for lengths \[1, 9\] got \[1, 9\]"),
        (lambda x, n: (x, n // 2), r"got \[0, 4\]"),
        (lambda x, n: (x @ x, n), r"series_encoder fails on a batch of shape \(2, 9, 2\) and \(2,\)"),
    ],
)
def test_unfit_series_encoders_are_named(function: Callable[..., object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(series_encoder=Returns(function))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x, r"here \(2, F\), for images of shape \(2, 1, 8, 8\); got a tensor of shape \(2, 1, 8, 8\)"),
        (lambda x: x.flatten(), r"got a tensor of shape \(128,\)"),
        (lambda x: x.flatten(1)[:1], r"got a tensor of shape \(1, 64\)"),
        (lambda x: None, "got an object of type NoneType"),
        (lambda x: x.flatten(1), r"image_encoder returns \(2, 64\), so F = 64 features, and series_encoder F = 4"),
        (lambda x: x.view(3, 7), r"image_encoder fails on a batch of shape \(2, 1, 8, 8\)"),
    ],
)
def test_unfit_image_encoders_are_named(function: Callable[..., object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fit(series_encoder=Steps(), image_encoder=Returns(function))


def test_encoders_must_be_modules() -> None:
    with pytest.raises(ValueError, match=r"'image_encoder' parameter .* instance of 'torch\.nn"):
        fit(image_encoder=lambda x: x)


class Outputs(nn.Module):
    """An encoder whose results have another dtype."""

    def __init__(self, encoder: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.encoder, self.dtype = encoder, dtype

    def forward(self, *inputs: Tensor) -> Any:
        found = self.encoder(*inputs)
        return (found[0].to(self.dtype), found[1]) if isinstance(found, tuple) else found.to(self.dtype)


ALTERED: dict[str, Callable[[nn.Module], nn.Module]] = {
    "float64": lambda encoder: encoder.double(),
    "evaluation mode": lambda encoder: encoder.eval(),
    "float64 results": lambda encoder: Outputs(encoder, torch.float64),
    "float16 weights": lambda encoder: encoder.half(),
    "bfloat16 results": lambda encoder: Outputs(encoder, torch.bfloat16),
}
ONE_UPDATE = {"max_epochs": 1, "min_batches": 1, "random_state": 0}
LABELS = {CrossModalTripletEmbedder: [0, 1, 2] * 4, CrossModalTranscriber: ["a", "b", "ab"] * 4}


def answers(kind: Any, series: nn.Module, images: nn.Module, **settings: Any) -> tuple[Any, list[np.ndarray]]:
    rng = np.random.default_rng(0)
    X = [rng.normal(size=(n, 2)) for n in range(8, 20)]
    shown = rng.random((12, 9, 8))
    made = kind(3, series_encoder=series, image_encoder=images, **ONE_UPDATE, **settings)
    made.fit(X, LABELS[kind], images=shown)
    return made, [made.transform(X), made.transform_images(shown), *made.hidden_states(X)]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", LABELS)
def test_encoders_of_any_dtype_and_mode_are_trained_as_float32(kind: Any, precision: str) -> None:
    _, expected = answers(kind, small_embedder.Steps(), small_embedder.Vectors(), precision=precision)
    for name, change in ALTERED.items():
        series, images = change(small_embedder.Steps()), change(small_embedder.Vectors())
        before = {key: value.clone() for key, value in series.state_dict().items()}
        made, found = answers(kind, series, images, precision=precision)
        exact = name in ("evaluation mode", "float64") or (name, precision) == ("float64 results", "float32")
        for one, other in zip(found, expected, strict=True):
            assert one.dtype == np.float32, name
            np.testing.assert_allclose(one, other, rtol=0, atol=0 if exact else 0.01, err_msg=name)
        assert {parameter.dtype for parameter in made.module_.parameters()} == {torch.float32}
        assert all(torch.equal(value, before[key]) for key, value in series.state_dict().items())
        assert {value.dtype for value in series.state_dict().values()} == {value.dtype for value in before.values()}
        assert series.training == (name != "evaluation mode")


@pytest.mark.parametrize("kind", LABELS)
def test_frozen_parameters_of_an_encoder_stay_as_they_are(kind: Any) -> None:
    series, images = small_embedder.Steps().requires_grad_(False), small_embedder.Vectors()
    made, _ = answers(kind, series, images, weight_decay=0.5)
    assert torch.equal(made.module_.series_encoder.layer.weight, series.layer.weight)
    assert not torch.equal(made.module_.image_encoder.layer.weight, images.layer.weight)


@pytest.mark.parametrize("name", ["series_encoder", "image_encoder"])
@pytest.mark.parametrize("kind", LABELS)
def test_encoders_without_numbers_or_copies_are_named(kind: Any, name: str) -> None:
    encoders = {"series_encoder": small_embedder.Steps(), "image_encoder": small_embedder.Vectors()}
    encoders[name].to("meta")
    with pytest.raises(ValueError, match=rf"{name} has 'layer.weight' on the device \"meta\""):
        answers(kind, *encoders.values())
    encoders[name].to_empty(device="cpu")
    encoders[name].results = torch.ones(2, dtype=torch.float32, requires_grad=True) * 2
    with pytest.raises(ValueError, match=rf"{name} cannot be copied"):
        answers(kind, *encoders.values())
