"""The compiled extension as ctypes sees it: a C interface, called without the interpreter lock."""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Callable
from ctypes import POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from functools import cache
from pathlib import Path

from skseqmetric._ops.compiled._memory_problem import MemoryProblem

FILE = "recurrence.binary"

_integers = ["n_directions", "n_steps", "n_rows", "n_halves", "n_units", "coupling", "mean", "n_threads", "both_ways"]


class Problem(Structure):
    """`struct Problem` of src/problem.h, which says what the fields mean; all are zero or null at first."""

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


# what every function returns, then what it takes: "a" an address, "n" a number, "s" bytes, "p" a Problem
NO_MEMORY = "no memory for the compiled kernels"

_SIGNATURES = {
    "forward": (c_int, "p"),
    "backward": (c_int, "p"),
    "tiles": (c_int64, "p"),
    "saved_floats": (c_int64, "p"),
    "cell": (c_int, "anna"),
    "cell_fields": (c_int64, ""),
    "cell_tiles": (c_int64, "a"),
    "cell_saved": (c_int64, "a"),
    "cell_gradients": (c_int64, "a"),
    "reservoir_scan": (c_int, "ana"),
    "reservoir_fields": (c_int64, ""),
    "reservoir_form": (c_int64, "nn"),
    "reservoir_packed": (c_int64, "a"),
    "pack_reservoir": (None, "aa"),
    "convolutions": (c_int, "aaaaaaaaannnnnnna"),
    "alignment": (c_int, "aaaaaaaaannnnnnnnna"),
    "stem": (c_int, "anna"),
    "stem_kept": (c_int64, "a"),
    "stem_gradients": (c_int64, "a"),
    "packed_matrix": (c_int64, "nn"),
    "pack_matrix": (None, "aannnn"),
    "product": (None, "aaannnnnnna"),
    "update": (None, "aaannnnnna"),
    "gates": (None, "aaan"),
    "packed_places": (c_int64, "nn"),
    "soft_slopes": (c_int64, "n"),
    "pack_sequences": (None, "aannn"),
    "soft_alignment": (c_int, "aaaaaaannnnnna"),
    "soft_alignment_back": (c_int, "aaaaaaaannnnnna"),
    "dtw": (c_int, "aaanaanananann"),
    "dtw_nearest": (c_int, "aaaaanaaanaannnan"),
    "memory_kept": (c_int64, "a"),
    "memory_between": (c_int64, "a"),
    "memory": (c_int, "an"),
    "width": (c_int64, ""),
    "kernels": (c_char_p, ""),
    "use": (c_int, "s"),
}
_MAY_LACK_MEMORY = (
    "cell",
    "reservoir_scan",
    "convolutions",
    "stem",
    "alignment",
    "soft_alignment",
    "soft_alignment_back",
    "dtw",
    "dtw_nearest",
    "memory",
)
_TYPES = {"a": c_void_p, "n": c_int64, "s": c_char_p, "p": POINTER(Problem)}


class Library:
    """The loaded extension. Its C functions are attributes without their prefix.

    Recurrences:

    - forward(problem) and backward(problem) run a `Problem` and its gradient. They return 1 if memory is exhausted.
    - tiles(problem) is the number of tiles of its rows.
    - saved_floats(problem) is the size of the buffer that forward fills for backward.

    Whole scans, whose fields (structs of src/scans.h) come as an array of numbers and addresses:

    - cell(fields, whether backward, threads, openmp) runs an LSTM or RNN, or its gradient.
    - cell_tiles(fields), cell_saved(fields) and cell_gradients(fields) are the number of tiles of its rows, the size of
      what forward keeps, and that of the gradients of a share and direction.
    - reservoir_scan(fields, threads, openmp) runs reservoirs. reservoir_form(sparse, sequences) is the form of their
      weights. reservoir_packed(fields) is the size of one packed reservoir, and pack_reservoir(fields, out)
      packs it.
    - cell_fields() and reservoir_fields() are the lengths of the arrays.

    Random convolutions:

    - convolutions(values, offsets, dilations, n_biases, starts, channels, order, biases, shares, sequences, channels,
      dilations, features, longest sequence, largest dilation, threads, openmp) writes the shares.

    Matching of places:

    - alignment(row sequences, lane sequences, row and lane of every pair or null, distances, matches and costs of
      both or null, numbers of rows, lanes and pairs, places of a row and of a lane, numbers of a place, strides of the
      distances, threads, openmp) writes what is not null.

    Stems, whose fields (`struct Stem` of src/kernels.h) come as an array of numbers and addresses:

    - stem(fields, whether backward, threads, openmp) computes features or gradients.
    - stem_kept(fields) and stem_gradients(fields) are the sizes of what forward keeps, and of a share's gradients.

    Products:

    - packed_matrix(K, N) is the size of a packed matrix.
    - pack_matrix(out, source, K, N, strides) packs it.
    - product(a, packed, c, lda, ldc, M, K, N, whether to add to c, threads, openmp) multiplies by it.
    - update(a, b, c, lda, ldb, M, K, N, threads, openmp) computes c = a^T b.

    Soft distances of pairs by the costs between their places, and their gradients:

    - packed_places(P, D) and soft_slopes(P) are the sizes of a packed sequence and of a pair's slopes.
    - pack_sequences(out, states, sequences, P, D) packs the sequences.
    - soft_alignment(states, packed, first and second sequence of every pair, tau, distances, slopes or 0, the first
      pair, pairs, sequences, P, D, threads, openmp) writes distances and slopes. Where no pairs are given, they are all
      of a square, and the distances are that square.
    - soft_alignment_back(states, packed, slopes, gradients of the distances, first and second sequence of every pair,
      gradients of the states and of tau, the first pair, pairs, sequences, P, D, threads, openmp) adds to the
      gradients.

    Dynamic time warping, of sequences stacked along time (values, their first steps, their number):

    - dtw(out, left, right, rows, their number, columns, their number or -1 for pairs, channels, radius or -1,
      threads) computes distances.
    - dtw_nearest(distances, indices, queries, references, their order by length, excluded, K, channels, radius or
      -1, scale and error, threads) finds the nearest. Values come in double and in single precision.

    Recurrent memory, of `struct MemoryProblem` of src/memory_kernels.h:

    - memory(problem, whether backward) computes states or gradients.
    - memory_kept(problem) and memory_between(problem) are the sizes of what forward keeps, and of backward's buffer.

    For tests only:

    - gates(x, sigmoid, tanh, n) computes the gate functions.
    - kernels() is the instruction set in use: b"avx512", b"avx2" or b"generic".
    - use(name) selects another one. It returns 1 if this machine does not have it.
    """

    forward: Callable[[Problem], int]
    backward: Callable[[Problem], int]
    tiles: Callable[[Problem], int]
    saved_floats: Callable[[Problem], int]
    cell: Callable[..., int]
    cell_fields: Callable[[], int]
    cell_tiles: Callable[..., int]
    cell_saved: Callable[..., int]
    cell_gradients: Callable[..., int]
    reservoir_scan: Callable[..., int]
    reservoir_fields: Callable[[], int]
    reservoir_form: Callable[[int, int], int]
    reservoir_packed: Callable[..., int]
    pack_reservoir: Callable[..., None]
    convolutions: Callable[..., int]
    alignment: Callable[..., int]
    stem: Callable[..., int]
    stem_kept: Callable[..., int]
    stem_gradients: Callable[..., int]
    packed_matrix: Callable[..., int]
    pack_matrix: Callable[..., None]
    product: Callable[..., None]
    update: Callable[..., None]
    packed_places: Callable[[int, int], int]
    soft_slopes: Callable[[int], int]
    pack_sequences: Callable[..., None]
    soft_alignment: Callable[..., int]
    soft_alignment_back: Callable[..., int]
    dtw: Callable[..., int]
    dtw_nearest: Callable[..., int]
    memory_kept: Callable[[int], int]
    memory_between: Callable[[int], int]
    memory: Callable[[int, bool], int]
    gates: Callable[..., None]
    width: Callable[[], int]
    kernels: Callable[[], bytes]
    use: Callable[[bytes], int]

    def __init__(self, path: Path) -> None:
        dll = ctypes.CDLL(str(path))
        if not _same_problem(dll):
            raise OSError(f"{path} was built from other sources than this package: build it again")
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(dll, f"skseq_{name}")
            function.restype, function.argtypes = result, [_TYPES[letter] for letter in arguments]
            if name in _MAY_LACK_MEMORY:
                function.errcheck = _raise_without_memory
            setattr(self, name, function)


def _same_problem(dll: ctypes.CDLL) -> bool:
    """Whether `Problem` has the fields of the C++ struct, in their order, places and sizes, and both have its size."""
    field, place = dll.skseq_problem_field, (c_int64 * 2)()
    found: list[tuple[str, int, int]] = []
    field.restype, field.argtypes = c_char_p, [c_int64, c_int64 * 2]
    while name := field(len(found), place):
        found.append((name.decode(), place[0], place[1]))
    ours = [(name, getattr(Problem, name)) for name, *_ in Problem._fields_]
    expected = [(name, field.offset, field.size) for name, field in ours]
    if dll.skseq_memory_bytes() != ctypes.sizeof(MemoryProblem):
        return False
    return found == expected and dll.skseq_problem_bytes() == ctypes.sizeof(Problem)


def _raise_without_memory(status: int, *_: object) -> None:
    if status:
        raise MemoryError(NO_MEMORY)


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


@cache
def library() -> Library:
    """The extension; raises where there is none."""
    loaded = load()
    if isinstance(loaded, OSError):
        raise loaded
    return loaded


@cache
def obstacle() -> str | None:
    """Why the extension cannot be used; None where it can."""
    try:
        library()
    except OSError as error:
        return str(error)
    return None


@cache
def warn_where_missing() -> None:
    """Say once in a process that the slower path is taken, and why."""
    reason = obstacle()
    if reason is not None:
        warnings.warn(
            f"skseqmetric runs without its compiled recurrences: {reason}. Results are the same but for rounding; "
            "fits and coupled distances take up to three times as long, and distances of matched states many times.",
            RuntimeWarning,
            stacklevel=2,
        )
