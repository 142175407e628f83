"""Error rates against the plain recursion and by hand; weights and errors of all scores."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import cross_validate

from skseqmetric.metrics import (
    character_error_rate,
    neg_character_error_rate_scorer,
    neg_word_error_rate_scorer,
    step_accuracy,
    step_f1_score,
    word_error_rate,
)


def plain_edits(a: list[int], b: list[int]) -> int:
    """Levenshtein distance from its definition: D(ax, by) = min(D(a, by) + 1, D(ax, b) + 1, D(a, b) + (x != y))."""
    distance = np.zeros((len(a) + 1, len(b) + 1), dtype=int)
    for i, j in np.ndindex(distance.shape):
        if not i or not j:
            distance[i, j] = i + j
        else:
            substituted = distance[i - 1, j - 1] + (a[i - 1] != b[j - 1])
            distance[i, j] = min(distance[i - 1, j] + 1, distance[i, j - 1] + 1, substituted)
    return int(distance[-1, -1])


def edits(a: str, b: str) -> float:
    """Errors of one label; the second one makes sure that the truth has a symbol."""
    return character_error_rate([a, "."], [b, "."]) * (len(a) + 1)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("kitten", "sitting", 3),
        ("saturday", "sunday", 3),
        ("", "", 0),
        ("", "abc", 3),
        ("abc", "", 3),
        ("abc", "abc", 0),
        ("abc", "cab", 2),
        ("abcdef", "f", 5),
    ],
)
def test_known_distances(a: str, b: str, expected: int) -> None:
    assert edits(a, b) == pytest.approx(expected)


def test_errors_are_those_of_the_recursion(rng: np.random.Generator) -> None:
    true, predicted = ([rng.integers(-2, 2, size=rng.integers(0, 10)) for _ in range(150)] for _ in range(2))
    for array in (*true, *predicted):
        array.flags.writeable = False
    weights = rng.uniform(0.1, 2, size=150)
    distances = [plain_edits(a.tolist(), b.tolist()) for a, b in zip(true, predicted, strict=True)]
    expected = np.dot(weights, distances) / np.dot(weights, [len(a) for a in true])
    assert character_error_rate(true, predicted, sample_weight=weights) == pytest.approx(expected, rel=1e-14)


def test_errors_of_long_labels(rng: np.random.Generator) -> None:
    true = rng.integers(0, 50, size=700)
    predicted = np.delete(true, [3, 350, 699])
    predicted[100] = 99
    assert character_error_rate([true], [predicted]) == 4 / 700
    assert character_error_rate([predicted], [true]) == 4 / 697


@pytest.mark.parametrize(("a", "b"), [("a", 97), (-1, -2), (0, 2**61 - 1), (("x", 0), ("x", 2**61 - 1))])
def test_symbols_of_equal_hash_are_different_symbols(a: object, b: object) -> None:
    assert character_error_rate([[a, b]], [[b, a]]) == 1.0


# ------------------------------------------------------------------------------------------------ error rates


def test_character_error_rate_is_of_the_corpus() -> None:
    # 3 edits in 6 symbols and none in 2; the mean of both rates would be 0.25
    assert character_error_rate(["kitten", "ab"], ["sitting", "ab"]) == pytest.approx(3 / 8)
    assert character_error_rate(["kitten", "ab"], ["sitting", "ab"], sample_weight=[1, 3]) == pytest.approx(3 / 12)


def test_character_error_rate_of_symbol_lists() -> None:
    true = [["alpha", "beta"], [("x", 1), 7, 7]]
    assert character_error_rate(true, [["beta"], [7, 7]]) == pytest.approx(2 / 5)
    assert character_error_rate([np.array([1, 2, 3])], [(1, 2)]) == pytest.approx(1 / 3)
    assert character_error_rate(["abc"], [["a", "b", "c"]]) == 0.0


def test_symbols_the_truth_does_not_have_are_errors() -> None:
    assert character_error_rate(["ab"], ["aé"]) == 0.5
    assert character_error_rate(["ab"], ["漢漢漢漢"]) == 2.0  # two substitutions and two insertions


def test_empty_labels_count_in_the_corpus() -> None:
    assert character_error_rate(["", "ab"], ["x", "ab"]) == 0.5
    assert character_error_rate(["ab"], [""]) == 1.0
    assert word_error_rate(["", "a b"], ["x", "a b"]) == 0.5


def test_word_error_rate_of_strings() -> None:
    assert word_error_rate(["the cat sat", "on"], ["the  hat\tsat ", "on"]) == 0.25
    assert word_error_rate(["a b c"], ["b c"]) == pytest.approx(1 / 3)
    assert word_error_rate(["ab"], ["a b"]) == 2.0


def test_word_error_rate_of_symbol_lists_is_the_share_of_wrong_labels() -> None:
    true = [[1, 2], [3, 4], [5], ["a", " ", "b"]]
    assert word_error_rate(true, [[1, 2], [4, 3], [], ["a", " ", "b"]]) == 0.5
    assert word_error_rate(["ab"], [["a", "b"]]) == 0.0
    assert word_error_rate(true, true[::-1], sample_weight=[0, 1, 0, 0]) == 1.0


def test_sequences_of_weight_0_are_left_out() -> None:
    assert step_f1_score([[0, 1], [2, 2]], [[0, 1], [3, 3]], sample_weight=[1, 0]) == 1.0


def test_step_scores_check_their_weights() -> None:
    with pytest.raises(ValueError, match=r"Negative values .* sample_weight\[0\] is -1"):
        step_accuracy([[0], [1]], [[0], [1]], sample_weight=[-1, 2])
    with pytest.raises(ValueError, match=r"sample_weight\.shape == \(1,\), expected \(2,\)"):
        step_accuracy([[0], [1]], [[0], [1]], sample_weight=[1])
    with pytest.raises(ValueError, match=r"No step has a label \(of positive weight\)"):
        step_accuracy([[7], [1]], [[0], [1]], sample_weight=[1, 0], ignore_label=7)


@pytest.mark.parametrize("rate", [character_error_rate, word_error_rate])
def test_errors_of_error_rates(rate) -> None:
    with pytest.raises(ValueError, match="y_true has 2 sequences and y_pred has 1"):
        rate(["a", "b"], ["a"])
    with pytest.raises(ValueError, match=r"no (symbol|word)"):
        rate(["", []], ["a", "b"])
    with pytest.raises(ValueError, match=r"no (symbol|word)"):
        rate([], [])
    with pytest.raises(ValueError, match=r"sample_weight\.shape == \(2,\), expected \(1,\)"):
        rate(["a"], ["a"], sample_weight=[1, 2])
    with pytest.raises(ValueError, match=r"Negative values .* sample_weight\[1\] is -1"):
        rate(["a", "b"], ["a", "b"], sample_weight=[1, -1])
    with pytest.raises(ValueError, match="sample_weight contains NaN"):
        rate(["a"], ["a"], sample_weight=[np.nan])
    with pytest.raises(ValueError, match=r"no (symbol|word) \(of positive weight\)"):
        rate(["a", ""], ["a", "b"], sample_weight=[0, 1])
    with pytest.raises(TypeError, match="y_pred is one string"):
        rate(["a", "b"], "abc")
    with pytest.raises(TypeError, match=r"y_true\[1\] must be a string or a sequence of hashable symbols, got int"):
        rate(["a", 3], ["a", "b"])
    with pytest.raises(TypeError, match=r"y_pred\[0\] must be .* unhashable"):
        rate(["a"], [[[1], [2]]])


class Echo(ClassifierMixin, BaseEstimator):
    """Predicts for every series the one word it has seen most of, with an error at its end."""

    def fit(self, X: np.ndarray, y: list[str]) -> Echo:
        self.word_ = max(y, key=list(y).count)
        return self

    def predict(self, X: np.ndarray) -> list[str]:
        return [self.word_ + "!" for _ in X]


def test_scorers_inside_cross_validation() -> None:
    scoring = {"cer": neg_character_error_rate_scorer, "wer": neg_word_error_rate_scorer}
    scores = cross_validate(Echo(), np.zeros((6, 1)), ["abcd"] * 6, cv=3, scoring=scoring)
    assert scores["test_cer"].tolist() == [-0.25] * 3
    assert scores["test_wer"].tolist() == [-1.0] * 3
