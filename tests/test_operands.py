"""Native code is given tensors of the dtype, on the device and in the layout that it reads, or an error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

import skseqmetric
from skseqmetric._ops import compiled
from skseqmetric._ops.compiled.recurrence import gru_states
from skseqmetric._ops.operands import address, check_operand
from skseqmetric._ops.products import compiled_products
from skseqmetric._ops.weights import RecurrentWeights, ReservoirWeights

CPU = torch.device("cpu")
TABLE = torch.zeros(4, 6, dtype=torch.float32)
built = pytest.mark.skipif(compiled.obstacle() is not None, reason="the extension was not built")


@pytest.mark.parametrize("layout", ["whole", "rows", "any"])
def test_the_address_is_that_of_the_first_number(layout: str) -> None:
    assert address(TABLE, "x", layout=layout) == TABLE.data_ptr()
    assert address(TABLE[1:], "x", layout=layout) == TABLE.data_ptr() + 4 * TABLE.shape[1]


def test_rows_may_lie_apart_and_columns_may_not() -> None:
    assert address(TABLE[:, :3], "x", layout="rows") == TABLE.data_ptr()
    assert address(TABLE[:, ::6], "x", layout="rows") == TABLE.data_ptr()
    assert address(TABLE.T, "x", layout="any") == TABLE.data_ptr()
    for wrong in (TABLE.T, TABLE[:, ::2]):
        with pytest.raises(ValueError, match=r"needs x to have the numbers of its last axis side by side, and got"):
            address(wrong, "x", layout="rows")


@pytest.mark.parametrize("check", [address, lambda x, name: check_operand(x, name, torch.float32, CPU)])
@pytest.mark.parametrize(
    ("wrong", "error", "said"),
    [
        (TABLE.double(), TypeError, "needs bias as torch.float32, and got torch.float64"),
        (TABLE.bfloat16(), TypeError, "needs bias as torch.float32, and got torch.bfloat16"),
        (TABLE.to("meta"), ValueError, "needs bias on the device cpu, and got it on meta"),
        (
            TABLE[:, :3],
            ValueError,
            r"needs bias to be contiguous, and got the shape \(4, 3\) with the strides \(6, 1\)",
        ),
    ],
)
def test_another_operand_is_refused_by_name(check: object, wrong: torch.Tensor, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        check(wrong, "bias")  # type: ignore[operator]


OTHERS = pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
SQUARE = torch.zeros(4, 4, dtype=torch.float32)


@built
@OTHERS
@pytest.mark.parametrize("part", ["features", "input", "recurrent"])
def test_compiled_reservoirs_refuse_another_precision(dtype: torch.dtype, part: str) -> None:
    parts = {"features": torch.zeros(1, 3, 2, 5), "input": torch.zeros(4, 6), "recurrent": SQUARE}
    parts[part] = parts[part].to(dtype)
    features = parts.pop("features")
    with pytest.raises(TypeError, match=f"needs {part} as torch.float32"):
        compiled.reservoir_states(features, torch.tensor([3, 2]), [ReservoirWeights(**parts, leak=0.3)], sparse=False)


@built
@OTHERS
@pytest.mark.parametrize("part", ["x", "weight"])
def test_a_compiled_lstm_refuses_another_precision(dtype: torch.dtype, part: str) -> None:
    x, weights = torch.zeros(2, 3, 5), [torch.zeros(16, 5), torch.zeros(16, 4), torch.zeros(16), torch.zeros(16)]
    if part == "x":
        x = x.to(dtype)
    else:
        weights[2] = weights[2].to(dtype)
    with pytest.raises(TypeError, match=f"needs {part} as torch.float32"):
        compiled.cell_states("lstm", x, torch.tensor([3, 2]), [RecurrentWeights(*weights)])


@built
@OTHERS
def test_compiled_products_refuse_another_precision(dtype: torch.dtype) -> None:
    product = compiled_products()(SQUARE)
    for compute in (product.forward, product.backward):
        with pytest.raises(TypeError, match="needs a as"):
            compute(SQUARE.to(dtype))
    with pytest.raises(TypeError, match="needs weight as"):
        compiled_products()(SQUARE.to(dtype)).forward(SQUARE)


@built
@pytest.mark.parametrize("part", ["x", "hidden"])
def test_a_compiled_recurrence_refuses_another_precision(part: str) -> None:
    features, lengths = torch.zeros(1, 3, 2, 5), torch.tensor([3, 2])
    weights = [torch.zeros(12, 5), torch.zeros(12, 4), torch.zeros(12), torch.zeros(12)]
    assert gru_states(features, lengths, [RecurrentWeights(*weights)]).shape == (3, 1, 2, 4)
    if part == "x":
        features = features.double()
    else:
        weights[1] = weights[1].double()
    with pytest.raises(TypeError, match=f"needs {part} as torch.float32"):
        gru_states(features, lengths, [RecurrentWeights(*weights)])


@built
def test_lengths_with_gaps_between_them_are_read_as_they_are() -> None:
    features = torch.ones(1, 3, 2, 5)
    weights = [RecurrentWeights(torch.ones(12, 5), torch.zeros(12, 4), torch.zeros(12), torch.zeros(12))]
    with_gaps = torch.tensor([3, 0, 1, 0])[::2]
    assert torch.equal(gru_states(features, with_gaps, weights), gru_states(features, with_gaps.clone(), weights))


def test_only_functions_that_check_take_addresses() -> None:
    folder = Path(skseqmetric.__file__).parent
    found = [path for path in folder.rglob("*.py") if re.search(r"\bdata_ptr\(", path.read_text())]
    assert sorted(path.name for path in found) == ["operands.py", "products.py", "rebuilt.py", "recurrence.py"]
