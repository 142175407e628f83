"""Edit distances against the plain recursion, and the error rates made of them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import cross_validate

from skseqmetric._ops import edit_distance
from skseqmetric._ops.edit_distance import edit_distance_table, edit_distances
from skseqmetric.metrics import (
    character_error_rate,
    neg_character_error_rate_scorer,
    neg_word_error_rate_scorer,
    word_error_rate,
)


def plain(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    """Levenshtein distance from its definition: D(ax, by) = min(D(a, by) + 1, D(ax, b) + 1, D(a, b) + (x != y))."""

    @cache
    def distance(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        substituted = distance(i - 1, j - 1) + (a[i - 1] != b[j - 1])
        return min(distance(i - 1, j) + 1, distance(i, j - 1) + 1, substituted)

    return distance(len(a), len(b))


def draw(rng: np.random.Generator, n: int, n_symbols: int = 3, longest: int = 9) -> list[np.ndarray]:
    # codes around zero: padding must not be taken for a symbol, whatever its code
    return [rng.integers(-1, n_symbols - 1, size=rng.integers(0, longest + 1)) for _ in range(n)]


def codes(word: str) -> np.ndarray:
    return np.array([ord(letter) for letter in word], dtype=np.int64)


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
    assert edit_distances([codes(a)], [codes(b)]).tolist() == [expected]


@pytest.mark.parametrize("block", [1, 40, 2**17])
def test_rows_equal_the_recursion(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(edit_distance, "_BLOCK", block)
    first, second = draw(rng, 150), draw(rng, 150)
    expected = [plain(tuple(a), tuple(b)) for a, b in zip(first, second, strict=True)]
    got = edit_distances(first, second)
    assert got.dtype == np.int64
    assert got.tolist() == expected


def test_table_equals_rows(rng: np.random.Generator) -> None:
    first, second = draw(rng, 13), draw(rng, 8, longest=5)
    table = edit_distance_table(first, second)
    expected = [edit_distances([a] * 8, second) for a in first]
    np.testing.assert_array_equal(table, expected)


def test_a_metric(rng: np.random.Generator) -> None:
    sequences = draw(rng, 25, n_symbols=2, longest=6)
    d = edit_distance_table(sequences, sequences)
    same = np.array([[len(a) == len(b) and bool((a == b).all()) for b in sequences] for a in sequences])
    np.testing.assert_array_equal(d == 0, same)
    np.testing.assert_array_equal(d, d.T)
    assert (d[:, None] <= d[:, :, None] + d[None]).all()  # d(i, k) <= d(i, j) + d(j, k) at [i, j, k]


def test_long_sequences(rng: np.random.Generator) -> None:
    a = rng.integers(0, 50, size=700)
    b = np.delete(a, [3, 350, 699])
    b[100] = 99
    assert edit_distances([a, b, a], [b, a, a]).tolist() == [4, 4, 0]


def test_substitutions_only() -> None:
    words = [("karolin", "kathrin"), ("abc", "bca"), ("ab", "abc"), ("abc", "ab"), ("", ""), ("", "a"), ("aa", "aa")]
    first, second = ([codes(pair[k]) for pair in words] for k in (0, 1))
    assert edit_distances(first, second, substitutions_only=True).tolist() == [3, 3, -1, -1, 0, -1, 0]


def test_substitutions_only_by_counting(rng: np.random.Generator) -> None:
    first, second = draw(rng, 200, longest=4), draw(rng, 200, longest=4)
    expected = [
        sum(int(x != y) for x, y in zip(a, b, strict=True)) if len(a) == len(b) else -1
        for a, b in zip(first, second, strict=True)
    ]
    assert edit_distances(first, second, substitutions_only=True).tolist() == expected


@pytest.mark.parametrize("substitutions_only", [False, True])
def test_no_pairs(substitutions_only: bool) -> None:
    assert edit_distances([], [], substitutions_only=substitutions_only).shape == (0,)
    assert edit_distance_table([], [codes("a")]).shape == (0, 1)
    assert edit_distance_table([codes("a")], []).shape == (1, 0)


def test_inputs_stay_as_they_are() -> None:
    a, b = codes("abca"), codes("b")
    for array in (a, b):
        array.flags.writeable = False
    assert edit_distances([a], [b]).tolist() == [3]


def test_unequal_numbers_of_sequences() -> None:
    with pytest.raises(ValueError, match="first has 1 sequences and second has 2"):
        edit_distances([codes("a")], [codes("a"), codes("b")])


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


@pytest.mark.parametrize("rate", [character_error_rate, word_error_rate])
def test_errors_of_error_rates(rate) -> None:
    with pytest.raises(ValueError, match="y_true has 2 sequences and y_pred has 1"):
        rate(["a", "b"], ["a"])
    with pytest.raises(ValueError, match=r"no (symbol|word)"):
        rate(["", []], ["a", "b"])
    with pytest.raises(ValueError, match=r"no (symbol|word)"):
        rate([], [])
    with pytest.raises(ValueError, match="sample_weight has shape"):
        rate(["a"], ["a"], sample_weight=[1, 2])
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
