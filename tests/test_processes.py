"""Forks, spawned processes and threads: the same answers as in one thread of one process, and nobody waits for ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import torch
from skorch.callbacks import Callback

from skseqmetric import SyncGRUMetric
from tests import call_processes
from tests.small_calls import LABELS, MADE, MEMORY, X, answer

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def report(part: str, seconds: int) -> Any:
    # waiting threads sleep, so that they do not take the cores from others
    env = {**os.environ, "OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}
    command = [sys.executable, "-m", "tests.call_processes", part]
    out = subprocess.run(command, env=env, timeout=seconds, check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


@pytest.fixture(scope="module")
def quick() -> Iterator[dict[str, Any]]:
    yield call_processes.quick()
    torch.set_num_threads(1)


@forks
@pytest.mark.parametrize(
    "kind", ["fork", "set to two threads", "fork of a fork", "fork in a thread", "fork in a fit", "beside a lock"]
)
def test_a_forked_process_answers_as_its_parent(quick: dict[str, Any], kind: str) -> None:
    assert quick[kind] == {}


@forks
def test_a_fork_leaves_the_number_of_threads(quick: dict[str, Any]) -> None:
    assert quick["threads"] == "2"
    assert quick["threads of the parent"] == [2, 2]


@forks
def test_where_the_runtime_cannot_pause_a_forked_process_has_one_thread(quick: dict[str, Any]) -> None:
    found = quick["without a pause"]
    assert found["threads"] == "1"
    assert found["n_answers"] == 4
    assert found["error"].startswith("RuntimeError")
    assert all(word in found["error"] for word in ("spawn", "forkserver", "--preload"))


@forks
@pytest.mark.long
@pytest.mark.timeout(1200)
def test_every_call_in_a_forked_process() -> None:
    found = report("everything", 1200)
    assert found["n_calls"] > 200
    assert found["fork"] == {}


@forks
@pytest.mark.long
@pytest.mark.timeout(1200)
def test_ten_thousand_calls_in_threads_and_processes() -> None:
    found = report("many", 1200)
    assert sum(run["n_calls"] for run in found.values()) >= 10_000
    assert {name: run["wrong"] for name, run in found.items()} == dict.fromkeys(found, 0)


def test_every_estimator_is_called() -> None:
    from tests.test_contract import estimators

    assert {type(made) for made in MADE.values()} == set(estimators())


# ------------------------------------------------------------------------------------------------ threads


@pytest.fixture
def two_threads() -> Any:
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(1)


SHARED = [
    "SequenceKNeighborsClassifier.predict",
    "RecurrentClassifier.predict",
    "EchoStateClassifier.predict",
    "SyncGRUMetric.transform",
    "NRNMMetric.transform",
    "CrossModalTripletEmbedder.transform",
]


@pytest.mark.parametrize("name", SHARED)
def test_four_threads_on_one_estimator(two_threads: None, name: str) -> None:
    expected, start = answer(name), Barrier(4)

    def ask(_: int) -> str:
        start.wait()
        return answer(name)

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(ask, range(4))) == {expected}


def in_new_thread(work: Any, *args: Any) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work, *args).result()


class CountElsewhere(Callback):
    """Asks a thread that was not there before for its number of threads, in the middle of a fit."""

    counts: list[tuple[int, int]] = []

    def on_batch_end(self, net: Any, **kwargs: Any) -> None:
        self.counts.append((torch.get_num_threads(), in_new_thread(torch.get_num_threads)))


def test_overlapping_fits_leave_the_number_of_threads(two_threads: None) -> None:
    CountElsewhere.counts, start = [], Barrier(4)
    settings = {**MEMORY, "callbacks": [CountElsewhere()]}

    def fit(_: int) -> tuple[int, bytes]:
        start.wait()
        made = SyncGRUMetric(**settings).fit(X, LABELS)
        return torch.get_num_threads(), made.transform(X).tobytes()

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(fit, range(4)))
    assert {count for count, _ in results} == {2}
    assert set(CountElsewhere.counts) == {(1, 2)}
    assert (torch.get_num_threads(), in_new_thread(torch.get_num_threads)) == (2, 2)
    alone = SyncGRUMetric(**settings).fit(X, LABELS).transform(X).tobytes()
    assert {answers for _, answers in results} == {alone}


class Fail(Callback):
    def on_batch_begin(self, net: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError


def test_an_exception_leaves_the_number_of_threads(two_threads: None) -> None:
    with pytest.raises(ZeroDivisionError):
        SyncGRUMetric(**MEMORY, callbacks=[Fail()]).fit(X, LABELS)
    assert (torch.get_num_threads(), in_new_thread(torch.get_num_threads)) == (2, 2)
