"""Finds calls that leave the dtype or the device of a tensor, a layer or a generator to torch's defaults."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

from torch import nn

FACTORIES = frozenset(
    (
        *("arange", "as_tensor", "asarray", "empty", "empty_permuted", "empty_strided", "eye", "full", "linspace"),
        *("logspace", "normal", "ones", "rand", "randint", "randn", "randperm", "range", "scalar_tensor", "tensor"),
        *("tril_indices", "triu_indices", "zeros"),
        *(f"{name}_window" for name in ("bartlett", "blackman", "hamming", "hann", "kaiser")),
        *(f"sparse_{name}_tensor" for name in ("bsc", "bsr", "compressed", "coo", "csc", "csr")),
    )
)
OF_OLD = frozenset(f"{kind}Tensor" for kind in ("", "Float", "Double", "Half", "BFloat16", "Long", "Int", "Bool"))
PROCESS_WIDE = frozenset(["set_default_dtype", "set_default_device", "set_default_tensor_type", "get_default_dtype"])


def bare_calls(source: str, name: str = "<source>") -> Iterator[str]:
    """Yield "file:line: what is wrong" for every such call in a source text."""
    tree = ast.parse(source)
    names = dict(_imported(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (fault := _fault(node, _dotted(node.func, names))):
            yield f"{name}:{node.lineno}: {fault}"


def bare_calls_below(folder: Path) -> list[str]:
    """The same of all sources below a folder."""
    paths = sorted(folder.rglob("*.py"))
    return [line for path in paths for line in bare_calls(path.read_text(), str(path.relative_to(folder)))]


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """The names that imports give, and what they stand for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"


def _dotted(function: ast.expr, names: dict[str, str]) -> str:
    """The full name of a function such as torch.nn.Linear; empty if it is no plain name."""
    parts: list[str] = []
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    if not isinstance(function, ast.Name):
        return ""
    return ".".join([names.get(function.id, function.id), *reversed(parts)])


def _fault(call: ast.Call, function: str) -> str | None:
    *module, last = function.split(".")
    given = {keyword.arg for keyword in call.keywords}
    if module == ["torch"]:
        if last in OF_OLD | PROCESS_WIDE:
            return f"{function} depends on torch's defaults"
        if last == "Generator":
            return None if call.args or "device" in given else f"{function} without a device"
        wanted = {"dtype", "device"} if last in FACTORIES else set()
    elif module == ["torch", "nn"]:
        wanted = _of_layer(getattr(nn, last, None))
    else:
        wanted = {"dtype", "device"} if function == "torch.nn.utils.skip_init" else set()
    missing = sorted(wanted - given)
    return f"{function} without {' and '.join(missing)}" if missing else None


def _of_layer(layer: object) -> set[str]:
    if not inspect.isclass(layer):
        return set()
    if issubclass(layer, nn.RNNBase):  # hides its signature behind *args
        return {"dtype", "device"}
    return {"dtype", "device"} & set(inspect.signature(layer).parameters)
