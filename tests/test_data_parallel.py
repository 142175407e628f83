"""Fits that two processes share end as fits of one process."""

from __future__ import annotations

import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pytest
import torch
from torch import nn

from skseqmetric import RecurrentClassifier, SyncGRUMetric, data_parallel
from skseqmetric._ops.batch_norm import shared_batch_norm
from skseqmetric._ops.ranks import Ranks
from tests import shared_checkpoints, shared_fits
from tests.kill_fits import equal
from tests.shared_checkpoints import End

N_RANKS = 2


@pytest.fixture
def alone() -> Iterator[None]:
    """A group of this process only."""
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def of_ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-W", "ignore", "-m", "tests.shared_fits"]
    ranks = [subprocess.Popen([*command, str(rank), str(N_RANKS), str(folder)]) for rank in range(N_RANKS)]
    try:
        assert [rank.wait(timeout=600) for rank in ranks] == [0] * N_RANKS
    finally:
        for rank in ranks:
            rank.kill()
    return [pickle.loads(Path(folder, f"{rank}.pickle").read_bytes()) for rank in range(N_RANKS)]


def test_needs_a_group() -> None:
    with pytest.raises(RuntimeError, match="init_process_group first"), data_parallel():
        pass


@pytest.mark.usefixtures("alone")
def test_one_process_alone_has_the_bits_of_an_ordinary_fit() -> None:
    X, y = shared_fits.sequences()
    with data_parallel():
        found = SyncGRUMetric(**shared_fits.STILL, n_units=8).fit(X, y)
    wanted = SyncGRUMetric(**shared_fits.STILL, n_units=8).fit(X, y)
    np.testing.assert_array_equal(found.transform(X), wanted.transform(X))


@pytest.mark.usefixtures("alone")
def test_blocks_are_not_nested() -> None:
    with data_parallel(), pytest.raises(RuntimeError, match="open already"), data_parallel():
        pass


@pytest.mark.usefixtures("alone")
def test_an_error_closes_the_block() -> None:
    with pytest.raises(KeyError), data_parallel():
        raise KeyError
    with data_parallel():
        pass


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5, 2), (1, 3)])
def test_batch_normalisation_is_that_of_torch(shape: tuple[int, ...]) -> None:
    ranks = Ranks(torch.distributed.group.WORLD)
    norms = [(nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(3).double() for _ in range(2)]
    x = [torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) for _ in norms]
    for rows in x:
        rows.requires_grad_()
    if len(shape) == 2 and shape[0] == 1:  # torch refuses a single row
        assert shared_batch_norm(norms[0], x[0], ranks).abs().max() == 0
        return
    found = shared_batch_norm(norms[0], x[0], ranks)
    wanted = norms[1](x[1])
    torch.testing.assert_close(found, wanted)
    for result in (found, wanted):
        result.square().mul(torch.arange(result.numel(), dtype=torch.float64).view(shape)).sum().backward()
    torch.testing.assert_close(x[0].grad, x[1].grad)
    for name, value in norms[1].state_dict().items():
        torch.testing.assert_close(norms[0].state_dict()[name], value)


class Imagined(Ranks):
    """One of several processes, without the others."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size, self._noise = rank, size, WeakKeyDictionary()


@pytest.mark.parametrize(("n", "size"), [(7, 2), (7, 3), (2, 3), (0, 2), (8, 4)])
def test_every_row_belongs_to_one_rank(n: int, size: int) -> None:
    slices = [Imagined(rank, size).part(n) for rank in range(size)]
    assert [row for part in slices for row in range(n)[part]] == list(range(n))
    assert max(p.stop - p.start for p in slices) - min(p.stop - p.start for p in slices) <= 1


def test_ranks_draw_unlike_noise_and_the_same_again() -> None:
    generator = torch.Generator().manual_seed(3)
    drawn = [torch.rand(4, generator=Imagined(rank, 2).noise(generator)) for rank in (0, 1, 0)]
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0], drawn[2])
    assert not torch.equal(drawn[0], torch.rand(4, generator=torch.Generator().manual_seed(3)))


DRAWN: dict[str, Any] = {**shared_fits.SHORT, "n_units": 8, "callbacks": [End()]}
"""With dropout."""


@pytest.mark.usefixtures("alone")
def test_a_repeated_fit_draws_the_same_noise() -> None:
    X, y = shared_fits.sequences()
    with data_parallel():
        first, second = (RecurrentClassifier(**DRAWN, dropout=0.3).fit(X, y) for _ in range(2))
    assert equal(first, second)
    assert not equal(first, RecurrentClassifier(**DRAWN, dropout=0.0).fit(X, y))


@pytest.mark.usefixtures("alone")
def test_a_shared_fit_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    def fit(**settings: Any) -> Any:
        return RecurrentClassifier(**DRAWN, dropout=0.3, **settings).fit(*shared_fits.sequences())

    with data_parallel():
        shared_checkpoints.ended(fit, checkpoint=tmp_path)
        assert shared_checkpoints.resumed(fit, tmp_path)["equal"]
        assert shared_checkpoints.End.epochs == 1  # of 3
    with pytest.raises(ValueError, match="processes is nothing of the kind, and was 1"):
        fit(checkpoint=tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", shared_fits.FITS)
@pytest.mark.filterwarnings("ignore:CrossModalTranscriber writes blanks alone")
def test_two_processes_follow_the_losses_of_one(name: str, of_ranks: list[dict[str, Any]]) -> None:
    wanted = shared_fits.outcome(shared_fits.FITS[name]())
    for found in of_ranks:
        assert len(found[name]["losses"]) == len(wanted["losses"])
        for row, expected in zip(found[name]["losses"], wanted["losses"], strict=True):
            assert row == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", shared_fits.FITS)
def test_all_processes_have_the_same_model(name: str, of_ranks: list[dict[str, Any]]) -> None:
    first, second = (found[name] for found in of_ranks)
    np.testing.assert_array_equal(first["transform"], second["transform"])
    for key, value in first["statistics"].items():
        np.testing.assert_array_equal(value, second["statistics"][key])


@pytest.mark.slow
def test_a_drawn_seed_is_that_of_the_first_process(of_ranks: list[dict[str, Any]]) -> None:
    np.testing.assert_array_equal(of_ranks[0]["seeds"], of_ranks[1]["seeds"])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("data", "In process 1, X is 25 sequences"),
        ("labels", "In process 1, y is"),
        ("parameters", "In process 1, n_units is 9, and was 8"),
    ],
)
def test_processes_that_differ_are_all_refused(what: str, said: str, of_ranks: list[dict[str, Any]]) -> None:
    for found in of_ranks:
        assert said in found["refused"][what]


def run(folder: Path, *arguments: str) -> list[int]:
    """Run `tests.shared_checkpoints` in two processes. Their exit codes."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.shared_checkpoints"]
    ranks = [subprocess.Popen([*command, str(rank), str(N_RANKS), str(folder), *arguments]) for rank in range(N_RANKS)]
    try:
        return [rank.wait(timeout=400) for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="kills as POSIX has them")
def test_shared_fits_that_were_killed_end_as_if_they_had_not_been(tmp_path: Path) -> None:
    first, second = run(tmp_path, "first", "kills")
    assert first != 0  # it misses the other
    assert second == -signal.SIGKILL
    assert run(tmp_path, "second") == [0, 0]
    found = [pickle.loads((tmp_path / f"{rank}.pickle").read_bytes()) for rank in range(N_RANKS)]
    for name in ("metric", *shared_checkpoints.FITS):
        weights = [result[name].pop("weights") for result in found]
        assert [result[name] for result in found] == [{"equal": True, "epochs": 3}] * 2  # of 5
        for key, value in weights[0].items():
            np.testing.assert_array_equal(value, weights[1][key])
    for result in found:
        assert result["drawn"]
        assert "belongs to another fit (NRNMClassifier" in result["other"]
        assert "cannot be read as a checkpoint" in result["damaged"]
