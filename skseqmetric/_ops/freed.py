"""Memory that was freed, given back to the system."""

from __future__ import annotations

import ctypes
from contextlib import suppress


def give_back() -> None:
    """Let the allocator of C return what it keeps of freed blocks, where it can be asked to.

    glibc keeps tens of megabytes of temporary arrays. They would count beside a large array that is made next.
    """
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
