"""Cross-situational learning: sentences about one or two objects, and scenes that show more than they say."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skseqmetric.datasets._arguments import generator
from skseqmetric.datasets._cross_situational_grammar import (
    AND,
    BEGIN,
    COLORS,
    END,
    N_SLOTS,
    NOT_MENTIONED,
    OBJECTS,
    POSITIONS,
    STRUCTURE_WORDS,
    Clause,
    group_sizes,
    one_clause_sentences,
)

_SECOND_OBJECT_SHOWN = 0.5
"""Probability that the scene of a one-clause sentence shows a second object."""


def make_cross_situational(
    n_objects: int = 4,
    *,
    n_one_clause: int = 300,
    n_two_clauses: int = 700,
    random_state: Any = None,
) -> Bunch:
    r"""Make the cross-situational task: learn the meaning of sentences from scenes that show more than they say.

    Sentences follow the grammar ::

        S   -> C | C and C
        C   -> (this | that) is GN | DET OBJ is COL | DET OBJ on the POS is COL | GN is on the POS
             | there is GN on the POS | on the POS (is | there is) GN
        GN  -> DET [COL] OBJ
        DET -> a | the      POS -> left | right | middle      COL -> red | orange | green | blue

    OBJ is one of the first O = `n_objects` of 50 nouns. The fourth one is "orange", which is also a colour. There are
    172 O one-clause sentences. A sentence begins with BEGIN, ends with END, and has 6 to 19 words including these two.
    Every word is one-hot encoded.

    The teacher of a sentence is a scene of two objects, the first one for the first clause. Each object is given by the
    concatenated one-hot codes of object (O), position (3) and colour (4). The scene agrees with all that the sentence
    mentions. What the sentence leaves open about an object is drawn uniformly. A second object that the sentence does
    not mention is shown with probability 1/2, with uniformly drawn codes; otherwise its codes are zero.

    Parameters
    ----------
    n_objects : int, default=4
        Objects O, 2 to 50. More objects mean more words and a harder task.
    n_one_clause : int, default=300
        One-clause sentences in each of train and test, >= 0 and at most 86 O.
    n_two_clauses : int, default=700
        Two-clause sentences in each of train and test, >= 0 and at most (172 O)^2 / 2.
    random_state : int, numpy Generator, RandomState or None, default=None
        An int gives the same data every time. Global generators are neither used nor changed.

    Returns
    -------
    Bunch
        train, test : Bunch
            n = n_one_clause + n_two_clauses sentences each, in random order:

            - sentences : list of n lists of words, from BEGIN to END;
            - X : list of n ndarrays (T_i, V) float32, the one-hot codes of the words; V = 16 + O, or 17 + O for fewer
              than four objects, none of which is called orange;
            - y : ndarray (n, 2 (O + 7)) float64, the teachers; those of test are as random as those of train;
            - meanings : ndarray (n, 2, 3) int64, the indices of object, position and colour that the sentence mentions
              in both slots, -1 if it mentions none.
        vocabulary : list of V words
            Sorted; column v of X stands for vocabulary[v].
        target_names : list of 2 (O + 7) str
            Columns of y, such as "1 object cup" or "2 color red".
        objects, positions, colors : lists of words
            Names for the indices in `meanings`.

    Raises
    ------
    ValueError
        A parameter is out of its range. Few objects have few different sentences.

    See Also
    --------
    decode_meanings : Meanings from the outputs of a model.
    valid_error, exact_error : Shares of wrong sentences.
    KeywordMemory : A baseline.

    Notes
    -----
    No sentence occurs twice in train and test together. One-clause sentences are drawn uniformly without replacement.
    So are two-clause sentences, from all ordered pairs of clauses, equal ones included. The pairs are never listed:
    the cost is O(O + n). A clause of a pair may also be a one-clause sentence of train or test. Both clauses may be
    about the same object, which then has two slots.

    To train at every word and not only at the last one, give each step the teacher of its sentence:
    ``[np.tile(d, (len(x), 1)) for x, d in zip(X, y)]``.

    References
    ----------
    .. [1] A. Juven, X. Hinaut. Cross-situational learning with reservoir computing for language acquisition modelling.
       IJCNN, 2020.
    .. [2] A. Variengien, X. Hinaut. A journey in ESN and LSTM visualisations on a language task. arXiv:2012.01748,
       2020. The grammar and the sizes are of this one.

    Examples
    --------
    >>> from skseqmetric.datasets import make_cross_situational
    >>> task = make_cross_situational(random_state=0)
    >>> len(task.train.X), task.train.X[0].shape[1], task.train.y.shape, task.train.meanings.shape
    (1000, 20, (1000, 22), (1000, 2, 3))
    >>> " ".join(task.train.sentences[0])
    'BEGIN a cup is on the middle and a cup is blue END'
    >>> task.train.meanings[0].tolist()
    [[1, 2, -1], [1, -1, 3]]
    """
    clauses = one_clause_sentences(n_objects)
    _check_sizes(n_one_clause, n_two_clauses, len(clauses))
    rng = generator(random_state)
    drawn = _draw_sentences(rng, n_one_clause, n_two_clauses, len(clauses))
    vocabulary = sorted(STRUCTURE_WORDS.union(OBJECTS[:n_objects], POSITIONS, COLORS))
    train, test = (_encoded(rng, rows, clauses, vocabulary, n_objects) for rows in drawn)
    return Bunch(
        train=train,
        test=test,
        vocabulary=vocabulary,
        target_names=_target_names(n_objects),
        objects=list(OBJECTS[:n_objects]),
        positions=list(POSITIONS),
        colors=list(COLORS),
    )


def _draw_sentences(rng: np.random.Generator, n_one: int, n_two: int, n_clauses: int) -> list[np.ndarray]:
    """Train and test, each (n_one + n_two, 2): the clauses of every sentence, -1 for none."""
    ones = np.full((2 * n_one, N_SLOTS), NOT_MENTIONED)
    ones[:, 0] = rng.choice(n_clauses, size=2 * n_one, replace=False)
    pairs = rng.choice(n_clauses**2, size=2 * n_two, replace=False)
    twos = np.column_stack(np.divmod(pairs, n_clauses))
    halves = zip(np.split(ones, 2), np.split(twos, 2), strict=True)
    return [rng.permutation(np.concatenate(half)) for half in halves]


def _target_names(n_objects: int) -> list[str]:
    groups = {"object": OBJECTS[:n_objects], "position": POSITIONS, "color": COLORS}
    slots = range(1, N_SLOTS + 1)
    return [f"{slot} {group} {concept}" for slot in slots for group, names in groups.items() for concept in names]


def _encoded(
    rng: np.random.Generator, drawn: np.ndarray, clauses: list[Clause], vocabulary: list[str], n_objects: int
) -> Bunch:
    """Sentences, one-hot codes, teachers and meanings for the clauses `drawn` (n, 2)."""
    codes = {word: code for code, word in enumerate(vocabulary)}
    one_hot = np.eye(len(vocabulary), dtype=np.float32)
    sentences = [_sentence([clauses[c][0] for c in row if c >= 0]) for row in drawn.tolist()]
    table = np.array([*(meaning for _, meaning in clauses), (NOT_MENTIONED,) * 3], dtype=np.int64)  # -1: the last row
    meanings = table[drawn]
    return Bunch(
        sentences=sentences,
        X=[one_hot[[codes[word] for word in words]] for words in sentences],
        y=_teachers(rng, meanings, n_objects),
        meanings=meanings,
    )


def _sentence(clauses: list[list[str]]) -> list[str]:
    words = [BEGIN, *clauses[0]]
    for clause in clauses[1:]:
        words += [AND, *clause]
    return [*words, END]


def _teachers(rng: np.random.Generator, meanings: np.ndarray, n_objects: int) -> np.ndarray:
    """Scenes (n, 2 (O + 7)) of the meanings (n, 2, 3); what is not mentioned is random."""
    sizes = group_sizes(n_objects)
    scenes = np.where(meanings == NOT_MENTIONED, rng.integers(sizes, size=meanings.shape), meanings)
    shown = (meanings[..., 0] != NOT_MENTIONED) | (rng.random(meanings.shape[:2]) < _SECOND_OBJECT_SHOWN)
    one_hot = np.concatenate([np.eye(k)[scenes[..., group]] for group, k in enumerate(sizes)], axis=-1)
    return (one_hot * shown[..., np.newaxis]).reshape(len(meanings), -1)


def _check_sizes(n_one: int, n_two: int, n_clauses: int) -> None:
    rules = {"n_one_clause": (n_one, n_clauses), "n_two_clauses": (n_two, n_clauses**2)}
    for name, (n, available) in rules.items():
        if not 0 <= n <= available // 2:
            raise ValueError(
                f"{name}={n} must be 0 to {available // 2}: train and test share the {available} sentences "
                "of this kind. Ask for fewer sentences or more objects."
            )
    if n_one + n_two == 0:
        raise ValueError("n_one_clause and n_two_clauses are both 0, but at least one sentence is needed.")
