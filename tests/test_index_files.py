"""Files of indexes: the same bits, pages of the file, whole after a kill, and refused where they were changed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skseqmetric import RandomConvolutionMetric, SequenceIndex, load
from tests.fake_metrics import MeanMetric, random_sequences
from tests.hostile_files import Content, mutated
from tests.small_models import fitted

X = random_sequences(np.random.default_rng(0), 1200)
QUERIES = random_sequences(np.random.default_rng(1), 6)
needs_fork = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="starts processes by fork"
)


@cache
def made(name: str) -> SequenceIndex:
    """An index after additions and removals. Nobody may change it."""
    if name in ("hnsw", "ivf"):
        pytest.importorskip("faiss")
        metric = RandomConvolutionMetric(168, n_components=6, random_state=0).fit(X[:100])
        return SequenceIndex(metric, backend=name).add(X[:1100]).remove(range(30, 60)).add(X[1100:])
    texts = name == "DTWMetric"
    ids = [f"number {i}" for i in range(30)] if texts else None
    index = SequenceIndex(fitted(name)).add(X[:30], ids)
    return index.remove([ids[3]] if ids else [3]).add(X[30:33], ["a", "b", "c"] if ids else None)


NAMES = [
    "RandomConvolutionMetric",
    "SyncGRUMetric coupled",
    "SyncGRUMetric aligned",
    "MetricEnsemble default",
    "DTWMetric",
]


@pytest.mark.parametrize("name", [*NAMES, "hnsw", "ivf"])
@pytest.mark.parametrize("mmap", [True, False])
def test_a_loaded_index_answers_with_the_same_bits_and_grows(name: str, mmap: bool, tmp_path: Path) -> None:
    index, path = made(name), tmp_path / "index.skm"
    index.save(path)
    before = path.read_bytes()
    loaded = load(path, mmap=mmap)
    assert type(loaded) is SequenceIndex
    assert loaded.backend_ == index.backend_
    np.testing.assert_array_equal(loaded.ids, index.ids)
    for mine, its in zip(loaded.search(QUERIES, 5), index.search(QUERIES, 5), strict=True):
        assert mine.tolist() == its.tolist()
    loaded.save(tmp_path / "again.skm")
    assert (tmp_path / "again.skm").read_bytes() == before
    new = ["x", "y"] if index.ids.dtype == object else None
    loaded.add(X[:2], new).remove(loaded.ids[:1])
    assert loaded.ids[-1] == ("y" if new else index.ids[-1] + 2)
    assert path.read_bytes() == before


def test_an_empty_index_is_saved(tmp_path: Path) -> None:
    SequenceIndex(fitted("DTWMetric")).save(tmp_path / "empty.skm")
    index = load(tmp_path / "empty.skm")
    assert len(index) == 0
    assert len(index.add(X[:2]).remove([0, 1])) == 0
    index.save(tmp_path / "empty.skm")
    assert load(tmp_path / "empty.skm").add(X[:1]).ids.tolist() == [2]


def test_a_metric_of_the_user_is_in_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"SequenceIndex\.metric is an estimator of class .*MeanMetric"):
        SequenceIndex(MeanMetric(euclidean=False).fit(X)).add(X[:3]).save(tmp_path / "index.skm")


def test_a_reader_of_a_file_sees_a_whole_index(tmp_path: Path) -> None:
    """A file that is replaced again and again is always one of those that were saved."""
    path, index = tmp_path / "index.skm", SequenceIndex(fitted("DTWMetric")).add(X[:5])
    index.save(path)
    old = load(path)
    index.add(X[5:400]).save(path)
    assert len(old) == 5
    assert old.search(QUERIES, 5)[0].shape == (6, 5)
    assert len(load(path)) == 400


@needs_fork
def test_a_save_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    path, index = tmp_path / "index.skm", made("RandomConvolutionMetric")
    index.save(path)
    before, larger = path.read_bytes(), SequenceIndex(index.metric).add(X)
    rng = np.random.default_rng(0)
    n_killed = 0
    for _ in range(10):
        child = multiprocessing.get_context("fork").Process(target=_save_for_ever, args=(larger, path))
        child.start()
        time.sleep(rng.uniform(0, 0.02))
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
        n_killed += child.exitcode == -signal.SIGKILL
        assert len(load(path)) in (len(index), len(larger))
    assert n_killed == 10
    index.save(path)
    assert path.read_bytes() == before


@needs_fork
def test_a_kill_before_the_last_step_leaves_the_old_file(tmp_path: Path) -> None:
    path, index = tmp_path / "index.skm", made("RandomConvolutionMetric")
    index.save(path)
    before = path.read_bytes()
    child = multiprocessing.get_context("fork").Process(target=_killed_at_the_end, args=(index, path))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert path.read_bytes() == before


def _save_for_ever(index: SequenceIndex, path: Path) -> None:
    while True:
        index.save(path)


def _killed_at_the_end(index: SequenceIndex, path: Path) -> None:
    os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    index.add(X[:3]).save(path)


# ------------------------------------------------------------------ files of strangers


def _array(content: Content, ending: str, dtype: Any) -> np.ndarray:
    entry = next(entry for name, entry in content.header.items() if name.endswith(ending))
    start, stop = entry["data_offsets"]
    return np.frombuffer(content.data, dtype, (stop - start) // np.dtype(dtype).itemsize, start)


def _at(ending: str, place: int, value: int, dtype: Any = np.int64) -> Callable[[Content], None]:
    return lambda content: _array(content, ending, dtype).__setitem__(place, value)


def _field(name: str, value: Any) -> Callable[[Content], None]:
    return lambda content: content.last["fitted"]["_contents"].__setitem__(name, value)


def _engine(name: str, value: Any) -> Callable[[Content], None]:
    return lambda content: content.last["fitted"]["_contents"]["approximation"]["engine"].__setitem__(name, value)


def _level_of_a_link(content: Content) -> None:
    """A link on a higher level to a vector that has no part of it: faiss would read beyond its links."""
    levels, links = _array(content, "engine.levels", np.int32), _array(content, "engine.links", np.int32)
    high, low = int(np.flatnonzero(levels > 1)[0]), int(np.flatnonzero(levels == 1)[0])
    links[(levels[:high].astype(np.int64) + 1).sum() * 16 + 32] = low


EMBEDDED = "RandomConvolutionMetric"
HOSTILE: dict[str, tuple[str, Callable[[Content], Any], str]] = {
    "an id twice": (EMBEDDED, _at("_contents.names", 0, 1), "comes twice"),
    "numbers that fall": (EMBEDDED, _at("_contents.numbers", 5, 0), "do not grow"),
    "a next id that is taken": (EMBEDDED, _field("next_name", 2), "next id is taken"),
    "a next number that is taken": (EMBEDDED, _field("next_number", 2), "next number is taken"),
    "ids of another kind": (EMBEDDED, _field("names", {"$": "numbers", "of": "x"}), "no array"),
    "no references": (EMBEDDED, _field("references", None), "belongs to nothing|without references"),
    "a record that is none": (EMBEDDED, _field("references", {"record": "Popen"}), "Popen"),
    "lengths beyond the values": ("DTWMetric", _at("references.lengths", 0, 1 << 40), "add up"),
    "a link out of the graph": ("hnsw", _at("engine.links", 3, 1 << 30, np.int32), "lead out"),
    "a negative link": ("hnsw", _at("engine.links", 3, -7, np.int32), "lead out"),
    "a level beyond the links": ("hnsw", _at("engine.levels", 3, 9, np.int32), "levels|lead out"),
    "a level below the first": ("hnsw", _at("engine.levels", 3, 0, np.int32), "levels|lead out"),
    "a link to a level that is not there": ("hnsw", _level_of_a_link, "no part of"),
    "an entry that is not there": ("hnsw", _engine("entry", 1 << 40), "no entry"),
    "an entry on a low level": ("hnsw", _engine("entry", -1), "no entry"),
    "links without end": ("hnsw", _engine("n_links", 1 << 40), "number of links"),
    "a list that is not there": ("ivf", _at("engine.lists", 0, 1 << 20, np.int32), "no centre"),
    "a vector without a number": ("hnsw", _at("approximation.numbers", 9, 1 << 40), "grow|taken"),
    "a reference that the graph does not know": ("hnsw", _at("_contents.numbers", -1, 5000), "does not know"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused(name: str, tmp_path: Path) -> None:
    kind, change, message = HOSTILE[name]
    made(kind).save(tmp_path / "good.skm")
    content = Content(tmp_path / "good.skm")
    change(content)
    (tmp_path / "bad.skm").write_bytes(content.written())
    with pytest.raises(ValueError, match=f"bad.skm' is no model file that can be read: .*({message})"):
        load(tmp_path / "bad.skm")


@pytest.mark.parametrize("name", [EMBEDDED, "hnsw"])
def test_a_changed_file_is_refused_or_the_same(name: str, tmp_path: Path) -> None:
    index, path = made(name), tmp_path / "index.skm"
    index.save(path)
    good, rng, n_refused = path.read_bytes(), np.random.default_rng(0), 0
    expected = index.search(QUERIES, 5)[1]
    for _ in range(20):
        path.write_bytes(mutated(good, rng))
        loaded = _loaded(path)
        assert loaded is None or loaded.search(QUERIES, 5)[1].tolist() == expected.tolist()
        n_refused += loaded is None
    assert n_refused > 10


def _loaded(path: Path) -> Any:
    """The index of a file, or None if it is refused in the right way."""
    try:
        return load(path)
    except ValueError as error:
        if "is no model file that can be read" not in str(error):
            raise
        return None


def test_the_description_of_a_file_is_small(tmp_path: Path) -> None:
    made("hnsw").save(tmp_path / "index.skm")
    with zipfile.ZipFile(tmp_path / "index.skm") as archive:
        assert archive.getinfo("schema.json").file_size < 20_000
