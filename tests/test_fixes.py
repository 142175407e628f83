"""Fixes as channels: known ways on the sphere, every form of a trip, and what is refused."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from skseqmetric import check_sequences, from_fixes

RADIUS = 6_371_008.8
DEGREE = np.pi / 180 * RADIUS  # metres
NAN = np.nan
WALK = 1.4  # m/s


def trip(time, latitude, longitude):
    return np.column_stack(np.broadcast_arrays(time, latitude, longitude)).astype(float)


def rotated(points, axis, angle):
    """Turn unit vectors (T, 3) about a unit vector (Rodrigues)."""
    axis = np.asarray(axis) / np.linalg.norm(axis)
    along = (points @ axis)[:, np.newaxis] * axis
    return points * np.cos(angle) + np.cross(axis, points) * np.sin(angle) + along * (1 - np.cos(angle))


def angles_of(points):
    return np.degrees(np.arcsin(np.clip(points[:, 2], -1, 1))), np.degrees(np.arctan2(points[:, 1], points[:, 0]))


def square(latitude, longitude, side=100.0, every=10.0, *, clockwise=False):
    """North, west, south, east: a square of great circles, walked once, with a fix every `every` metres."""
    heading, places = 0.0, [(np.radians(latitude), np.radians(longitude))]
    for _ in range(4):
        for _ in range(round(side / every)):
            phi, lam = places[-1]
            delta = every / RADIUS
            new = np.arcsin(np.sin(phi) * np.cos(delta) + np.cos(phi) * np.sin(delta) * np.cos(heading))
            y, x = np.sin(heading) * np.sin(delta) * np.cos(phi), np.cos(delta) - np.sin(phi) * np.sin(new)
            lam_new = lam + np.arctan2(y, x)
            back = np.arctan2(
                np.sin(lam - lam_new) * np.cos(phi),
                np.cos(new) * np.sin(phi) - np.sin(new) * np.cos(phi) * np.cos(lam - lam_new),
            )
            heading = back + np.pi
            places.append((new, lam_new))
        heading += (np.pi if clockwise else -np.pi) / 2
    phi, lam = np.degrees(places).T
    return trip(np.arange(len(phi)) * every / WALK, phi, (lam + 180) % 360 - 180)


# ------------------------------------------------------------ known geometry


@pytest.mark.parametrize("latitude", [0.0, 48.0, -33.9, 71.0, 89.9])
@pytest.mark.parametrize("longitude", [0.0, -179.9999, 180.0])
def test_a_square_is_walked_at_a_walk_with_turns_to_the_left(latitude, longitude):
    (channels,) = from_fixes([square(latitude, longitude)])
    dt_, east, north, speed, turn = channels[1:].T
    np.testing.assert_allclose(dt_, 10 / WALK)
    np.testing.assert_allclose(speed, WALK, rtol=1e-6)
    corners = np.arange(len(turn)) % 10 == 0
    corners[0] = False
    np.testing.assert_allclose(turn[corners], np.pi / 2, atol=1e-6)
    np.testing.assert_allclose(turn[~corners], 0, atol=1e-6)
    np.testing.assert_allclose(np.hypot(east, north), 10, rtol=1e-6)
    if latitude < 80:  # nearer to a pole the frame turns on the way
        np.testing.assert_allclose(
            np.stack([east, north])[:, [0, 10, 20, 30]], [[0, -10, 0, 10], [10, 0, -10, 0]], atol=1e-2
        )
        np.testing.assert_allclose([east.sum(), north.sum()], 0, atol=0.01)


def test_turns_to_the_right_are_negative():
    turn = from_fixes([square(48.0, 9.0, clockwise=True)])[0][:, 4]
    np.testing.assert_allclose(turn[[11, 21, 31]], -np.pi / 2, atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_a_great_circle_has_no_turn_and_the_length_of_its_arc(seed):
    rng = np.random.default_rng(seed)
    start, axis = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3)))
    axis = np.cross(start, axis)
    arcs = np.cumsum(np.concatenate([[0], rng.uniform(1e-6, 0.5, 12)]))
    points = np.concatenate([rotated(start[np.newaxis], axis, arc) for arc in arcs])
    (channels,) = from_fixes([trip(np.arange(13.0), *angles_of(points))])
    np.testing.assert_allclose(channels[1:, 3], np.diff(arcs) * RADIUS, atol=1e-5)
    np.testing.assert_allclose(np.hypot(channels[1:, 1], channels[1:, 2]), np.diff(arcs) * RADIUS, atol=1e-5)
    np.testing.assert_allclose(channels[:, 4], 0, atol=1e-7)


def test_distances_are_those_of_the_haversine_formula():
    rng = np.random.default_rng(0)
    phi, lam = rng.uniform(-90, 90, 50), rng.uniform(-180, 180, 50)
    a, b = np.radians(phi), np.radians(lam)
    h = np.sin(np.diff(a) / 2) ** 2 + np.cos(a[1:]) * np.cos(a[:-1]) * np.sin(np.diff(b) / 2) ** 2
    (channels,) = from_fixes([trip(np.arange(50), phi, lam)])
    np.testing.assert_allclose(channels[1:, 3], 2 * RADIUS * np.arcsin(np.sqrt(h)), rtol=1e-9)


def test_the_antimeridian_is_a_place_like_others():
    across = trip([0, 10, 20], 10.0, [179.999, -179.999, -179.997])
    same = trip([0, 10, 20], 10.0, [179.999, 180.001, 180.003])
    elsewhere = trip([0, 10, 20], 10.0, [9.999, 10.001, 10.003])
    found = from_fixes([across, same, elsewhere])
    np.testing.assert_allclose(found[0], found[2], atol=1e-7)
    np.testing.assert_allclose(found[1], found[2], atol=1e-7)
    assert found[0][1, 1] == pytest.approx(0.002 * DEGREE * np.cos(np.radians(10)), rel=1e-6)


@pytest.mark.parametrize("pole", [90.0, -90.0])
def test_who_crosses_a_pole_straight_ahead_does_not_turn(pole):
    near = pole - np.sign(pole) * np.array([0.002, 0.001, 0.0, 0.001, 0.002])
    (channels,) = from_fixes([trip(np.arange(5) * 60, near, [20, 20, 77, -160, -160])])
    np.testing.assert_allclose(channels[1:, 3], 0.001 * DEGREE / 60, rtol=1e-6)
    np.testing.assert_allclose(channels[:, 4], 0, atol=1e-6)
    assert np.isfinite(channels).all()


def test_north_along_a_meridian_and_east_along_the_equator_are_constant_headings():
    north, east = from_fixes([trip([0, 1, 2], [10, 11, 12], 5.0), trip([0, 2, 4], 0.0, [5, 6, 7])])
    np.testing.assert_allclose(north[1:], [[1, 0, DEGREE, DEGREE, 0]] * 2, atol=1e-4)
    np.testing.assert_allclose(east[1:], [[2, DEGREE, 0, DEGREE / 2, 0]] * 2, atol=1e-4)


def test_turning_back_is_half_a_turn():
    (channels,) = from_fixes([trip([0, 1, 2], [10, 10.001, 10], 5.0)])
    assert abs(channels[2, 4]) == pytest.approx(np.pi)


# ------------------------------------------------------------ standing, duplicates, first fixes


def test_who_stands_does_not_turn_and_turns_where_he_goes_on():
    (channels,) = from_fixes(
        [trip(np.arange(6) * 10, [0, 0.001, 0.001, 0.001, 0.001, 0.001], [0, 0, 0, 0, -0.001, -0.002])]
    )
    np.testing.assert_allclose(channels[:, 4], [0, 0, 0, 0, np.pi / 2, 0], atol=1e-6)
    np.testing.assert_allclose(channels[2:4], [[10, 0, 0, 0, 0]] * 2)


def test_jitter_below_the_minimum_distance_has_no_heading():
    jitter = np.random.default_rng(0).normal(0, 1 / DEGREE, (20, 2)).cumsum(axis=0) * 0.1
    phi = np.concatenate([[0, 0.01], 0.02 + jitter[:, 0], [0.02, 0.02]])
    lam = np.concatenate([[0, 0], jitter[:, 1], [-0.01, -0.02]])
    rough, calm = (from_fixes([trip(np.arange(24.0), phi, lam)], min_distance=d)[0][:, 4] for d in (0, 5))
    assert np.abs(rough[3:22]).max() > 1
    np.testing.assert_allclose(calm[:22], 0, atol=1e-3)
    assert calm[22] == pytest.approx(np.pi / 2, abs=0.01)


def test_equal_stamps_have_no_speed():
    (channels,) = from_fixes([trip([0, 0, 0, 5], [0, 0, 0.001, 0.002], 0.0)])
    np.testing.assert_array_equal(channels[1], 0)
    np.testing.assert_allclose(channels[2], [0, 0, 0.001 * DEGREE, 0, 0], atol=1e-6)
    assert channels[3, 3] == pytest.approx(0.001 * DEGREE / 5)


def test_trips_do_not_know_of_each_other():
    trips = [square(48, 9), trip([7], 3, 4), square(-10, 120, clockwise=True), trip([0, 0], 1, 1)]
    together, alone = from_fixes(trips), [from_fixes([x])[0] for x in trips]
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a[0], 0)
    assert together[1].shape == (1, 5)
    assert check_sequences(together).n_channels == 5


# ------------------------------------------------------------ forms of a trip


def test_frames_mappings_and_structured_arrays_are_read_by_name():
    fixes = square(48.0, 9.0)
    expected = from_fixes([fixes])[0]
    frame = pd.DataFrame(fixes, columns=["time", "latitude", "longitude"])
    structured = np.rec.fromarrays(fixes.T, names=["time", "latitude", "longitude"])
    shuffled = frame.assign(accuracy=3.0)[["longitude", "accuracy", "time", "latitude"]]
    for form in (
        frame,
        shuffled,
        dict(frame),
        dict(zip(frame, fixes.T.tolist(), strict=True)),
        structured,
        fixes.tolist(),
    ):
        np.testing.assert_array_equal(from_fixes([form])[0], expected)
    np.testing.assert_array_equal(from_fixes(np.stack([fixes, fixes]))[1], expected)


START = pd.Timestamp("2024-03-31 00:59:58.25")  # an hour is skipped in Europe within it


@pytest.mark.parametrize(
    "stamps",
    [
        pd.date_range(START, periods=4, freq="1500ms"),
        pd.date_range(START, periods=4, freq="1500ms", tz="UTC").tz_convert("Europe/Vienna"),
        pd.date_range(START, periods=4, freq="1500ms").to_numpy().astype("datetime64[ms]"),
        [dt.datetime(2024, 3, 31, 0, 59, 58, 250_000) + k * dt.timedelta(seconds=1.5) for k in range(4)],
        [1_711_846_798.25 + 1.5 * k for k in range(4)],
        pd.timedelta_range("0s", periods=4, freq="1500ms"),
    ],
    ids=["pandas", "time zone", "milliseconds", "datetime", "seconds", "timedelta"],
)
def test_datetimes_are_seconds(stamps):
    position = {"latitude": [0, 0.001, 0.002, 0.003], "longitude": [0] * 4}
    expected = from_fixes([{"time": [0, 1.5, 3, 4.5], **position}])[0]
    for time in (stamps, pd.Series(stamps)):
        np.testing.assert_array_equal(from_fixes([{"time": time, **position}])[0], expected)
    rows = np.array([list(row) for row in zip(list(stamps), *position.values(), strict=True)], dtype=object)
    np.testing.assert_array_equal(from_fixes([rows])[0], expected)


GOOD = trip([0, 1, 2], [1, 2, 3], [4, 5, 6])


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([GOOD, trip([0, 2, 1], 1, 1)], "trip 1: fix 2 is 1 s earlier than fix 1: sort the fixes by time"),
        ([trip([0, 1], [1, 90.5], 1)], "trip 0, fix 1: latitude 90.5 is not from -90 to 90 degrees"),
        ([trip([0, 1], [1, -91], 1)], "The order is time, latitude, longitude"),
        ([trip([0, 1], 1, [1, 361])], "trip 0, fix 1: longitude 361 is not from -180 to 360 degrees"),
        ([trip([0, 1], [1, np.inf], 1)], "trip 0, fix 1: latitude inf is not"),
        ([GOOD, trip([0, 1, 2], [1, NAN, 1], 1)], "trip 1, fix 1: latitude is missing: remove fixes without a place"),
        ([trip([0, 1], 1, [NAN, 1])], "trip 0, fix 0: longitude is missing"),
        ([trip([0, NAN], 1, 1)], "trip 0, fix 1: time is missing or infinite"),
        (
            [{"time": pd.to_datetime(["2024-01-01", None]), "latitude": [1, 1], "longitude": [1, 1]}],
            "fix 1: time is miss",
        ),
        (
            [{"time": [0, 1], "lat": [1, 1], "longitude": [1, 1]}],
            "trip 0 has no column 'latitude', but time, lat, longi",
        ),
        (
            [{"time": [0, 1], "latitude": [1], "longitude": [1, 1]}],
            "trip 0 has 2, 1 and 2 values of time, latitude, long",
        ),
        ([{"time": [pd.Timestamp("2024"), pd.NaT], "latitude": [1, 1], "longitude": [1, 1]}], "fix 1: time is missing"),
        (
            [{"time": [pd.Timestamp("2024"), "x"], "latitude": [1, 1], "longitude": [1, 1]}],
            "must hold datetimes alone",
        ),
        ([{"time": ["a"], "latitude": [1], "longitude": [1]}], "time of trip 0 is text, .*pandas.to_datetime"),
        (
            [{"time": [dt.datetime(2024, 1, 1), dt.timedelta(1)], "latitude": [1, 1], "longitude": [1, 1]}],
            "datetimes alone, or timedeltas alone",
        ),
        ([np.zeros((3, 4))], r"trip 0 has shape \(3, 4\), but must be \(fixes, 3\): time, latitude, longitude"),
        (GOOD, r"trip 0 has shape \(3,\).*One trip alone goes into a list: \[trip\]"),
        (pd.DataFrame(GOOD, columns=["time", "latitude", "longitude"]), "One trip alone goes into a list"),
        ([np.zeros((0, 3))], r"time of trip 0 has shape \(0,\)"),
        ([], "X is empty"),
        (None, "X is None"),
    ],
)
def test_what_is_wrong_is_named_with_its_trip_and_fix(X, message):
    with pytest.raises(ValueError, match=message):
        from_fixes(X)


@pytest.mark.parametrize("wrong", [-1, NAN, np.inf, "5", None])
def test_the_minimum_distance_is_metres(wrong):
    with pytest.raises(ValueError, match="min_distance must be a finite number of metres >= 0"):
        from_fixes([GOOD], min_distance=wrong)
