"""The file of a checkpoint: tensors in safetensors, everything else as JSON in its header, and a checksum of both."""

from __future__ import annotations

import json
import os
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from skseqmetric._files import replacing
from skseqmetric._training.checkpoints.trees import from_json, to_json

FORMAT = "skseqmetric checkpoint 1"
"""Kind and version of the file. A later version of the format has another number."""

ENDING = ".checkpoint.safetensors"

LARGEST_HEADER = 2**26
"""Bytes of a header that are read. It holds the history, 150 bytes an epoch."""

Identity = dict[str, str]


def write_file(path: Path, identity: Identity, seed: int, tree: Any) -> None:
    """Replace the file in one step. See `to_json` for what a tree may hold."""
    from safetensors.torch import save

    text, tensors = to_json(tree)
    header = {"format": FORMAT, "identity": json.dumps(identity), "seed": str(seed), "state": text}
    content = save(tensors, {**header, "checksum": _checksum(header, tensors)})
    with replacing(path) as file:
        file.write(content)


def read_file(path: Path, largest: int) -> Any:
    """Return the tree of a file.

    Parameters
    ----------
    path : Path
    largest : int
        Bytes that the file may have at most. It is not opened otherwise.

    Raises
    ------
    ValueError
        The file is larger, damaged, no checkpoint, or one of another format.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        size = path.stat().st_size
        if size > largest:
            raise ValueError(f"it has {size} bytes, and a checkpoint of this fit has fewer than {largest}")
        content = path.read_bytes()
        header = _header(content[:8], content[8 : 8 + LARGEST_HEADER])
        tensors = load(content)
        if _checksum(header, tensors) != header["checksum"]:
            raise ValueError("its checksum does not fit its content")
        return from_json(header["state"], tensors)
    except (SafetensorError, ValueError, LookupError, TypeError, AttributeError, RuntimeError, OSError) as error:
        raise damaged(path, error) from error


def read_header(path: Path) -> tuple[Identity, int]:
    """Return the identity of a file and its seed, without a look at its checksum. Errors are those of `read_file`."""
    try:
        with open(path, "rb") as file:
            start = file.read(8)
            header = _header(start, file.read(_size(start)))
        identity, seed = json.loads(header["identity"]), int(header["seed"])
        if not isinstance(identity, dict) or not all(isinstance(value, str) for value in identity.values()) or seed < 0:
            raise ValueError("it does not say of which fit it is")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, OSError) as error:
        raise damaged(path, error) from error
    return identity, seed


def damaged(path: Path, reason: object) -> ValueError:
    """Return the error of a file that is no checkpoint of this package, or no longer one."""
    return ValueError(
        f"{os.fspath(path)} cannot be read as a checkpoint: {reason}. Delete it, and the fit begins anew; or put a "
        "good copy in its place."
    )


def _size(start: bytes) -> int:
    size = int.from_bytes(start, "little")
    if len(start) < 8 or size > LARGEST_HEADER:
        raise ValueError("it has no header of safetensors")
    return size


def _header(start: bytes, rest: bytes) -> dict[str, str]:
    """Return the metadata of a file from its first 8 bytes and those that follow."""
    size = _size(start)
    if size > len(rest):
        raise ValueError("it ends within its header")
    header: dict[str, str] = json.loads(rest[:size])["__metadata__"]
    if header["format"] != FORMAT:
        raise ValueError(f"its format is {str(header['format'])[:60]!r}, and this version reads {FORMAT!r}")
    return header


def _checksum(header: dict[str, str], tensors: dict[str, Tensor]) -> str:
    found = blake2b(digest_size=16)
    for name in ("format", "identity", "seed", "state"):
        found.update(f"{name} {len(header[name])} {header[name]}".encode())
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
