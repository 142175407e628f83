"""The cross-situational task: the published sentences, roles of words, and the laws of the teachers."""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
from sklearn.utils import Bunch

from skseqmetric import check_sequences
from skseqmetric.datasets import make_cross_situational, one_clause_sentences, sentence_factors, sentence_roles

FIRST_OBJECTS = ["glass", "cup", "bowl", "orange", "spoon", "apple", "accordion", "acoustic", "bagpipes", "banjo"]
POSITIONS = ["left", "right", "middle"]
COLORS = ["red", "orange", "green", "blue"]


@pytest.fixture(scope="module")
def task() -> Bunch:
    return make_cross_situational(4, random_state=0)


def no_words(index: int, names: list[str]) -> str:
    return "None" if index < 0 else names[index]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


# ----------------------------------------------------------------------------------------------- grammar

GRAMMAR = {
    "C": [
        "this is GN",
        "that is GN",
        "DET OBJ is COL",
        "DET OBJ on the POS is COL",
        "GN is on the POS",
        "there is GN on the POS",
        "on the POS is GN",
        "on the POS there is GN",
    ],
    "GN": ["DET OBJ", "DET COL OBJ"],
    "DET": ["a", "the"],
    "POS": POSITIONS,
    "COL": COLORS,
}


def expanded(text: str, rules: dict[str, list[str]]) -> list[str]:
    """Every sentence that the symbols of `text` can become."""
    parts = [itertools.chain(*(expanded(t, rules) for t in rules[s])) if s in rules else [s] for s in text.split()]
    return [" ".join(words) for words in itertools.product(*parts)]


@pytest.mark.parametrize("n_objects", [2, 4, 10])
def test_one_clause_sentences_are_those_of_the_grammar(n_objects: int) -> None:
    sentences = [" ".join(words) for words, _ in one_clause_sentences(n_objects)]
    assert len(sentences) == len(set(sentences)) == 172 * n_objects
    assert set(sentences) == set(expanded("C", {**GRAMMAR, "OBJ": FIRST_OBJECTS[:n_objects]}))


def test_one_clause_sentences_are_the_published_ones() -> None:
    # 688 sentences with object, position and colour, as published for four objects
    lines = [
        f"{' '.join(words)} | {FIRST_OBJECTS[o]} {no_words(p, POSITIONS)} {no_words(c, COLORS)}"
        for words, (o, p, c) in one_clause_sentences()
    ]
    published = "a1401d9842d98a52e4af214ef2d13c312345ca27512eda1eb3ae66dc60cc365f"
    assert len(lines) == 688
    assert digest("\n".join(sorted(lines))) == published


def test_fifty_objects_are_the_published_ones() -> None:
    objects = make_cross_situational(50, random_state=0).objects
    assert len(set(objects)) == 50
    assert objects[:10] == FIRST_OBJECTS
    assert digest(" ".join(objects)) == "97b4b796284d6cbfe836e8b174d5c97f2da411ec657626b0f6667752a24e487f"
    sentences = {tuple(words) for words, _ in one_clause_sentences(50)}
    assert len(sentences) == 8600
    assert {len(words) for words in sentences} == {4, 5, 6, 7, 8}


@pytest.mark.parametrize(
    ("sentence", "meaning"),
    [
        ("this is a cup", ("cup", None, None)),
        ("that is the orange", ("orange", None, None)),
        ("this is a orange glass", ("glass", None, "orange")),
        ("the orange is green", ("orange", None, "green")),
        ("a orange is orange", ("orange", None, "orange")),
        ("the orange on the left is orange", ("orange", "left", "orange")),
        ("a orange orange is on the middle", ("orange", "middle", "orange")),
        ("there is the orange on the right", ("orange", "right", None)),
        ("on the left there is a blue bowl", ("bowl", "left", "blue")),
        ("on the middle is the orange orange", ("orange", "middle", "orange")),
    ],
)
def test_sentences_mean_what_they_say(sentence: str, meaning: tuple[str | None, ...]) -> None:
    meanings = {" ".join(words): codes for words, codes in one_clause_sentences(4)}
    groups = (FIRST_OBJECTS, POSITIONS, COLORS)
    expected = tuple(-1 if w is None else names.index(w) for w, names in zip(meaning, groups, strict=True))
    assert meanings[sentence] == expected


def test_meanings_are_counted_as_in_the_grammar() -> None:
    mentioned = Counter((p >= 0, c >= 0) for _, (_, p, c) in one_clause_sentences(4))
    assert mentioned == {(False, False): 16, (False, True): 96, (True, False): 96, (True, True): 480}


# ------------------------------------------------------------------------------------------------- roles


def test_places_of_words() -> None:
    words = ["BEGIN", "this", "is", "a", "cup", "and", "the", "cup", "is", "red", "END"]
    expected = ["begin", *["first clause"] * 4, "and", *["second clause"] * 4, "end"]
    assert sentence_roles(words).tolist() == expected
    assert sentence_roles(["BEGIN", "a", "cup", "is", "red", "END"]).tolist() == ["begin", *["first clause"] * 4, "end"]
    assert sentence_roles(words)[-1] == sentence_roles(words, kind="place")[-1] == "end"


def test_parts_of_a_sentence_have_the_places_of_the_whole(task: Bunch) -> None:
    for sentence in task.train.sentences[:50]:
        whole = sentence_roles(sentence)
        for t in range(len(sentence) + 1):
            assert sentence_roles(sentence[:t]).tolist() == whole[:t].tolist()


@pytest.mark.parametrize(
    ("sentence", "roles"),
    [
        ("BEGIN that is the orange END", "s s s s o s"),
        ("BEGIN a orange cup is on the left END", "s s c o s s s p s"),
        ("the orange is orange and a orange orange is on the middle", "s o s c s s c o s s s p"),
        ("a orange on the left is orange and this is a orange", "s o s s p s c s s s s o"),
        ("there is a red orange on the right and on the right is a orange", "s s s c o s s p s s s p s s o"),
    ],
)
def test_meanings_of_words(sentence: str, roles: str) -> None:
    names = {"s": "structure", "o": "object", "p": "position", "c": "color"}
    assert sentence_roles(sentence.split(), kind="word").tolist() == [names[r] for r in roles.split()]


@pytest.mark.parametrize("n_objects", [3, 4, 50])
def test_roles_of_words_give_the_meaning(n_objects: int) -> None:
    made = make_cross_situational(n_objects, n_one_clause=1, n_two_clauses=1, random_state=0)
    kinds = {"object": made.objects, "position": made.positions, "color": made.colors}
    for words, meaning in one_clause_sentences(n_objects):
        roles = sentence_roles(["BEGIN", *words, "END"], kind="word").tolist()[1:-1]
        named = {role: word for role, word in zip(roles, words, strict=True) if role != "structure"}
        codes = [names.index(named[kind]) if kind in named else -1 for kind, names in kinds.items()]
        assert tuple(codes) == meaning


@pytest.mark.parametrize(
    ("sentence", "kind", "message"),
    [
        ("a cup is red", "place", "the sentence 'a cup is red' must be a list of words: pass sentence.split()"),
        (["a", "and", "b", "and", "c"], "place", "the sentence 'a and b and c' has 3 clauses"),
        (["a", "dog", "is", "red"], "word", "word 1 of the sentence, 'dog', is not a word of the cross-situational"),
        (["a"], "words", "kind='words' must be 'place' or 'word'"),
    ],
)
def test_roles_are_refused(sentence: Any, kind: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        sentence_roles(sentence, kind=kind)


# --------------------------------------------------------------------------------------------- sentences


@pytest.mark.parametrize("n_objects", [2, 3, 4, 50])
def test_the_vocabulary_has_every_word_once(n_objects: int) -> None:
    made = make_cross_situational(n_objects, n_one_clause=1, n_two_clauses=1, random_state=0)
    assert len(made.vocabulary) == (16 if n_objects >= 4 else 17) + n_objects  # "orange" is in it once
    assert made.vocabulary == sorted(set(made.vocabulary))
    spoken = {w for words, _ in one_clause_sentences(n_objects) for w in words}
    assert set(made.vocabulary) == spoken | {"BEGIN", "END", "and"}


def test_sequences_are_the_words_one_by_one(task: Bunch) -> None:
    for part in (task.train, task.test):
        assert len(check_sequences(part.X)) == len(part.X) == len(part.sentences) == 1000
        for x, sentence in zip(part.X, part.sentences, strict=True):
            assert x.dtype == np.float32
            assert x.shape == (len(sentence), 20)
            np.testing.assert_array_equal(x.sum(axis=1), 1)
            assert [task.vocabulary[v] for v in x.argmax(axis=1)] == sentence


def test_sentences_are_clauses_of_the_grammar_with_their_meanings(task: Bunch) -> None:
    meanings = {tuple(words): codes for words, codes in one_clause_sentences(4)}
    for part in (task.train, task.test):
        for sentence, slots in zip(part.sentences, part.meanings.tolist(), strict=True):
            assert (sentence[0], sentence[-1]) == ("BEGIN", "END")
            clauses = " ".join(sentence[1:-1]).split(" and ")
            said = [meanings[tuple(c.split())] for c in clauses]
            assert [tuple(s) for s in slots] == [*said, (-1, -1, -1)][:2]
        assert part.meanings.dtype == np.int64
        assert sum("and" in s for s in part.sentences) == 700
    lengths = {len(s) for s in task.train.sentences}
    assert (min(lengths), max(lengths)) == (6, 19)


def test_no_sentence_comes_twice(task: Bunch) -> None:
    sentences = [" ".join(s) for s in task.train.sentences + task.test.sentences]
    assert len(sentences) == len(set(sentences)) == 2000


def test_order_is_random(task: Bunch) -> None:
    long = np.array(["and" in s for s in task.train.sentences])
    assert abs(long[:500].mean() - 0.7) < 0.07  # 5 standard deviations of 500 draws out of 1000


def test_all_sentences_can_be_asked_for() -> None:
    made = make_cross_situational(2, n_one_clause=172, n_two_clauses=0, random_state=0)
    sentences = {" ".join(s[1:-1]) for s in made.train.sentences + made.test.sentences}
    assert sentences == {" ".join(words) for words, _ in one_clause_sentences(2)}
    pairs = make_cross_situational(2, n_one_clause=0, n_two_clauses=344**2 // 2, random_state=0)
    both = {" ".join(s) for s in pairs.train.sentences + pairs.test.sentences}
    assert len(both) == 344**2


def test_two_clauses_are_drawn_independently_and_uniformly() -> None:
    made = make_cross_situational(4, n_one_clause=0, n_two_clauses=10_000, random_state=0)
    objects = made.train.meanings[:, :, 0]
    counts = np.zeros((4, 4))
    np.add.at(counts, (objects[:, 0], objects[:, 1]), 1)
    chi2 = ((counts - 625) ** 2 / 625).sum()
    assert chi2 < 44.3  # of 15 degrees of freedom: probability 1e-4
    coloured = (made.train.meanings[:, :, 2] >= 0).mean(axis=0)
    np.testing.assert_allclose(coloured, 144 / 172, atol=5 * math.sqrt(0.84 * 0.16 / 10_000))


# ---------------------------------------------------------------------------------------------- teachers


def slots_of(y: np.ndarray, n_objects: int) -> list[np.ndarray]:
    """Object, position and colour parts (n, 2, K) of teachers."""
    return np.split(y.reshape(len(y), 2, n_objects + 7), [n_objects, n_objects + 3], axis=2)


def test_teachers_show_what_is_said(task: Bunch) -> None:
    for part in (task.train, task.test):
        assert part.y.shape == (1000, 22)
        assert part.y.dtype == np.float64
        for group, codes in zip(slots_of(part.y, 4), np.moveaxis(part.meanings, 2, 0), strict=True):
            i, k = np.nonzero(codes >= 0)
            np.testing.assert_array_equal(group[i, k], np.eye(group.shape[2])[codes[i, k]])


def test_teachers_show_whole_objects_or_none(task: Bunch) -> None:
    totals = np.stack([group.sum(axis=2) for group in slots_of(task.train.y, 4)], axis=2)  # (n, 2, 3)
    assert set(np.unique(task.train.y)) == {0, 1}
    shown = totals.any(axis=2)
    np.testing.assert_array_equal(totals, np.repeat(shown[..., np.newaxis], 3, axis=2))
    mentioned = task.train.meanings[..., 0] >= 0
    assert shown[mentioned].all()
    assert mentioned[:, 0].all()
    assert 0 < shown[~mentioned].mean() < 1


def test_what_is_left_open_is_drawn_uniformly() -> None:
    made = make_cross_situational(50, n_one_clause=4000, n_two_clauses=4000, random_state=1)
    y, meanings = made.train.y, made.train.meanings
    second = ~(meanings[:, 1, 0] >= 0)
    shown = y[second, 57:].any(axis=1)
    assert abs(shown.mean() - 0.5) < 5 * math.sqrt(0.25 / 4000)
    mentioned = meanings[..., 0] >= 0
    for g, group in enumerate(slots_of(y, 50)):
        cases = {"free object": group[second, 1][shown]}
        if g > 0:
            cases["open field"] = group[mentioned & (meanings[..., g] < 0)]
        for drawn in cases.values():
            n, k = drawn.shape
            np.testing.assert_allclose(drawn.mean(axis=0), 1 / k, atol=5 * math.sqrt((k - 1) / k**2 / n))


def test_columns_are_named(task: Bunch) -> None:
    names = task.target_names
    assert len(set(names)) == len(names) == 22
    assert names[:4] == ["1 object glass", "1 object cup", "1 object bowl", "1 object orange"]
    assert names[11:] == [n.replace("1", "2") for n in names[:11]]
    assert names[4:11] == [f"1 position {p}" for p in POSITIONS] + [f"1 color {c}" for c in COLORS]
    assert (task.objects, task.positions, task.colors) == (FIRST_OBJECTS[:4], POSITIONS, COLORS)


# ---------------------------------------------------------------------------------------------- the maker


def parts_of(made: Bunch) -> list[Any]:
    return [part[key] for part in (made.train, made.test) for key in ("sentences", "y", "meanings")]


def test_the_task_repeats_and_differs(task: Bunch) -> None:
    again, other = make_cross_situational(4, random_state=0), make_cross_situational(4, random_state=1)
    for a, b in zip(parts_of(task), parts_of(again), strict=True):
        np.testing.assert_array_equal(np.array(a, dtype=object), np.array(b, dtype=object))
    assert task.train.sentences != other.train.sentences
    assert not np.array_equal(task.train.y, task.test.y)
    by_generator = make_cross_situational(4, random_state=np.random.default_rng(0))
    assert by_generator.train.sentences == task.train.sentences
    states = [np.random.RandomState(0) for _ in range(2)]
    first, second = (make_cross_situational(4, random_state=s).train.y for s in states)
    np.testing.assert_array_equal(first, second)
    assert make_cross_situational().train.sentences != make_cross_situational().train.sentences


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_objects": 1}, "n_objects=1 must be 2 to 50"),
        ({"n_objects": 51}, "n_objects=51 must be 2 to 50"),
        ({"n_objects": 3}, "n_one_clause=300 must be 0 to 258: train and test share the 516 sentences"),
        ({"n_one_clause": 345}, "n_one_clause=345 must be 0 to 344: train and test share the 688"),
        ({"n_one_clause": -1}, "n_one_clause=-1 must be 0 to 344"),
        ({"n_two_clauses": -1}, "n_two_clauses=-1 must be 0 to 236672"),
        ({"n_two_clauses": 236673}, "n_two_clauses=236673 must be 0 to 236672: train and test share the 473344"),
        ({"n_one_clause": 0, "n_two_clauses": 0}, "are both 0, but at least one sentence is needed"),
    ],
)
def test_sizes_are_checked(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        make_cross_situational(**arguments)


def test_factors_say_what_was_read_so_far() -> None:
    sentence = ["BEGIN", "the", "red", "orange", "is", "on", "the", "left", "and", "a", "cup", "is", "orange", "END"]
    found = sentence_factors([sentence, sentence[:4]])
    assert {group: list(own) for group, own in found.items()} == {
        "structure": ["place", "word", "fields"],
        "content": ["object 1", "position 1", "color 1", "object 2", "position 2", "color 2"],
    }
    structure, content = found["structure"], found["content"]
    assert structure["place"][0].tolist() == sentence_roles(sentence).tolist()
    assert structure["word"][0].tolist() == sentence_roles(sentence, kind="word").tolist()
    first = ["none"] * 2 + ["color"] + ["object color"] * 4 + ["object position color"] * 2
    assert structure["fields"][0].tolist() == [*first, "none", "object", "object", *["object color"] * 2]
    assert content["object 1"][0].tolist() == [None] * 3 + ["orange"] * 11
    assert content["position 1"][0].tolist() == [None] * 7 + ["left"] * 7
    assert content["color 1"][0].tolist() == [None] * 2 + ["red"] * 12
    assert content["object 2"][0].tolist() == [None] * 10 + ["cup"] * 4
    assert content["position 2"][0].tolist() == [None] * 14
    assert content["color 2"][0].tolist() == [None] * 12 + ["orange"] * 2
    assert [own[1].tolist() for own in content.values()] == [own[0][:4].tolist() for own in content.values()]


def test_factors_of_all_sentences_end_with_their_meaning() -> None:
    corpus = make_cross_situational(5, n_one_clause=20, n_two_clauses=20, random_state=1)
    content = sentence_factors(corpus.train.sentences)["content"]
    names = {"object": corpus.objects, "position": corpus.positions, "color": corpus.colors}
    for i, meaning in enumerate(corpus.train.meanings):
        said = [names[f][k] if k >= 0 else None for own in meaning for f, k in zip(names, own, strict=True)]
        assert [own[i][-1] for own in content.values()] == said


def test_no_sentences_have_no_factors() -> None:
    assert sentence_factors([])["content"]["object 1"] == []
