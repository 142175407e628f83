"""The language of the cross-situational task: words, one-clause sentences, roles of words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from skseqmetric._input import positional
from skseqmetric.datasets._arguments import check_ranges

OBJECTS = (
    "glass",
    "cup",
    "bowl",
    "orange",
    "spoon",
    "apple",
    "accordion",
    "acoustic",
    "bagpipes",
    "banjo",
    "bass",
    "bongo",
    "bugle",
    "cello",
    "clarinet",
    "cymbals",
    "drums",
    "electric",
    "guitar",
    "flute",
    "horn",
    "harmonica",
    "harp",
    "keyboard",
    "maracas",
    "organ",
    "pan",
    "piano",
    "recorder",
    "saxophone",
    "sitar",
    "tambourine",
    "triangle",
    "trombone",
    "trumpet",
    "tuba",
    "ukulele",
    "violin",
    "xylophone",
    "bassoon",
    "castanets",
    "didgeridoo",
    "double",
    "gong",
    "harpsichord",
    "lute",
    "mandolin",
    "oboe",
    "piccolo",
    "viola",
)
POSITIONS = ("left", "right", "middle")
COLORS = ("red", "orange", "green", "blue")
DETERMINERS = ("a", "the")
BEGIN, AND, END = "BEGIN", "and", "END"
STRUCTURE_WORDS = frozenset({BEGIN, AND, END, *DETERMINERS, "is", "on", "that", "there", "this"})

N_SLOTS = 2
"""Most objects of a sentence and of a scene."""
NOT_MENTIONED = -1

Meaning = tuple[int, int, int]
Clause = tuple[list[str], Meaning]


def one_clause_sentences(n_objects: int = 4) -> list[Clause]:
    """List the one-clause sentences of the cross-situational task, with their meaning.

    Parameters
    ----------
    n_objects : int, default=4
        Objects O, 2 to 50.

    Returns
    -------
    list of 172 O pairs (words, meaning)
        words: list of 4 to 8 words, without BEGIN and END. meaning: the indices (object, position, color) as in
        `make_cross_situational`, -1 for none.

    Raises
    ------
    ValueError
        `n_objects` is out of its range.

    Examples
    --------
    >>> from skseqmetric.datasets import one_clause_sentences
    >>> sentences = one_clause_sentences(4)
    >>> len(sentences)
    688
    >>> sentences[-1]
    (['the', 'orange', 'on', 'the', 'middle', 'is', 'blue'], (3, 2, 3))
    """
    check_n_objects(n_objects)
    return [clause for index in range(n_objects) for clause in (*_noun_groups_shown(index), *_colors_told(index))]


def sentence_roles(sentence: Sequence[str], *, kind: str = "place") -> np.ndarray:
    """Name the role of every word of a sentence, for example to colour plots of states.

    Parameters
    ----------
    sentence : sequence of T words
        A sentence of the cross-situational task, or its first T words.
    kind : {"place", "word"}, default="place"
        "place": the place of the word: "begin", "first clause", "and", "second clause" or "end".
        "word": the meaning of the word: "object", "position", "color", or "structure" for all others. "orange" is a
        colour after "is" or before an object, and otherwise an object. As the last of the T words it may be either.

    Returns
    -------
    ndarray (T,) of str

    Raises
    ------
    ValueError
        The sentence is one string, has "and" twice, or has a word outside the grammar (for "word"), or `kind` is
        unknown.

    Examples
    --------
    >>> from skseqmetric.datasets import sentence_roles
    >>> sentence_roles("BEGIN this is a cup and the cup is red END".split()).tolist()[4:8]
    ['first clause', 'and', 'second clause', 'second clause']
    >>> sentence_roles("the orange is orange".split(), kind="word").tolist()
    ['structure', 'object', 'structure', 'color']
    """
    check_ranges({f"kind={kind!r} must be 'place' or 'word'": kind in ("place", "word")})
    first, _ = clauses_of(sentence)
    sentence = list(sentence)
    if kind == "word":
        return np.array([_word_role(sentence, t) for t in range(len(sentence))], dtype=np.str_)
    places = {BEGIN: "begin", AND: "and", END: "end"}
    clause = ["first clause" if t <= len(first) else "second clause" for t in range(len(sentence))]
    return np.array([places.get(word, place) for word, place in zip(sentence, clause, strict=True)], dtype=np.str_)


def clauses_of(sentence: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words before and after the first "and"; the second list is empty for a single clause."""
    if isinstance(sentence, str):
        raise ValueError(f"the sentence {sentence!r} must be a list of words: pass sentence.split().")
    words = list(positional(sentence, "sentence", "Pass a list of words."))
    for t, word in enumerate(words):
        if not isinstance(word, str):
            raise ValueError(f"sentence[{t}] is {word!r}, but a sentence is a list of words.")
    if words.count(AND) >= N_SLOTS:
        raise ValueError(
            f"the sentence {' '.join(words)!r} has {words.count(AND) + 1} clauses, but at most 2 are allowed."
        )
    end = words.index(AND) if AND in words else len(words)
    return words[:end], words[end + 1 :]


def group_sizes(n_objects: int) -> Meaning:
    """Numbers of objects, positions and colours, in the order of the outputs of a slot."""
    return n_objects, len(POSITIONS), len(COLORS)


def check_n_objects(n_objects: int) -> None:
    """Refuse fewer than two objects: the decoder could not tell one object from none."""
    check_ranges({f"n_objects={n_objects} must be 2 to {len(OBJECTS)}": 2 <= n_objects <= len(OBJECTS)})


def _noun_groups_shown(index: int) -> Iterator[Clause]:
    """Clauses with a noun group GN: the colour stands before the object, or is missing."""
    for determiner, color in product(DETERMINERS, (NOT_MENTIONED, *range(len(COLORS)))):
        noun_group = [determiner, *([] if color == NOT_MENTIONED else [COLORS[color]]), OBJECTS[index]]
        for pronoun in ("this", "that"):
            yield [pronoun, "is", *noun_group], (index, NOT_MENTIONED, color)
        for position, name in enumerate(POSITIONS):
            place, meaning = ["on", "the", name], (index, position, color)
            yield [*noun_group, "is", *place], meaning
            yield ["there", "is", *noun_group, *place], meaning
            yield [*place, "is", *noun_group], meaning
            yield [*place, "there", "is", *noun_group], meaning


def _colors_told(index: int) -> Iterator[Clause]:
    """Clauses that end with "is" and a colour."""
    for determiner, color in product(DETERMINERS, range(len(COLORS))):
        subject, told = [determiner, OBJECTS[index]], ["is", COLORS[color]]
        yield [*subject, *told], (index, NOT_MENTIONED, color)
        for position, name in enumerate(POSITIONS):
            yield [*subject, "on", "the", name, *told], (index, position, color)


def _word_role(sentence: Sequence[str], t: int) -> str:
    word = sentence[t]
    if word in STRUCTURE_WORDS:
        return "structure"
    if word in POSITIONS:
        return "position"
    if word in COLORS and word in OBJECTS:
        told = t > 0 and sentence[t - 1] == "is"
        return "color" if told or set(sentence[t + 1 : t + 2]) & set(OBJECTS) else "object"
    if word in COLORS or word in OBJECTS:
        return "color" if word in COLORS else "object"
    raise ValueError(f"word {t} of the sentence, {word!r}, is not a word of the cross-situational task.")
