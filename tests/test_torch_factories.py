"""No tensor, layer or generator of the package is made by torch's defaults, which belong to the whole process."""

from __future__ import annotations

from pathlib import Path

import pytest

import skseqmetric
from tests.torch_factories import bare_calls, bare_calls_below

HEAD = "import torch\nimport torch as t\nfrom torch import nn, zeros\nfrom torch.nn import Linear as Map\n"


def test_the_package_names_dtype_and_device_everywhere() -> None:
    assert bare_calls_below(Path(skseqmetric.__file__).parent) == []


@pytest.mark.parametrize(
    ("bare", "fault"),
    [
        ("torch.empty(3)", "torch.empty without device and dtype"),
        ("t.arange(3, device=d)", "torch.arange without dtype"),
        ("zeros(3, dtype=t.float32)", "torch.zeros without device"),
        ("x = [torch.tensor(1.0)]", "torch.tensor without device and dtype"),
        ("torch.Generator().manual_seed(0)", "torch.Generator without a device"),
        ("torch.FloatTensor([1])", "torch.FloatTensor depends on torch's defaults"),
        ("torch.set_default_dtype(torch.float32)", "torch.set_default_dtype depends on torch's defaults"),
        ("nn.Linear(2, 3)", "torch.nn.Linear without device and dtype"),
        ("Map(2, 3, device=d)", "torch.nn.Linear without dtype"),
        ("nn.LSTM(2, 3)", "torch.nn.LSTM without device and dtype"),
        ("torch.nn.BatchNorm1d(2, dtype=f)", "torch.nn.BatchNorm1d without device"),
        ("nn.utils.skip_init(nn.Linear, 2, 3)", "torch.nn.utils.skip_init without device and dtype"),
    ],
)
def test_a_bare_call_is_found_with_its_file_and_line(bare: str, fault: str) -> None:
    assert list(bare_calls(HEAD + bare, "layers.py")) == [f"layers.py:5: {fault}"]


@pytest.mark.parametrize(
    "named",
    [
        "torch.empty(3, dtype=torch.float32, device=d)",
        'torch.Generator("cpu")',
        "torch.Generator(device=d)",
        "torch.zeros_like(x)",
        "x.new_zeros(3)",
        "torch.from_numpy(x)",
        "nn.Linear(2, 3, dtype=torch.float32, device=d)",
        "nn.ModuleList(layers)",
        "numpy.zeros(3)",
    ],
)
def test_what_names_them_or_inherits_them_is_allowed(named: str) -> None:
    assert list(bare_calls(HEAD + named)) == []


def test_a_planted_call_is_found_below_a_folder(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "planted.py").write_text("import torch\n\n\ndef f():\n    return torch.ones(2)\n")
    assert bare_calls_below(tmp_path) == ["inner/planted.py:5: torch.ones without device and dtype"]
