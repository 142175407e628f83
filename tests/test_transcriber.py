"""CrossModalTranscriber: what it learns to read."""

from __future__ import annotations

import copy
import pickle
from collections import defaultdict
from itertools import groupby, product
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch.nn.functional import ctc_loss

from skseqmetric.metrics import character_error_rate
from tests.small_embedder import CHEAP, Batches
from tests.small_transcriber import ALL_PARTS, PARTS, Data, altered, equal, small

# ------------------------------------------------------------------------------------------------------------ learning


@pytest.mark.parametrize("given", ["nothing", *(pytest.param(g, marks=pytest.mark.slow) for g in ("images", "pool"))])
def test_learns_to_read(words: Data, given: str) -> None:
    X, y, images = words
    data = {"nothing": {}, "images": {"images": images}, "pool": {"images": images[::-1], "image_labels": y[::-1]}}
    reader = small(max_epochs=25 if given == "nothing" else 45).fit(X, y, **data[given])
    assert reader.score(X, y) > 0.9
    assert list(reader.symbols_) == list(reader.classes_) == ["a", "b", "c"]
    assert reader.label_kind_ == "string"
    assert all(type(label) is str for label in reader.predict(X))
    assert reader.transform(X).shape == (30, 6)
    assert [rows.shape for rows in reader.predict_log_proba(X)] == [(-(-len(x) // 4), 4) for x in X]
    parts = set() if given == "nothing" else set(ALL_PARTS)
    assert set(reader.history_[0]) == {"epoch", "train_loss", "dur"} | parts
    if parts:
        row = reader.history_[-1]
        np.testing.assert_allclose(row["train_loss"], sum(row[part] for part in ALL_PARTS) / 3, rtol=1e-5)
        assert reader.score_images(images, y) > 0.9
        distances = np.linalg.norm(reader.transform(X)[:, None] - reader.transform_images(images), axis=2)
        same = np.array(y)[:, None] == np.array(y)
        assert distances[same].mean() < 0.75 * distances[~same].mean()  # 1.0 without the cross term
        order = np.arange(30)[::-1] if given == "pool" else np.arange(30)
        assert np.array_equal(reader.kneighbors(X, 1)[1][:, 0], distances[:, order].argmin(axis=1))
        assert reader.kneighbors(images=images, n_neighbors=2)[1].shape == (30, 2)
        np.testing.assert_allclose(np.linalg.norm(reader.transform_images(images), axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("symbols", [[-1, 3, 10], ["a", "ch", "sh"], [(0, 0), (0, 1), (1, 0)]])
def test_symbols_of_any_kind_come_back_as_lists(words: Data, symbols: list[Any]) -> None:
    X, y, _ = words

    def respelled(texts: list[str]) -> list[list[Any]]:
        return [[symbols["abc".index(s)] for s in text] for text in texts]

    of_strings, reader = small(**CHEAP, max_epochs=6).fit(X, y), small(**CHEAP, max_epochs=6).fit(X, respelled(y))
    assert list(reader.symbols_) == symbols
    assert reader.predict(X) == respelled(of_strings.predict(X))
    assert reader.score(X, respelled(y)) == of_strings.score(X, y) > 0.4
    assert all(type(label) is list for label in reader.predict(X))
    assert {type(s) for label in reader.predict(X) for s in label} == {type(symbols[0])}


def test_labels_as_arrays_are_those_as_lists(words: Data) -> None:
    X, y, _ = words
    lists = [["abc".index(s) for s in word] for word in y]
    of_lists, of_arrays = (small(**CHEAP).fit(X, labels) for labels in (lists, [np.array(label) for label in lists]))
    assert equal(of_arrays.predict_log_proba(X), of_lists.predict_log_proba(X))
    assert {type(s) for s in of_arrays.symbols_} == {int}
    texts = small(**CHEAP).fit(X, np.array(y))
    assert texts.label_kind_ == "string"
    assert equal(texts.predict_log_proba(X), of_lists.predict_log_proba(X))


def likeliest(log_probs: np.ndarray) -> str:
    """The label whose paths (T' codes) have the largest probability together."""
    labels: dict[str, float] = defaultdict(float)
    for path in product(range(4), repeat=len(log_probs)):
        labels[collapsed(path)] += np.exp(sum(float(row[k]) for row, k in zip(log_probs, path, strict=True)))
    return max(labels, key=lambda label: labels[label])


def collapsed(path: Any) -> str:
    return "".join("abc"[k - 1] for k, _ in groupby(path) if k)


def test_predictions_are_decoded_log_probabilities(words: Data) -> None:
    X, y, _ = words
    reader = small(**CHEAP, max_epochs=6).fit(X, y)
    short = [x[:10] for x in X]  # of which five steps are left
    log_probs = reader.predict_log_proba(short)
    np.testing.assert_allclose([np.exp(rows.astype(float)).sum(axis=1) for rows in log_probs], 1, rtol=1e-5)
    greedy = reader.predict(short)
    assert greedy == [collapsed(rows.argmax(axis=1)) for rows in log_probs]
    wide = reader.set_params(decoding="beam", beam_width=100).predict(short)
    assert wide == [likeliest(rows) for rows in log_probs]
    assert reader.set_params(beam_width=1).predict(short) != wide != greedy
    for wrong in ({"decoding": "guess"}, {"decoding": "beam", "beam_width": 0}):
        with pytest.raises(ValueError, match="parameter of CrossModalTranscriber"):
            clone(reader).set_params(**wrong).fit(X, y)
        with pytest.raises(ValueError, match="parameter of CrossModalTranscriber"):
            copy.deepcopy(reader).set_params(**wrong).predict(X)


def test_score_is_one_minus_the_character_error_rate(words: Data) -> None:
    X, y, _ = words
    reader = small(**CHEAP, max_epochs=6).fit(X, y)
    assert reader.score(X, y) == 1 - character_error_rate(y, reader.predict(X))
    weights = np.arange(30)
    assert reader.score(X, y, weights) == 1 - character_error_rate(y, reader.predict(X), sample_weight=weights)
    unknown = [word[:-1] + "?" for word in y]
    n_symbols = sum(map(len, y))
    assert reader.score(X, unknown) <= 1 - 30 / n_symbols
    # what cannot be read in the steps there are is wrong, not an error
    assert reader.score(X, [word * 9 for word in y]) < 0.12


def test_empty_labels_are_learned(words: Data) -> None:
    X, y, _ = words
    silence = [0.05 * np.random.default_rng(i).normal(size=(8 + i, 2)) for i in range(10)]
    reader = small(max_epochs=25).fit([*X, *silence], [*y, *[""] * 10])
    assert reader.predict(silence) == [""] * 10
    assert reader.score(X, y) > 0.9


@pytest.mark.parametrize("loss", ["pair", "contrastive", "triplet"])
@pytest.mark.parametrize("distance", ["cosine", "kl", "mmd"])
def test_losses_train(words: Data, loss: str, distance: str) -> None:
    X, y, images = words
    reader = small(**CHEAP, loss=loss, distance=distance).fit(X, y, images=images)
    assert np.isfinite([row[part] for row in reader.history_ for part in PARTS]).all()


@pytest.mark.slow
def test_bfloat16_learns(words: Data) -> None:
    X, y, images = words
    assert small(precision="bfloat16", max_epochs=25).fit(X, y, images=images).score(X, y) > 0.9


# --------------------------------------------------------------------------------------------------- a set, not a list


@pytest.mark.parametrize("pool", [False, True])
def test_order_of_the_data_does_not_matter(words: Data, pool: bool) -> None:
    X, y, images = words
    turned, turned_pool = np.random.default_rng(0).permuted(np.tile(np.arange(30), (2, 1)), axis=1)
    reader = small(**CHEAP).fit(X, y, images=images, image_labels=y if pool else None)
    order = turned_pool if pool else turned
    other = small(**CHEAP).fit(
        [X[i] for i in turned],
        [y[i] for i in turned],
        images=images[order],
        image_labels=[y[i] for i in order] if pool else None,
    )
    assert equal(reader.predict_log_proba(X), other.predict_log_proba(X))
    assert np.array_equal(reader.transform_images(images), other.transform_images(images))


@pytest.mark.parametrize("with_images", [False, True])
def test_repetitions_are_merged_to_weights(words: Data, with_images: bool) -> None:
    X, y, images = words
    weights = np.where(np.arange(30) % 3 == 0, 2.0, np.where(np.arange(30) % 5 == 1, 0.0, 1.0))
    rows = np.repeat(np.arange(30), weights.astype(int))
    given, repeated = ({"images": images}, {"images": images[rows]}) if with_images else ({}, {})
    plain, weighted = small(**CHEAP).fit(X, y, **given), small(**CHEAP).fit(X, y, weights, **given)
    other = small(**CHEAP).fit([X[i] for i in rows], [y[i] for i in rows], **repeated)
    assert equal(weighted.predict_log_proba(X), other.predict_log_proba(X))
    assert not equal(weighted.predict_log_proba(X), plain.predict_log_proba(X))


def test_images_of_other_labels_are_not_used(words: Data) -> None:
    X, y, images = words
    more = np.r_[images, images[:4]], [*y, "cccccc", "?", "", "abcabc"]
    reader = small(**CHEAP).fit(X, y, images=images, image_labels=y)
    other = small(**CHEAP).fit(X, y, images=more[0], image_labels=more[1])
    assert np.array_equal(reader.transform_images(images), other.transform_images(images))
    assert other.kneighbors(X, 34)[1].shape == (30, 34)


# --------------------------------------------------------------------------------------------------------- in parts


def test_partial_fit_goes_on_with_the_symbols_of_the_first_call(words: Data) -> None:
    X, y, images = words
    reader = small(**CHEAP).partial_fit(X[:10], y[:10], "abcd", images=images[:10])
    assert list(reader.symbols_) == ["a", "b", "c", "d"]
    assert reader.predict_log_proba(X[:1])[0].shape[1] == 5
    reader.partial_fit(X[10:20], altered(y[10:20], 0, "add"), images=images[10:20])
    assert reader.n_iter_ == 2
    assert np.array_equal(np.sort(reader.kneighbors(X[:2], 10)[1]), np.tile(np.arange(10), (2, 1)))
    before = reader.predict_log_proba(X)
    with pytest.raises(ValueError, match=r"y\[1\] has the symbol '\?', which is not among .* 'a', 'b', 'c', 'd'"):
        reader.partial_fit(X[:2], ["ab", "a?"], images=images[:2])
    with pytest.raises(ValueError, match="labels of y are lists, but those of the first fit were strings"):
        reader.partial_fit(X[:2], [["a"], ["b"]], images=images[:2])
    with pytest.raises(ValueError, match="single characters, but 'sh' is not"):
        small().partial_fit(X[:2], ["a", "b"], ["a", "b", "sh"])
    assert equal(reader.predict_log_proba(X), before)
    numbers = small().partial_fit(X[:2], [[1], [2]], np.array([2, 1, 7]))
    assert list(numbers.symbols_) == [1, 2, 7]
    assert list(small().partial_fit(X, y).symbols_) == ["a", "b", "c"]


def test_warm_start_goes_on(words: Data) -> None:
    X, y, images = words
    reader = small(**CHEAP, warm_start=True).fit(X, y, images=images)
    first = reader.history_[0]["train_loss"]
    reader.fit(X[:20], y[:20], images=images[:20])
    assert reader.n_iter_ == 4
    assert reader.history_[2]["train_loss"] < first
    with pytest.raises(ValueError, match=r"y\[0\] has the symbol 'z'"):
        reader.fit(X, altered(y, 0, "z"), images=images)


def test_early_stopping_on_the_loss_of_held_out_sequences(words: Data) -> None:
    X, y, images = words
    seen, settings = Batches(), {"early_stopping": True, "validation_fraction": 0.3, "augment": None}
    reader = small(**CHEAP, **settings, callbacks=[seen]).fit(X, y, images=images)
    trained = {row.numpy().tobytes() for epoch in seen.epochs for batch in epoch for row in batch["images"]}
    held_out = [i for i, image in enumerate(images) if image.tobytes() not in trained]
    losses = []
    for i in held_out:
        rows, codes = torch.from_numpy(reader.predict_log_proba(X)[i]), torch.tensor(["abc".index(s) + 1 for s in y[i]])
        losses.append(ctc_loss(rows[:, None], codes[None], [len(rows)], [len(codes)], reduction="sum") / len(codes))
    assert len(losses) == 9
    np.testing.assert_allclose(min(row["valid_loss"] for row in reader.history_), np.mean(losses), rtol=1e-5)


def test_callbacks_of_scikit_learn_can_read(words: Data) -> None:
    pytest.importorskip("sklearn.callback")
    X, y, _ = words
    scores: list[float] = []

    class Watch:
        def setup(self, estimator: Any, context: Any) -> None: ...

        def teardown(self, estimator: Any, context: Any) -> None: ...

        def on_fit_task_begin(self, estimator: Any, context: Any) -> None: ...

        def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> None:
            scores.append(fitted_estimator.score(X, y))

    reader = small(**CHEAP, max_epochs=12).set_callbacks(Watch()).fit(X, y)
    assert len(scores) == 13
    assert scores[-1] == reader.score(X, y) > scores[0]


# ----------------------------------------------------------------------------------------------------------------- CUDA


@pytest.mark.cuda
def test_cuda_trains_and_agrees_with_the_cpu(words: Data) -> None:
    X, y, images = words
    reader = small(max_epochs=20, device="cuda").fit(X, y, images=images)
    assert reader.history_[-1]["train_loss"] < reader.history_[0]["train_loss"]
    on_gpu = reader.predict_log_proba(X)
    for decoding in ("greedy", "beam"):
        assert len(reader.set_params(decoding=decoding).predict(X)) == 30
    reader.device = "cpu"
    loaded = pickle.loads(pickle.dumps(reader))
    for rows, expected in zip(loaded.predict_log_proba(X), on_gpu, strict=True):
        np.testing.assert_allclose(rows, expected, rtol=1e-3, atol=1e-3)
