"""`check_images`: every form means the same pixels, and every bad input is named."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from skseqmetric import Images, check_images

NAN, INF = np.nan, np.inf


def pixels(shape: tuple[int, ...], dtype: str = "uint8", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(dtype)


# ------------------------------------------------------------------------------------ what comes through


def test_bytes_become_parts_of_one() -> None:
    images = check_images(np.array([[[0, 51], [102, 255]]], dtype=np.uint8))
    np.testing.assert_array_equal(images.values, np.array([[[[0, 0.2], [0.4, 1]]]], dtype=np.float32), strict=True)
    assert images.shape == (1, 2, 2)
    assert len(images) == 1


@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "uint16", "float16", "float32", "float64", ">f8"])
def test_other_numbers_stay_as_they_are(dtype: str) -> None:
    source = pixels((3, 4, 5)).astype(dtype)
    images = check_images(source)
    assert images.values.dtype == np.float32
    np.testing.assert_array_equal(images.values[:, 0], source.astype(np.float32))


def test_channels_go_first() -> None:
    source = pixels((3, 4, 5, 2), "float32")
    images = check_images(source)
    assert images.shape == (2, 4, 5)
    assert images.values.flags.c_contiguous
    for i, row, column, channel in np.ndindex(source.shape):
        assert images.values[i, channel, row, column] == source[i, row, column, channel]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("shape", [(4, 3, 5), (4, 3, 5, 1), (4, 3, 5, 4)])
def test_every_form_means_the_same_images(shape: tuple[int, ...], dtype: str) -> None:
    array = pixels(shape, dtype)
    objects = np.empty(len(array), dtype=object)
    objects[:] = list(array)
    expected = check_images(array).values
    forms = [list(array), tuple(array), objects, torch.from_numpy(array), list(torch.from_numpy(array))]
    for form in [*forms, array[::-1][::-1], np.asfortranarray(array), np.ma.MaskedArray(array)]:
        np.testing.assert_array_equal(check_images(form).values, expected, strict=True)
    if dtype == "float32":
        np.testing.assert_array_equal(check_images(array.tolist()).values, expected, strict=True)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("shape", [(4, 3, 5), (4, 3, 5, 1)])
def test_the_callers_images_are_neither_changed_nor_shared(shape: tuple[int, ...], dtype: str) -> None:
    source = pixels(shape, dtype)
    before = source.copy()
    images = check_images(source)
    assert not np.shares_memory(images.values, source)
    images.values[:] = -1
    np.testing.assert_array_equal(source, before)


def test_a_read_only_array_passes() -> None:
    source = pixels((2, 3, 3), "float32")
    source.flags.writeable = False
    assert check_images(source).values.flags.writeable


def test_images_pass_through() -> None:
    images = check_images(pixels((4, 3, 5)))
    assert check_images(images, n_expected=4, like=(1, 3, 5)) is images


@pytest.mark.parametrize("rows", [[2, 0, 2], slice(1, None), np.array([True, False, True, False]), []])
def test_take_copies_the_rows_asked_for(rows: Any) -> None:
    images = check_images(pixels((4, 3, 5)))
    taken = images.take(rows)
    expected = images.values[rows if len(np.shape(rows)) == 0 or len(rows) else slice(0)]
    np.testing.assert_array_equal(taken.values, expected, strict=True)
    assert not np.shares_memory(taken.values, images.values)
    assert isinstance(taken, Images)


def test_digests_tell_images_apart() -> None:
    images = check_images(pixels((6, 3, 5)))
    digests = images.digests()
    assert len(set(digests.tolist())) == 6
    np.testing.assert_array_equal(images.take([3, 3, 1]).digests(), digests[[3, 3, 1]], strict=True)


def test_a_sum_beyond_float32_is_no_inf() -> None:
    largest = np.finfo(np.float32).max
    assert check_images(np.full((1, 2, 2), largest)).values.min() == largest


# ----------------------------------------------------------------------------------------- what does not


def test_the_size_seen_at_fit_is_asked_for() -> None:
    with pytest.raises(ValueError, match=re.escape("5 x 4 pixels with 3 channel(s), but at fit they were 4 x 5 pix")):
        check_images(pixels((2, 5, 4, 3)), like=(3, 4, 5))


def test_one_image_a_sequence_is_asked_for() -> None:
    with pytest.raises(ValueError, match="Got 2 images for 3 sequences"):
        check_images(pixels((2, 5, 4)), n_expected=3)


@pytest.mark.parametrize(
    ("value", "what"), [(NAN, "NaN"), (INF, "infinite (inf)"), (-INF, "infinite (inf)"), (1e300, "too large")]
)
def test_pixels_that_are_not_finite_are_named(value: float, what: str) -> None:
    source = np.zeros((4, 5, 6, 3))
    source[2, 3, 4, 1] = value
    source[3] = NAN
    with pytest.raises(ValueError, match="image 2, row 3, column 4, channel 1 is .*" + re.escape(what)):
        check_images(source)


def test_opposite_infinities_are_found() -> None:
    with pytest.raises(ValueError, match="image 0, row 0, column 1, channel 0 is infinite"):
        check_images(np.array([[[0, INF], [-INF, 0]]]))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (None, "images is None"),
        ("picture.png", "images is of type str"),
        (3, "images is of type int"),
        ({"a": 1}, "images is of type dict"),
        (np.zeros((5, 4)), "2 dimension(s), shape (5, 4). One image alone is passed as [image]"),
        (np.zeros(5), "1 dimension(s), shape (5,)"),
        ([1.0, 2.0], "1 dimension(s), shape (2,)"),
        (np.zeros((2, 3, 4, 1, 1)), "5 dimension(s)"),
        ([], "images is empty: at least one image is needed"),
        (np.zeros((0, 3, 4)), "shape (0, 3, 4) is empty, it has zero images"),
        (np.zeros((2, 0, 4)), "zero rows"),
        (np.zeros((2, 3, 0, 1)), "zero columns"),
        (np.zeros((2, 3, 4, 0)), "zero channels"),
        ([np.zeros((3, 4)), np.zeros((3, 4)), np.zeros((3, 5))], "image 2 has shape (3, 5), but image 0 has (3, 4)"),
        ([np.zeros((3, 4)), np.zeros((3, 4, 1))], "image 1 has shape (3, 4, 1), but image 0 has (3, 4)"),
        ([np.zeros((3, 4)), np.zeros(4)], "image 1 has 1 dimension(s), shape (4,)"),
        ([np.zeros((3, 4)), [[0, 1], [2]]], "image 1, of type list, does not convert to an array"),
        ([np.zeros((3, 4)), None], "image 1 has dtype object"),
        ([np.zeros((3, 4), "uint8"), np.zeros((3, 4))], "image 1 has dtype float64, but image 0 has uint8"),
        ([np.zeros((3, 4)), np.zeros((3, 4), "uint8")], "image 1 has dtype uint8, but image 0 has float64"),
        (np.zeros((2, 28, 28, 5)), "5 channels along its last axis, but at most 4 are accepted"),
        (np.zeros((2, 3, 28, 28)), "If the axes are (n, c, h, w), pass numpy.moveaxis(images, 1, -1)"),
        (np.zeros((2, 3, 4), complex), "Complex data not supported: images is complex"),
        (np.full((2, 3, 4), "a"), "images has dtype <U1, but pixels are real numbers"),
        (np.zeros((2, 3, 4), object), "images has dtype object"),
        (np.zeros((2, 3, 4), "datetime64[s]"), "images has dtype datetime64[s]"),
        (sp.csr_array(np.eye(3)), "images is sparse, which is not supported: pass images.toarray()"),
        (np.ma.masked_equal(np.eye(3)[np.newaxis], 0), "images has masked values"),
        ([np.ma.masked_equal(np.eye(3), 0)], "image 0 has masked values"),
        (torch.zeros(2, 3, 3, device="meta"), "images, of type Tensor, does not convert to an array"),
    ],
)
def test_bad_images_are_refused(images: object, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        check_images(images)


def test_channels_first_are_not_guessed_for_many_channels() -> None:
    with pytest.raises(ValueError, match="at most 4 are accepted") as error:
        check_images(np.zeros((2, 28, 28, 5)))
    assert "moveaxis" not in str(error.value)
