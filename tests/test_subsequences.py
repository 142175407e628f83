"""`find_subsequences` against a reference that holds all windows, all distances, and sorts them."""

import gc
import weakref

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from skseqmetric import DTWMetric, NRNMMetric, RandomConvolutionMetric, SyncGRUMetric, find_subsequences

FIELDS = ["distance", "recording", "start", "stop", "query"]
QUICK = {"n_units": 4, "n_filters": 4, "max_epochs": 1, "min_batches": 1, "max_updates": 2, "random_state": 0}


def all_windows(recordings, lengths, stride):
    """Every window (recording, start, stop) of every length."""
    found = set()
    for number, recording in enumerate(recordings):
        for length in lengths:
            width = min(length, len(recording))
            step = max(1, round(stride * width)) if isinstance(stride, float) else stride
            last = len(recording) - width
            found |= {(number, start, start + width) for start in [*range(0, last + 1, step), last]}
    return sorted(found)


def greedy(windows, distances, queries, n_matches, max_distance, exclusion):
    """Sort all windows, and take each that no window taken before excludes."""
    ranked = sorted(zip(distances, windows, queries, strict=True))
    taken = []
    for distance, (number, start, stop), query in ranked:
        if len(taken) == n_matches or distance > max_distance:
            break
        for _, other, first, end, _ in taken:
            shorter = min(stop - start, end - first)
            if other == number and shorter - (min(stop, end) - max(start, first)) < exclusion * shorter:
                break
        else:
            taken.append((distance, number, start, stop, query))
    return taken


def reference(
    metric,
    queries,
    recordings,
    *,
    lengths,
    labels=None,
    n_matches=10,
    max_distance=np.inf,
    stride=0.25,
    exclusion=0.5,
):
    """What the search must return, as lists of tuples."""
    windows = all_windows(recordings, lengths, stride)
    distances = metric.pairwise_distances(queries, [recordings[r][s:e] for r, s, e in windows])
    labels = np.arange(len(queries)) if labels is None else np.asarray(labels)
    found = []
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        nearest = rows[distances[rows].argmin(axis=0)]
        best = distances[nearest, np.arange(len(windows))]
        found.append(greedy(windows, best.tolist(), nearest.tolist(), n_matches, max_distance, exclusion))
    return found


def as_tuples(matches):
    return [m[FIELDS].tolist() for m in matches]


def walks(seed, *lengths, n_channels=2):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal((n, n_channels)).cumsum(axis=0) / 4 for n in lengths]


def mean_gap(x, y):
    """A distance with many ties on small integers."""
    return abs(float(x.mean()) - float(y.mean()))


QUERIES = walks(0, 9, 14, 11)
RECORDINGS = walks(1, 70, 5, 121)
LABELS = [0, 1, 0]


def fitted(name):
    if name == "dtw":
        return DTWMetric().fit(QUERIES)
    if name == "convolutions":
        return RandomConvolutionMetric(84, random_state=0).fit(QUERIES + walks(2, 12, 13, 10), [0, 1, 0, 1, 0, 1])
    coupling = None if name == "gru" else "alignment"
    return SyncGRUMetric(**QUICK, coupling=coupling).fit(QUERIES + walks(2, 12, 13, 10), [0, 1, 0, 1, 0, 1])


# ---------------------------------------------------------------------------------------------------------------- exact


@pytest.mark.parametrize("name", ["dtw", "convolutions", "gru", "matched"])
@pytest.mark.parametrize("labels", [None, LABELS])
def test_finds_what_sorting_all_windows_finds_to_the_bit(name, labels):
    metric, lengths = fitted(name), [8, 12, 30]
    with sklearn.config_context(working_memory=0.01):  # several blocks to a recording
        found = find_subsequences(metric, QUERIES, RECORDINGS, labels=labels, lengths=lengths, n_matches=6)
    assert as_tuples(found) == reference(metric, QUERIES, RECORDINGS, lengths=lengths, labels=labels, n_matches=6)


@pytest.mark.parametrize("seed", range(9))
def test_ties_and_chains_of_overlaps_are_those_of_the_reference(seed):
    rng = np.random.default_rng(seed)
    recordings = [rng.integers(0, 3, (int(n), 1)).astype(float) for n in rng.integers(4, 60, 3)]
    if seed % 3 == 0:
        recordings.append(np.linspace(0, 2, 60)[:, np.newaxis])  # every window is nearer than the one before
    queries = [np.full((3, 1), 2.0), np.full((3, 1), 0.9)]
    settings = {
        "lengths": sorted({int(n) for n in rng.integers(1, 20, 3)}),
        "stride": (1, 2, 0.25, 1.0)[seed % 4],
        "exclusion": (0, 0.3, 0.5, 1)[rng.integers(4)],
        "n_matches": (None, 1, 7)[seed % 3],
        "max_distance": (np.inf, 0.6)[rng.integers(2)],
    }
    metric = RowMetric()
    expected = reference(metric, queries, recordings, **settings)
    limit = None if np.isinf(settings["max_distance"]) else settings["max_distance"]
    for memory in (1024, 0.0005, 1e-9):
        with sklearn.config_context(working_memory=memory):
            found = find_subsequences(mean_gap, queries, recordings, **{**settings, "max_distance": limit})
        assert as_tuples(found) == expected


class RowMetric:
    """`mean_gap` for the reference."""

    def pairwise_distances(self, X, Y):
        return np.array([[mean_gap(x, y) for y in Y] for x in X])


def test_a_planted_pattern_is_found_at_its_place_and_length():
    rng = np.random.default_rng(3)
    pattern = np.stack([np.sin(np.linspace(0, 6, 24)), np.cos(np.linspace(0, 9, 24))], axis=1)
    recordings = [rng.normal(0, 0.05, (200, 2)) for _ in range(2)]
    recordings[0][50:74] += pattern
    recordings[1][120:152] += np.repeat(pattern, 4, axis=0)[::3]  # slower: 32 steps
    metric = DTWMetric().fit([pattern])
    (found,) = find_subsequences(metric, [pattern], recordings, n_matches=2, stride=1, lengths=[18, 24, 32])
    assert found[["recording", "start", "stop"]].tolist() == [(0, 50, 74), (1, 120, 152)]


# ------------------------------------------------------------------------------------------------------------ streaming


def test_a_list_a_generator_and_memory_maps_give_the_same_bits(tmp_path):
    metric = RandomConvolutionMetric(84, random_state=0).fit(QUERIES + walks(2, 12, 13, 10), [0, 1, 0, 1, 0, 1])
    recordings = [x.astype(np.float32) for x in walks(5, 300, 200)]
    maps = []
    for number, x in enumerate(recordings):
        np.save(tmp_path / f"{number}.npy", x)
        maps.append(np.load(tmp_path / f"{number}.npy", mmap_mode="r"))
    expected = find_subsequences(metric, QUERIES, recordings)
    for given in (iter(recordings), maps, (np.load(tmp_path / f"{i}.npy", mmap_mode="r") for i in range(2))):
        assert as_tuples(find_subsequences(metric, QUERIES, given)) == as_tuples(expected)


def test_a_recording_is_dropped_before_the_next_one_is_asked_for():
    held = []

    def recordings():
        for seed in range(3):
            gc.collect()
            assert all(earlier() is None for earlier in held)
            (x,) = walks(seed, 40)
            held.append(weakref.ref(x))
            yield x
            del x

    find_subsequences(DTWMetric().fit(QUERIES), QUERIES, recordings(), lengths=10)
    assert len(held) == 3


def test_a_large_recording_in_a_memory_map_is_searched_where_it_lies(tmp_path):
    values = np.lib.format.open_memmap(tmp_path / "x.npy", "w+", np.int16, (2**19, 2))
    values[:] = np.arange(2**20, dtype=np.int64).reshape(-1, 2) % 997
    values[300_000:300_010] = -5000
    query = np.full((10, 2), -5000.0)
    (found,) = find_subsequences(mean_gap, [query], [values], n_matches=1, lengths=10, stride=5000)
    assert found[FIELDS].tolist() == [(0.0, 0, 300_000, 300_010, 0)]


# -------------------------------------------------------------------------------------------------------- what is given


def test_automatic_lengths_surround_those_of_the_queries():
    queries = [np.zeros((12, 1)), np.zeros((24, 1))]
    (found, _) = find_subsequences(mean_gap, queries, [np.ones((200, 1))], n_matches=None, stride=1.0, exclusion=0)
    lengths = np.unique(found["stop"] - found["start"])
    assert lengths.tolist() == [9, 12, 15, 19, 25, 32]
    (same,) = find_subsequences(mean_gap, queries[:1], [np.ones((50, 1))], n_matches=None, stride=1.0, exclusion=0)
    assert np.unique(same["stop"] - same["start"]).tolist() == [9, 12, 16]


def test_a_window_is_at_most_the_whole_recording():
    (found,) = find_subsequences(mean_gap, [np.zeros((4, 1))], [np.ones((3, 1))], lengths=[4, 50])
    assert found[FIELDS].tolist() == [(1.0, 0, 0, 3, 0)]


def test_a_fitted_metric_may_come_frozen_or_as_a_function():
    metric = DTWMetric(window=2).fit(QUERIES)
    expected = as_tuples(find_subsequences(metric, QUERIES, RECORDINGS))
    for given in (FrozenEstimator(metric), metric.get_metric()):
        assert as_tuples(find_subsequences(given, QUERIES, RECORDINGS)) == expected


def test_the_matches_are_a_table():
    (found,) = find_subsequences(mean_gap, [[[1.0], [2.0]]], [np.arange(9.0)], lengths=2, n_matches=2, stride=1)
    assert pd.DataFrame(found).to_dict("records") == [
        {"distance": 0.0, "recording": 0, "start": 1, "stop": 3, "query": 0},
        {"distance": 1.0, "recording": 0, "start": 0, "stop": 2, "query": 0},
    ]


def test_missing_values_are_filled_in_each_window():
    metric = RandomConvolutionMetric(84, random_state=0, missing="interpolate").fit(
        QUERIES + walks(2, 12, 13, 10), [0, 1, 0, 1, 0, 1]
    )
    recordings = [x.copy() for x in RECORDINGS]
    recordings[0][20:28, 1] = np.nan
    found = find_subsequences(metric, QUERIES, recordings, lengths=[8, 12])
    assert as_tuples(found) == reference(metric, QUERIES, recordings, lengths=[8, 12])


def test_tokens_are_searched_too():
    words = [list("abcab"), list("ccbb"), list("abc"), list("bbcc")]
    settings = {key: value for key, value in QUICK.items() if key != "n_filters"}
    metric = NRNMMetric(**settings, tokens=True).fit(words, [0, 1, 0, 1])
    recordings = [list("ccbbabcaabcbbcc"), list("bbbbabcab")]
    found = find_subsequences(metric, words[:1], recordings, lengths=5, n_matches=3, stride=1)
    assert as_tuples(found) == reference(metric, words[:1], recordings, lengths=[5], n_matches=3, stride=1)


def test_refuses_what_cannot_be_meant():
    metric = DTWMetric().fit(QUERIES)
    for recordings, message in (
        (RECORDINGS[0], r"pass \[recording\]"),
        (pd.DataFrame(RECORDINGS[0]), r"pass \[recording\]"),
        ([], "recordings is empty"),
        ([RECORDINGS[0], RECORDINGS[0][:, :1]], r"recordings\[1\] .* 1 channel"),
        ([RECORDINGS[0], np.full((5, 2), np.nan)], r"recordings\[1\] .* NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            find_subsequences(metric, QUERIES, recordings)
    with pytest.raises(NotFittedError):
        find_subsequences(DTWMetric(), QUERIES, RECORDINGS)
    for name, value, message in (
        ("lengths", [0, 4], "lengths"),
        ("lengths", [2.5], "lengths"),
        ("lengths", "half", "lengths"),
        ("stride", 0, "stride"),
        ("stride", 1.5, "stride"),
        ("exclusion", 1.1, "exclusion"),
        ("n_matches", 0, "n_matches"),
        ("labels", [1, 2], "one label for each"),
        ("metric", "dtw", "metric"),
    ):
        given = {"metric": metric, "queries": QUERIES, "recordings": RECORDINGS, name: value}
        with pytest.raises(ValueError, match=message):
            find_subsequences(**given)
