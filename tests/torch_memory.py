"""The most memory that torch holds at once while a function runs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

from torch.profiler import ProfilerActivity, profile


def peak_bytes(function: Callable[[], object]) -> int:
    """Bytes on the CPU beyond those held before; freed memory of before counts as given back."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        function()
    assert recorded.profiler is not None
    results = recorded.profiler.kineto_results
    assert results is not None
    return max(accumulate((event.nbytes() for event in results.events() if event.name() == "[memory]"), initial=0))


def squared_bytes(n: int) -> int:
    """Bytes of a float32 matrix (n, n)."""
    return 4 * n * n
