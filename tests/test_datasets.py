"""Datasets: shipped data equal the published ones, files come back bit-equal, made data follow their equations."""

from __future__ import annotations

import hashlib
import os
from importlib import resources

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from sklearn.metrics import pairwise_distances
from sklearn.utils import Bunch

from skseqmetric import check_sequences
from skseqmetric.datasets import load_japanese_vowels, make_shifted_sequences, read_sequences, write_sequences

NAN = np.nan


def assert_same(actual, expected):
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, e, strict=True)


# ------------------------------------------------------------------------------------------ Japanese Vowels


@pytest.mark.parametrize(
    ("split", "counts", "longest", "digest"),
    [
        ("train", [30] * 9, 26, "b531e6680122bee893af0ee8794a696bb7caad40d5abe04cc19dd8be9bc61172"),
        (
            "test",
            [31, 35, 88, 44, 29, 24, 40, 50, 29],
            29,
            "7c71160980b89a87419481f63e5e0687879d87e97d824d2d77393df866943db5",
        ),
    ],
)
def test_japanese_vowels_are_the_published_ones(split, counts, longest, digest):
    bunch = load_japanese_vowels(split=split)
    assert np.bincount(bunch.target).tolist() == counts
    assert {x.shape[1] for x in bunch.data} == {12}
    assert min(map(len, bunch.data)) == 7
    assert max(map(len, bunch.data)) == longest
    assert hashlib.sha256(np.concatenate(bunch.data).astype("<f4").tobytes()).hexdigest() == digest
    assert set(bunch.split) == {split}


def test_japanese_vowels_begin_as_the_source_does():
    X, y = load_japanese_vowels(split="train", return_X_y=True)
    np.testing.assert_array_equal(X[0][0, :4], np.float32([1.860936, -0.207383, 0.261557, -0.214562]))
    assert X[0].dtype == np.float32
    assert y[:31].tolist() == [0] * 30 + [1]
    assert y.dtype == np.int64


def test_japanese_vowels_whole_is_train_then_test():
    whole = load_japanese_vowels()
    train, test = load_japanese_vowels(split="train"), load_japanese_vowels(split="test")
    assert isinstance(whole, Bunch)
    assert_same(whole.data, train.data + test.data)
    np.testing.assert_array_equal(whole.target, np.concatenate([train.target, test.target]))
    assert whole.split.tolist() == ["train"] * 270 + ["test"] * 370
    assert len(check_sequences(whole.data)) == 640


def test_japanese_vowels_are_described():
    bunch = load_japanese_vowels(split="test")
    assert bunch.target_names.tolist() == [f"speaker {i}" for i in range(1, 10)]
    assert len(bunch.feature_names) == 12
    assert os.path.getsize(bunch.filename) < 500_000
    for fact in ("CC BY 4.0", "Kudo", "Toyama", "Shimbo", "1999", "UCI Machine Learning Repository"):
        assert fact in bunch.DESCR
    licence = resources.files("skseqmetric.datasets") / "data" / "japanese_vowels_LICENSE.txt"
    assert "CC BY 4.0" in licence.read_text(encoding="utf-8")


def test_japanese_vowels_are_fresh_at_every_call():
    load_japanese_vowels(split="train").data[0][...] = 0
    assert load_japanese_vowels(split="train").data[0].any()


def test_japanese_vowels_have_no_other_split():
    with pytest.raises(ValueError, match="split must be 'train', 'test' or None, got 'valid'"):
        load_japanese_vowels(split="valid")


# ------------------------------------------------------------------------------------------------ files


@st.composite
def splits(draw):
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    dtype = draw(st.sampled_from(["float32", "float64", "float16", "int16", "bool"]))
    result = {}
    for name in draw(st.lists(st.sampled_from(["", "train", "test", "a_b", "lengths"]), min_size=1, unique=True)):
        lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=5))
        X = [rng.uniform(-9, 9, (t, 2)).astype(dtype) for t in lengths]
        kind = draw(st.sampled_from(["none", "int", "str", "float", "steps"]))
        if kind == "steps" and max(lengths) == 1:
            kind = "int"  # one label a step and one a sequence are the same there
        y = {
            "none": None,
            "int": rng.integers(-5, 5, len(X)),
            "str": np.array([f"label {t}" for t in lengths]),
            "float": rng.standard_normal(len(X)),
            "steps": [rng.integers(0, 3, t, dtype=np.int8) for t in lengths],
        }[kind]
        result[name] = (X, y)
    return result


@given(written=splits())
def test_files_come_back_bit_equal(tmp_path_factory, written):
    path = tmp_path_factory.mktemp("files") / "sequences.npz"
    write_sequences(path, written)
    read = read_sequences(path)
    assert list(read) == list(written)
    for name, (X, y) in written.items():
        X_read, y_read = read[name]
        assert_same(X_read, X)
        if y is None:
            assert y_read is None
        elif isinstance(y, list):
            assert isinstance(y_read, list)
            assert_same(y_read, y)
        else:
            np.testing.assert_array_equal(y_read, y, strict=True)


def test_the_file_has_the_documented_keys(tmp_path):
    path = tmp_path / "sequences.npz"
    write_sequences(str(path), {"train": ([[[1.0], [2.0]], [[3.0]]], ["b", "a"]), "": (np.ones((2, 3, 1)), None)})
    with np.load(path, allow_pickle=False) as arrays:
        assert sorted(arrays.files) == ["lengths", "train_labels", "train_lengths", "train_values", "values"]
        assert arrays["train_values"].tolist() == [[1], [2], [3]]
        assert arrays["train_lengths"].tolist() == [2, 1]
        assert arrays["train_labels"].tolist() == ["b", "a"]
        assert arrays["lengths"].tolist() == [3, 3]


def test_missing_values_are_kept(tmp_path):
    X = [np.array([[1.0, NAN], [NAN, NAN]])]
    write_sequences(tmp_path / "x.npz", {"train": (X, None)})
    assert_same(read_sequences(tmp_path / "x.npz")["train"][0], X)


def test_strings_in_objects_need_no_pickle(tmp_path):
    y = np.array(["walk", "run"], dtype=object)
    write_sequences(tmp_path / "x.npz", {"train": (np.ones((2, 3, 1)), y)})
    assert read_sequences(tmp_path / "x.npz")["train"][1].tolist() == ["walk", "run"]


def test_the_name_is_taken_as_it_is(tmp_path):
    write_sequences(tmp_path / "data.bin", {"train": (np.ones((1, 2, 1)), [0])})
    assert [p.name for p in tmp_path.iterdir()] == ["data.bin"]
    assert "train" in read_sequences(tmp_path / "data.bin")


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.npz"
    write_sequences(path, {"train": (np.ones((1, 2, 1)), None)})
    before = path.read_bytes()

    def half_way(file, **arrays):
        file.write(b"PK half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", half_way)
    with pytest.raises(OSError, match="disk full"):
        write_sequences(path, {"train": (np.zeros((1, 2, 1)), None)})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["x.npz"]


V, L = np.ones((5, 2)), np.array([2, 3])
BAD_FILES = {
    "no splits": ({"a": V}, r"no key that ends in _values and _lengths; it has \['a'\]"),
    "no lengths": ({"train_values": V}, r"misses train_lengths; it has \['train_values'\]"),
    "no values": ({"a_values": V, "a_lengths": L, "b_lengths": L}, "misses b_values; it has"),
    "no bare values": ({"lengths": L, "values_int16": V}, "misses values; it has"),
    "1-D values": ({"a_values": V[:, 0], "a_lengths": L}, r"a_values must be \(steps, channels\).*\(5,\)"),
    "float lengths": ({"a_values": V, "a_lengths": L * 1.0}, "a_lengths 1-D int, got .* float64"),
    "wrong sum": ({"a_values": V, "a_lengths": L + 1}, "sum to the 5 rows of a_values; the sum is 7"),
    "zero length": ({"a_values": V, "a_lengths": np.array([5, 0])}, "must be positive .* the least 0"),
    "labels": ({"a_values": V, "a_lengths": L, "a_labels": np.ones(3)}, r"a_labels has shape \(3,\).*\(2,\)"),
    "pickled": ({"a_values": V, "a_lengths": L, "a_labels": np.array([{}, 1])}, "allow_pickle=False"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_refused(tmp_path, name):
    arrays, message = BAD_FILES[name]
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        read_sequences(tmp_path / "x.npz")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "x.npz").write_text("no archive")
    with pytest.raises(ValueError, match=r"x\.npz is not an \.npz file"):
        read_sequences(tmp_path / "x.npz")
    with pytest.raises(FileNotFoundError):
        read_sequences(tmp_path / "y.npz")


X = [np.ones((2, 2)), np.ones((3, 2))]
BAD_SPLITS = {
    "none": ({}, "splits is empty"),
    "name": ({"../a": (X, None)}, "'../a' cannot be the name of a split"),
    "no name": ({3: (X, None)}, "3 cannot be the name of a split"),
    "empty": ({"a": ([], None)}, "split 'a' is empty"),
    "1-D": ({"a": ([X[0], np.ones(3)], None)}, r"split 'a', sequence 1 must be numbers .* got shape \(3,\)"),
    "no steps": (
        {"a": ([X[0], X[0][:0]], None)},
        r"sequence 1 must be .* at least one step, got shape \(0, 2\)",
    ),
    "text": ({"a": ([[["x"]]], None)}, "sequence 0 must be numbers .* dtype <U1"),
    "channels": ({"a": ([X[0], np.ones((2, 3))], None)}, "sequence 1 has 3 channels, but sequence 0 has 2"),
    "labels": ({"a": (X, [1])}, "split 'a' has 2 sequences, but 1 labels"),
    "step labels": ({"a": (X, [[1, 2], [1, 2]])}, r"labels of sequence 1 have shape \(2,\), expected \(3,\)"),
    "mixed labels": ({"a": (X, [1, [1, 2, 3]])}, r"labels of sequence 1 have shape \(3,\), expected \(\)"),
    "objects": ({"a": (X, [{}, {}])}, "a dict, which cannot be sorted or hashed: labels are strings or numbers"),
}


@pytest.mark.parametrize("name", BAD_SPLITS)
def test_bad_splits_are_not_written(tmp_path, name):
    bad, message = BAD_SPLITS[name]
    with pytest.raises(ValueError, match=message):
        write_sequences(tmp_path / "x.npz", bad)
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------- shifted sequences


def test_shifted_sequences_have_the_shapes_asked_for():
    X, y = make_shifted_sequences(50, n_classes=3, n_channels=2, length=(5, 9), random_state=0)
    assert {len(x) for x in X} == {5, 6, 7, 8, 9}
    assert {x.shape[1] for x in X} == {2}
    assert sorted(np.bincount(y).tolist()) == [16, 17, 17]
    assert (np.diff(y) != 0).any()
    assert {len(x) for x in make_shifted_sequences(4, length=6, random_state=0)[0]} == {6}


@pytest.mark.parametrize("make", [lambda: 3, lambda: np.random.default_rng(3), lambda: np.random.RandomState(3)])
def test_shifted_sequences_repeat(make):
    (X, y), (X2, y2) = (
        make_shifted_sequences(10, random_state=make()),
        make_shifted_sequences(10, random_state=make()),
    )
    assert_same(X, X2)
    np.testing.assert_array_equal(y, y2)


@pytest.mark.parametrize("random_state", [None, "shared"])
def test_shifted_sequences_differ_from_draw_to_draw(random_state):
    state = np.random.default_rng(0) if random_state else None
    a, b = (make_shifted_sequences(4, length=20, random_state=state)[0] for _ in range(2))
    assert not np.allclose(a[0], b[0])


def test_without_warp_shift_and_noise_a_class_is_one_curve():
    X, y = make_shifted_sequences(12, n_classes=3, length=200, shift=0, warp=0, noise=0, random_state=0)
    flat = np.stack(X)
    for k in range(3):
        np.testing.assert_allclose(flat[y == k], flat[y == k][:1].repeat(4, axis=0), atol=1e-12)
    # period 1 and variance 1 over a period, as the docstring says
    np.testing.assert_allclose(flat[:, 0], flat[:, -1], atol=1e-12)
    np.testing.assert_allclose(flat[:, :-1].var(axis=1), 1, rtol=1e-12)


def test_a_shift_moves_along_the_curve():
    still, _ = make_shifted_sequences(1, n_classes=1, length=101, shift=0, warp=0, noise=0, random_state=0)
    moved, _ = make_shifted_sequences(1, n_classes=1, length=101, shift=0.5, warp=0, noise=0, random_state=0)
    spectra = [np.abs(np.fft.rfft(x[0][:-1], axis=0)) for x in (still, moved)]
    np.testing.assert_allclose(*spectra, atol=1e-9)
    assert not np.allclose(still[0], moved[0])


def times_on(curve, points):
    """Times in [0, 1] at which a closed curve (N + 1, C) of at most four harmonics passes through points (T, C)."""
    grid = len(curve) - 1
    m = 2j * np.pi * np.arange(5)
    coefficients = np.fft.rfft(curve[:-1], axis=0)[:5] * 2 / grid
    times = cKDTree(curve).query(points)[1] / grid
    for _ in range(6):  # Gauss-Newton from the nearest point of the grid
        waves = np.exp(np.multiply.outer(times, m))
        missing, velocity = points - (waves @ coefficients).real, (waves * m @ coefficients).real
        times += (missing * velocity).sum(axis=1) / (velocity**2).sum(axis=1)
    times = np.unwrap(times, period=1)
    return times - np.round(times[0])


@given(st.integers(0, 999), st.floats(0, 0.99))
def test_a_warp_keeps_order_and_ends(seed, warp):
    settings = {"n_classes": 1, "n_channels": 8, "shift": 0, "noise": 0, "random_state": seed}
    (curve,), _ = make_shifted_sequences(1, length=4001, warp=0, **settings)
    (warped,), _ = make_shifted_sequences(1, length=500, warp=warp, **settings)
    u, w = np.linspace(0, 1, 500), times_on(curve, warped)
    np.testing.assert_allclose(w[[0, -1]], [0, 1], atol=1e-12)
    speed = np.diff(w) / np.diff(u)
    assert speed.min() >= 1 - warp - 1e-9
    assert speed.max() <= 1 + warp + 1e-9


def test_noise_has_its_standard_deviation():
    clean, _ = make_shifted_sequences(1, n_classes=1, length=20_000, shift=0, warp=0, noise=0, random_state=0)
    noisy, _ = make_shifted_sequences(1, n_classes=1, length=20_000, shift=0, warp=0, noise=0.5, random_state=0)
    assert (noisy[0] - clean[0]).std() == pytest.approx(0.5, rel=0.02)


def test_classes_can_be_told_apart():
    X, y = make_shifted_sequences(120, length=50, shift=0.02, warp=0.1, random_state=0)
    distances = pairwise_distances(np.stack(X).reshape(len(X), -1))
    np.fill_diagonal(distances, np.inf)
    assert (y[distances.argmin(axis=1)] == y).mean() > 0.95


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_sequences": 3}, "n_classes=4 must be at least 1 and at most n_sequences=3"),
        ({"n_classes": 0}, "n_classes=0 must be"),
        ({"n_channels": 0}, "n_channels=0 must be at least 1"),
        ({"length": (9, 5)}, r"length=\(9, 5\) must be 1 <= least <= largest"),
        ({"length": 0}, r"length=\(0, 0\)"),
        ({"shift": -0.1}, "shift=-0.1 must be finite and >= 0"),
        ({"warp": 1.0}, "warp=1.0 must be 0 <= warp < 1"),
        ({"noise": NAN}, "noise=nan must be finite"),
    ],
)
def test_ranges_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_shifted_sequences(**arguments)
