"""The package as a whole: what it exports, documents, ships, and what importing it costs."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.metadata
import inspect
import json
import os
import pkgutil
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

import skseqmetric

ROOT = Path(skseqmetric.__file__).parents[1]
NEEDED_LATE_OR_NEVER = {
    "faiss",
    "matplotlib",
    "numba",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "pandas",
    "plotly",
    "polars",
    "pyarrow",
    "tslearn",
    "umap",
    "xarray",
}
SUBMODULES = ["skseqmetric.datasets", "skseqmetric.exceptions", "skseqmetric.inspection"]
CALLABLES = [name for name in skseqmetric.__all__ if callable(getattr(skseqmetric, name))]


def modules_after(statement: str) -> set[str]:
    """Names in sys.modules of a fresh interpreter that has run `statement`."""
    code = f"import sys, json\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return set(json.loads(run.stdout.splitlines()[-1]))


def public_methods(cls: type) -> list[tuple[str, object]]:
    """Public functions and properties that the package itself wrote for `cls`."""
    return [
        (name, member)
        for base in cls.__mro__
        if base.__module__.startswith("skseqmetric")
        for name, member in vars(base).items()
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
    ]


def former_name(member: object) -> re.Match[str] | None:
    """Base and new defaults of a former name, whose docstring is "`Base(parameter=default)` under its former name"."""
    return re.match(r"`(\w+)\((.*)\)` under its former name", member.__doc__ or "")


def documented_defaults_of(member: object) -> dict[str, str]:
    """{parameter: text of its default}; a former name has those of its base, but for the ones that it names."""
    former = former_name(member)
    if former is None:
        return documented_defaults(member.__doc__ or "")
    base = getattr(skseqmetric, former[1])
    assert issubclass(member, base)  # type: ignore[arg-type]
    return documented_defaults(base.__doc__) | dict(re.findall(r"(\w+)=([^,]+)", former[2]))


def documented_defaults(doc: str) -> dict[str, str]:
    """{parameter: text of its default} of a numpydoc "Parameters" section."""
    section = re.search(r"Parameters\n-+\n(.*?)(?:\n\w[\w ]*\n-+\n|\Z)", inspect.cleandoc(doc), re.S)
    rows = re.findall(r"^([\w, ]+) : .*?\bdefault\s*[=:]?\s*(.+?)$", section.group(1) if section else "", re.M)
    return {name.strip(): text.strip().strip(".`") for names, text in rows for name in names.split(",")}


@pytest.fixture(scope="module")
def floor() -> set[str]:
    """The modules that torch and scikit-learn load by themselves, pandas among them where it is installed."""
    return modules_after("import torch, sklearn")


def test_import_leaves_optional_and_heavy_packages_alone(floor):
    everything = ", ".join(["skseqmetric", *SUBMODULES])
    roots = {name.partition(".")[0] for name in modules_after(f"import {everything}") - floor}
    assert "skseqmetric" in roots
    assert not roots & NEEDED_LATE_OR_NEVER


def test_import_loads_little_beyond_torch_and_sklearn(floor):
    # The number of modules stands for the import time, because it is reproducible; benchmarks/run_import.py measures.
    assert len(modules_after("import skseqmetric") - floor) < 0.32 * len(floor)


def test_all_is_sorted_and_complete():
    names = list(skseqmetric.__all__)
    assert names
    assert names == sorted(names)
    assert len(names) == len(set(names))
    assert all(hasattr(skseqmetric, name) for name in names)
    assert not any(name.startswith("_") for name in names)


def test_star_import_gives_the_public_names():
    namespace: dict[str, object] = {}
    exec("from skseqmetric import *", namespace)  # the statement under test
    assert set(skseqmetric.__all__) <= set(namespace)


@pytest.mark.parametrize("name", skseqmetric.__all__)
def test_public_object_is_documented(name):
    member = getattr(skseqmetric, name)
    assert (inspect.getdoc(member) or "").strip(), f"{name} has no docstring"
    if inspect.isclass(member):
        bare = [f"{name}.{method}" for method, f in public_methods(member) if not inspect.getdoc(f)]
        assert not bare


@pytest.mark.parametrize("name", CALLABLES)
def test_documented_defaults_are_the_real_ones(name):
    member = getattr(skseqmetric, name)
    parameters = inspect.signature(member).parameters
    documented = documented_defaults_of(member)
    real = {key: p.default for key, p in parameters.items() if p.default is not p.empty}
    assert set(documented) == set(real)
    wrong = {key: (text, real[key]) for key, text in documented.items() if not _same(text, real[key])}
    assert not wrong, "documented default, real default"


def _same(text: str, value: object) -> bool:
    """Whether the documented text is the value, as Python writes it in one way or another."""
    try:
        return bool(ast.literal_eval(text) == value)
    except (SyntaxError, ValueError):
        return text in (repr(value), str(value))


def test_version_is_that_of_the_installed_package():
    try:
        installed = importlib.metadata.version("skseqmetric")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("runs from the source tree, nothing is installed")
    assert skseqmetric.__version__ == installed
    assert re.fullmatch(r"\d+\.\d+\.\d+(\.dev\d+|rc\d+)?", installed)


def test_ships_types_and_data():
    package = resources.files("skseqmetric")
    assert package.joinpath("py.typed").is_file()
    shipped = [entry.name for entry in package.joinpath("datasets", "data").iterdir()]
    assert any(name.endswith(".npz") for name in shipped)
    assert any("licen" in name.lower() for name in shipped)


@pytest.mark.parametrize("name", SUBMODULES)
def test_public_submodule_exports_sorted_documented_names(name):
    module = importlib.import_module(name)
    assert module.__all__ == sorted(module.__all__)
    bare = [name for name in module.__all__ if not inspect.getdoc(getattr(module, name))]
    assert not bare


def modules_with_examples() -> list[str]:
    """Every module of the package with an interactive example in it."""
    found = [module.name for module in pkgutil.walk_packages(skseqmetric.__path__, "skseqmetric.")]
    return [name for name in found if ">>>" in Path(importlib.import_module(name).__file__).read_text()]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_of_the_docstrings(name):
    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert results.attempted > 0
    assert results.failed == 0


def test_every_public_class_and_function_has_an_example():
    public = [getattr(skseqmetric, name) for name in CALLABLES]
    assert [member.__name__ for member in public if ">>>" not in member.__doc__ and not former_name(member)] == []
