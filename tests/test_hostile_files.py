"""Model files of strangers: one that is not as it was saved is a ValueError, in little memory and time, or harmless."""

from __future__ import annotations

import json
import os
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skseqmetric import load
from tests.every_estimator import X
from tests.hostile_files import ARRAYS, SCHEMA, Content, mutated, sound
from tests.small_models import fitted, same

STATUS = Path("/proc/self/status")
KNN, GRU, RANDOM, ECHO = (
    "SequenceKNeighborsClassifier",
    "SyncGRUMetric",
    "RandomConvolutionMetric",
    "EchoStateClassifier",
)


@pytest.fixture
def content(tmp_path: Path) -> Callable[[str], Content]:
    def make(name: str) -> Content:
        fitted(name).save(tmp_path / "good.skm")
        return Content(tmp_path / "good.skm")

    return make


def test_a_file_that_is_written_again_is_read(content: Callable[[str], Content], tmp_path: Path) -> None:
    """Else the files below were refused for another reason than theirs."""
    for name in (KNN, GRU, RANDOM, ECHO):
        (tmp_path / "again.skm").write_bytes(content(name).written())
        assert same(load(tmp_path / "again.skm"), fitted(name))


def _renamed(first: str) -> Callable[[Content], bytes]:
    return lambda c: c.written(members=lambda *args: sound(*args, names=(first, SCHEMA)))


def _packed(c: Content) -> bytes:
    c.data += bytes(1 << 24)  # which 16 kB of zip unpack to

    def members(archive: zipfile.ZipFile, arrays: bytes, text: bytes) -> None:
        archive.writestr(ARRAYS, arrays, zipfile.ZIP_DEFLATED)
        archive.writestr(SCHEMA, text, zipfile.ZIP_DEFLATED)

    return c.written(members=members)


def _with_members(*names: str) -> Callable[[Content], bytes]:
    def members(archive: zipfile.ZipFile, arrays: bytes, text: bytes) -> None:
        sound(archive, arrays, text)
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), b"more")

    def write(c: Content) -> bytes:
        with pytest.warns(UserWarning, match="Duplicate") if SCHEMA in names else _nothing():
            return c.written(members=members)

    return write


class _nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


def _commented(c: Content) -> bytes:
    def members(archive: zipfile.ZipFile, arrays: bytes, text: bytes) -> None:
        sound(archive, arrays, text)
        archive.comment = b"x" * 1000

    return c.written(members=members)


def _text(text: str) -> Callable[[Content], bytes]:
    head = '{"sha256":"' + "0" * 64 + '","arrays_sum":"x",'
    return lambda c: c.written(text=(head + text).encode())


def _changed(change: Callable[[Content], Any]) -> Callable[[Content], bytes]:
    def write(c: Content) -> bytes:
        change(c)
        return c.written()

    return write


def _set(part: str, name: str, value: Any) -> Callable[[Content], bytes]:
    return _changed(lambda c: c.last[part].__setitem__(name, value))


def _config(name: str, value: Any) -> Callable[[Content], bytes]:
    return _changed(lambda c: c.last["fitted"]["network_config_"].__setitem__(name, value))


def _nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def _nan(c: Content) -> None:
    c.array("components_")[7] = np.nan


def _infinite(c: Content) -> None:
    c.array(".cells.0.input")[0] = np.inf


def _entry(ending: str, **changes: Any) -> Callable[[Content], bytes]:
    def change(c: Content) -> None:
        name = next(name for name in c.header if name.endswith(ending))
        c.header[name].update(changes)

    return _changed(change)


def _indices(ending: str, value: int) -> Callable[[Content], bytes]:
    def change(c: Content) -> None:
        entry = next(entry for name, entry in c.header.items() if name.endswith(ending))
        start, stop = entry["data_offsets"]
        dtype = {"I64": np.int64, "I32": np.int32}[entry["dtype"]]
        np.frombuffer(c.data, dtype, (stop - start) // np.dtype(dtype).itemsize, start)[0] = value

    return _changed(change)


HOSTILE: dict[str, tuple[str, Callable[[Content], bytes], str]] = {
    # the zip
    "a path out of the folder": (GRU, _renamed("../../arrays.safetensors"), "and not arrays"),
    "an absolute path": (GRU, _renamed("/etc/passwd"), "and not arrays"),
    "a zip bomb": (GRU, _packed, "packed"),
    "one member more": (GRU, _with_members("run.py"), "directory"),
    "a member twice": (GRU, _with_members(SCHEMA), "directory"),
    "thousands of members": (GRU, _with_members(*map(str, range(2000))), "directory"),
    "a comment": (GRU, _commented, "does not end"),
    "a pickle": (GRU, lambda c: b"cos\nsystem\n(S'echo 1'\ntR.", "does not end"),
    "nothing": (GRU, lambda c: b"", "does not end"),
    "something in front": (GRU, lambda c: b"#!/bin/sh\n" + c.written(), "directory|follow"),
    # the description
    "deep lists": (GRU, _text("[" * 100_000), "more values|no JSON"),
    "deep objects": (GRU, _text('{"a":' * 100_000), "more values|no JSON"),
    "a million values": (GRU, _text('"x":[' + "0," * 1_000_000 + "0]}"), "more values"),
    "a large text": (GRU, _text('"x":"' + "a" * (1 << 23) + '"}'), "description has"),
    "a long number": (GRU, _text('"x":' + "9" * 1_000_000 + "}"), "digits"),
    "an infinite number": (GRU, _text('"x":1e999}'), "infinite"),
    "NaN as text": (GRU, _text('"x":NaN}'), "no number"),
    "a name twice": (GRU, _text('"x":1,"x":2}'), "twice"),
    "a list": (GRU, lambda c: c.written(text=b"[]"), "not the one that was saved"),
    "a newer format": (GRU, _changed(lambda c: c.schema.update(format=2)), "in format 2, and .* formats up to 1: inst"),
    "no format": (GRU, _changed(lambda c: c.schema.update(format="1")), "names no format"),
    # what it names
    "a class of Python": (
        GRU,
        _changed(lambda c: c.last.update({"class": "os.system"})),
        "no estimator of skseqmetric",
    ),
    "a private class": (GRU, _changed(lambda c: c.last.update({"class": "Metric"})), "no estimator of skseqmetric"),
    "another class": (GRU, _changed(lambda c: c.last.update({"class": "NRNMMetric"})), "has no parameter"),
    "an unknown parameter": (GRU, _set("parameters", "run", "rm"), "no parameter 'run'"),
    "masks without means": (RANDOM, _set("fitted", "_missing", "mask"), "without their means"),
    "a wrong parameter": (KNN, _set("parameters", "n_neighbors", -1), "n_neighbors"),
    "a method as an attribute": (GRU, _set("fitted", "transform", 1), "no attribute 'transform'"),
    "a class as an attribute": (GRU, _set("fitted", "__class__", "x"), "no attribute '__class__'"),
    "a kind that is unknown": (GRU, _set("parameters", "loss", {"$": "pickle", "of": "x"}), "unknown kind 'pickle'"),
    "a record that is unknown": (GRU, _set("fitted", "_task", {"record": "Popen"}), "Popen"),
    "a record in another's place": (GRU, _set("fitted", "_task", {"record": "ReadoutForm"}), "_task"),
    "a field that is no text": (
        GRU,
        _set("fitted", "_task", {"$": "dict", "keys": [1, "record"], "items": [2, "Classes"]}),
        "unknown field '1'",
    ),
    "a splitter that is unknown": (
        "MetricEnsemble",
        _set("parameters", "cv", {"$": "splitter", "of": {"class": "Pipeline", "values": {}}}),
        "unknown splitter",
    ),
    "a cycle": (KNN, _set("parameters", "metric", {"$": "estimator", "of": 2}), "after it, or itself"),
    "an estimator that is none": (KNN, _set("fitted", "metric_", {"$": "estimator", "of": 99}), "after it"),
    "an estimator of nobody": (GRU, _changed(lambda c: c.schema["estimators"].insert(0, c.last)), "no array|belongs"),
    "deep values": (GRU, _set("parameters", "loss", _nested(60)), "deep"),
    "a random state beyond its end": (
        ECHO,
        _set("parameters", "random_state", {"$": "generator", "of": {"bit_generator": "Philox", "buffer_pos": 10**9}}),
        "generator|damaged",
    ),
    # arrays
    "NaN in weights": (RANDOM, _changed(_nan), "NaN or infinity"),
    "infinity in weights": (GRU, _changed(_infinite), "NaN or infinity"),
    "a huge shape": (RANDOM, _entry("components_", shape=[1 << 40, 1 << 40]), "does not lie|shape"),
    "an empty huge shape": (RANDOM, _entry("components_", shape=[0, 1 << 60]), "shape"),
    "a negative shape": (RANDOM, _entry("components_", shape=[-1, -168]), "shape"),
    "another shape": (RANDOM, _entry("components_", shape=[1, 11088]), "lie|components_"),
    "an unknown dtype": (RANDOM, _entry("components_", dtype="OBJECT"), "unknown dtype"),
    "an offset beyond the end": (RANDOM, _entry("components_", data_offsets=[0, 1 << 50]), "does not lie"),
    "a header that is none": (GRU, _changed(lambda c: setattr(c, "header", b"[1]")), "no object"),
    "a header without an end": (GRU, _changed(lambda c: setattr(c, "header", b"{" * 5000)), "no JSON"),
    "bytes of nobody": (GRU, _changed(lambda c: c.data.extend(b"1234")), "take"),
    "an array of nobody": (GRU, _changed(lambda c: c.last["fitted"].pop("mean_")), "belongs to nothing"),
    "an array that is none": (GRU, _set("fitted", "mean_", {"$": "array", "of": "none"}), "no array"),
    "text that makes others long": (
        GRU,
        _set("fitted", "classes_", {"$": "text", "of": ["a"] * 15, "dtype": "<U999999", "shape": [15]}),
        "another dtype",
    ),
    # what does not fit
    "a wider network": (GRU, _config("n_units", 5), "shape"),
    "a network beyond memory": (GRU, _config("n_units", 1 << 40), "shape|configuration"),
    "a network without end": (GRU, _config("max_recurrent_steps", 0), "max_recurrent_steps"),
    "layers without end": ("NRNMClassifier", _config("n_layers", 1 << 40), "layers"),
    "another head": ("RecurrentClassifier", _config("target", "step"), "other way round"),
    "more channels": (GRU, _set("fitted", "n_channels_", 3), "network reads 2 channels, the estimator 3"),
    "fewer classes": ("RecurrentClassifier", _set("fitted", "classes_", {"$": "numbers", "of": "x"}), "array"),
    "channels that there are not": (RANDOM, _indices(".channels.channels", 1 << 20), "read more than"),
    "negative dilations": (RANDOM, _indices(".channels.dilations", -5), "where they should be"),
    "more biases": (RANDOM, _indices(".channels.n_biases", 1 << 40), "biases"),
    "lengths beyond the values": (KNN + " coupled", _indices("_references.lengths", 1 << 40), "add up|lengths"),
    "a class that there is not": (KNN, _indices("._y", 77), "among its classes"),
}
"""An estimator, what an attacker writes in place of its file, and what the refusal says."""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused(name: str, content: Callable[[str], Content], tmp_path: Path) -> None:
    estimator, write, message = HOSTILE[name]
    path = tmp_path / "hostile.skm"
    path.write_bytes(write(content(estimator)))
    modules, memory, begin = set(sys.modules), _resident(), time.process_time()
    with pytest.raises(ValueError, match=f"hostile.skm' is no model file that can be read: .*({message})"):
        load(path)
    assert set(sys.modules) == modules
    assert _peak() - memory < 64 << 20
    assert time.process_time() - begin < 2


def _resident() -> int:
    """The bytes of memory in use, from which `_peak` counts anew; 0 where the system does not say."""
    if not STATUS.exists():
        return 0
    (STATUS.parent / "clear_refs").write_text("5")
    return _peak()


def _peak() -> int:
    """The most bytes that were in use since `_resident`."""
    lines = STATUS.read_text().splitlines() if STATUS.exists() else ["VmHWM: 0"]
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ValueError, match="no regular file"):
            load(path)


def _check_mutations(model: Any, folder: Path, n: int) -> tuple[int, int]:
    """Change a file n times. Return how often it was refused, and read with the same content."""
    model.save(folder / "good.skm")
    good, rng = (folder / "good.skm").read_bytes(), np.random.default_rng(len(folder.name))
    refused = 0
    for _ in range(n):
        (folder / "bad.skm").write_bytes(mutated(good, rng))
        loaded = _loaded(folder / "bad.skm")
        assert loaded is None or same(loaded, model)
        refused += loaded is None
    return refused, n - refused


def _loaded(path: Path) -> Any:
    """The model of a file, or None if it is refused in the right way."""
    try:
        return load(path)
    except ValueError as error:
        if "is no model file that can be read" not in str(error):
            raise
        return None


@pytest.mark.parametrize("name", [KNN, RANDOM])
def test_a_changed_file_is_refused_or_the_same(name: str, tmp_path: Path) -> None:
    refused, read = _check_mutations(fitted(name), tmp_path, 30)
    assert refused > 2 * read


@pytest.mark.long
def test_thousands_of_changed_files(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    memory = 0
    found = np.zeros(2, dtype=int)
    for name in (KNN, GRU, RANDOM, ECHO, "MetricEnsemble", "CrossModalTripletEmbedder"):
        load_all(name, tmp_path)
        before = _resident()
        found += _check_mutations(fitted(name), tmp_path, 500)
        memory = max(memory, _peak() - before)
    told = f"{found[0]} refused, {found[1]} read with the same content, {memory / 2**20:.1f} MiB more than good files"
    request.config.get_terminal_writer().line(f"\n{told}")
    assert found.sum() == 3000
    assert memory < 64 << 20


def load_all(name: str, folder: Path) -> None:
    """Load a good file, and use it, so that its memory does not count."""
    fitted(name).save(folder / "good.skm")
    same(load(folder / "good.skm"), fitted(name))


def test_json_of_the_file_is_small(tmp_path: Path) -> None:
    fitted(RANDOM).save(tmp_path / "good.skm")
    assert len(json.dumps(Content(tmp_path / "good.skm").schema)) < 20_000
    assert len(X) == 8
