"""Answers are the same to the bit whatever torch's process-wide defaults are."""

from __future__ import annotations

import multiprocessing
from collections.abc import Collection
from concurrent.futures import Future, ProcessPoolExecutor

import pytest
import torch

from tests.all_answers import FIRST, Answers, all_answers, cases, differences
from tests.test_contract import estimators
from tests.torch_defaults import TORCH_DEFAULTS, prepare_process


def answers_in_other_modes(names: Collection[str] | None = None) -> Answers:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        return all_answers(names)


def in_a_process(*defaults: str, names: Collection[str] | None = None, modes: bool = False) -> Future[Answers]:
    """Answers from a process of its own: what corrupts memory ends that process and not the suite."""
    context = multiprocessing.get_context("forkserver")  # whose server imports once for all of them
    context.set_forkserver_preload(["tests.all_answers", "torch._dynamo"])  # the latter is what optimizers import
    answers = answers_in_other_modes if modes else all_answers
    with ProcessPoolExecutor(1, mp_context=context, initializer=prepare_process, initargs=defaults) as pool:
        return pool.submit(answers, names)


@pytest.fixture(scope="module")
def one_each() -> Answers:
    """Of one case of every estimator, under the defaults that the suite runs with."""
    return all_answers(list(FIRST.values()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("defaults", "modes"),
    [(["bfloat16", "meta"], True), (["float64"], False)],
)
def test_no_estimator_depends_on_the_defaults_of_torch(one_each: Answers, defaults: list[str], modes: bool) -> None:
    """bfloat16 shows in dtypes and values, meta in what is made on no device, float64 in the dtype of zeros."""
    found = in_a_process(*defaults, names=list(FIRST.values()), modes=modes).result()
    assert differences(one_each, found) == []


def test_every_public_estimator_answers_here(one_each: Answers) -> None:
    assert set(FIRST) == set(estimators())
    assert {name.split(".")[0] for name in one_each} == {name for name in FIRST.values() if "DTWMetric" not in name}


@pytest.fixture(scope="module")
def ordinary() -> Answers:
    return in_a_process().result()


@pytest.mark.slow
@pytest.mark.parametrize("default", TORCH_DEFAULTS)
def test_no_variant_depends_on_a_default_of_torch(ordinary: Answers, default: str) -> None:
    assert differences(ordinary, in_a_process(default).result()) == []


@pytest.mark.slow
def test_no_variant_depends_on_the_modes_of_the_caller(ordinary: Answers) -> None:
    """Neither on modes without gradients nor on autocast."""
    assert differences(ordinary, in_a_process(modes=True).result()) == []
    assert {name.split(".")[0] for name in ordinary} == {name for name in cases() if "DTWMetric" not in name}
