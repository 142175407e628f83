"""Calls in forked, spawned and loky's processes and in threads: `python -m tests.call_processes PART` prints JSON.

`quick` forks from the calling process; the other parts are long, and the suite gives each a process of its own.

Every answer is compared, to the bit, with what this process gives when it is alone. A child that does not answer is
killed and counts as one that hangs. Two threads are set first, and torch and the estimators use them.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import select
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache
from typing import Any

import torch
from joblib.externals.loky import ProcessPoolExecutor as LokyExecutor
from skorch.callbacks import Callback

from skseqmetric import SyncGRUMetric
from skseqmetric._ops import buffer_pool, parallel
from tests import small_calls

SECONDS = 60.0
"""Of a child, after which it hangs: a call takes less than half a second of a free core."""

Report = dict[str, str]


def use_two_threads() -> None:
    torch.set_num_threads(2)
    torch.ones(2**20).exp_()


def forked(work: Callable[[], str]) -> str:
    """What `work` returns in a forked child, or "hangs"."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside other threads, from Python 3.12 on
        child = os.fork()
    if child == 0:
        os.write(write, _said(work).encode())
        os._exit(0)
    os.close(write)
    answered = select.select([read], [], [], SECONDS)[0]
    said = os.read(read, 4096).decode() if answered else "hangs"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(read)
    return said


def _said(work: Callable[[], str]) -> str:
    try:
        return work()
    except BaseException as error:
        return f"{type(error).__name__}: {error}"[:400]


def compared(*groups: Sequence[str], call: Callable[[str], str] = small_calls.answer) -> Report:
    """What is wrong about the calls in forked children, one child for each group of them."""
    found = {}
    for names in groups:
        expected = [alone(name) for name in names]
        said = forked(lambda names=names: " ".join(map(call, names)))
        if said.split() != expected:
            found[names[0]] = "wrong" if len(said) == len(" ".join(expected)) else said
    return found


@cache
def alone(name: str) -> str:
    """The digest of what a call gives in this process; a model fitted anew answers as the one that is pickled."""
    return small_calls.answer(name.replace(" fitted anew", " unpickled"))


def of_every_estimator() -> list[list[str]]:
    """A fit and an unpickled model each; without DTW, whose compiler takes ten seconds to load."""
    made = [name for name in small_calls.MADE if name != "DTWMetric" and ", " not in name]
    return [[f"{name} fitted anew", f"{name} unpickled"] for name in made]


# ------------------------------------------------------------------------------------------------ parts


def quick() -> dict[str, Any]:
    """Forks of every kind, a few calls each."""
    use_two_threads()
    return {
        "fork": compared(*of_every_estimator()),
        "set to two threads": compared(["SyncGRUMetric fitted anew"], call=_with_two_threads),
        "fork of a fork": compared(["NRNMMetric.transform"], call=_in_a_fork),
        "fork in a thread": _in_thread(lambda: (use_two_threads(), compared(["SyncGRUMetric.transform"]))[1]),
        "fork in a fit": _in_fit("SyncGRUMetric.pairwise_distances"),
        "beside a lock": _beside_a_lock(),
        "threads": forked(lambda: str(torch.get_num_threads())),
        "threads of the parent": [torch.get_num_threads(), _in_thread(torch.get_num_threads)],
        "without a pause": _without_a_pause(),
    }


def everything() -> dict[str, Any]:
    """Every call in a forked child."""
    use_two_threads()
    names = list(small_calls.calls())
    return {"n_calls": len(names), "fork": compared(*([name] for name in names))}


def _with_two_threads(name: str) -> str:
    use_two_threads()
    return small_calls.answer(name)


def _in_a_fork(name: str) -> str:
    return forked(lambda: small_calls.answer(name))


def _in_thread(work: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


class Fork(Callback):
    """Forks in the first epoch; the child answers a call."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.said: list[Report] = []

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        self.said.append(compared([self.name]))


def _in_fit(name: str) -> Report:
    fork = Fork(name)
    SyncGRUMetric(**small_calls.MEMORY, callbacks=[fork]).fit(small_calls.X, small_calls.LABELS)
    return fork.said[0]


def _beside_a_lock() -> Report:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with buffer_pool._lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    alone("SyncGRUMetric fitted anew")
    thread.start()
    held.wait()
    found = compared(["SyncGRUMetric fitted anew"])
    done.set()
    thread.join()
    return found


def _without_a_pause() -> dict[str, Any]:
    """Where the runtime cannot send its threads home: one thread, and an error that says why where there are more."""
    found = parallel._function
    parallel._function = lambda name: None if name == "omp_pause_resource_all" else found(name)
    names = ("SyncGRUMetric.fit", "NRNMMetric.fit", "EchoStateClassifier.predict", "CrossModalTranscriber.predict")
    try:
        said = forked(lambda: " ".join(map(small_calls.answer, names)))
        threads = forked(lambda: str(torch.get_num_threads()))
        error = forked(lambda: (torch.set_num_threads(2), small_calls.answer("SyncGRUMetric.transform"))[1])
    finally:
        parallel._function = found
    return {"threads": threads, "error": error, "n_answers": len(said.split())}


# ------------------------------------------------------------------------------------------------ many calls


QUICKEST = ("RecurrentClassifier", "EchoStateRegressor", "SyncGRUMetric", "SyncGRUMetric, plain", "RecurrentRegressor")


def ask(i: int) -> str:
    """One of many quick calls on a shared fitted estimator."""
    estimator = small_calls.fitted(QUICKEST[i % len(QUICKEST)])
    some = small_calls.X[i % 40 : i % 40 + 3]
    if hasattr(estimator, "pairwise_distances") and i % 2:
        return small_calls.digest(estimator.pairwise_distances(some, some[:2]))
    return small_calls.digest((estimator.predict if hasattr(estimator, "predict") else estimator.transform)(some))


PERIOD = 40  # of `ask`, after which it asks the same again


def many() -> dict[str, Any]:
    """10,000 calls: in threads, in forked children that start threads, in spawned processes and in loky's."""
    use_two_threads()
    expected = [ask(i) for i in range(PERIOD)]
    runs: dict[str, Callable[[], list[str]]] = {
        "8 threads": lambda: _threaded(8, 3000),
        "32 threads": lambda: _threaded(32, 3000),
        "fork": lambda: [said for _ in range(3000 // PERIOD) for said in _in_fork(expected)],
        "spawn": lambda: _pooled(ProcessPoolExecutor(2, multiprocessing.get_context("spawn")), 500),
        "loky": lambda: _pooled(LokyExecutor(2), 500),
    }
    report = {}
    for name, run in runs.items():
        start = time.perf_counter()
        said = run()
        wrong = sum(a != expected[i % PERIOD] for i, a in enumerate(said))
        report[name] = {"n_calls": len(said), "wrong": wrong, "seconds": time.perf_counter() - start}
    return report


def _threaded(n_threads: int, n_calls: int) -> list[str]:
    with ThreadPoolExecutor(n_threads) as pool:
        return list(pool.map(ask, range(n_calls)))


def _in_fork(expected: list[str]) -> list[str]:
    said = forked(lambda: small_calls.digest(_threaded(4, len(expected))))
    return expected if said == small_calls.digest(expected) else [said] * len(expected)


def _pooled(pool: Any, n_calls: int) -> list[str]:
    with pool:
        futures = [pool.submit(ask, i) for i in range(n_calls)]
        return [future.result(timeout=4 * SECONDS) for future in futures]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.stdout.write(json.dumps({"everything": everything, "many": many}[sys.argv[1]]()))
