"""Made trips: modes move as their numbers say, receivers lose and disturb fixes, travellers have habits."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, cross_val_score

from skseqmetric import RandomConvolutionMetric, SequenceKNeighborsClassifier, from_fixes
from skseqmetric.datasets import make_trips

MODES = ("walk", "bike", "bus", "car", "train")
CRUISE = {"walk": 1.4, "bike": 5, "bus": 11, "car": 14, "train": 24}
ACCELERATION = {"walk": 0.8, "bike": 0.7, "bus": 0.9, "car": 1.8, "train": 0.5}
CLEAN = {"noise": 0, "lost": 0, "random_state": 0}


def test_an_int_gives_the_same_trips_and_another_gives_others():
    first, again, other = (make_trips(12, random_state=seed) for seed in (3, 3, 4))
    for a, b in zip(first, again, strict=True):
        for x, z in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, z)
    assert not np.array_equal(first[0][0][:20], other[0][0][:20])
    assert len(make_trips(5, random_state=np.random.RandomState(0))[0]) == 5


def test_forms_and_numbers_are_as_said():
    fixes, modes, travellers = make_trips(23, n_travellers=4, duration=(60, 90), interval=2, random_state=0)
    assert sorted(np.unique(modes, return_counts=True)[1]) == [4, 4, 5, 5, 5]
    assert set(modes) == set(MODES)
    assert set(travellers) == set(range(4))
    for x in fixes:
        assert x.shape[1] == 3
        assert x[0, 0] == 0
        assert x[-1, 0] <= 90
        assert (np.diff(x[:, 0]) > 0).all()
        assert np.abs(x[:, 1] - 48.2).max() < 0.2
    # the travellers' own intervals differ, and so do those within a trip
    within, between = [np.std(np.diff(x[:, 0])) for x in fixes], [np.median(np.diff(x[:, 0])) for x in fixes]
    assert min(within) > 0.1
    assert np.std(between) > 0.1


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_moves_within_its_acceleration_cruises_and_stops(mode):
    fixes, *_ = make_trips(12, modes=[mode], duration=600, interval=0.5, n_travellers=3, **CLEAN)
    channels = from_fixes(fixes, min_distance=0.01)
    speeds = np.concatenate([x[1:, 3] for x in channels])
    assert CRUISE[mode] * 0.5 < np.quantile(speeds, 0.95) < CRUISE[mode] * 2.5
    assert (speeds < 0.05).mean() > 0.01
    for x in channels:
        time = x[1:, 0]
        change = np.abs(np.diff(x[1:, 3])) / ((time[1:] + time[:-1]) / 2)
        # a stop within a step looks shorter than it is, and a chord is shorter than a bend
        assert np.quantile(change, 0.99) < 1.2 * ACCELERATION[mode]


def test_turns_are_right_angles_and_trains_have_none():
    fixes, modes, _ = make_trips(20, modes=["car", "train"], duration=600, interval=1, **CLEAN)
    turned = [np.abs(np.convolve(x[1:, 4], np.ones(15))).max() for x in from_fixes(fixes, min_distance=0.1)]
    assert np.median(np.array(turned)[modes == "car"]) == pytest.approx(np.pi / 2, abs=0.6)
    assert np.median(np.array(turned)[modes == "train"]) < 0.5


def test_the_receiver_disturbs_and_loses_fixes():
    settings = {"modes": ["walk"], "duration": 1200, "interval": 5, "random_state": 0}
    clean, noisy, holed = (make_trips(10, **settings, noise=n, lost=p)[0] for n, p in ((0, 0), (5, 0), (0, 0.4)))
    errors = np.concatenate([(a - b)[:, 1:] for a, b in zip(clean, noisy, strict=True)]) * 111_195
    errors[:, 1] *= np.cos(np.radians(48.2))
    # 15 % of the time three times the error: the mean square is 2.2 times that in the open, and phones differ
    assert 4 < np.sqrt((errors**2).mean()) < 11
    steps = np.abs(np.diff(errors, axis=0)).mean()
    assert steps < np.abs(errors - np.random.default_rng(0).permutation(errors)).mean() / 1.3  # it drifts
    share = 1 - sum(map(len, holed)) / sum(map(len, clean))
    assert 0.3 < share < 0.5
    assert max(np.diff(x[:, 0]).max() for x in holed) > 60
    assert all(a[-1, 0] == b[-1, 0] for a, b in zip(clean, holed, strict=True))


@pytest.mark.parametrize("origin", [(0, 180), (-60, -179.999), (89, 10)])
def test_trips_begin_anywhere(origin):
    there, here = (make_trips(5, origin=o, random_state=0)[0] for o in (origin, (48.2, 16.37)))
    for a, b in zip(from_fixes(there), from_fixes(here), strict=True):
        np.testing.assert_allclose(a[:, [0, 3]], b[:, [0, 3]], rtol=2e-3, atol=1e-3)
    assert all(np.abs(x[:, 2]).max() <= 180 for x in there)


def test_short_trips_have_two_fixes():
    fixes, *_ = make_trips(5, duration=1, interval=60, lost=0.9, random_state=0)
    assert [len(x) for x in fixes] == [2] * 5


def test_modes_of_new_travellers_are_told_apart():
    fixes, modes, travellers = make_trips(100, random_state=0)
    model = SequenceKNeighborsClassifier(RandomConvolutionMetric(420, random_state=0), n_neighbors=1)
    scores = cross_val_score(model, from_fixes(fixes), modes, groups=travellers, cv=GroupKFold(3))
    assert 0.7 < scores.mean() < 0.97


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_trips": 4}, "n_trips=4 must be at least the number of modes, 5"),
        ({"modes": ["walk", "swim"]}, "modes holds 'swim', but must hold some of walk, bike, bus, car, train"),
        ({"modes": []}, r"modes=\[\] must name at least one mode, each once"),
        ({"modes": ["bus", "bus"]}, "each once"),
        ({"n_travellers": 0}, "n_travellers=0 must be at least 1"),
        ({"duration": 0}, r"duration=\(0, 0\) must be finite and 0 < least <= largest"),
        ({"duration": (9, 5)}, r"duration=\(9, 5\) must be"),
        ({"interval": 0}, "interval=0 must be finite and > 0"),
        ({"noise": -1}, "noise=-1 must be finite and >= 0"),
        ({"noise": np.inf}, "noise=inf must be finite"),
        ({"lost": 1}, "lost=1 must be 0 <= lost < 1"),
        ({"origin": (90, 0)}, "origin has latitude 90, but it must be from -89 to 89 degrees"),
        ({"origin": (0, 500)}, "origin has longitude 500, but it must be from -180 to 360 degrees"),
    ],
)
def test_what_is_out_of_range_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_trips(**arguments)
