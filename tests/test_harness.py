"""The benchmark harness: order of work, arithmetic of its figures, memory, JSON."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import environment, harness, run_kneighbors
from benchmarks.harness import Result, Timing
from benchmarks.jobs import Job, finished
from benchmarks.peers.aeon_process import thread_variables
from benchmarks.peers.distances import warping_contenders
from benchmarks.threads import fixed_threads
from tests.thread_pools import pools, pools_of_a_process


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
    found = harness.environment(threads=1)
    assert found["versions"]["torch"] == torch.__version__
    assert found["versions"]["numpy"] == np.__version__
    assert found["cores"] >= 1
    assert found["cpu"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", found["date"])
    assert found["commit"] is None or re.fullmatch(r"[0-9a-f]{40}(\+dirty)?", found["commit"])
    assert (found["dirty"] is None) == (found["commit"] is None)


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


# ------------------------------------------------------------------------------------------------------------- threads


@pytest.mark.parametrize("threads", [1, 2])
def test_every_library_gets_the_threads_that_were_asked_for(threads):
    before = dict(os.environ)
    with fixed_threads(threads):
        assert set(pools().values()) == {threads}
        child = [
            sys.executable,
            "-c",
            "import os; print(os.environ['OMP_NUM_THREADS'], os.environ['LOKY_MAX_CPU_COUNT'])",
        ]
        assert subprocess.run(child, capture_output=True, text=True, check=True).stdout.split() == [str(threads)] * 2
    assert dict(os.environ) == before


def test_numba_gets_them_too():
    numba = pytest.importorskip("numba")
    before = numba.get_num_threads()
    with fixed_threads(1):
        assert numba.get_num_threads() == 1
    assert numba.get_num_threads() == before
    assert thread_variables(3)["NUMBA_NUM_THREADS"] == "3"


def test_processes_of_a_long_run_have_the_threads_they_should():
    ((_, found),) = finished(pools_of_a_process, [Job("p", "t", "a", 0)], None, 1, threads=1)
    assert set(found["pools"].values()) == {1}
    assert set(found["variables"]) == {"1"}


class Contenders(Exception):
    """Raised in place of a measurement: who would have been measured."""


@pytest.fixture
def unmeasured(monkeypatch):
    def measure(title, contenders, **options):
        raise Contenders(contenders, options)

    monkeypatch.setattr(run_kneighbors, "measure", measure)


@pytest.mark.parametrize("compare", [run_kneighbors.predict_by_embedding, run_kneighbors.coupled_pairs])
@pytest.mark.parametrize("threads", [1, 2])
def test_no_contender_of_the_neighbours_gets_another_number_of_jobs(compare, threads, unmeasured, monkeypatch):
    asked = []
    monkeypatch.setattr(run_kneighbors, "cdist_dtw", lambda Q, X, n_jobs=None: asked.append(n_jobs))
    with pytest.raises(Contenders) as raised:
        compare(4, 6, 1, {"threads": threads})
    contenders, options = raised.value.args
    theirs = {name: call for name, call in contenders.items() if "tslearn" in name}
    for call in theirs.values() if compare is run_kneighbors.coupled_pairs else ():
        call()
    named = [int(name.split("n_jobs=")[1]) for name in theirs if "n_jobs" in name]
    assert options["threads"] == threads
    assert named == [threads] * (threads > 1)
    assert set(asked) <= {None, threads}


@pytest.mark.parametrize("threads", [1, 2])
def test_no_warping_contender_gets_another_number_of_jobs(threads):
    rng = np.random.default_rng(0)
    Q, X = ([rng.normal(size=(5, 1)) for _ in range(3)] for _ in range(2))
    jobs = [name for name in warping_contenders(Q, X, threads) if "n_jobs" in name]
    assert jobs == [f"tslearn, n_jobs={threads}"] * (threads > 1)


# ---------------------------------------------------------------------------------------------------- the measured code


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository of one commit in place of this one, with a module, a page and a result."""
    for name in ("skseqmetric/code.py", "docs/page.md", "benchmarks/results/old.json", "docs/images/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("1\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *words], check=True)
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(harness, "RESULTS", tmp_path / "benchmarks" / "results")
    environment.checkout.cache_clear()
    yield tmp_path
    environment.checkout.cache_clear()


def parsed(out: Path) -> Path:
    return harness.argument_parser(None).parse_args(["--out", str(out)]).out


def test_results_of_a_clean_tree_name_its_commit(repository):
    (repository / "benchmarks" / "results" / "old.json").write_text("2\n")
    (repository / "docs" / "images" / "a.png").write_text("2\n")
    (repository / "notes.txt").write_text("not code\n")
    found = harness.environment()
    assert re.fullmatch("[0-9a-f]{40}", found["commit"])
    assert found["dirty"] is False
    assert parsed(repository / "benchmarks" / "results" / "new.json").name == "new.json"


@pytest.mark.parametrize("name", ["skseqmetric/code.py", "docs/page.md", "skseqmetric/new.py", "benchmarks/run_new.py"])
def test_results_of_a_modified_tree_are_refused_in_the_repository_alone(name, repository, capsys):
    (repository / name).write_text("2\n")
    with pytest.raises(SystemExit):
        parsed(repository / "benchmarks" / "results" / "new.json")
    message = capsys.readouterr().err
    assert name in message
    assert "Commit or stash the changes, or write to another folder." in message
    assert parsed(repository / "elsewhere" / "new.json").name == "new.json"
    assert harness.environment()["commit"].endswith("+dirty")


def test_a_tree_that_is_modified_meanwhile_is_dirty_too(repository):
    harness.argument_parser(None)
    (repository / "skseqmetric" / "code.py").write_text("2\n")
    assert harness.environment()["dirty"] is True


def test_a_deleted_file_and_an_added_one_are_modifications(repository):
    (repository / "skseqmetric" / "code.py").rename(repository / "skseqmetric" / "other.py")
    subprocess.run(["git", "-C", str(repository), "add", "."], check=True)
    assert environment.checkout().modified


def test_outside_a_repository_nothing_is_said_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    environment.checkout.cache_clear()
    assert (harness.environment()["commit"], harness.environment()["dirty"]) == (None, None)
    environment.checkout.cache_clear()


def test_results_in_the_repository_that_say_so_come_from_the_commit_they_name():
    for path in (Path(harness.__file__).parent / "results").glob("*.json"):
        assert '"dirty": true' not in path.read_text(encoding="utf-8"), path.name
