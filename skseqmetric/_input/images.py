"""`check_images`: arrays and lists of images become `Images`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np

from skseqmetric._input.arrays import as_array, positional, refuse_complex, refuse_other_objects
from skseqmetric._input.sequences import as_index

_MOST_CHANNELS = 4  # grey, grey + alpha, RGB, RGBA; if there are more, the axes are in another order
_FORMS = (
    "Pass an array of shape (n, h, w), or (n, h, w, c) with the channels last, or a list of equally large "
    "(h, w) or (h, w, c) arrays."
)
_MODES = ("1", "L", "LA", "I", "F", "RGB", "RGBA")
_RESIZE = "Resize, crop or pad the images to one size first."


@dataclass(frozen=True, eq=False)
class Images:
    """n images of one size: what `check_images` returns.

    Every estimator that takes images accepts `Images` and does not check or copy them again.

    Parameters
    ----------
    values : ndarray (n, c, h, w) float32
        All pixels, finite and C-contiguous.
    divided : bool, default=False
        Whether the pixels were uint8, and `values` are these numbers divided by 255.

    See Also
    --------
    check_images : Makes `Images` from arrays and lists. The constructor checks nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import check_images
    >>> images = check_images(np.zeros((5, 28, 20, 3), dtype=np.uint8))
    >>> len(images), images.shape, images.take([0, 2]).values.shape
    (5, (3, 28, 20), (2, 3, 28, 20))
    """

    values: np.ndarray
    divided: bool = False

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of every image, (c, h, w)."""
        _, channels, height, width = self.values.shape
        return channels, height, width

    def take(self, rows: Any) -> Images:
        """Copy some images.

        Parameters
        ----------
        rows : array-like of int, mask of bool, or slice
            Which images, in which order.

        Returns
        -------
        images : Images
        """
        return replace(self, values=self.values[np.arange(len(self))[as_index(rows)]])  # integers copy

    def digests(self) -> np.ndarray:
        """Return a 64-bit hash of every image.

        Returns
        -------
        hashes : ndarray of shape (n,), uint64
            Equal images have equal hashes. Others differ almost surely.
        """
        prints = [int.from_bytes(blake2b(x.tobytes(), digest_size=8).digest(), "little") for x in self.values]
        return np.array(prints, dtype=np.uint64)


def check_images(
    images: Any,
    *,
    n_expected: int | None = None,
    like: tuple[int, int, int] | None = None,
    divided: bool | None = None,
) -> Images:
    """Turn any accepted input into `Images`, or say what is wrong with it.

    Parameters
    ----------
    images : array (n, h, w) or (n, h, w, c), list of such images, or Images
        Channels come last, 1 <= c <= 4. A list, tuple or 1-D object array holds n images, all (h, w) or all
        (h, w, c), of one size. An image may be anything that `numpy.asarray` takes (nested lists), a tensor, or a
        Pillow image of mode 1, L, LA, I, I;16, F, RGB or RGBA. Palette images (P) are read as RGB, or RGBA if they have
        transparency. `Images` are returned as they are: only `n_expected`, `like` and `divided` are checked.
    n_expected : int, default=None
        Number of images that there must be: one for each sequence.
    like : (int, int, int), default=None
        Channels, height and width (c, h, w) that the images must have: those of the images seen in `fit`.
    divided : bool, default=None
        Whether the images of `fit` were uint8. The same numbers in another dtype would mean other pixels, because only
        uint8 is divided by 255. None: not compared.

    Returns
    -------
    Images
        Values are float32. uint8 is divided by 255; all other numbers stay as they are (bool: 0 and 1). They are never
        a view of the caller's data.

    Raises
    ------
    ValueError
        `images` has none of these forms. The message names the first wrong image and pixel (counted from 0) and says
        what to do.

    See Also
    --------
    check_sequences : The same for sequences.

    Notes
    -----
    An array is copied once, into `values`. Time is O(number of pixels), without a Python loop over pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from skseqmetric import check_images
    >>> images = check_images([np.zeros((8, 6), dtype=np.uint8), np.full((8, 6), 255, dtype=np.uint8)])
    >>> images.shape, float(images.values.min()), float(images.values.max())
    ((1, 8, 6), 0.0, 1.0)
    >>> check_images(np.zeros((2, 3, 28, 28)))
    Traceback (most recent call last):
    ...
    ValueError: images of shape (2, 3, 28, 28) has 28 channels along its last axis, but at most 4 are accepted: the
    channels come last, (n, h, w, c). If the axes are (n, c, h, w), pass numpy.moveaxis(images, 1, -1).
    """
    if not isinstance(images, Images):
        images = _from_array(_as_stack(images))
    if n_expected is not None and len(images) != n_expected:
        raise ValueError(
            f"Got {len(images)} images for {n_expected} sequences, but image i must belong to sequence i. If images "
            "and sequences are not paired, pass the labels of the images too."
        )
    if like is not None and images.shape != tuple(like):
        raise ValueError(f"The images are {_size_of(images.shape)}, but at fit they were {_size_of(like)}. {_RESIZE}")
    if divided is not None and images.divided != divided:
        kinds = {True: "uint8, which is divided by 255", False: "numbers that are used as they are"}
        remedy = "images.astype(numpy.uint8) if they are from 0 to 255" if divided else "images.astype(numpy.float32)"
        raise ValueError(
            f"The images are {kinds[images.divided]}, but at fit they were {kinds[divided]}. Pass pixels of the "
            f"kind of fit, such as {remedy}."
        )
    return images


def _size_of(shape: tuple[int, int, int]) -> str:
    channels, height, width = shape
    return f"{height} x {width} pixels with {channels} channel(s)"


# ------------------------------------------------------------------------------------ which form is it?


def _as_stack(images: Any) -> np.ndarray:
    """Array of real numbers with three or four axes, none of length zero."""
    if _is_pillow(images):
        raise ValueError(f"images is one Pillow image: one image alone is passed as [image]. {_FORMS}")
    refuse_other_objects(images, "images", _FORMS)
    found = images if isinstance(images, (list, tuple)) else positional(images, "images", _FORMS)
    if isinstance(found, np.ndarray) and not (found.ndim == 1 and found.dtype.kind == "O"):
        array = _as_real(found, "images")
    else:
        array = _stacked([_as_real(image, f"image {i}") for i, image in enumerate(found)])
    if array.ndim not in (3, 4):
        raise _dimension_error(array)
    if 0 in array.shape:
        what = ("images", "rows", "columns", "channels")[array.shape.index(0)]
        raise ValueError(f"images of shape {array.shape} is empty, it has zero {what}. {_FORMS}")
    if array.ndim == 4 and array.shape[3] > _MOST_CHANNELS:
        raise _channels_error(array)
    return array


def _is_pillow(x: Any) -> bool:
    return hasattr(x, "getbands") and hasattr(x, "convert")


def _of_pillow(image: Any, name: str) -> Any:
    """Return an image whose channels are grey, grey and alpha, RGB or RGBA. Numbers of a palette become colours."""
    if image.mode in ("P", "PA"):
        transparent = image.mode == "PA" or "transparency" in image.info
        return image.convert("RGBA" if transparent else "RGB")
    if image.mode not in _MODES and not image.mode.startswith("I;16"):
        raise ValueError(
            f"{name} is a Pillow image of mode {image.mode!r}, whose channels are not red, green and blue: pass "
            'image.convert("RGB").'
        )
    return image


def _as_real(x: Any, name: str) -> np.ndarray:
    """Array of real numbers; objects are not converted, because no image has this dtype."""
    array = as_array(_of_pillow(x, name) if _is_pillow(x) else x, name)
    refuse_complex(array, name)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} has dtype {array.dtype}, but pixels are real numbers. {_FORMS}")
    return array


def _stacked(items: list[np.ndarray]) -> np.ndarray:
    if not items:
        raise ValueError(f"images is empty: at least one image is needed. {_FORMS}")
    first = items[0]
    if all(a.ndim == 0 for a in items):
        raise _dimension_error(np.stack(items))
    for i, a in enumerate(items):
        if a.ndim not in (2, 3):
            raise ValueError(f"image {i} has {a.ndim} dimension(s), shape {a.shape}. {_FORMS}")
        if a.shape != first.shape:
            raise ValueError(f"image {i} has shape {a.shape}, but image 0 has {first.shape}. {_RESIZE}")
        if (a.dtype == np.uint8) != (first.dtype == np.uint8):  # after np.stack, nobody knows which to divide by 255
            raise ValueError(
                f"image {i} has dtype {a.dtype}, but image 0 has {first.dtype}: only uint8 is "
                "divided by 255. Convert all images to one dtype."
            )
    return np.stack(items)


def _dimension_error(array: np.ndarray) -> ValueError:
    hint = " One image alone is passed as [image]." if array.ndim == 2 else ""
    return ValueError(f"images has {array.ndim} dimension(s), shape {array.shape}.{hint} {_FORMS}")


def _channels_error(array: np.ndarray) -> ValueError:
    hint = ""
    if array.shape[1] <= _MOST_CHANNELS:
        hint = " If the axes are (n, c, h, w), pass numpy.moveaxis(images, 1, -1)."
    return ValueError(
        f"images of shape {array.shape} has {array.shape[3]} channels along its last axis, but at most "
        f"{_MOST_CHANNELS} are accepted: the channels come last, (n, h, w, c).{hint}"
    )


# ------------------------------------------------------------------------------------------------ pixels


def _from_array(array: np.ndarray) -> Images:
    """Array (n, h, w) or (n, h, w, c) of real numbers, copied into (n, c, h, w)."""
    if array.ndim == 3:
        array = array[..., np.newaxis]
    n, height, width, channels = array.shape
    values = np.empty((n, channels, height, width), dtype=np.float32)
    with np.errstate(over="ignore"):  # a number that becomes inf is found and named later
        values[...] = np.moveaxis(array, -1, 1)
    divided = array.dtype == np.uint8
    if divided:
        values /= 255
    _check_finite(values, array)
    return Images(values, divided)


def _check_finite(values: np.ndarray, array: np.ndarray) -> None:
    """Refuse NaN and inf in values (n, c, h, w); array (n, h, w, c) holds the pixels as they were passed."""
    with np.errstate(invalid="ignore"):  # inf - inf
        finite = array.dtype.kind != "f" or bool(np.isfinite(values.sum(dtype=np.float64)))
    if finite:
        return
    i, channel, row, column = np.argwhere(~np.isfinite(values))[0].tolist()
    source = array[i, row, column, channel]
    what = "NaN" if np.isnan(source) else "infinite (inf)"
    if np.isfinite(source):
        what = f"{source}, too large for float32"
    raise ValueError(
        f"image {i}, row {row}, column {column}, channel {channel} is {what}. Missing or infinite pixels are not "
        "supported: fill them first."
    )
