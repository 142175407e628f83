"""The guards in conftest.py fail the tests that they should fail."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest_plugins = ["pytester"]

INI = """
[pytest]
markers =
    global_rng: may move them
    cuda: needs a device
"""

MOVES = {
    "numpy.random": "import numpy as np; np.random.rand()",
    "torch": "import torch; torch.rand(1)",
}


@pytest.fixture
def suite(pytester):
    """A suite of its own that has this suite's conftest."""
    pytester.makeini(INI)
    pytester.makeconftest(Path(__file__).with_name("conftest.py").read_text())
    return pytester


@pytest.mark.global_rng
@pytest.mark.parametrize("name", MOVES)
def test_moving_a_global_generator_fails_the_test_that_did_it(suite, name):
    suite.makepyfile(f"def test_moves():\n    {MOVES[name]}\n\ndef test_rests():\n    pass\n")
    result = suite.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines([f"*moved the global generator of {name}; use a local one*"])


@pytest.mark.global_rng
def test_moving_it_in_a_fixture_of_wider_scope_fails_too(suite):
    suite.makepyfile(f"""
        import pytest

        @pytest.fixture(scope="module")
        def model():
            {MOVES["torch"]}

        def test_uses(model):
            pass
    """)
    suite.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist").assert_outcomes(passed=1, errors=1)


@pytest.mark.global_rng
def test_marked_tests_may_move_them(suite):
    suite.makepyfile(f"""
        import pytest

        @pytest.mark.global_rng
        def test_moves():
            {MOVES["torch"]}
    """)
    suite.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist").assert_outcomes(passed=1)


def test_uninitialised_memory_is_nan():
    assert torch.empty(3).isnan().all()
    assert torch.zeros(2).new_empty(5).isnan().all()


def test_one_thread():
    assert torch.get_num_threads() == 1


def test_ragged_is_what_it_says(ragged):
    X, y = ragged
    lengths = [len(x) for x in X]
    assert len(X) == 24
    assert {x.shape[1] for x in X} == {2}
    assert (min(lengths), max(lengths)) == (5, 12)
    assert np.bincount(y).tolist() == [8, 8, 8]
    means = np.array([x.mean(axis=0) for x in X])
    centres = np.array([means[y == label].mean(axis=0) for label in range(3)])
    nearest = np.linalg.norm(means[:, None] - centres, axis=2).argmin(axis=1)
    assert np.array_equal(nearest, y)
