"""Makers of sequences with images: fields by hand, sines by their equation, words by their parts."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from skseqmetric import check_images, check_sequences
from skseqmetric.datasets import gramian_angular_field, make_sine_images, make_sine_words, make_words
from tests.test_render_trajectory import slow_picture

# ----------------------------------------------------------------------------------- Gramian angular field


def test_field_by_hand() -> None:
    # pieces [0, 1], [2, 3], [4, 5]: means 0.5, 2.5, 4.5, rescaled to -1, 0, 1; angles pi, pi/2, 0
    field = gramian_angular_field([0, 1, 2, 3, 4, 5], 3)
    np.testing.assert_array_equal(field, np.array([[1, 0, -1], [0, -1, 0], [-1, 0, 1]], dtype=np.float32), strict=True)


def test_field_is_the_cosine_of_the_sum_of_angles(rng: np.random.Generator) -> None:
    x = rng.normal(size=9)
    low, high = min(x), max(x)
    scaled = [2 * (v - low) / (high - low) - 1 for v in x]
    expected = [[a * b - np.sqrt(1 - a * a) * np.sqrt(1 - b * b) for b in scaled] for a in scaled]
    field = gramian_angular_field(x[:, np.newaxis], 9)
    np.testing.assert_allclose(field, expected, atol=1e-6)
    angles = np.arccos(np.clip(scaled, -1, 1))
    np.testing.assert_allclose(field, np.cos(angles[:, np.newaxis] + angles), atol=1e-6)


def test_pieces_share_the_steps_on_their_borders() -> None:
    # five steps in two pieces: the third counts half in each
    x = np.array([3.0, 1.0, 4.0, 1.0, 5.0])
    means = [(3 + 1 + 2) / 2.5, (2 + 1 + 5) / 2.5]
    assert means[0] < means[1]
    np.testing.assert_allclose(gramian_angular_field(x, 2), [[1, -1], [-1, 1]], atol=1e-6)
    # and in three, with means 3 + 2/3, 1/3 + 4 + 1/3, 2/3 + 5 over 5/3: rescaled by hand
    means3 = np.array([3 + 2 / 3, 1 / 3 + 4 + 1 / 3, 2 / 3 + 5]) / (5 / 3)
    t = 2 * (means3 - means3[0]) / (means3[2] - means3[0]) - 1
    np.testing.assert_allclose(np.diag(gramian_angular_field(x, 3)), 2 * t**2 - 1, atol=1e-6)


@given(st.integers(0, 999), st.integers(1, 40), st.integers(1, 40))
def test_fields_are_symmetric_and_bounded(seed: int, n_steps: int, size: int) -> None:
    field = gramian_angular_field(np.random.default_rng(seed).normal(size=n_steps), size)
    assert field.shape == (size, size)
    np.testing.assert_array_equal(field, field.T)
    assert np.abs(field).max() <= 1


def test_field_of_a_larger_size_repeats_steps(rng: np.random.Generator) -> None:
    x = rng.normal(size=5)
    expected = np.repeat(np.repeat(gramian_angular_field(x, 5), 3, axis=0), 3, axis=1)
    np.testing.assert_allclose(gramian_angular_field(x, 15), expected, atol=1e-6)


@given(st.floats(-1e6, 1e6), st.integers(1, 30), st.integers(1, 30))
def test_a_constant_series_has_the_field_minus_one(value: float, n_steps: int, size: int) -> None:
    field = gramian_angular_field(np.full(n_steps, value), size)
    np.testing.assert_array_equal(field, np.full((size, size), -1, np.float32), strict=True)


@pytest.mark.parametrize(
    ("series", "size", "message"),
    [
        (np.zeros((3, 2)), 4, "series has shape (3, 2)"),
        ([], 4, "series has shape (0,)"),
        (1.0, 4, "series has shape ()"),
        ([0.0, 1.0, np.nan], 4, "series: step 2 is NaN"),
        ([0.0, 1.0], 0, "size=0 must be at least 1"),
    ],
)
def test_bad_series_are_refused(series: Any, size: int, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        gramian_angular_field(series, size)


# --------------------------------------------------------------------------------------------------- sines


def test_sine_images_have_the_shapes_asked_for() -> None:
    X, y, images = make_sine_images(3, n_classes=4, n_steps=50, image_size=16, random_state=0)
    assert X.shape == (12, 50, 1)
    assert X.dtype == np.float64
    assert images.shape == (12, 16, 16)
    assert images.dtype == np.float32
    assert np.bincount(y).tolist() == [3] * 4
    assert y.dtype == np.int64
    assert y.tolist() != sorted(y.tolist())
    assert check_images(images, n_expected=len(check_sequences(X))).shape == (1, 16, 16)


def test_without_noise_a_sine_solves_its_difference_equation() -> None:
    X, y, _ = make_sine_images(5, noise=0, spacing=3.0, random_state=0)
    x = X[:, :, 0]
    turn = 2 * np.cos(2 * np.pi * (10 + 3.0 * y) / 1000)[:, np.newaxis]
    np.testing.assert_allclose(x[:, 2:] + x[:, :-2], turn * x[:, 1:-1], atol=1e-12)
    assert np.abs(x).max() <= 1
    assert len(set(x[:, 0].tolist())) == len(x)  # phases of their own


def test_noise_is_uniform_above_the_sine() -> None:
    clean = make_sine_images(20, n_classes=2, noise=0.0, image_noise=0.0, random_state=3)[0]
    noisy = make_sine_images(20, n_classes=2, noise=1.9, image_noise=0.0, random_state=3)[0]
    added = noisy - clean  # 8,000 values
    assert 0 <= added.min() < 0.01
    assert 1.89 < added.max() < 1.9
    assert np.abs(np.histogram(added, bins=4, range=(0, 1.9))[0] - 2000).max() < 200


def test_images_are_of_another_draw_of_their_class() -> None:
    X, y, images = make_sine_images(10, n_classes=2, noise=0, spacing=30.0, image_size=50, random_state=0)
    own = np.stack([gramian_angular_field(x, 50) for x in X])
    assert all(np.abs(a - b).max() > 0.1 for a, b in zip(own, images, strict=True))
    spectra = np.abs(np.fft.rfft(images - images.mean(axis=(1, 2), keepdims=True), axis=2)).mean(axis=1)
    model = KNeighborsClassifier(1).fit(spectra[:10], y[:10])
    assert model.score(spectra[10:], y[10:]) == 1.0


def test_image_noise_is_its_own() -> None:
    silent, same, noisy = (
        make_sine_images(2, random_state=0, image_size=8, noise=noise, image_noise=image_noise)[2]
        for noise, image_noise in ((0.0, None), (1.9, 0.0), (1.9, None))
    )
    np.testing.assert_array_equal(silent, same)
    assert np.abs(noisy - same).max() > 0.2


def test_sine_words_are_segments_of_their_symbols() -> None:
    X, words, images = make_sine_words(
        20, n_classes=12, length=(2, 4), noise=0, spacing=7.0, n_steps=30, image_size=24, random_state=0
    )
    assert images.shape == (20, 24, 24)
    assert images.dtype == np.float32
    assert {len(w) for w in words} == {2, 3, 4}
    assert "b" in "".join(words)
    for x, word in zip(X, words, strict=True):
        segments = x.reshape(len(word), 30)
        for segment, symbol in zip(segments, word, strict=True):
            turn = 2 * np.cos(2 * np.pi * (10 + 7.0 * int(symbol, 36)) / 1000)
            np.testing.assert_allclose(segment[2:] + segment[:-2], turn * segment[1:-1], atol=1e-12)


def test_segments_have_the_steps_asked_for() -> None:
    X, words, _ = make_sine_words(200, length=1, n_steps=(10, 12), image_size=4, random_state=0)
    assert {len(x) for x in X} == {10, 11, 12}
    assert {len(w) for w in words} == {1}
    assert set(words) == set("0123456789")


MAKERS: list[Callable[[Any], tuple[Any, ...]]] = [
    lambda r: make_sine_images(2, n_classes=3, image_size=8, random_state=r),
    lambda r: make_sine_words(5, image_size=8, random_state=r),
    lambda r: make_words(*pen_symbols(), n_words=5, random_state=r),
]


@pytest.mark.parametrize("make", MAKERS)
def test_makers_repeat_and_differ(make: Callable[[Any], tuple[Any, ...]]) -> None:
    first, second = make(5), make(5)
    for a, b in zip(first, second, strict=True):
        for x, z in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, z, strict=True)
    generators = [make(np.random.default_rng(5)), make(np.random.RandomState(5)), make(6), make(None)]
    for other in generators[1:]:
        assert not np.array_equal(first[-1], other[-1]) or not np.array_equal(first[0][0], other[0][0])
    np.testing.assert_array_equal(generators[0][0][0], first[0][0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_per_class": 0}, "n_per_class=0 must be at least 1"),
        ({"n_classes": 0}, "n_classes=0 must be at least 1"),
        ({"n_steps": 1}, "n_steps=1 must be at least 2"),
        ({"image_size": 0}, "image_size=0 must be at least 1"),
        ({"noise": -0.1}, "noise=-0.1 must be finite and >= 0"),
        ({"image_noise": np.inf}, "image_noise=inf must be finite and >= 0"),
        ({"spacing": 0}, "spacing=0 must be finite and > 0"),
        ({"spacing": 60.0}, "spacing=60.0 gives class 9 the frequency 550, but it must be below 500"),
    ],
)
def test_ranges_of_sine_images_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make_sine_images(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_words": 0}, "n_words=0 must be at least 1"),
        ({"n_classes": 37}, "n_classes=37 must be 1 to 36"),
        ({"length": (3, 2)}, "length=(3, 2) must be 1 <= least <= largest"),
        ({"length": 0}, "length=(0, 0) must be 1"),
        ({"n_steps": (0, 5)}, "n_steps=(0, 5) must be 1"),
        ({"image_size": 0}, "image_size=0"),
        ({"noise": np.nan}, "noise=nan must be finite"),
    ],
)
def test_ranges_of_sine_words_are_checked(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make_sine_words(**arguments)


# --------------------------------------------------------------------------------------------------- words


def pen_symbols() -> tuple[list[np.ndarray], list[str], list[str]]:
    """Three symbols of two writers each, the second writing twice as large; "+" has two strokes, "." one point."""
    one = np.array([[5.0, 0, 1], [5, 4, 1]])
    plus = np.array([[0.0, 2, 1], [4, 2, 1], [2, 4, 2], [2, 0, 2]])
    dot = np.array([[7.0, 0, 4]])
    drawn = [one, plus, dot]
    return drawn + [x * [2, 2, 1] for x in drawn], list("1+.1+."), ["a"] * 3 + ["b"] * 3


def test_words_are_symbols_of_one_writer_side_by_side() -> None:
    trajectories, symbols, writers = pen_symbols()
    X, words, images, who = make_words(
        trajectories, symbols, writers, n_words=40, length=(2, 5), gap=(0.25, 0.25), random_state=0
    )
    assert len(X) == len(words) == len(images) == len(who) == 40
    assert {len(w) for w in words} == {2, 3, 4, 5}
    assert set(who) == {"a", "b"}
    for x, word, writer in zip(X, words, who, strict=True):
        unit = {"a": 1.0, "b": 2.0}[writer]
        expected, x0 = [], 0.0
        for symbol in word:
            glyph = trajectories[symbols.index(symbol)]
            new = np.append(True, np.diff(glyph[:, 2]) != 0)
            moved = (glyph[:, 0] - glyph[:, 0].min()) * unit + x0
            expected.append(np.column_stack([moved, glyph[:, 1] * unit, new]))
            x0 = moved.max() + 0.25 * 4 * unit  # the median size of a writer's symbols is 4 units
        np.testing.assert_allclose(x, np.concatenate(expected), atol=1e-12)
    assert len(check_sequences(X)) == 40


def test_word_images_are_drawn_from_the_left() -> None:
    X, words, images, who = make_words(*pen_symbols(), n_words=5, length=(2, 6), image_height=25, random_state=1)
    assert ".." in words  # two dots: not blown up to the width of the strip
    assert images.shape == (5, 25, 113)
    assert images.dtype == np.float32
    for x, image, writer in zip(X, images, who, strict=True):
        size = {"a": 4.0, "b": 8.0}[writer]
        expected = slow_picture(x[:, :2], np.cumsum(x[:, 2]), (25, 113), w=2.0, margin=2.5, glyph_size=size)
        np.testing.assert_allclose(image, expected, atol=1e-6)


def test_a_word_that_is_too_wide_is_made_smaller() -> None:
    images = make_words(*pen_symbols(), n_words=10, length=6, image_width=40, random_state=1)[2]
    assert images.shape == (10, 28, 40)
    assert images[:, :, -2:].max() == 0
    assert (images.max(axis=(1, 2)) > 0.9).all()


def test_gaps_are_within_their_range() -> None:
    bars = [np.array([[0.0, 0.0], [0.0, 10.0]])]
    X = make_words(bars, ["|"], [0], n_words=200, length=2, gap=(0.1, 0.3), random_state=0)[0]
    gaps = np.array([x[2, 0] - x[1, 0] for x in X])
    assert 1 <= gaps.min() < 1.1
    assert 2.9 < gaps.max() <= 3


def test_labels_of_several_letters_stay_lists() -> None:
    bars = [np.array([[0.0, 0.0], [0.0, 1.0]])] * 2
    words = make_words(bars, ["alpha", "beta"], [0, 0], n_words=30, length=2, random_state=0)[1]
    assert {tuple(w) for w in words} == {(a, b) for a in ("alpha", "beta") for b in ("alpha", "beta")}
    numbers = make_words(bars, np.array([3, 4]), [0, 0], n_words=3, length=2, random_state=0)[1]
    assert all(isinstance(w, list) and set(w) <= {3, 4} for w in numbers)


def test_all_writers_and_symbols_are_drawn_alike() -> None:
    _, words, _, who = make_words(*pen_symbols(), n_words=900, length=2, image_height=8, random_state=0)
    assert abs(np.mean(who == "a") - 0.5) < 0.06
    text = "".join(words)
    assert all(abs(text.count(s) / len(text) - 1 / 3) < 0.05 for s in "1+.")


BAR = np.array([[0.0, 0.0], [0.0, 1.0]])


@pytest.mark.parametrize(
    ("data", "arguments", "message"),
    [
        (([], [], []), {}, "Got 0 trajectories, 0 symbols"),
        (([BAR], ["1", "2"], [0]), {}, "Got 1 trajectories, 2 symbols and writers of shape (1,)"),
        (([BAR], ["1"], [0, 1]), {}, "writers of shape (2,)"),
        (([BAR, np.zeros((3, 4))], "12", [0, 0]), {}, "trajectory 1 has shape (3, 4)"),
        (([BAR, np.zeros((0, 2))], "12", [0, 0]), {}, "trajectory 1 has shape (0, 2)"),
        (([BAR, BAR + np.inf], "12", [0, 0]), {}, "trajectory 1: step 0 is NaN or infinite"),
        (([BAR], "1", [0]), {"n_words": 0}, "n_words=0 must be at least 1"),
        (([BAR], "1", [0]), {"length": (0, 2)}, "length=(0, 2) must be 1"),
        (([BAR], "1", [0]), {"gap": (0.2, 0.1)}, "gap=(0.2, 0.1) must be finite"),
        (([BAR], "1", [0]), {"gap": (-0.2, 0.1)}, "gap=(-0.2, 0.1) must be finite"),
        (([BAR], "1", [0]), {"image_height": 0}, "must be at least 1 pixel a side"),
        (([BAR], "1", [0]), {"image_width": 1}, "leave no room in 28 x 1 pixels"),
    ],
)
def test_bad_words_are_refused(data: tuple[Any, ...], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make_words(*data, **arguments)
