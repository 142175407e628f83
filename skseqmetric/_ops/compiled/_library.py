"""The compiled extension as ctypes sees it: a C interface, called without the interpreter lock."""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Callable
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_int64, c_void_p
from functools import cache
from pathlib import Path

FILE = "recurrence.binary"

_integers = ["n_directions", "n_steps", "n_rows", "n_halves", "n_units", "coupling", "mean", "n_threads"]


class Problem(Structure):
    """`struct Problem` of src/problem.h, which says what the fields mean; all zero and null at first."""

    _fields_ = [
        ("openmp", c_void_p),
        *((name, c_int64) for name in _integers),
        ("n_features", c_int64),
        ("input", c_void_p),
        ("x", c_void_p * 2),
        *((name, c_int64 * 2) for name in ("x_direction", "x_step", "x_sequence", "x_steps")),
        ("x_end", c_void_p),
        ("sequence", c_void_p * 2),
        ("length", c_void_p * 2),
        *((name, c_void_p) for name in ("hidden", "candidate_bias", "gate_hidden", "gate_other", "gate_bias")),
        ("states", c_void_p * 2),
        *((name, c_int64) for name in ("states_direction", "states_step", "states_row")),
        ("pooled", c_void_p * 2),
        *((name, c_int64) for name in ("pooled_direction", "pooled_row")),
        *((name, c_void_p) for name in ("squared", "saved")),
        ("n_shares", c_int64),
        *((name, c_void_p * 2) for name in ("grad_states", "grad_pooled")),
        ("grad_x", c_void_p),
        *((name, c_int64) for name in ("grad_x_copy", "grad_x_direction", "grad_x_step", "grad_x_sequence")),
        ("grad_x_shared", c_int64),
        ("grad_weights", c_void_p),
    ]


class Library:
    """The loaded extension."""

    def __init__(self, path: Path) -> None:
        self._dll = ctypes.CDLL(str(path))
        self._dll.skseq_kernels.restype = c_char_p
        for name in ("problem_bytes", "width", "tiles", "saved_floats", "packed_square", "packed_matrix"):
            getattr(self._dll, f"skseq_{name}").restype = c_int64
        for name in ("skseq_forward", "skseq_backward", "skseq_tiles", "skseq_saved_floats"):
            getattr(self._dll, name).argtypes = [POINTER(Problem)]
        for name, n_pointers, n_sizes in (("pack_matrix", 2, 4), ("product", 3, 6), ("update", 3, 5)):
            team = [] if name == "pack_matrix" else [c_int64, c_void_p]
            getattr(self._dll, f"skseq_{name}").argtypes = [*[c_void_p] * n_pointers, *[c_int64] * n_sizes, *team]
        self._dll.skseq_packed_matrix.argtypes = [c_int64, c_int64]
        self._dll.skseq_use.argtypes, self._dll.skseq_use.restype = [c_char_p], c_int
        if self._dll.skseq_problem_bytes() != ctypes.sizeof(Problem):
            raise OSError(f"{path} was built from other sources than this package: build it again")

    @property
    def kernels(self) -> str:
        """The instruction set in use: "avx512", "avx2" or "generic"."""
        return str(self._dll.skseq_kernels().decode())

    def use(self, kernels: str) -> bool:
        """Use another instruction set from now on, for tests; False where this machine does not have it."""
        return int(self._dll.skseq_use(kernels.encode())) == 0

    def packed_square(self, recurrent: int, n_units: int, make: Callable[[int], int]) -> None:
        """Pack recurrent weights (N, N) at an address into memory of so many numbers, whose address `make` returns."""
        n = int(self._dll.skseq_packed_square(c_int64(n_units)))
        self._dll.skseq_pack_square(c_void_p(make(n)), c_void_p(recurrent), c_int64(n_units))

    def reservoir(self, *addresses: int, n_rows: int, n_units: int, n_threads: int) -> None:
        """One step of a reservoir; addresses of states, projections (which become the new states), weights, leak."""
        sizes = (c_int64(n) for n in (n_rows, n_units, n_threads))
        self._dll.skseq_reservoir(*(c_void_p(address) for address in addresses), *sizes)

    def sparse_reservoir(self, *addresses: int, sizes: tuple[int, ...]) -> None:
        """One step of a reservoir with few weights; addresses of states, projections, starts, columns, values, leak.

        Both states and projections become the new states; sizes: sequences, their strides of a unit, units, threads.
        """
        pointers = (c_void_p(address) for address in addresses)
        self._dll.skseq_sparse_reservoir(*pointers, *(c_int64(n) for n in sizes))

    def packed_matrix(self, shape: tuple[int, int]) -> int:
        """How many numbers a packed matrix (K, N) takes."""
        return int(self._dll.skseq_packed_matrix(*shape))

    def pack_matrix(self, out: int, source: int, shape: tuple[int, int], strides: tuple[int, int]) -> None:
        """Pack the matrix at address `source`."""
        self._dll.skseq_pack_matrix(out, source, *shape, *strides)

    def product(self, *operands: int) -> None:
        """Addresses of a, the packed matrix and c; lda, ldc, M, K, N, whether to add to c; a team's threads, openmp."""
        self._dll.skseq_product(*operands)

    def update(self, *operands: int) -> None:
        """Addresses of a, b and c, then lda, ldb, M, K, N; a team's threads and openmp."""
        self._dll.skseq_update(*operands)

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return int(self._dll.skseq_width())

    def gates(self, x: int, sigmoid: int, tanh: int, n: int) -> None:
        """The gate functions of n numbers at address x, written to the other addresses: for measuring their error."""
        self._dll.skseq_gates(c_void_p(x), c_void_p(sigmoid), c_void_p(tanh), c_int64(n))

    def padded(self, n_units: int) -> int:
        """`n_units` rounded up to whole vectors."""
        return -(-n_units // self.width) * self.width

    def weight_rows(self, n_units: int, n_features: int) -> tuple[int, int]:
        """Rows of weight gradients (`weight_rows` in src/backward.h), and how many of them are for the recurrence."""
        recurrent = 5 * self.padded(n_units) + 2
        return recurrent + 4 * self.padded(n_features + 1) * bool(n_features), recurrent

    def tiles(self, problem: Problem) -> int:
        """How many tiles its rows make."""
        return int(self._dll.skseq_tiles(byref(problem)))

    def saved_floats(self, problem: Problem) -> int:
        """How many numbers the forward pass keeps for the backward pass."""
        return int(self._dll.skseq_saved_floats(byref(problem)))

    def forward(self, problem: Problem) -> None:
        """Run the recurrence."""
        self._checked(self._dll.skseq_forward(byref(problem)))

    def backward(self, problem: Problem) -> None:
        """Run its gradient."""
        self._checked(self._dll.skseq_backward(byref(problem)))

    @staticmethod
    def _checked(status: int) -> None:
        if status:
            raise MemoryError("no memory for the tiles of the recurrence")


@cache
def load() -> Library | OSError:
    """The extension, or why there is none."""
    path = Path(__file__).with_name(FILE)
    if not path.is_file():
        return OSError("it was not built when the package was installed (is there a C++ compiler?)")
    try:
        return Library(path)
    except (OSError, AttributeError) as error:
        return OSError(str(error))


def library() -> Library:
    """The extension; raises where there is none."""
    loaded = load()
    if isinstance(loaded, OSError):
        raise loaded
    return loaded


def obstacle() -> str | None:
    """Why the extension cannot be used; None where it can."""
    loaded = load()
    return str(loaded) if isinstance(loaded, OSError) else None


@cache
def warn_where_missing() -> None:
    """Say once in a process that the slower path is taken, and why."""
    reason = obstacle()
    if reason is not None:
        warnings.warn(
            f"skseqmetric runs without its compiled recurrences: {reason}. Results are the same but for rounding; "
            "fits and exact distances take up to three times as long.",
            RuntimeWarning,
            stacklevel=2,
        )
