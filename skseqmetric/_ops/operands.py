"""The check of a tensor whose memory is handed to code that is not torch's: its dtype, its device and its layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

CPU = torch.device("cpu")

LAYOUTS = {
    "whole": "be contiguous",
    "rows": "have the numbers of its last axis side by side",
    "any": "",
}
"""What is asked of a layout: one block, rows of any distance, or nothing because the strides are passed too."""


def address(tensor: Tensor, name: str, dtype: torch.dtype = torch.float32, layout: str = "whole") -> int:
    """Return the address of the first number of a CPU tensor.

    It takes about a microsecond. Native code cannot see what it is given. Another dtype or device would not
    raise there, but corrupt memory.

    Parameters
    ----------
    tensor : Tensor
    name : str
        The operand in an error message.
    dtype : torch.dtype
        What the code on the other side reads.
    layout : one of `LAYOUTS`

    Raises
    ------
    TypeError
        It has another dtype.
    ValueError
        It is not on the CPU, or its layout is another one.
    """
    if tensor.dtype is not dtype or not tensor.is_cpu or (layout != "any" and not _laid_out(tensor, layout)):
        refuse_operand(tensor, name, dtype, CPU, layout)
    return tensor.data_ptr()


def array_address(array: np.ndarray, name: str, dtype: Any) -> int:
    """Return the address of the first number of a NumPy array of this dtype that is one block; else TypeError."""
    if array.dtype != dtype or not array.flags.c_contiguous:
        raise TypeError(
            f"a kernel needs {name} as one block of {np.dtype(dtype)}, and got {array.dtype} of shape {array.shape} "
            f"with the strides {array.strides}"
        )
    return int(array.ctypes.data)


def check_operand(tensor: Tensor, name: str, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return a tensor that a kernel of another device reads as one block, or raise the errors of `address`."""
    if tensor.dtype is not dtype or tensor.device != device or not tensor.is_contiguous():
        refuse_operand(tensor, name, dtype, device, "whole")
    return tensor


def refuse_operand(tensor: Tensor, name: str, dtype: torch.dtype, device: torch.device, layout: str) -> None:
    """Raise the error that says what is wrong with an operand."""
    if tensor.dtype != dtype:
        raise TypeError(f"a kernel needs {name} as {dtype}, and got {tensor.dtype}")
    if tensor.device != device:
        raise ValueError(f"a kernel needs {name} on the device {device}, and got it on {tensor.device}")
    raise ValueError(
        f"a kernel needs {name} to {LAYOUTS[layout]}, and got the shape {tuple(tensor.shape)} with the strides "
        f"{tensor.stride()}"
    )


def _laid_out(tensor: Tensor, layout: str) -> bool:
    if layout == "whole":
        return tensor.is_contiguous()
    return tensor.stride(-1) == 1 or tensor.shape[-1] < 2
