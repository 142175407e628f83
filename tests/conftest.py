"""Shared by all tests: strict numerics, one thread, untouched global generators, small data."""

from __future__ import annotations

import os
import sys

# Set before NumPy and torch load their thread pools. The suite runs one process on each core.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # tests with two threads leave the cores to the other process
os.environ.setdefault("MPLBACKEND", "agg")  # no windows

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from tqdm import auto

from tests.fake_bars import FakeBar
from tests.small_embedder import pictures
from tests.small_transcriber import abc_words
from tests.torch_defaults import TORCH_DEFAULTS, set_torch_default

GLOBAL_STATES = pytest.StashKey[dict[str, object]]()

# Derandomised: a failure found once is found on every machine, and nothing needs a rerun.
settings.register_profile("suite", max_examples=50, deadline=None, derandomize=True, database=None)
settings.load_profile("suite")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder of real data sets (.npz); without it their tests skip",
    )
    parser.addoption(
        "--torch-default",
        choices=TORCH_DEFAULTS,
        help="run the tests under another default of torch: nothing in the package may depend on it",
    )


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.allow_tf32 = False  # else convolutions and cuDNN's GRU keep 10 bits of a CUDA operand
    set_torch_default(config.getoption("--torch-default"))


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # those that take longest begin first, so that no worker is left alone with them
    items.sort(key=lambda item: item.path.name != "test_triton.py")
    for item in items:
        # scikit-learn checks mapped memory twice, in float64 and in float32; one of them is enough for every day
        if item.name.endswith("(readonly_memmap=True)]"):
            item.add_marker(pytest.mark.long)
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="no CUDA device")
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(skip)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    # Taken before any fixture runs, so that a fixture of wider scope is held to the rule too.
    item.stash[GLOBAL_STATES] = global_generator_states()


def global_generator_states() -> dict[str, object]:
    """The states of the two generators that belong to the whole process.

    Python's own is left out: third-party modules draw from it while they are imported.
    """
    _, keys, *position = np.random.get_state()  # noqa: NPY002 - read to see that nobody moved it
    return {
        "numpy.random": (keys.tobytes(), *position),
        "torch": torch.get_rng_state().numpy().tobytes(),
    }


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FakeBar]]:
    """All progress bars that were opened. They must be closed in the end."""
    monkeypatch.setattr(auto, "tqdm", FakeBar)
    monkeypatch.setattr(FakeBar, "opened", [])
    yield FakeBar.opened
    assert all(bar.closed for bar in FakeBar.opened)


@pytest.fixture(autouse=True)
def global_generators_untouched(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test after which a global generator stands elsewhere than before it."""
    yield
    if request.node.get_closest_marker("global_rng"):
        return
    before, after = request.node.stash[GLOBAL_STATES], global_generator_states()
    changed = [name for name in before if before[name] != after[name]]
    if changed:
        pytest.fail(f"this test moved the global generator of {', '.join(changed)}; use a local one", pytrace=False)


@pytest.fixture(autouse=True)
def uninitialised_memory_is_nan(request: pytest.FixtureRequest) -> None:
    """Let `torch.empty` return NaN, so that a value nobody wrote shows up.

    torch does so in its deterministic mode only. That mode also swaps CUDA kernels, so tests on CUDA run
    without it: they must see the kernels that users get.
    """
    torch.use_deterministic_algorithms(request.node.get_closest_marker("cuda") is None)


@pytest.fixture(autouse=True)
def figures_closed() -> Iterator[None]:
    """Close what a test has drawn."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture
def rng() -> np.random.Generator:
    """A fresh generator, the same in every test."""
    return np.random.default_rng(0)


@pytest.fixture
def ragged() -> tuple[list[np.ndarray], np.ndarray]:
    """24 sequences (T_i, 2), 5 <= T_i <= 12, with labels 0, 1, 2, eight of each, shuffled; easily told apart.

    Class k circles k + 1 times around a centre of its own, from a random phase, under a little noise.
    """
    rng = np.random.default_rng(7)
    y = rng.permutation(np.repeat([0, 1, 2], 8))
    return [_circle(label, int(steps), rng) for label, steps in zip(y, rng.integers(5, 13, size=24), strict=True)], y


def _circle(label: int, steps: int, rng: np.random.Generator) -> np.ndarray:
    angle = 2 * np.pi * ((label + 1) * np.arange(steps) / steps + rng.uniform())
    centre = 3.0 * np.array([np.cos(2.1 * label), np.sin(2.1 * label)])
    return centre + np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.1 * rng.normal(size=(steps, 2))


@pytest.fixture
def pairs(ragged: tuple[list[np.ndarray], np.ndarray]) -> tuple[list[np.ndarray], np.ndarray, np.ndarray]:
    """The ragged sequences, their labels, and 9 x 8 images that show the label by where they are bright."""
    X, y = ragged
    return X, y, pictures(y, seed=3)


@pytest.fixture(scope="module")
def words() -> tuple[list[np.ndarray], list[str], np.ndarray]:
    """30 words of two to four of the symbols a, b, c: segments around a point each, and images of four cells."""
    return abc_words()


@pytest.fixture(scope="session")
def data_dir(request: pytest.FixtureRequest) -> Path:
    """The folder given as `--data DIR`."""
    folder = request.config.getoption("--data")
    if folder is None:
        pytest.skip("needs --data DIR")
    return folder
