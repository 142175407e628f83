"""The benchmark harness: order of work, arithmetic of its figures, memory, JSON."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest
import torch

from benchmarks import harness
from benchmarks.harness import Result, Timing


def accept(answers):
    """A check that finds nothing wrong."""


class Recorder:
    """Contenders that write down who was called."""

    def __init__(self, names):
        self.calls = []
        self.contenders = {name: lambda name=name: self.calls.append(name) or name for name in names}

    def check(self, answers):
        self.calls.append("check")
        self.answers = answers


def result_of(**seconds):
    timings = tuple(Timing(name, tuple(values)) for name, values in seconds.items())
    return Result("a comparison", timings, "items", {})


def test_checks_after_the_warm_up_and_before_the_clock_then_interleaves():
    recorder = Recorder("abc")
    result = harness.measure("order", recorder.contenders, check=recorder.check, warmup=2, repeats=3, threads=1)
    warm_up, timed, weighed = "aabbcc", "abc" + "bca" + "cab", "abc"
    assert recorder.calls == [*warm_up, "check", *timed, *weighed]
    assert recorder.answers == {"a": "a", "b": "b", "c": "c"}
    assert [len(timing.seconds) for timing in result.timings] == [3, 3, 3]


def test_wrong_answer_stops_before_any_time_is_taken():
    recorder = Recorder("ab")

    def refuse(answers):
        raise AssertionError("b is wrong")

    with pytest.raises(AssertionError, match="b is wrong"):
        harness.measure("wrong", recorder.contenders, check=refuse, threads=1)
    assert recorder.calls == ["a", "b"]


def test_warmup_of_zero_still_gives_the_check_an_answer():
    recorder = Recorder("a")
    harness.measure("cold", recorder.contenders, check=recorder.check, warmup=0, repeats=1, threads=1)
    assert recorder.answers == {"a": "a"}


def test_figures():
    timing = Timing("a", (4.0, 1.0, 2.0), items=10)
    assert timing.median == 2.0
    assert timing.per_second == 5.0
    assert Timing("a", (1.0,)).per_second is None


def test_ratio_is_paired_by_round():
    # The medians alone would say 2 / 20; every single round says 2.
    result = result_of(ours=[2.0, 40.0, 2.0], theirs=[1.0, 20.0, 1.0])
    assert result.ratio("ours", "theirs") == 2.0
    assert result.ratio("theirs", "ours") == 0.5


def test_items_and_quality_belong_to_their_contender():
    calls = {"a": lambda: 1, "b": lambda: 2}
    result = harness.measure(
        "two",
        calls,
        check=lambda answers: {"b": {"accuracy": 0.5}},
        repeats=1,
        items={"a": 3, "b": 4},
        threads=1,
    )
    assert (result["a"].items, result["b"].items) == (3, 4)
    assert (dict(result["a"].quality), dict(result["b"].quality)) == ({}, {"accuracy": 0.5})


def test_time_of_a_call_is_its_time(monkeypatch):
    clock = iter(np.cumsum([0, 7, 1, 9]).tolist())
    monkeypatch.setattr(harness.time, "perf_counter", lambda: next(clock))
    result = harness.measure("clock", {"a": lambda: None}, check=accept, repeats=2, threads=1)
    assert result["a"].seconds == (7, 9)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's high-water mark is read on Linux")
def test_peak_memory_is_that_of_the_call_alone():
    mib = 2**20

    def spike():
        np.ones(96 * mib, dtype=np.uint8)

    result = harness.measure("memory", {"nothing": int, "spike": spike}, check=accept, repeats=1, threads=1)
    # The kernel batches its counting: some pages of slack either way.
    assert 95 * mib < result["spike"].peak_bytes < 104 * mib
    assert result["nothing"].peak_bytes < 8 * mib


def test_threads_are_fixed_inside_recorded_and_given_back():
    before = torch.get_num_threads()
    seen = []
    result = harness.measure(
        "threads", {"a": lambda: seen.append(torch.get_num_threads())}, check=accept, repeats=1, threads=2
    )
    assert set(seen) == {2}
    assert result.environment["threads"] == 2
    assert torch.get_num_threads() == before


def test_environment_says_with_what_and_on_what():
    environment = harness.environment(threads=1)
    assert environment["versions"]["torch"] == torch.__version__
    assert environment["versions"]["numpy"] == np.__version__
    assert environment["cores"] >= 1
    assert environment["cpu"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", environment["date"])
    assert environment["commit"] is None or re.fullmatch(r"[0-9a-f]{40}(\+dirty)?", environment["commit"])


def test_saved_json_holds_everything(tmp_path):
    result = harness.measure("one", {"a": lambda: 1}, check=accept, repeats=2, items=6, unit="pairs", threads=1)
    harness.save(result, tmp_path / "new" / "result.json")
    (loaded,) = json.loads((tmp_path / "new" / "result.json").read_text())
    assert loaded["title"] == "one"
    assert loaded["unit"] == "pairs"
    assert loaded["timings"][0]["seconds"] == list(result["a"].seconds)
    assert loaded["environment"] == dict(result.environment)


def test_short_lists_and_mappings_stay_on_a_line(tmp_path):
    document = {
        "short": {"a": [1.5, None, True]},
        "long": [{"name": "x" * 150, "values": (1, 2)}] * 2,
        3: "ü",
        "no": [],
    }
    harness.write_json(tmp_path / "new" / "d.json", document)
    text = (tmp_path / "new" / "d.json").read_text(encoding="utf-8")
    assert json.loads(text) == json.loads(json.dumps(document))
    assert ' "short": {"a": [1.5, null, true]},' in text.splitlines()
    assert len(text.splitlines()) == 9


def test_table_has_a_line_for_each_contender(capsys):
    timings = (
        Timing("ours", (1.0, 3.0, 2.0), peak_bytes=5 * 2**20, items=100, quality={"accuracy": 0.9}),
        Timing("theirs", (8.0, 8.0, 8.0)),
    )
    harness.print_table(Result("a comparison", timings, "queries", {}))
    title, header, ours, theirs = capsys.readouterr().out.strip().splitlines()
    assert title == "a comparison"
    assert header.split() == ["median", "s", "min", "max", "queries/s", "peak", "MiB", "accuracy"]
    assert ours.split() == ["ours", "2", "1", "3", "50", "5", "0.9"]
    assert theirs.split() == ["theirs", "8", "8", "8", "-", "-", "-"]


def test_table_leaves_out_what_nobody_measured(capsys):
    harness.print_table(result_of(ours=[1.0], theirs=[2.0]))
    assert capsys.readouterr().out.splitlines()[2].split() == ["median", "s", "min", "max"]


def test_memory_can_be_left_unmeasured():
    recorder = Recorder("ab")
    result = harness.measure("no memory", recorder.contenders, check=accept, repeats=1, threads=1, memory=False)
    assert recorder.calls == [*"ab", *"ab"]
    assert [timing.peak_bytes for timing in result.timings] == [None, None]


def test_options_every_benchmark_has():
    args = harness.argument_parser("What it measures.").parse_args(["--quick", "--data", "d", "--out", "o.json"])
    assert (args.quick, str(args.data), str(args.out), args.threads, args.device) == (
        True,
        "d",
        "o.json",
        None,
        "cpu",
    )
