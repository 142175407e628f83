"""The layers that both modalities share: the loss on one or two of them, and one convolution for both."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from skseqmetric import CrossModalTranscriber, CrossModalTripletEmbedder
from tests.small_embedder import Data, Steps, Vectors, small
from tests.small_transcriber import small as small_reader

QUIET = {"dropout": 0.0, "batch_size": 24, "min_batches": 1, "max_epochs": 2, "learning_rate": 0.05, "augment": None}


class LayersByHand(Callback):
    """The mean cosine triplet loss of every batch, margin 0.1, on the embedding and on the shared convolution."""

    def __init__(self) -> None:
        self.found: list[dict[str, float]] = []

    @torch.no_grad()
    def on_batch_begin(self, net: Any, batch: Any = None, **kwargs: Any) -> None:
        given, network = batch[0], net.module_.train().network
        seen: dict[str, Tensor] = {}
        hooks = [
            getattr(network, f"{name}_encoder").shared.register_forward_hook(
                lambda module, inputs, output, name=name: seen.__setitem__(name, output.relu())
            )
            for name in ("series", "image")
        ]
        features, steps = network.encode_series(given["values"], given["lengths"])
        vectors = network.encode_images(given["images"])
        for hook in hooks:
            hook.remove()
        means = torch.stack([x[:n].mean(0) for x, n in zip(seen["series"], steps.tolist(), strict=True)])
        points = {
            "embedding": (network.embed_series(features, steps), network.embed_images(vectors)),
            "convolution": (means, seen["image"].flatten(2).mean(2)),
        }
        negatives = given["negatives"].tolist()
        self.found.append({layer: float(np.mean(hinges(u, v, negatives))) for layer, (u, v) in points.items()})


def hinges(u: Tensor, v: Tensor, negatives: list[int]) -> list[float]:
    """max(d(u, v+) - d(u, v-) + 0.1, 0) of every row."""
    return [
        max(float(cosine_similarity(u[i], v[n], dim=0) - cosine_similarity(u[i], v[i], dim=0)) + 0.1, 0)
        for i, n in enumerate(negatives)
    ]


@pytest.mark.parametrize("layers", ["embedding", "convolution", "both"])
def test_the_loss_acts_on_the_layers_that_are_named(layers: str, pairs: Data) -> None:
    X, y, images = pairs
    hand = LayersByHand()
    embedder = small(callbacks=[hand], shared_layers=layers, **QUIET).fit(X, y, images=images)
    named = ["embedding", "convolution"] if layers == "both" else [layers]
    expected = [np.mean([row[layer] for layer in named]) for row in hand.found]
    assert min(min(row.values()) for row in hand.found) > 0
    np.testing.assert_allclose([row["cross_loss"] for row in embedder.history_], expected, rtol=1e-4)


def test_margins_of_a_layer_follow_its_size(pairs: Data) -> None:
    X, y, images = pairs
    # the loss of a batch of one class has no negatives; of two, a hinge that is far from 0 shows its margin
    losses = []
    for beta in (None, 0.15 / 100):
        given = {"distance": "kl", "shared_layers": "convolution", "beta": beta, "random_state": 0}
        losses.append(small(**given, **QUIET).fit(X, y, images=images).history_[0]["cross_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=0.02)
    embedding = small(distance="kl", **QUIET).fit(X, y, images=images).history_[0]["cross_loss"]
    assert embedding > 3 * losses[0]  # six components have wider margins than a hundred filters


def common_of(embedder: Any) -> nn.Module:
    network = embedder.module_
    assert network.image_encoder.shared.common is network.series_encoder.shared
    return network.series_encoder.shared


@pytest.mark.parametrize("layers", ["embedding", "both"])
def test_one_convolution_serves_both_modalities(layers: str, pairs: Data) -> None:
    X, y, images = pairs
    given = {"common_convolution": True, "shared_layers": layers}
    embedder = small(**given).fit(X, y, images=images)
    shared = common_of(embedder)
    apart = small(shared_layers=layers).fit(X, y, images=images)
    sizes = [sum(p.numel() for p in model.module_.parameters()) for model in (apart, embedder)]
    fewer = apart.module_.image_encoder.shared.weight.numel() + 100  # its weights and biases
    pointwise = embedder.module_.image_encoder.shared.pointwise
    assert sizes[0] - sizes[1] == fewer - pointwise.weight.numel() - len(pointwise.bias)
    before = shared.layer.weight.detach().clone()
    embedder.set_params(loss_weights=(0.0, 1.0, 0.0)).partial_fit(X, y, images=images)  # learns from images alone
    assert not torch.equal(before, shared.layer.weight)
    for again in (pickle.loads(pickle.dumps(embedder)), copy.deepcopy(embedder)):
        assert common_of(again) is not shared
        np.testing.assert_array_equal(again.decision_function(X), embedder.decision_function(X))
        np.testing.assert_array_equal(again.predict_proba_images(images), embedder.predict_proba_images(images))


def test_a_row_of_an_image_is_read_like_a_sequence(pairs: Data) -> None:
    X, y, images = pairs
    shared = common_of(small(common_convolution=True, max_epochs=1).fit(X, y, images=images))
    maps = torch.rand(2, 8, 3, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    with torch.no_grad():
        rows = torch.stack([shared(maps[:, :, k].transpose(1, 2)).transpose(1, 2) for k in range(3)], dim=2)
        torch.testing.assert_close(shared.of_rows(maps), rows)


def test_padding_does_not_reach_the_shared_convolution(pairs: Data) -> None:
    X, y, images = pairs
    network = small(shared_layers="both", max_epochs=1).fit(X, y, images=images).module_.eval()
    lengths, pixels = torch.tensor([5, 9]), torch.zeros(2, 1, 9, 8, dtype=torch.float32)
    values = torch.rand(2, 9, X[0].shape[1], generator=torch.Generator().manual_seed(0), dtype=torch.float32)
    dirty = torch.cat([values, torch.full_like(values, 7.0)], dim=1)
    dirty[0, 5:] = -3.0
    with torch.no_grad():
        clean, padded = (network.points(network.encode(x, lengths, pixels, deep=True)) for x in (values, dirty))
    assert set(clean) == {"embedding", "convolution"}
    for layer, (series, _) in clean.items():
        torch.testing.assert_close(padded[layer][0], series)


def test_transcribers_share_layers_too(words: Any) -> None:
    X, y, images = words
    reader = small_reader(shared_layers="both", common_convolution=True, max_epochs=2).fit(X, y, images=images)
    common_of(reader)
    assert np.isfinite(reader.history_[-1]["cross_loss"])
    assert len(reader.predict_images(images)) == len(images)


@pytest.mark.parametrize("kind", [CrossModalTripletEmbedder, CrossModalTranscriber])
@pytest.mark.parametrize("encoder", [{"series_encoder": Steps()}, {"image_encoder": Vectors()}])
@pytest.mark.parametrize("asked", [{"shared_layers": "both"}, {"common_convolution": True}])
def test_encoders_of_the_user_have_no_shared_convolution(
    kind: Any, encoder: dict[str, Any], asked: dict[str, Any], pairs: Data
) -> None:
    X, y, images = pairs
    labels = y if kind is CrossModalTripletEmbedder else [str(label) for label in y]
    name = next(iter(asked))
    with pytest.raises(ValueError, match=f"{name}=.* needs the package's own encoders.*{next(iter(encoder))}"):
        kind(2, n_filters=2, n_units=2, max_epochs=1, **encoder, **asked).fit(X, labels, images=images)


def test_sequences_alone_need_no_images_for_it(pairs: Data) -> None:
    X, y, _ = pairs
    plain, shared = (small(max_epochs=1, **given).fit(X, y) for given in ({}, {"common_convolution": True}))
    np.testing.assert_array_equal(plain.predict_proba(X), shared.predict_proba(X))
