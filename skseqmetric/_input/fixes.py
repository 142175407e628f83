"""Fixes of a receiver (time, latitude, longitude) become channels of movement, on the sphere and without projection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from numbers import Real
from typing import Any

import numpy as np

from skseqmetric._input.arrays import as_array, positional, real_numbers
from skseqmetric._input.frames import column_names

EARTH_RADIUS = 6_371_008.8
"""Mean radius of the Earth in metres."""

_NAMES = ("time", "latitude", "longitude")
_RANGES = {"latitude": (-90.0, 90.0), "longitude": (-180.0, 360.0)}
_STAMPS = (date, timedelta, np.datetime64, np.timedelta64)
_FORMS = "Pass a list of trips: arrays (T_i, 3) of time, latitude and longitude, or frames with columns of these names."


def from_fixes(X: Any, *, min_distance: float = 0.0) -> list[np.ndarray]:
    r"""Turn fixes of a satellite receiver into channels of movement.

    A step t leads from the fix before to fix t. With the places :math:`p_t` as unit vectors on a sphere of radius
    R = 6,371,008.8 m, and the tangents at its ends of the great circle from :math:`p_{t-1}` to :math:`p_t`, the
    departure :math:`u_t` at :math:`p_{t-1}` and the arrival :math:`w_t` at :math:`p_t`, the channels are

    .. math::
        \Delta t &= t_t - t_{t-1}, \qquad d_t = 2 R \arcsin(\lVert p_t - p_{t-1} \rVert / 2) \\
        (\mathrm{east}, \mathrm{north}) &= d_t\, (u_t \cdot e_{t-1},\ u_t \cdot n_{t-1}), \qquad
        \mathrm{speed} = d_t / \Delta t \\
        \mathrm{heading\ change} &= \operatorname{atan2}\big(p_{t-1} \cdot (w_s \times u_t),\ w_s \cdot u_t\big)
        \in (-\pi, \pi]

    with the unit vectors e and n to the east and to the north at the fix before, and s < t the last step that moved.
    The distance :math:`d_t` is that of the haversine formula.

    Parameters
    ----------
    X : list of n trips
        A trip is an array (T_i, 3) with the columns time, latitude, longitude, or a data frame or mapping that has them
        under these names; other columns are left out. Times are seconds, datetimes or timedeltas. They never decrease.
        Latitudes are degrees from -90 to 90, longitudes degrees from -180 to 360.
    min_distance : float, default=0.0
        Metres that a step must exceed to have a heading, >= 0. With the error of the receiver here, the jitter of
        someone who stands is no turn.

    Returns
    -------
    list of n ndarrays (T_i, 5) float64
        ===  ==============  =====  =======================================================================
        0    dt              s      time since the fix before, >= 0
        1    east            m      way to the east since the fix before
        2    north           m      way to the north since the fix before
        3    speed           m/s    >= 0; 0 where dt = 0
        4    heading change  rad    turn at the fix before, positive to the left; 0 where the step is no longer
                                    than `min_distance`, and before the second step that is
        ===  ==============  =====  =======================================================================

        The first step has no fix before it and is all 0, so that labels of fixes stay labels of steps.

    Raises
    ------
    ValueError
        A trip has another form or no fix, a value is missing or out of its range, or a fix is earlier than the one
        before; the message names the trip and the fix.

    See Also
    --------
    skseqmetric.datasets.make_trips : Made trips to try this on.

    Notes
    -----
    O(1) time a fix, all trips at once. Nothing is projected, so that the antimeridian and the poles are places like
    others: who crosses a pole straight ahead does not turn. The Earth is flattened: the sphere is wrong by up to 0.6 %
    of a distance. Two opposite places of the Earth have no direction between them: east and north are 0 then.

    Degrees in float32 resolve a metre at best. Keep them in float64.

    References
    ----------
    R. W. Sinnott, "Virtues of the haversine", Sky and Telescope 68 (2), 159, 1984.

    Examples
    --------
    Ten seconds to the north, then to the west, on the equator:

    >>> import numpy as np
    >>> from skseqmetric import from_fixes
    >>> fixes = np.array([[0, 0.0, 9.0], [10, 0.001, 9.0], [20, 0.001, 8.999]])
    >>> (channels,) = from_fixes([fixes])
    >>> channels.round(2)
    array([[   0.  ,    0.  ,    0.  ,    0.  ,    0.  ],
           [  10.  ,    0.  ,  111.2 ,   11.12,    0.  ],
           [  10.  , -111.2 ,    0.  ,   11.12,    1.57]])
    """
    if not isinstance(min_distance, Real) or not 0 <= float(min_distance) < np.inf:
        raise ValueError(f"min_distance must be a finite number of metres >= 0, got {min_distance!r}.")
    trips = [_columns(trip, i) for i, trip in enumerate(positional(X, "X", _FORMS))]
    if not trips:
        raise ValueError("X is empty: at least one trip is needed.")
    lengths = np.array([len(seconds) for seconds, _, _ in trips])
    waits, latitude, longitude = (np.concatenate(column) for column in zip(*trips, strict=True))
    first = np.cumsum(lengths) - lengths
    channels = _channels(waits, latitude, longitude, first, float(min_distance))
    return [part.copy() for part in np.split(channels, first[1:])]


# ------------------------------------------------------------------------------------------------------------- geometry


def _channels(
    waits: np.ndarray, latitude: np.ndarray, longitude: np.ndarray, first: np.ndarray, min_distance: float
) -> np.ndarray:
    """Return the channels (N, 5) of trips that follow each other, which begin at the fixes `first`."""
    places, east, north = _frames(np.radians(latitude), np.radians(longitude))
    begin = np.zeros(len(waits), dtype=bool)
    begin[first] = True
    before = np.where(begin, np.arange(len(waits)), np.arange(len(waits)) - 1)
    chord = places - places[before]
    distance = 2 * EARTH_RADIUS * np.arcsin(np.minimum(np.linalg.norm(chord, axis=1) / 2, 1))
    departure, arrival = _tangent(chord, places[before]), _tangent(chord, places)
    speed = np.divide(distance, waits, out=np.zeros_like(distance), where=waits > 0)
    moves = (distance > min_distance) & ~begin
    turn = _turns(places[before], departure, arrival, moves, begin)
    columns = (_along(departure, east[before]) * distance, _along(departure, north[before]) * distance)
    return np.stack([waits, *columns, speed, turn], axis=1)


def _frames(latitude: np.ndarray, longitude: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return places and the directions to the east and to the north there, unit vectors (N, 3), of radians."""
    (sin_phi, cos_phi), (sin_lambda, cos_lambda) = ((np.sin(a), np.cos(a)) for a in (latitude, longitude))
    places = np.stack([cos_phi * cos_lambda, cos_phi * sin_lambda, sin_phi], axis=1)
    east = np.stack([-sin_lambda, cos_lambda, np.zeros_like(sin_phi)], axis=1)
    return places, east, np.cross(places, east)


def _tangent(chord: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the directions (N, 3) at the places in which the chords lead; 0 where there is none."""
    tangent = chord - _along(chord, places)[:, np.newaxis] * places
    length = np.linalg.norm(tangent, axis=1, keepdims=True)
    return np.divide(tangent, length, out=np.zeros_like(tangent), where=length > 0)


def _turns(
    places: np.ndarray, departure: np.ndarray, arrival: np.ndarray, moves: np.ndarray, begin: np.ndarray
) -> np.ndarray:
    """Return the angle from the arrival of the last step that moved to the departure of each that moves, else 0."""
    steps = np.arange(len(moves))
    last = np.maximum.accumulate(np.where(moves, steps, -1))
    last = np.concatenate([[-1], last[:-1]])
    turning = moves & (last >= np.maximum.accumulate(np.where(begin, steps, 0)))
    towards, u, p = arrival[last[turning]], departure[turning], places[turning]
    turn = np.zeros(len(moves))
    turn[turning] = np.arctan2(_along(np.cross(towards, u), p), _along(towards, u))
    return turn


def _along(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.einsum("nk,nk->n", a, b)


# --------------------------------------------------------------------------------------------------------------- checks


def _columns(trip: Any, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return seconds since the fix before, latitudes and longitudes of a trip, each (T,), or refuse it."""
    names = _names_of(trip)
    time, latitude, longitude = _positions(trip, i) if names is None else _named(trip, names, i)
    waits = _waits(time, i)
    angles = _degrees(latitude, "latitude", i), _degrees(longitude, "longitude", i)
    if not len(waits) == len(angles[0]) == len(angles[1]):
        counts = f"{len(waits)}, {len(angles[0])} and {len(angles[1])}"
        raise ValueError(f"trip {i} has {counts} values of {', '.join(_NAMES)}: pass one of each for every fix.")
    return waits, *angles


def _names_of(trip: Any) -> tuple[Any, ...] | None:
    """Return the names of the columns of a frame, a mapping or a structured array; None for anything else."""
    if isinstance(trip, Mapping):
        return tuple(trip)
    return getattr(getattr(trip, "dtype", None), "names", None) or column_names(trip)


def _named(trip: Any, names: tuple[Any, ...], i: int) -> list[np.ndarray]:
    for name in _NAMES:
        if name not in names:
            raise ValueError(f"trip {i} has no column {name!r}, but {', '.join(map(str, names))}: rename its columns.")
    return [_column(trip[name], name, i) for name in _NAMES]


def _column(values: Any, name: str, i: int) -> np.ndarray:
    column = as_array(positional(values, f"{name} of trip {i}"), f"{name} of trip {i}")
    if column.ndim != 1 or len(column) == 0:
        raise ValueError(f"{name} of trip {i} has shape {column.shape}, but must have one value for every fix.")
    return column


def _positions(trip: Any, i: int) -> list[np.ndarray]:
    array = as_array(positional(trip, f"trip {i}", _FORMS), f"trip {i}")
    if array.ndim != 2 or array.shape[1] != 3:
        hint = " One trip alone goes into a list: [trip]." if array.ndim < 2 else ""
        raise ValueError(f"trip {i} has shape {array.shape}, but must be (fixes, 3): {', '.join(_NAMES)}.{hint}")
    return [_column(column, name, i) for column, name in zip(array.T, _NAMES, strict=True)]


def _degrees(values: np.ndarray, name: str, i: int) -> np.ndarray:
    degrees = real_numbers(values, f"{name} of trip {i}").astype(np.float64)
    _refuse_first(np.isnan(degrees), i, f"{name} is missing: remove fixes without a place, and padding")
    low, high = _RANGES[name]
    wrong = ~((degrees >= low) & (degrees <= high))
    if wrong.any():
        hint = ". The order is time, latitude, longitude" if name == "latitude" else ""
        _refuse_first(wrong, i, f"{name} {degrees[np.argmax(wrong)]:g} is not from {low:g} to {high:g} degrees{hint}")
    return degrees


def _waits(time: np.ndarray, i: int) -> np.ndarray:
    """Return the seconds since the fix before, 0 for the first; never negative."""
    stamps = _stamps(time, i)
    missing = np.isnat(stamps) if stamps.dtype.kind in "mM" else ~np.isfinite(stamps)
    _refuse_first(missing, i, "time is missing or infinite: remove the fix, and padding")
    waits = np.zeros(len(stamps))
    steps = np.diff(stamps)
    waits[1:] = steps / np.timedelta64(1, "s") if steps.dtype.kind == "m" else steps
    if (waits < 0).any():
        t = int(np.argmax(waits < 0))
        raise ValueError(f"trip {i}: fix {t} is {-waits[t]:g} s earlier than fix {t - 1}: sort the fixes by time.")
    return waits


def _stamps(time: np.ndarray, i: int) -> np.ndarray:
    """Return datetimes and times since a start as NumPy has them, everything else as float64 or refused."""
    if time.dtype.kind == "O" and any(isinstance(stamp, _STAMPS) for stamp in time):
        time = _of_objects(time, i)
    if time.dtype.kind in "mM":
        return time
    if time.dtype.kind in "SU" or isinstance(time[0], (str, bytes)):
        raise ValueError(f"time of trip {i} is text, {time[0]!r}: convert it first, as by pandas.to_datetime.")
    return real_numbers(time, f"time of trip {i}").astype(np.float64)


def _of_objects(time: np.ndarray, i: int) -> np.ndarray:
    """Return Python's and pandas' stamps as NumPy's; those with a time zone in UTC."""
    try:
        moments = [_moment(stamp) for stamp in time.tolist()]
    except (TypeError, ValueError):
        moments = []
    if not moments or len({moment.dtype.kind for moment in moments if not np.isnat(moment)}) > 1:
        raise ValueError(f"time of trip {i} must hold datetimes alone, or timedeltas alone.")
    return np.array(moments)


def _moment(stamp: Any) -> np.datetime64 | np.timedelta64:
    if stamp != stamp:  # NaN and NaT
        return np.datetime64("NaT", "ns")
    if isinstance(stamp, (timedelta, np.timedelta64)):
        return np.timedelta64(stamp, "ns")
    if isinstance(stamp, datetime) and stamp.tzinfo is not None:
        stamp = stamp.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(stamp, "ns")


def _refuse_first(wrong: np.ndarray, i: int, what: str) -> None:
    if wrong.any():
        raise ValueError(f"trip {i}, fix {int(np.argmax(wrong))}: {what}.")
