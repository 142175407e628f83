"""What a call costs: processor time, time by the clock, memory. Nothing but the standard library is needed."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any

from benchmarks.memory import peak_memory, reset_peak_memory


def costed(call: Callable[[], Any], name: str) -> tuple[Any, dict[str, float]]:
    """The answer of `call`, and its cost.

    {name}_cpu_s : seconds of processors, of all threads and of the child processes that ended.
    {name}_s : seconds by the clock.
    {name}_mib : memory at the highest point beyond what was held before; absent where the system does not tell.
    """
    held = reset_peak_memory()
    cpu, clock = _cpu_seconds(), time.perf_counter()
    answer = call()
    cost = {f"{name}_cpu_s": _cpu_seconds() - cpu, f"{name}_s": time.perf_counter() - clock}
    if held is not None:
        cost[f"{name}_mib"] = round(max(peak_memory() - held, 0) / 2**20, 1)
    return answer, cost


def _cpu_seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
