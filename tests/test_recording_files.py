"""Folders with one recording a file: what is read, how files are named, and what of a file is refused by its line."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from skseqmetric import SequenceKNeighborsClassifier
from skseqmetric.datasets import read_sequences

RNG = np.random.default_rng(0)
X = [RNG.normal(size=(t, 2)) for t in (4, 6, 3)]
X[1][2, 0] = np.nan
NAMES = ["rest/s1_a", "walk/s1_b", "walk/s2_a"]
LABEL, GROUP = r"^(?P<label>\w+)/", r"/(?P<group>s\d)_"


def written(folder: Path, kind: str, times: list[Any] | None = None) -> Path:
    for i, (name, x) in enumerate(zip(NAMES, X, strict=True)):
        path = folder / f"{name}.{kind}"
        path.parent.mkdir(exist_ok=True)
        frame = pd.DataFrame(x, columns=["east", "north"])
        if times is not None:
            frame.insert(1, "time", times[i])
            frame = frame.sample(frac=1, random_state=0)
        if i == 2:
            frame = frame[frame.columns[::-1]]  # channels are found by their names
        frame.to_csv(path, index=False) if kind == "csv" else frame.to_parquet(path, index=False)
    (folder / "notes.md").write_text("no recording")
    (folder / ".hidden.csv").write_text("no recording")
    return folder


def assert_same(actual: Any, expected: Any) -> None:
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(a), e, strict=True)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_folder_comes_back_exactly(tmp_path: Path, kind: str) -> None:
    data = read_sequences(written(tmp_path, kind), label=LABEL, group=re.compile(GROUP))
    assert_same(data.X, X)
    assert data.y.tolist() == ["rest", "walk", "walk"]
    assert data.groups.tolist() == ["s1", "s1", "s2"]
    assert data.case_ids.tolist() == [f"{name}.{kind}" for name in NAMES]
    assert data.feature_names == ["east", "north"]
    assert data.times is None
    one = read_sequences(tmp_path / "walk", channels=["north"], label=lambda path: int(path.stem[1]))
    assert_same(one.X, [x[:, 1:] for x in X[1:]])
    assert one.y.tolist() == [1, 2]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("zone", [None, "Europe/Berlin"])
def test_rows_are_sorted_by_their_stamps(tmp_path: Path, kind: str, zone: str | None) -> None:
    times = [pd.date_range("2026-03-29", periods=len(x), freq="h", tz=zone) for x in X]
    data = read_sequences(written(tmp_path, kind, times), time="time")
    assert_same(data.X, X)
    for found, own in zip(data.times, times, strict=True):
        assert (found == own.tz_convert("UTC").tz_localize(None).to_numpy() if zone else found == own).all()
    assert data.times[0].dtype.kind == "M"


def test_a_pattern_of_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "csv")
    found = read_sequences(tmp_path / "*" / "s1_*.csv", label=LABEL)
    assert found.case_ids.tolist() == ["rest/s1_a.csv", "walk/s1_b.csv"]
    monkeypatch.chdir(tmp_path)
    assert read_sequences("**/*.csv").case_ids.tolist() == [f"{name}.csv" for name in NAMES]
    assert read_sequences("walk/s[12]_?.csv").case_ids.tolist() == ["s1_b.csv", "s2_a.csv"]


def test_channels_are_compared_with_those_of_the_fit(tmp_path: Path) -> None:
    data = read_sequences(written(tmp_path, "csv"), label=LABEL)
    model = SequenceKNeighborsClassifier("dtw", n_neighbors=1).fit([data.X[0], data.X[2]], data.y[[0, 2]])
    assert model.channel_names_in_.tolist() == ["east", "north"]
    with pytest.raises(ValueError, match="in another order"):
        model.predict(read_sequences(tmp_path / "rest", channels=["north", "east"]).X)


def test_a_bar_shows_long_reading(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    written(tmp_path, "csv")
    read_sequences(tmp_path)
    read_sequences(tmp_path, verbose=1)
    assert capsys.readouterr().err == "", "a short one shows none"
    monkeypatch.setattr("skseqmetric.datasets._folders._DELAY", 0)
    read_sequences(tmp_path, verbose=1)
    assert "read_sequences: 100%" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------- forms of CSV

READ: dict[str, tuple[str, dict[str, Any], list[list[float]], list[str]]] = {
    "no header": ("1,2\n3,4\n", {}, [[1, 2], [3, 4]], ["channel_0", "channel_1"]),
    "semicolons": ("x;y\n1;2\n", {}, [[1, 2]], ["x", "y"]),
    "tabs and blanks": ("x\ty\n 1\t 2\n", {}, [[1, 2]], ["x", "y"]),
    "a mark of the byte order": ("\ufeffx,y\n1,2\n", {}, [[1, 2]], ["x", "y"]),
    "quotes": ('"x","a, b"\n"1",2\n', {}, [[1, 2]], ["x", "a, b"]),
    "lines of Windows": ("x,y\r\n1,2\r\n\r\n3,4\r\n", {}, [[1, 2], [3, 4]], ["x", "y"]),
    "missing values": ("x,y\n1,\nNA,nan\n", {}, [[1, np.nan], [np.nan, np.nan]], ["x", "y"]),
    "row numbers": (",x\n0,5\n1,6\n", {}, [[5], [6]], ["x"]),
    "numbers as names": ("0,1\n2,3\n", {"header": True}, [[2, 3]], ["0", "1"]),
    "numbers as numbers": ("0,1\n2,3\n", {"header": False}, [[0, 1], [2, 3]], ["channel_0", "channel_1"]),
    "text that is not read": ("x,note\n1,hello\n", {"channels": ["x"]}, [[1]], ["x"]),
    "exponents": ("x\n-1e-3\n+.5\n", {}, [[-1e-3], [0.5]], ["x"]),
}


@pytest.mark.parametrize("name", READ)
def test_forms_of_csv(tmp_path: Path, name: str) -> None:
    text, options, expected, names = READ[name]
    (tmp_path / "a.csv").write_bytes(text.encode())
    data = read_sequences(tmp_path, **options)
    assert_same(data.X, [np.array(expected, dtype=float)])
    assert data.feature_names == names


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a short line": ("x,y\n1,2\n3\n", {}, "line 3: there are 1 cells, but 2 columns"),
    "a long line": ("x,y\n\n1,2,3\n", {}, "line 3: there are 3 cells, but 2 columns"),
    "text": ("x,y\n1,a\n", {}, "line 2: column 'y' holds 'a', which is no number"),
    "decimal commas": ("x;y\n1,5;2\n", {}, "line 2: column 'x' holds '1,5'.*decimal points"),
    "digits of Python": ("x\n1_000\n", {}, "line 2: column 'x' holds '1_000'"),
    "infinity": ("x\n1\ninf\n", {}, "line 3: column 'x' is infinite"),
    "names or numbers": ("0,1\n2,3\n", {}, "line 1: 0,1 may be names or numbers. Say which: header=True"),
    "names and numbers": ("x,1\n2,3\n", {}, "line 1: x,1 holds names and numbers"),
    "nothing": ("", {}, "is empty"),
    "a header alone": ("x,y\n", {}, "line 1: the header is all there is"),
    "an open quote": ('x,y\n"1,2\n', {}, "line 2: unexpected end of data"),
    "a long field": ("x\n" + "1" * 200_000, {}, "line 2: field larger than field limit"),
    "blanks": ("1 2\n3 4\n", {}, "line 1: the cells are separated by blanks"),
    "two columns of one name": ("x,x\n1,2\n", {}, "line 1: two columns have the name 'x'"),
    "a column without a name": ("x,\n1,2\n", {}, "line 1: column 1 has no name"),
    "no such channel": ("x\n1\n", {"channels": ["z"]}, r"has no column 'z', but \['x'\]"),
    "no such time": ("x\n1\n", {"time": "t"}, r"has no column 't', but \['x'\]"),
    "a time without a header": ("1\n", {"time": "t"}, "has no header"),
    "a time twice": ("t,x\n1,1\n1,2\n", {"time": "t"}, "has the time 1.0 twice, in the steps 0 and 1"),
    "no time": ("t,x\n2026-01-01,1\nlater,2\n", {"time": "t"}, "line 3: column 't' holds 'later', which is no time"),
    "a missing time": ("t,x\n1,1\nnan,2\n", {"time": "t"}, "the time of step 1 is missing"),
    "zones beside none": ("t,x\n2026-01-01T00:00Z,1\n2026-01-02T00:00,2\n", {"time": "t"}, "line 3: .*all or none"),
    "no channels": ("t\n1\n", {"time": "t"}, "has no column for channels"),
    "too much": ("x\n" + "1\n" * 99, {"max_bytes": 700}, "line 100: the data need more than max_bytes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_is_refused_by_its_line(tmp_path: Path, name: str) -> None:
    text, options, message = REFUSED[name]
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_sequences(tmp_path, **options)
    assert type(caught.value) is ValueError
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value)) < len(str(path)) + 300


def test_files_that_differ_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("x,z\n1,2\n")
    with pytest.raises(ValueError, match=r"b\.csv has the columns \['x', 'z'\], but the first file has \['x', 'y'\]"):
        read_sequences(tmp_path)
    (tmp_path / "b.csv").write_text("1,2\n")
    with pytest.raises(ValueError, match=r"b\.csv has the columns 2 without names"):
        read_sequences(tmp_path)
    (tmp_path / "b.csv").write_bytes(b"x,y\n1,\xff\n")
    with pytest.raises(ValueError, match=r"b\.csv is no text in UTF-8"):
        read_sequences(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label": r"(?P<label>\d+)"}, r"a\.csv: its name 'a\.csv' does not match label="),
        ({"label": "walk"}, r"has no group of this name: write \(\?P<label>"),
        ({"group": "(?P<label>a)"}, r"has no group of this name: write \(\?P<group>"),
        ({"label": "("}, "is no regular expression"),
        ({"label": lambda path: None}, r"label\[0\] is None"),
        ({"max_bytes": 0}, "max_bytes must be a positive int"),
    ],
)
def test_names_that_say_nothing_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    with pytest.raises(ValueError, match=message):
        read_sequences(tmp_path, **options)


def test_no_files_and_wrong_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no file of CSV"):
        read_sequences(tmp_path)
    with pytest.raises(ValueError, match="has no file that matches"):
        read_sequences(tmp_path / "*.csv")
    (tmp_path / "x.npz").write_bytes(b"")
    with pytest.raises(ValueError, match="label is for folders and patterns of files"):
        read_sequences(tmp_path / "x.npz", label="a")


# ------------------------------------------------------------------------------------------------- Parquet


def test_damaged_parquet_is_one_error_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame(RNG.normal(size=(300, 3)), columns=list("abc")).to_parquet(path)
    whole = path.read_bytes()
    for k in range(60):
        data = bytearray(whole)
        for place in RNG.integers(0, len(data), size=4):
            data[place] ^= 1 << int(RNG.integers(8))
        path.write_bytes(bytes(data[: int(RNG.integers(len(data)))]) if k % 3 == 0 else bytes(data))
        try:
            read_sequences(tmp_path)
        except Exception as error:
            assert type(error) is ValueError, error  # noqa: PT017
            assert str(error).startswith(str(path))  # noqa: PT017


def test_parquet_is_judged_by_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pd.DataFrame({"x": np.zeros(10**6)}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a\.parquet has 1000000 cells, so that the data need more than max_bytes"):
        read_sequences(tmp_path, max_bytes=10**6)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ValueError, match=r"a\.parquet has 1000000 cells"):  # by polars
        read_sequences(tmp_path, max_bytes=10**6)
    assert read_sequences(tmp_path).X[0].shape == (10**6, 1)
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(ImportError, match="install pyarrow or polars"):
        read_sequences(tmp_path)
