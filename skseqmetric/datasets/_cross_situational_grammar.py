"""The language of the cross-situational learning task: its words, its one-clause sentences, the roles of words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from skseqmetric.datasets._pen import check_ranges

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
"""Objects that a sentence can mention, and a scene show."""
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
        `make_cross_situational`, -1 for what is not mentioned.

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
    """Name the role of every word of a sentence, to colour states or traces by.

    Parameters
    ----------
    sentence : sequence of T words
        A sentence of the cross-situational task, or a part of one from its first word on.
    kind : {"place", "word"}, default="place"
        "place": where the word stands: "begin", "first clause", "and", "second clause" or "end".
        "word": what the word means: "object", "position", "color", or "structure" for all others. "orange" is a
        colour after "is" and before an object, and an object else; as the last word of a part, it may be either.

    Returns
    -------
    ndarray (T,) of str

    Raises
    ------
    ValueError
        The sentence is one string, has "and" twice, or, for "word", a word that is not of the grammar; or `kind` is
        none of the two.

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
    if kind == "word":
        return np.array([_word_role(sentence, t) for t in range(len(sentence))], dtype=np.str_)
    places = {BEGIN: "begin", AND: "and", END: "end"}
    clause = ["first clause" if t <= len(first) else "second clause" for t in range(len(sentence))]
    return np.array([places.get(word, place) for word, place in zip(sentence, clause, strict=True)], dtype=np.str_)


def clauses_of(sentence: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words before and behind the first "and" of a sentence, none where it has one clause."""
    if isinstance(sentence, str):
        raise ValueError(f"the sentence {sentence!r} must be a list of words: pass sentence.split().")
    words = list(sentence)
    if words.count(AND) >= N_SLOTS:
        raise ValueError(
            f"the sentence {' '.join(words)!r} has {words.count(AND) + 1} clauses, but at most 2 are allowed."
        )
    end = words.index(AND) if AND in words else len(words)
    return words[:end], words[end + 1 :]


def group_sizes(n_objects: int) -> Meaning:
    """Concepts of a slot in the order of its outputs: objects, positions, colours."""
    return n_objects, len(POSITIONS), len(COLORS)


def check_n_objects(n_objects: int) -> None:
    """Two objects are the fewest among which the decoder can tell one from none."""
    check_ranges({f"n_objects={n_objects} must be 2 to {len(OBJECTS)}": 2 <= n_objects <= len(OBJECTS)})


def _noun_groups_shown(index: int) -> Iterator[Clause]:
    """Clauses with a noun group GN, the colour of which is told before the object or not at all."""
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
    """Clauses that end in "is" and a colour."""
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
