"""CrossModalTranscriber: labels that are sequences of symbols, from sequences alone or with images beside them."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from skorch.callbacks import Callback
from torch import Tensor, nn

from skseqmetric import CrossModalTranscriber
from skseqmetric._batching import FlatSequences, LabelledBatches
from skseqmetric._cross_modal._batches import CrossModalBatches, Pairing
from skseqmetric._cross_modal._labels import led, numbered, without_lead
from skseqmetric._cross_modal._objective import Course
from skseqmetric._ops.ctc import beam_decode, greedy_decode
from skseqmetric._validation import check_sequences
from skseqmetric.metrics import character_error_rate, neg_character_error_rate_scorer

SMALL: dict[str, Any] = {
    "n_components": 6, "n_filters": 12, "n_units": 12, "max_epochs": 2, "min_batches": 3, "batch_size": 8,
    "learning_rate": 0.01, "random_state": 0,
}  # fmt: skip
PARTS = ("series_loss", "cross_loss")
CENTRES = np.array([[2.0, 0.0], [0.0, 2.0], [-2.0, -2.0]])
Data = tuple[list[np.ndarray], list[str], np.ndarray]


@pytest.fixture(scope="module")
def words() -> Data:
    """30 words of two to four of the symbols a, b, c: segments around a point each, and images of four cells."""
    rng = np.random.default_rng(4)
    codes = [rng.integers(3, size=n) for n in rng.permutation(np.repeat([2, 3, 4], 10))]
    X = [np.concatenate([segment(k, rng) for k in word]) for word in codes]
    return X, ["".join("abc"[k] for k in word) for word in codes], np.stack([picture(word, rng) for word in codes])


def segment(k: int, rng: np.random.Generator) -> np.ndarray:
    """Steps that come from 0 and go back there, so that a symbol is told from the same symbol twice."""
    n = int(rng.integers(12, 17))
    return np.sin(np.pi * np.arange(n) / n)[:, None] * CENTRES[k] + 0.05 * rng.normal(size=(n, 2))


def picture(codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    image = rng.uniform(0, 0.3, size=(9, 16)).astype(np.float32)
    for place, k in enumerate(codes):
        image[3 * k : 3 * k + 3, 4 * place : 4 * place + 4] += 0.7
    return image


def small(**settings: Any) -> CrossModalTranscriber:
    return CrossModalTranscriber(**{**SMALL, **settings})


def equal(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


# ------------------------------------------------------------------------------------------------------------ learning


@pytest.mark.parametrize("given", ["nothing", "images", "pool"])
def test_learns_to_read(words: Data, given: str) -> None:
    X, y, images = words
    beside = {"nothing": {}, "images": {"images": images}, "pool": {"images": images[::-1], "image_labels": y[::-1]}}
    reader = small(max_epochs=40).fit(X, y, **beside[given])
    assert reader.score(X, y) > 0.9
    assert list(reader.symbols_) == list(reader.classes_) == ["a", "b", "c"]
    assert reader.label_kind_ == "string"
    assert all(type(label) is str for label in reader.predict(X))
    assert reader.transform(X).shape == (30, 6)
    parts = set() if given == "nothing" else set(PARTS)
    assert set(reader.history_[0]) == {"epoch", "train_loss", "dur"} | parts
    if parts:
        row = reader.history_[-1]
        np.testing.assert_allclose(row["train_loss"], (row["series_loss"] + row["cross_loss"]) / 2, rtol=1e-5)
        distances = np.linalg.norm(reader.transform(X)[:, None] - reader.transform_images(images), axis=2)
        same = np.array(y)[:, None] == np.array(y)
        assert distances[same].mean() < 0.75 * distances[~same].mean()  # 1.0 without the cross term
        order = np.arange(30)[::-1] if given == "pool" else np.arange(30)
        assert np.array_equal(reader.kneighbors(X, 1)[1][:, 0], distances[:, order].argmin(axis=1))
        assert reader.kneighbors(images=images, n_neighbors=2)[1].shape == (30, 2)
        np.testing.assert_allclose(np.linalg.norm(reader.transform_images(images), axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("symbols", [[3, 10, -1], ["sh", "a", "ch"], [(0, 1), (1, 0), (0, 0)]])
def test_symbols_of_any_kind_come_back_as_lists(words: Data, symbols: list[Any]) -> None:
    X, y, _ = words
    labels = [[symbols["abc".index(s)] for s in word] for word in y]
    reader = small(max_epochs=40).fit(X, labels)
    assert list(reader.symbols_) == sorted(symbols)
    assert reader.score(X, labels) > 0.9
    predicted = reader.predict(X)
    assert all(type(label) is list for label in predicted)
    assert {type(s) for label in predicted for s in label} == {type(symbols[0])}


def test_labels_as_arrays_are_those_as_lists(words: Data) -> None:
    X, y, _ = words
    lists = [["abc".index(s) for s in word] for word in y]
    of_lists, of_arrays = small().fit(X, lists), small().fit(X, [np.array(label) for label in lists])
    assert equal(of_arrays.predict_log_proba(X), of_lists.predict_log_proba(X))
    assert {type(s) for s in of_arrays.symbols_} == {int}
    texts = small().fit(X, np.array(y))
    assert texts.label_kind_ == "string"
    assert equal(texts.predict_log_proba(X), of_lists.predict_log_proba(X))


def test_predictions_are_decoded_log_probabilities(words: Data) -> None:
    X, y, _ = words
    reader = small(max_epochs=6).fit(X, y)
    log_probs = reader.predict_log_proba(X)
    assert [rows.shape for rows in log_probs] == [(-(-len(x) // 4), 4) for x in X]
    for rows in log_probs:
        np.testing.assert_allclose(np.exp(rows.astype(float)).sum(axis=1), 1, rtol=1e-5)
    for decoding, width in (("greedy", 10), ("beam", 2), ("beam", 10)):
        reader.set_params(decoding=decoding, beam_width=width)
        expected = []
        for rows in log_probs:
            batch = torch.from_numpy(rows)[None], torch.tensor([len(rows)])
            codes = greedy_decode(*batch) if decoding == "greedy" else beam_decode(*batch, width)
            expected.append("".join("abc"[k - 1] for k in codes[0]))
        assert reader.predict(X) == expected
    for wrong in ({"decoding": "guess"}, {"decoding": "beam", "beam_width": 0}):
        with pytest.raises(ValueError, match="parameter of CrossModalTranscriber"):
            clone(reader).set_params(**wrong).fit(X, y)
        with pytest.raises(ValueError, match="parameter of CrossModalTranscriber"):
            copy.deepcopy(reader).set_params(**wrong).predict(X)


def test_score_is_one_minus_the_character_error_rate(words: Data) -> None:
    X, y, _ = words
    reader = small(max_epochs=20).fit(X, y)
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
    reader = small(max_epochs=40).fit([*X, *silence], [*y, *[""] * 10])
    assert reader.predict(silence) == [""] * 10
    assert reader.score(X, y) > 0.9


@pytest.mark.parametrize("loss", ["pair", "contrastive", "triplet"])
@pytest.mark.parametrize("distance", ["cosine", "kl", "mmd"])
def test_losses_train(words: Data, loss: str, distance: str) -> None:
    X, y, images = words
    reader = small(loss=loss, distance=distance).fit(X, y, images=images)
    assert np.isfinite([row[part] for row in reader.history_ for part in PARTS]).all()


def test_parameters_of_the_loss_change_what_is_learned(words: Data) -> None:
    X, y, images = words
    plain = small().fit(X, y, images=images).transform(X)
    for other in (
        {"margin": 0.1}, {"beta": 0.5}, {"curriculum": False}, {"loss_weights": (1, 3)}, {"loss": "pair"},
        {"loss_weights": "dynamic", "max_epochs": 4},
    ):  # fmt: skip
        assert not np.array_equal(small(**other).fit(X, y, images=images).transform(X), plain)


def test_bfloat16(words: Data) -> None:
    X, y, images = words
    assert small(precision="bfloat16", max_epochs=40).fit(X, y, images=images).score(X, y) > 0.9


# ------------------------------------------------------------------------------------------------------------ CTC loss


def collapsed(path: tuple[int, ...]) -> list[int]:
    return [k for i, k in enumerate(path) if k and (i == 0 or path[i - 1] != k)]


def padded(labels: list[list[int]]) -> Tensor:
    lead = led([np.array(label, dtype=np.int64) for label in labels])
    return lead.to(torch.device("cpu"))[torch.arange(len(labels))]


def test_loss_is_the_sum_over_all_paths_per_symbol() -> None:
    labels = [[1, 2], [], [1, 1], [2]]
    steps = torch.tensor([4, 3, 3, 1])
    logits = torch.randn(4, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    losses = small()._task_loss(logits, steps, padded(labels))
    for logit, n, label, loss in zip(logits.detach(), steps.tolist(), labels, losses.tolist(), strict=True):
        probs = logit[:n].softmax(1).numpy()
        total = sum(
            np.prod(probs[np.arange(n), path]) for path in product(range(3), repeat=n) if collapsed(path) == label
        )
        np.testing.assert_allclose(loss, -np.log(total) / max(len(label), 1), rtol=1e-12)
    losses.sum().backward()
    valid = torch.arange(4) < steps[:, None]
    assert (logits.grad[~valid] == 0).all()
    assert (logits.grad[valid].abs().sum(1) > 0).all()
    assert torch.autograd.gradcheck(lambda z: small()._task_loss(z, steps, padded(labels)), logits)


def test_loss_of_empty_labels_alone() -> None:
    logits = torch.zeros(2, 3, 4, requires_grad=True)
    losses = small()._task_loss(logits, torch.tensor([3, 2]), padded([[], []]))
    np.testing.assert_allclose(losses.tolist(), [3 * np.log(4), 2 * np.log(4)], rtol=1e-6)
    losses.sum().backward()
    assert torch.isfinite(logits.grad).all()


def test_labels_are_led_so_that_empty_ones_have_a_row() -> None:
    codes = [np.array(label, dtype=np.int64) for label in ([], [2, 1], [], [3], [])]
    labels = led(codes)
    assert equal(without_lead(labels), codes)
    assert equal(without_lead(labels[np.array([3, 0, 4])]), [codes[3], codes[0], codes[4]])
    assert padded([[], [2, 1]]).tolist() == [[-1, -1, -1], [-1, 2, 1]]
    distinct, places = numbered(codes)
    assert [label.tolist() for label in distinct] == [[], [2, 1], [3]]
    assert places.tolist() == [0, 1, 0, 2, 0]


# ---------------------------------------------------------------------------------------------------------- negatives


def batches_of(labels: list[str], curriculum: bool = False, max_epochs: int = 5) -> CrossModalBatches:
    """One batch of all labels, each with the image that its number is written into."""
    reader, n = small(), len(labels)
    sequences = check_sequences(np.zeros((n, 80, 1)))
    classes, codes = reader._check_targets(labels, sequences, None)
    images = np.broadcast_to(np.arange(n, dtype=np.float32)[:, None, None], (n, 8, 8))
    given = type("Given", (), {"images": images, "labels": None})()
    pool = reader._check_beside(given, classes, codes, continued=False)
    flat = FlatSequences.from_sequences(sequences, np.zeros(1), np.ones(1), torch.device("cpu"))
    series = LabelledBatches(
        flat, codes.to(torch.device("cpu")), torch.ones(n), lambda: [np.arange(n)], lambda values, _: values
    )
    course = Course(PARTS, "equal", earlier=[], epoch=0, max_epochs=max_epochs, curriculum=curriculum)
    pairing = Pairing(
        pool, reader._label_distances(classes, pool), course, np.random.default_rng(0), reader._choosing_distances(pool)
    )
    return CrossModalBatches(series, pairing)


def chosen(batches: CrossModalBatches, n_epochs: int) -> list[set[tuple[int, float]]]:
    """For each sequence its negatives in some epochs, with the label distances that margins follow."""
    rows = [next(iter(batches)) for _ in range(n_epochs)]
    pairs = [zip(row["negatives"].tolist(), row["apart"].tolist(), strict=True) for row in rows]
    return [set(column) for column in zip(*pairs, strict=True)]


def test_negatives_have_the_length_of_the_label_and_margins_its_edit_distance() -> None:
    labels = ["abc", "bca", "abd", "abc", "a", "xyzwv"]
    batches = batches_of(labels)
    found = chosen(batches, 60)
    # three exchanges turn abc into bca, but two edits
    assert found[0] == found[3] == {(1, 2.0), (2, 1.0)}
    assert found[1] == {(0, 2.0), (2, 3.0), (3, 2.0)}
    # none of its length: by edit distance
    assert {i for i, _ in found[4]} == {0, 1, 2, 3, 5}
    assert (5, 5.0) in found[4]
    assert (0, 2.0) in found[4]
    np.testing.assert_array_equal(next(iter(batches))["images"][:, 0, 0, 0], np.arange(6))


def test_curriculum_takes_far_negatives_first() -> None:
    labels = ["aaaaaa", "aaaaab", "aaabbb", "bbbbbb"]
    distances = [max(d for _, d in chosen(batches_of(labels, curriculum=True), 1)[0]) for _ in range(10)]
    assert set(distances) == {6.0}  # the first epoch of five
    batches = batches_of(labels, curriculum=True)
    for _ in batches, batches, batches, batches:  # each a whole epoch
        list(batches)
    assert {d for _, d in chosen(batches, 30)[0]} == {1.0, 3.0, 6.0}


def test_a_batch_of_one_label_has_no_negative() -> None:
    assert chosen(batches_of(["ab", "ab"]), 3) == [{(-1, 0.0)}, {(-1, 0.0)}]


# --------------------------------------------------------------------------------------------------- a set, not a list


@pytest.mark.parametrize("pool", [False, True])
def test_order_of_the_data_does_not_matter(words: Data, pool: bool) -> None:
    X, y, images = words
    turned, turned_pool = np.random.default_rng(0).permuted(np.tile(np.arange(30), (2, 1)), axis=1)
    reader = small().fit(X, y, images=images, image_labels=y if pool else None)
    order = turned_pool if pool else turned
    other = small().fit(
        [X[i] for i in turned], [y[i] for i in turned],
        images=images[order], image_labels=[y[i] for i in order] if pool else None,
    )  # fmt: skip
    assert equal(reader.predict_log_proba(X), other.predict_log_proba(X))
    assert np.array_equal(reader.transform_images(images), other.transform_images(images))


@pytest.mark.parametrize("with_images", [False, True])
def test_weights_are_repetitions(words: Data, with_images: bool) -> None:
    X, y, images = words
    weights = np.where(np.arange(30) % 3 == 0, 2.0, np.where(np.arange(30) % 5 == 1, 0.0, 1.0))
    rows = np.repeat(np.arange(30), weights.astype(int))
    beside, repeated = ({"images": images}, {"images": images[rows]}) if with_images else ({}, {})
    weighted = small().fit(X, y, weights, **beside)
    other = small().fit([X[i] for i in rows], [y[i] for i in rows], **repeated)
    assert equal(weighted.predict_log_proba(X), other.predict_log_proba(X))
    assert not equal(weighted.predict_log_proba(X), small().fit(X, y, **beside).predict_log_proba(X))


def test_images_of_other_labels_are_not_used(words: Data) -> None:
    X, y, images = words
    more = np.r_[images, images[:4]], [*y, "cccccc", "?", "", "abcabc"]
    reader = small().fit(X, y, images=images, image_labels=y)
    other = small().fit(X, y, images=more[0], image_labels=more[1])
    assert np.array_equal(reader.transform_images(images), other.transform_images(images))
    assert other.kneighbors(X, 34)[1].shape == (30, 34)


# ------------------------------------------------------------------------------------------------------------- refusals


def altered(y: list[str], i: int, label: Any) -> list[Any]:
    return [*y[:i], label, *y[i + 1 :]]


@pytest.mark.parametrize(
    ("spoil", "given", "error", "message"),
    [
        (lambda y: None, {}, ValueError, "the target y is None"),
        (lambda y: "abc", {}, TypeError, "y is one string"),
        (lambda y: y[:-1], {}, ValueError, "y has 29 labels, but X has 30 sequences"),
        (lambda y: np.arange(30), {}, TypeError, r"y\[0\] must be a string or a list of symbols, got int64"),
        (lambda y: altered(y, 3, None), {}, TypeError, r"y\[3\] must be .* got NoneType"),
        (lambda y: altered(y, 3, ["a"]), {}, TypeError, r"y\[0\] is a string and y\[3\] is not"),
        (lambda y: [[[s]] for s in y], {}, TypeError, r"y\[0\] must be .* hashable symbols: unhashable"),
        (lambda y: [[1, "a"] for _ in y], {}, TypeError, "kinds that can be sorted"),
        (lambda y: [[1.0, np.nan] for _ in y], {}, ValueError, "nan, which does not equal itself"),
        (lambda y: [""] * 30, {}, ValueError, "y has no symbol"),
        (lambda y: y, {"images": np.zeros((20, 9, 16))}, ValueError, "Got 20 images for 30 sequences"),
        (lambda y: y, {"image_labels": ["a"]}, ValueError, "image_labels are given without images"),
        (
            lambda y: y, {"images": np.zeros((4, 9, 16)), "image_labels": ["a", "b"]}, ValueError,
            "image_labels has 2 labels, but there are 4 images",
        ),
        (
            lambda y: altered(y, 7, "bbbb"), {"images": np.zeros((29, 9, 16)), "image_labels": "without the 7th"},
            ValueError, "label 'bbbb' has sequences but no image",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_leaves_what_was_there(
    words: Data, spoil: Any, given: dict[str, Any], error: type[Exception], message: str
) -> None:
    X, y, images = words
    if given.get("image_labels") == "without the 7th":
        given = {**given, "image_labels": y[:7] + y[8:]}
    with pytest.raises(error, match=message):
        small().fit(X, spoil(y), **given)
    reader = small().fit(X, y, images=images)
    before, state = reader.predict_log_proba(X), dict(vars(reader))
    with pytest.raises(error, match=message):
        reader.fit([np.c_[x, x] for x in X], spoil(y), **given)
    assert vars(reader) == state
    assert equal(reader.predict_log_proba(X), before)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("warm_start", [False, True])
def test_a_label_that_does_not_fit_is_refused(words: Data, method: str, warm_start: bool) -> None:
    X, y, _ = words
    reader = small(warm_start=warm_start).fit(X, y)
    before = reader.predict_log_proba(X)
    short = [*X[:5], X[5][:17], *X[6:]]
    getattr(copy.deepcopy(reader), method)(short, altered(y, 5, "abcab"))
    message = r"y\[5\] does not fit: its 4 symbols take 6 steps .* sequence 5 has 17 steps, .* leaves 5\."
    with pytest.raises(ValueError, match=message):
        getattr(reader, method)(short, altered(y, 5, "aabb"))
    assert equal(reader.predict_log_proba(X), before)
    assert reader.n_iter_ == 2


def test_not_fitted(words: Data) -> None:
    X, _, images = words
    for call in (
        lambda: small().predict(X), lambda: small().predict_log_proba(X), lambda: small().transform_images(images),
    ):  # fmt: skip
        with pytest.raises(NotFittedError):
            call()
    assert not hasattr(small(), "symbols_")


# --------------------------------------------------------------------------------------------------------- in parts


def test_partial_fit_goes_on_with_the_symbols_of_the_first_call(words: Data) -> None:
    X, y, images = words
    reader = small().partial_fit(X[:10], y[:10], "abcd", images=images[:10])
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
    with pytest.raises(ValueError, match="single characters; 'sh' is none"):
        small().partial_fit(X[:2], ["a", "b"], ["a", "b", "sh"])
    assert equal(reader.predict_log_proba(X), before)
    numbers = small().partial_fit(X[:2], [[1], [2]], np.array([2, 1, 7]))
    assert list(numbers.symbols_) == [1, 2, 7]
    assert list(small().partial_fit(X, y).symbols_) == ["a", "b", "c"]


def test_warm_start_goes_on(words: Data) -> None:
    X, y, images = words
    reader = small(warm_start=True).fit(X, y, images=images)
    first = reader.history_[0]["train_loss"]
    reader.fit(X[:20], y[:20], images=images[:20])
    assert reader.n_iter_ == 4
    assert reader.history_[2]["train_loss"] < first
    with pytest.raises(ValueError, match=r"y\[0\] has the symbol 'z'"):
        reader.fit(X, altered(y, 0, "z"), images=images)
    alone = small(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="first fitted without images"):
        alone.fit(X, y, images=images)


class Interrupt(Callback):
    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        if len(net.history) > 2:
            raise KeyboardInterrupt


def test_interrupted_training_can_be_used(words: Data) -> None:
    X, y, images = words
    with pytest.warns(ConvergenceWarning, match="interrupted in epoch 3 of 30"):
        reader = small(max_epochs=30, callbacks=[Interrupt()]).fit(X, y, images=images)
    assert reader.n_iter_ == 2
    assert len(reader.predict(X)) == 30


def test_early_stopping_on_the_loss_of_held_out_sequences(words: Data) -> None:
    X, y, images = words
    reader = small(early_stopping=True, validation_fraction=0.3)
    reader.fit(X, y, groups=np.arange(30) // 3, images=images)
    assert {*PARTS, "valid_loss"} < set(reader.history_[0])


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

    reader = small(max_epochs=12).set_callbacks(Watch()).fit(X, y)
    assert len(scores) == 13
    assert scores[-1] == reader.score(X, y) > scores[0]


# -------------------------------------------------------------------------------------------------- inside scikit-learn


def test_in_a_pipeline_and_a_grid_search(words: Data) -> None:
    X, y, images = words
    pipe = make_pipeline(FunctionTransformer(), small(max_epochs=40))
    pipe.fit(X, y, crossmodaltranscriber__images=images)
    assert pipe.score(X, y) > 0.9
    assert pipe[-1].image_shape_ == (1, 9, 16)
    search = GridSearchCV(small(), {"n_units": [4, 8]}, cv=2, error_score="raise").fit(X, y, images=images)
    assert len(search.predict(X)) == 30
    assert search.best_estimator_.kneighbors(X, 1)[1].shape == (30, 1)
    lists = [list(word) for word in y]
    pool = GridSearchCV(small(), {"n_units": [4]}, scoring=neg_character_error_rate_scorer, cv=2, error_score="raise")
    pool.fit(X, lists, images=np.r_[images, images[:1]], image_labels=[*lists, ["?"]])
    assert pool.predict(X[:1])[0] == pool.best_estimator_.predict(X[:1])[0]


def test_images_are_routed(words: Data) -> None:
    X, y, images = words
    with config_context(enable_metadata_routing=True):
        scores = cross_val_score(small().set_fit_request(images=True), X, y, params={"images": images}, cv=2)
    assert np.isfinite(scores).all()


def test_pickled_copied_and_cloned(words: Data) -> None:
    X, y, images = words
    reader = small(series_encoder=EverySecond()).fit(X, y, images=images, image_labels=y)
    for again in (pickle.loads(pickle.dumps(reader)), copy.deepcopy(reader)):
        assert equal(again.predict_log_proba(X), reader.predict_log_proba(X))
        assert np.array_equal(again.kneighbors(X, 2)[0], reader.kneighbors(X, 2)[0])
        assert again.predict(X) == reader.predict(X)
    fresh = clone(reader).fit(X, y, images=images, image_labels=y)
    assert equal(fresh.predict_log_proba(X), reader.predict_log_proba(X))
    assert list(reader.get_feature_names_out())[:2] == ["crossmodaltranscriber0", "crossmodaltranscriber1"]


def test_threads_share_one_fitted_estimator(words: Data) -> None:
    X, y, _ = words
    reader = small(max_epochs=10, decoding="beam").fit(X, y)
    state, expected = dict(vars(reader)), reader.predict(X)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: reader.predict(X), range(16)))
    assert all(answer == expected for answer in answers)
    assert vars(reader) == state


def test_input_is_not_changed(words: Data) -> None:
    X, y, images = copy.deepcopy(words)
    small().fit(X, y, images=images)
    assert equal(X, words[0])
    assert y == words[1]
    assert np.array_equal(images, words[2])


# ------------------------------------------------------------------------------------------------------- user's modules


class EverySecond(nn.Module):
    """Sequences (B, T, 2) to features of every second step but the last `fewer` ones."""

    def __init__(self, fewer: int = 0) -> None:
        super().__init__()
        self.fewer = fewer
        self.layer = nn.utils.skip_init(nn.Linear, 2, 100)
        nn.init.normal_(self.layer.weight, generator=torch.Generator().manual_seed(0))
        nn.init.zeros_(self.layer.bias)

    def forward(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        return torch.tanh(self.layer(values[:, ::2])), ((lengths + 1) // 2 - self.fewer).clamp_min(1)


class OnlyFeatures(nn.Module):
    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        return values


def test_an_encoder_of_the_user_reads(words: Data) -> None:
    X, y, images = words
    reader = small(series_encoder=EverySecond(), max_epochs=60).fit(X, y, images=images)
    assert reader.score(X, y) > 0.7
    assert [len(rows) for rows in reader.predict_log_proba(X)] == [(len(x) + 1) // 2 for x in X]


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_steps_of_an_encoder_of_the_user_are_found_by_running_it(words: Data, method: str) -> None:
    X, y, _ = words
    short = [*X[:5], X[5][:16], *X[6:]]
    for encoder, fits, left in ((EverySecond(), "abcabcab", 8), (EverySecond(3), "abcab", 5)):
        reader = getattr(small(series_encoder=encoder, warm_start=True), method)(short, altered(y, 5, fits))
        for again in (reader, small(series_encoder=encoder)):
            with pytest.raises(ValueError, match=rf"sequence 5 has 16 steps, of which .* leaves {left}\."):
                getattr(again, method)(short, altered(y, 5, fits + "c"))
    with pytest.raises(ValueError, match=r"series_encoder must return \(features, lengths\)"):
        getattr(small(series_encoder=OnlyFeatures()), method)(X, y)


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
