"""The network for sequences and images: two encoders, one projection into a shared embedding, and linear heads."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeGuard, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from skseqmetric._networks.encoders import ImageEncoder, SeriesEncoder, StripEncoder
from skseqmetric._networks.layers import linear
from skseqmetric._networks.stem import read_channels
from skseqmetric._ops.steps import sum_of_steps, valid_steps


def mean_of_steps(features: Tensor, lengths: Tensor) -> Tensor:
    """Return the mean over the valid steps, (B, T', F) -> (B, F). Steps past the end are not read."""
    outside = ~valid_steps(lengths, features.shape[1])[..., None]
    return sum_of_steps(features.masked_fill(outside, 0), 1) / lengths[:, None].to(features.dtype)


EMBEDDING, CONVOLUTION = "embedding", "convolution"
"""The layers that sequences and images share."""

Points = dict[str, tuple[Tensor, Tensor]]
"""What each shared layer makes of series and of images, (B, D) each, of length 1."""


class Encoded(NamedTuple):
    """A batch of both modalities: features of series, their lengths, features of images, and the shared convolution."""

    features: Tensor
    steps: Tensor
    vectors: Tensor
    deeper: tuple[Tensor, Tensor] | None = None

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Encoded:
        """Return the batch with every tensor changed."""
        deeper = None if self.deeper is None else (change(self.deeper[0]), change(self.deeper[1]))
        return Encoded(change(self.features), change(self.steps), change(self.vectors), deeper)


class CrossModalNetwork(nn.Module):
    """Encoders of sequences and images with one shared embedding: the network of the cross-modal estimators.

    Encoding is separate from embeddings and class scores, so that a training step encodes each modality once:

        features, lengths' = encode_series(values, lengths)    # (B, T', F), (B,)
        features = encode_images(images)                       # (B, F), or (B, S, F) of strips

    Embeddings are normalize(W f + b) with Euclidean length 1. Both modalities use the same W and b. For a sequence, f
    is the mean over the valid steps of its features. For an image, f is its vector, or the mean over the columns of a
    strip. Each modality has its own linear head for its own task.

    Parameters
    ----------
    n_channels : channels C of sequences.
    image_shape : (channels, height, width) of images; None for a network without images.
    series_encoder, image_encoder : None for `SeriesEncoder` and `ImageEncoder`, or modules, which are copied. A series
        encoder has forward(values (B, T, C), lengths (B,)). It returns features (B, T', F) and their lengths (B,), each
        from 1 to T'. An image encoder has forward(images (B, c, h, w)) and returns (B, F), or (B, S, F) with `strips`.
        If forward has a parameter `generator`, it gets the generator for noise in training, or None. `encoder_width`
        checks these rules.
    n_features : size F of the features of both encoders.
    n_components : size of the embedding.
    n_classes : scores K of a head.
    head : "classes" gives one row of scores per sequence, "steps" one per step of the features.
    strips : whether images have features of columns (B, S, F). With the head "steps", only strips have a head.
    n_filters, n_units, n_layers, dropout : parameters of the package's own encoders.
    common_convolution : whether both of the package's own encoders have the same shared convolution.
    views : columns of `instance_channels` that the series encoder reads beside the channels.
    generator : generator of the initial values.
    """

    def __init__(
        self,
        n_channels: int,
        *,
        image_shape: tuple[int, int, int] | None,
        series_encoder: nn.Module | None,
        image_encoder: nn.Module | None,
        n_features: int,
        n_components: int,
        n_classes: int,
        head: str,
        n_filters: int,
        n_units: int,
        n_layers: int,
        dropout: float,
        views: tuple[int, ...] = (),
        strips: bool = False,
        common_convolution: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        generator = generator or torch.Generator("cpu").manual_seed(0)
        self.views = views
        self.series_encoder: nn.Module = (
            copy.deepcopy(series_encoder)
            if series_encoder is not None
            else SeriesEncoder(
                n_channels + len(views),
                n_filters,
                n_units=n_units,
                n_layers=n_layers,
                dropout=dropout,
                n_outputs=n_features,
                generator=generator,
            )
        )
        self.image_encoder: nn.Module | None = None
        if image_shape is not None and image_encoder is not None:
            self.image_encoder = copy.deepcopy(image_encoder)
        elif image_shape is not None:
            common = cast(SeriesEncoder, self.series_encoder).shared if common_convolution else None
            make = partial(StripEncoder, n_units=n_units, n_layers=n_layers) if strips else ImageEncoder
            self.image_encoder = make(
                image_shape, n_outputs=n_features, dropout=dropout, generator=generator, common=common
            )
        self.head, self.n_features, self.n_outputs = head, n_features, n_components
        self.projection = linear(n_features, n_components, generator)
        self.series_head = linear(n_features, n_classes, generator)
        with_head = image_shape is not None and (head == "classes" or strips)
        self.image_head = linear(n_features, n_classes, generator) if with_head else None

    def encode_series(
        self, values: Tensor, lengths: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return features (B, T', F) of sequences and their lengths. A generator turns on the noise of training."""
        values = self._read(values, lengths)
        features, steps = _encode(self.series_encoder, values, lengths, generator=generator)
        return self._in_precision(features), steps

    def _read(self, values: Tensor, lengths: Tensor) -> Tensor:
        return read_channels(values, lengths, self.views) if self.views else values

    def series_states(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return states (B, T', 2 H) of the LSTM in the package's own series encoder, zero past the end, and lengths.

        An encoder of the user has no known states. The method then returns its features.
        """
        values = self._read(values, lengths)
        encoder = self.series_encoder
        if isinstance(encoder, SeriesEncoder):
            # all layers but the linear one after the LSTM
            encoder = copy.copy(encoder)
            encoder._modules = {**encoder._modules, "output": nn.Identity()}
        states, steps = _encode(encoder, values, lengths, generator=None)
        return self._in_precision(states), steps

    def encode_images(self, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return features (B, F) of images, or (B, S, F) of strips. A generator turns on the noise of training."""
        if self.image_encoder is None:
            raise ValueError("this network was made without images: it has no image encoder")
        return self._in_precision(_encode(self.image_encoder, images, generator=generator))

    def encode(
        self, values: Tensor, lengths: Tensor, images: Tensor, generator: torch.Generator | None = None, *, deep: bool
    ) -> Encoded:
        """Return what `encode_series` and `encode_images` do. If `deep`, also what the shared convolution gives.

        This is its mean over the steps and over the cells, (B, q) each. Only the package's own encoders have one.
        """
        if not deep:
            series = self.encode_series(values, lengths, generator)
            return Encoded(*series, self.encode_images(images, generator))
        of_series, of_images = cast(SeriesEncoder, self.series_encoder), cast(ImageEncoder, self.image_encoder)
        maps, steps = of_series.shared_map(self._read(values, lengths), lengths, generator)
        cells = of_images.shared_map(images, generator)
        features, vectors = (self._in_precision(x) for x in (of_series.read(maps, steps)[0], of_images.read(cells)))
        return Encoded(features, steps, vectors, (mean_of_steps(maps, steps), cells.mean((2, 3))))

    def points(self, encoded: Encoded) -> Points:
        """Return what the shared layers make of a batch, in float32: the embeddings, and the convolution if encoded."""
        series = self.embed_series(encoded.features.float(), encoded.steps)
        points: Points = {EMBEDDING: (series, self.embed_images(encoded.vectors.float()))}
        if encoded.deeper is not None:
            of_series, of_images = (normalize(x.float(), dim=1) for x in encoded.deeper)
            points[CONVOLUTION] = (of_series, of_images)
        return points

    def _in_precision(self, features: Tensor) -> Tensor:
        """Return features in the dtype of the linear layers behind them. A user's encoder may compute in another."""
        device = features.device.type
        if torch.is_autocast_enabled(device) and features.dtype == torch.get_autocast_dtype(device):
            return features
        return features.to(self.projection.weight.dtype)

    def embed_series(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Return embeddings (B, n_components) of length 1 from the features of sequences."""
        return normalize(self.projection(mean_of_steps(features, lengths)), dim=1)

    def features(self, values: Tensor, lengths: Tensor) -> Tensor:
        """Return embeddings (B, n_components) of whole sequences without noise, for `transform`."""
        return self.embed_series(*self.encode_series(values, lengths))

    def embed_images(self, features: Tensor) -> Tensor:
        """Return embeddings (B, n_components) of length 1 from the features of images, (B, F) or (B, S, F)."""
        return normalize(self.projection(features if features.ndim == 2 else features.mean(1)), dim=1)

    def series_logits(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Return class scores (B, K) of sequences, or (B, T', K) of their steps, from their features."""
        return self.series_head(features if self.head == "steps" else mean_of_steps(features, lengths))

    def image_logits(self, features: Tensor) -> Tensor:
        """Return class scores (B, K) of images, or (B, S, K) of the columns of strips, from their features."""
        if self.image_head is None:
            raise ValueError('class scores of images need a network with head="classes" or strips and an image encoder')
        return self.image_head(features)

    def forward(self, values: Tensor, lengths: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return class scores of sequences, (B, K), or of steps, (B, T', K)."""
        return self.series_logits(*self.encode_series(values, lengths, generator))


def _encode(encoder: nn.Module, *inputs: Tensor, generator: torch.Generator | None = None) -> Any:
    takes_one = "generator" in inspect.signature(encoder.forward).parameters
    return encoder(*inputs, generator=generator) if takes_one else encoder(*inputs)


def encoder_width(
    series_encoder: nn.Module,
    image_encoder: nn.Module | None,
    values: Tensor,
    lengths: Tensor,
    images: Tensor | None,
    *,
    strips: bool = False,
) -> int:
    """Run both encoders on a few rows and return the size F of their features. Errors name the wrong shape.

    The encoders run in evaluation mode without gradients. Parameters, running statistics and global random generators
    do not change.

    Parameters
    ----------
    values, lengths : a few sequences (B, T, C) and their lengths (B,), on the device of the encoders.
    images : a few images (b, c, h, w), used only with an image encoder.
    strips : whether the image encoder may return features of columns.
    """
    n_features = _series_width(_dry_run("series_encoder", series_encoder, values, lengths), values, lengths)
    if image_encoder is None or images is None:
        return n_features
    found = image_features(image_encoder, images, strips=strips)
    of_images = found.shape[-1]
    if of_images != n_features:
        raise ValueError(
            f"image_encoder returns {tuple(found.shape)}, so F = {of_images} features, and series_encoder "
            f"F = {n_features}: both must return the same number of features, because they share one projection"
        )
    return n_features


def encoder_steps(series_encoder: nn.Module, values: Tensor, lengths: Tensor) -> Tensor:
    """Run the encoder as in `encoder_width`, check its result, and return the lengths (B,) of the features."""
    got = _dry_run("series_encoder", series_encoder, values, lengths)
    _series_width(got, values, lengths)
    return got[1]


def image_width(image_encoder: nn.Module, images: Tensor, *, strips: bool = False) -> int:
    """Run an image encoder as in `encoder_width` and return the size F of its features."""
    return image_features(image_encoder, images, strips=strips).shape[-1]


def image_features(image_encoder: nn.Module, images: Tensor, *, strips: bool) -> Tensor:
    """Run an image encoder as in `encoder_width`. Return its features (B, F) or, where `strips` allows, (B, S, F)."""
    found = _dry_run("image_encoder", image_encoder, images)
    if not (_floating(found, 2) or (strips and _floating(found, 3) and found.shape[1])) or len(found) != len(images):
        forms = "(B, F), or (B, S, F) with S columns" if strips else "(B, F)"
        raise ValueError(
            f"image_encoder must return features of shape {forms}, here ({len(images)}, F), for images of shape "
            f"{tuple(images.shape)}; got {_described(found)}"
        )
    return found


def _series_width(got: object, values: Tensor, lengths: Tensor) -> int:
    """Check the shape of what a series encoder returned for values and lengths, and return F."""
    rows = len(values)
    wanted = (
        f"series_encoder must return (features, lengths) of shapes (B, T', F) and (B,), here ({rows}, T', F) and "
        f"({rows},), for values of shape {tuple(values.shape)}"
    )
    if not isinstance(got, tuple) or len(got) != 2:
        raise ValueError(f"{wanted}; got {_described(got)}")
    features, steps = got
    if not _floating(features, 3) or len(features) != rows:
        raise ValueError(f"{wanted}; got features: {_described(features)}")
    whole = isinstance(steps, Tensor) and not steps.is_floating_point() and steps.dtype != torch.bool
    if not whole or steps.shape != lengths.shape:
        raise ValueError(f"{wanted}, the lengths of an integer dtype; got lengths: {_described(steps)}")
    if bool((steps < 1).any()) or bool((steps > features.shape[1]).any()):
        raise ValueError(
            f"series_encoder must return lengths from 1 to T' = {features.shape[1]}, for features of shape "
            f"{tuple(features.shape)}; for lengths {lengths.tolist()} got {steps.tolist()}"
        )
    return features.shape[2]


def _dry_run(name: str, encoder: nn.Module, *inputs: Tensor) -> Any:
    """Run the encoder in evaluation mode, then restore the mode of every submodule."""
    modes = [(module, module.training) for module in encoder.modules()]
    encoder.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            return _encode(encoder, *inputs)
    except Exception as error:
        shapes = " and ".join(str(tuple(tensor.shape)) for tensor in inputs)
        raise ValueError(f"{name} fails on a batch of shape {shapes}: {error}") from error
    finally:
        for module, training in modes:
            module.training = training


def _floating(got: object, ndim: int) -> TypeGuard[Tensor]:
    return isinstance(got, Tensor) and got.ndim == ndim and got.is_floating_point()


def _described(got: object) -> str:
    if isinstance(got, Tensor):
        return f"a tensor of shape {tuple(got.shape)} and dtype {got.dtype}"
    if isinstance(got, tuple | list):
        return f"a {type(got).__name__} of {len(got)}"
    return f"an object of type {type(got).__name__}"
