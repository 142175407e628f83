"""Answers are the same to the bit whatever torch's process-wide defaults are."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor

import pytest
import torch

from tests.all_answers import Answers, all_answers, cases, differences
from tests.test_contract import estimators
from tests.torch_defaults import TORCH_DEFAULTS, prepare_process


def answers_in_other_modes() -> Answers:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        return all_answers()


def in_a_process(default: str | None, answers: Callable[[], Answers] = all_answers) -> Future[Answers]:
    """All answers, from a process of its own: what corrupts memory ends that process and not the suite."""
    context = multiprocessing.get_context("forkserver")  # whose server imports the package once for all of them
    context.set_forkserver_preload(["tests.all_answers"])
    with ProcessPoolExecutor(1, mp_context=context, initializer=prepare_process, initargs=(default,)) as pool:
        return pool.submit(answers)


@pytest.fixture(scope="module")
def ordinary() -> Answers:
    return in_a_process(None).result()


@pytest.mark.parametrize("default", TORCH_DEFAULTS)
def test_answers_do_not_depend_on_the_defaults_of_torch(ordinary: Answers, default: str) -> None:
    assert differences(ordinary, in_a_process(default).result()) == []


def test_fits_and_answers_do_not_depend_on_the_modes_of_the_caller(ordinary: Answers) -> None:
    """Neither on modes without gradients nor on autocast."""
    assert differences(ordinary, in_a_process(None, answers_in_other_modes).result()) == []


def test_every_public_estimator_answers_here(ordinary: Answers) -> None:
    assert {type(case.made) for case in cases().values()} == set(estimators())
    assert {name.split(".")[0] for name in ordinary} == {name for name in cases() if "DTWMetric" not in name}
