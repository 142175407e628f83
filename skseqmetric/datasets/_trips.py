"""Trips by mode of transport, as a satellite receiver on the way would log them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from skseqmetric._input import EARTH_RADIUS
from skseqmetric.datasets._arguments import check_ranges, generator

_GRID = 0.25  # seconds at full speed between the points of a way
_STREETS = 5000.0  # metres around the origin within which travellers live
_DRIFT = 15.0  # seconds in which the slow part of the error changes
_STRETCH = 30.0  # seconds for which fixes are lost, or for which walls disturb them
_WALLS = (0.15, 3.0)  # share of such stretches between walls, and how many times larger the error is there


class Mode(NamedTuple):
    """How people move by a mode of transport.

    speed, spread : m/s of cruising, and the deviation of its logarithm over trips.
    acceleration : m/s², of starting and of braking.
    spacing : metres between the places where something may happen: crossings, stops, stations.
    stops, wait : share of these places where one stops, and for how many seconds.
    turns, slow : share of them where one turns by a right angle or so, and m/s at the others and at a turn.
    bend : metres that a turn takes.
    wander : deviation of the heading in radians over 100 m without a turn.
    """

    speed: float
    spread: float
    acceleration: float
    spacing: float
    stops: float
    wait: tuple[float, float]
    turns: float
    slow: float
    bend: float
    wander: float


MODES = {
    "walk": Mode(1.4, 0.12, 0.8, 70, 0.12, (3, 30), 0.4, 1.2, 3, 0.15),
    "bike": Mode(5.0, 0.2, 0.7, 150, 0.15, (4, 40), 0.3, 2.5, 8, 0.1),
    "bus": Mode(11.0, 0.2, 0.9, 300, 0.6, (8, 25), 0.25, 4.0, 20, 0.06),
    "car": Mode(14.0, 0.35, 1.8, 250, 0.4, (4, 60), 0.3, 5.0, 18, 0.06),
    "train": Mode(24.0, 0.35, 0.5, 1800, 0.8, (25, 60), 0.0, 14.0, 100, 0.02),
}


def make_trips(
    n_trips: int = 200,
    *,
    modes: Sequence[str] = tuple(MODES),
    n_travellers: int = 10,
    duration: float | tuple[float, float] = (180.0, 480.0),
    interval: float = 5.0,
    noise: float = 4.0,
    lost: float = 0.05,
    origin: tuple[float, float] = (48.2, 16.37),
    random_state: Any = None,
) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    r"""Make trips by mode of transport: the fixes of a satellite receiver, the mode, and who travelled.

    Along the way s there are places where something may happen: crossings, bus stops, traffic lights, stations. At
    place e the speed is :math:`v_e`: 0 for a stop, which lasts some seconds, and slow for a turn. Between them the mode
    cruises at :math:`v_c` as far as its acceleration a allows:

    .. math:: v(s) = \min\{v_c,\ \min_e \sqrt{v_e^2 + 2 a |s - s_e|}\}, \qquad t(s) = \int_0^s \frac{ds'}{v(s')}.

    A turn is a right angle or so, over the metres that the mode needs for it. In between, the heading wanders. A trip
    begins somewhere on the way.

    =======  ===================  =============  ==================  ===================================
    mode     cruising speed, m/s  a, m/s²        a place every, m    stops there, and seconds of a stop
    =======  ===================  =============  ==================  ===================================
    walk     1.4                  0.8            70                  12 %, 3 to 30
    bike     5                    0.7            150                 15 %, 4 to 40
    bus      11                   0.9            300                 60 %, 8 to 25
    car      14                   1.8            250                 40 %, 4 to 60
    train    24                   0.5            1800                80 %, 25 to 60
    =======  ===================  =============  ==================  ===================================

    The cruising speed differs from trip to trip, by 12 % (walk) to 35 % (car, train), and by the habits of the
    traveller. Each traveller has a phone, whose interval and error differ from those of others. The error drifts, and
    is three times as large between walls.

    Parameters
    ----------
    n_trips : int, default=200
        At least the number of modes.
    modes : sequence of str, default=("walk", "bike", "bus", "car", "train")
        Modes of the trips. Their numbers of trips differ by one at most.
    n_travellers : int, default=10
        Travellers, >= 1. Each lives within about 5 km of the origin, where trips begin.
    duration : float or (float, float), default=(180.0, 480.0)
        Seconds of every trip, or the least and the largest (uniform), > 0.
    interval : float, default=5.0
        Mean seconds from one fix to the next, > 0. Intervals vary by 20 % within a trip and between travellers.
    noise : float, default=4.0
        Standard deviation of the error of a place in metres, to the east and to the north, >= 0.
    lost : float, default=0.05
        Share of stretches of 30 s without fixes, as in a tunnel, 0 <= lost < 1. The first and the last fix stay.
    origin : (float, float), default=(48.2, 16.37)
        Latitude and longitude in degrees. The latitude is between -89 and 89.
    random_state : int, numpy Generator, RandomState or None, default=None
        An int gives the same trips every time, and the same ways with any `noise`, `lost` and `interval`. Global
        generators are neither used nor changed.

    Returns
    -------
    fixes : list of n_trips ndarrays (T_i, 3) float64
        Seconds since the first fix, latitude, and longitude from -180 to 180 degrees; T_i >= 2.
    modes : ndarray (n_trips,) of str
        The mode of each trip, in random order.
    travellers : ndarray (n_trips,) int64
        0 to n_travellers - 1: groups to test with, because who is new has other habits and another phone.

    Raises
    ------
    ValueError
        A parameter is out of its range, or a mode is unknown.

    See Also
    --------
    skseqmetric.from_fixes : Channels of movement from fixes.

    Notes
    -----
    All numbers of the modes are ours, of usual magnitude, and measured nowhere. Time and memory grow with the seconds
    and with the places of a trip.

    Examples
    --------
    >>> from skseqmetric import from_fixes
    >>> from skseqmetric.datasets import make_trips
    >>> fixes, modes, travellers = make_trips(10, random_state=0)
    >>> X = from_fixes(fixes)
    >>> len(X), X[0].shape[1], sorted(set(modes.tolist()))
    (10, 5, ['bike', 'bus', 'car', 'train', 'walk'])
    """
    names = _check_modes(modes)
    shortest, longest = (duration, duration) if isinstance(duration, (int, float, np.number)) else duration
    check_ranges(
        {
            f"n_trips={n_trips} must be at least the number of modes, {len(names)}": n_trips >= len(names),
            f"n_travellers={n_travellers} must be at least 1": n_travellers >= 1,
            f"duration=({shortest}, {longest}) must be finite and 0 < least <= largest": (
                0 < shortest <= longest < np.inf
            ),
            f"interval={interval} must be finite and > 0": 0 < interval < np.inf,
            f"noise={noise} must be finite and >= 0": 0 <= noise < np.inf,
            f"lost={lost} must be 0 <= lost < 1": 0 <= lost < 1,
        }
    )
    city = _check_origin(origin)
    rng = generator(random_state)
    people = [_Traveller.draw(rng) for _ in range(n_travellers)]
    mode = rng.permutation(np.arange(n_trips) % len(names))
    travellers, seeds = rng.integers(n_travellers, size=n_trips), rng.integers(2**62, size=n_trips)
    fixes = []
    for k, who, seed in zip(mode.tolist(), travellers.tolist(), seeds.tolist(), strict=True):
        of_trip = np.random.default_rng(seed)
        seconds = of_trip.uniform(shortest, longest)
        ride = _ride(of_trip, MODES[names[k]], people[who].pace, seconds)
        receiver = _Receiver(interval * people[who].interval, noise * people[who].noise, lost)
        fixes.append(receiver.fixes(of_trip, ride, seconds, _places(city, *people[who].home)))
    return fixes, np.array(names)[mode], travellers


def _check_modes(modes: Sequence[str]) -> list[str]:
    names = [modes] if isinstance(modes, str) else list(modes)
    if unknown := [name for name in names if name not in MODES]:
        raise ValueError(f"modes holds {unknown[0]!r}, but must hold some of {', '.join(MODES)}.")
    check_ranges({f"modes={names} must name at least one mode, each once": 1 <= len(set(names)) == len(names)})
    return names


def _check_origin(origin: tuple[float, float]) -> tuple[float, float]:
    latitude, longitude = origin
    check_ranges(
        {
            f"origin has latitude {latitude}, but it must be from -89 to 89 degrees": -89 <= latitude <= 89,
            f"origin has longitude {longitude}, but it must be from -180 to 360 degrees": -180 <= longitude <= 360,
        }
    )
    return float(latitude), float(longitude)


# ------------------------------------------------------------------------------------------------------------- the way


class _Traveller(NamedTuple):
    """Factors of the speed, of the interval and of the error, and metres from the origin to the east and north."""

    pace: float
    interval: float
    noise: float
    home: tuple[float, float]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> _Traveller:
        pace, interval, noise = np.exp(rng.normal(0, (0.06, 0.2, 0.3)))
        east, north = rng.normal(0, _STREETS / 2, 2)
        return cls(float(pace), float(interval), float(noise), (float(east), float(north)))


class _Ride(NamedTuple):
    """Where one is at which time: seconds (K,), metres to the east and to the north (K,); times never decrease."""

    seconds: np.ndarray
    east: np.ndarray
    north: np.ndarray


class _Events(NamedTuple):
    """Places of a way where something happens: metres, speed there, seconds of a stop, angle of a turn; each (E,)."""

    at: np.ndarray
    speed: np.ndarray
    wait: np.ndarray
    angle: np.ndarray


def _ride(rng: np.random.Generator, mode: Mode, pace: float, duration: float) -> _Ride:
    """Ride for `duration` seconds, from somewhere on the way."""
    cruise = mode.speed * pace * np.exp(rng.normal(0, mode.spread))
    late = rng.uniform(0, mode.spacing / cruise)
    events = _events(rng, mode, cruise * (late + duration))
    s = _points(events, cruise, cruise * (late + duration), mode.acceleration)
    speed = _speeds(s, events, cruise, mode.acceleration)
    heading = _headings(rng, s, events, mode)
    ways = np.diff(s)
    east, north = (np.concatenate([[0], np.cumsum(ways * turn(heading[1:]))]) for turn in (np.sin, np.cos))
    arrival = np.concatenate([[0], np.cumsum(2 * ways / (speed[1:] + speed[:-1]))])
    waits = np.zeros(len(s))
    waits[np.searchsorted(s, events.at)] = events.wait
    departure = arrival + np.cumsum(waits)
    seconds = np.stack([departure - waits, departure], axis=1).ravel() - late
    return _Ride(seconds, np.repeat(east, 2), np.repeat(north, 2))


def _events(rng: np.random.Generator, mode: Mode, metres: float) -> _Events:
    gaps = mode.spacing * rng.uniform(0.4, 1.6, size=2 + int(metres / mode.spacing / 0.4))
    at = np.cumsum(gaps)
    at = at[at < metres]
    stops, turns = (rng.random(len(at)) < share for share in (mode.stops, mode.turns))
    angle = rng.choice([-1, 1], len(at)) * rng.normal(np.pi / 2, 0.25, len(at))
    kept = stops | turns
    speed, wait = np.where(stops, 0, mode.slow), np.where(stops, rng.uniform(*mode.wait, len(at)), 0)
    return _Events(*(column[kept] for column in (at, speed, wait, np.where(turns, angle, 0))))


def _points(events: _Events, cruise: float, metres: float, acceleration: float) -> np.ndarray:
    """Return the places (G,) of a way, a quarter of a second apart or less: closer where one brakes and starts."""
    near = 0.5 * acceleration * np.arange(0, cruise / acceleration + _GRID, _GRID) ** 2
    around = np.add.outer(events.at, np.concatenate([near, -near])).ravel()
    s = np.union1d(np.arange(0, metres, cruise * _GRID), around)
    return s[(s >= 0) & (s <= metres)]


def _speeds(s: np.ndarray, events: _Events, cruise: float, acceleration: float) -> np.ndarray:
    """Return the speed (G,) at places s: braking before every event, starting after it."""
    bound = np.sqrt(events.speed**2 + 2 * acceleration * np.abs(s[:, np.newaxis] - events.at))
    return np.minimum(cruise, bound.min(axis=1, initial=np.inf))


def _headings(rng: np.random.Generator, s: np.ndarray, events: _Events, mode: Mode) -> np.ndarray:
    """Return the heading (G,) in radians, clockwise from the north."""
    steps = np.diff(s, prepend=0)
    wander = np.cumsum(rng.normal(size=len(s)) * mode.wander * np.sqrt(steps / 100))
    share = np.clip((s[:, np.newaxis] - events.at) / mode.bend + 0.5, 0, 1)
    return rng.uniform(0, 2 * np.pi) + wander + share @ events.angle


# -------------------------------------------------------------------------------------------------------- the receiver


class _Receiver(NamedTuple):
    """Mean seconds between fixes, metres of error, and the share of stretches that are lost."""

    interval: float
    noise: float
    lost: float

    def fixes(self, rng: np.random.Generator, ride: _Ride, end: float, home: np.ndarray) -> np.ndarray:
        """Return time, latitude and longitude (T, 3) until the second `end` of a ride that begins at `home`."""
        steps = self.interval * rng.uniform(0.8, 1.2, size=2 + int(end / self.interval / 0.8))
        seconds = np.cumsum(steps) - steps[0]
        seconds = self._received(rng, seconds[: max(2, int(np.sum(seconds <= end)))])
        error = self.noise * self._errors(rng, seconds)
        east, north = (np.interp(seconds, ride.seconds, along) for along in (ride.east, ride.north))
        places = _places(home, east + error[:, 0], north + error[:, 1])
        return np.column_stack([seconds, places])

    def _received(self, rng: np.random.Generator, seconds: np.ndarray) -> np.ndarray:
        stretch = (seconds / _STRETCH).astype(np.int64)
        kept = rng.random(stretch[-1] + 1)[stretch] >= self.lost
        kept[[0, -1]] = True
        return seconds[kept]

    def _errors(self, rng: np.random.Generator, seconds: np.ndarray) -> np.ndarray:
        """Return errors (T, 2) of variance 1 in the open: a drift and a part of each fix alone."""
        knots = np.arange(0, seconds[-1] + 2 * _DRIFT, _DRIFT)
        place = seconds / _DRIFT
        below, share = place.astype(np.int64), (place % 1)[:, np.newaxis]
        values = rng.normal(size=(len(knots), 2))
        drift = np.cos(share * np.pi / 2) * values[below] + np.sin(share * np.pi / 2) * values[below + 1]
        walls = rng.random(int(seconds[-1] / _STRETCH) + 1) < _WALLS[0]
        factor = np.where(walls[(seconds / _STRETCH).astype(np.int64)], _WALLS[1], 1)
        return factor[:, np.newaxis] * (0.9 * drift + np.sqrt(1 - 0.9**2) * rng.normal(size=drift.shape))


def _places(begin: Any, east: Any, north: Any) -> np.ndarray:
    """Return latitudes and longitudes (..., 2): the ends of great circles that begin at a place, given in metres."""
    latitude, longitude = begin
    phi, delta = np.radians(latitude), np.hypot(east, north) / EARTH_RADIUS
    bearing = np.arctan2(east, north)
    sine = np.sin(phi) * np.cos(delta) + np.cos(phi) * np.sin(delta) * np.cos(bearing)
    y, x = np.sin(bearing) * np.sin(delta) * np.cos(phi), np.cos(delta) - np.sin(phi) * sine
    turned = longitude + np.degrees(np.arctan2(y, x))
    return np.stack([np.degrees(np.arcsin(sine)), (turned + 180) % 360 - 180], axis=-1)
