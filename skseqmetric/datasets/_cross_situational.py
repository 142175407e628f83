"""Cross-situational learning: sentences about one or two objects, beside scenes that show more than they say."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import Bunch

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
from skseqmetric.datasets._synthetic import _generator

_SECOND_OBJECT_SHOWN = 0.5
"""Probability that the scene of a one-clause sentence holds an object which the sentence leaves out."""


def make_cross_situational(
    n_objects: int = 4,
    *,
    n_one_clause: int = 300,
    n_two_clauses: int = 700,
    random_state: Any = None,
) -> Bunch:
    r"""Make the cross-situational learning task: the meaning of a sentence, from scenes that show more than it says.

    Sentences follow the grammar ::

        S   -> C | C and C
        C   -> (this | that) is GN | DET OBJ is COL | DET OBJ on the POS is COL | GN is on the POS
             | there is GN on the POS | on the POS (is | there is) GN
        GN  -> DET [COL] OBJ
        DET -> a | the      POS -> left | right | middle      COL -> red | orange | green | blue

    OBJ is one of the first O = `n_objects` of 50 nouns, the fourth of which is "orange", a colour too. That makes 172 O
    one-clause sentences. A sentence stands between the words BEGIN and END, has 6 to 19 words with them, and is one-hot
    encoded word by word.

    The teacher of a sentence is a scene of two objects, the first for the first clause: for each one the concatenated
    one-hot codes of object (O), position (3) and colour (4). What the sentence mentions is as it says; what it leaves
    open of an object that it mentions is drawn uniformly; a second object that it does not mention is in the scene
    with probability 1/2, drawn uniformly in all three, and is zeros else.

    Parameters
    ----------
    n_objects : int, default=4
        Objects O, 2 to 50: the number of words, and the difficulty.
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
            - X : list of n ndarrays (T_i, V) float32, the words' one-hot codes, V = 16 + O from four objects on, and
              17 + O below, where no object is called orange;
            - y : ndarray (n, 2 (O + 7)) float64, the teachers, those of test as random as those of train;
            - meanings : ndarray (n, 2, 3) int64, for both slots the index of object, position and colour that the
              sentence mentions, or -1.
        vocabulary : list of V words
            Sorted; column v of X is vocabulary[v].
        target_names : list of 2 (O + 7) str
            Columns of y, such as "1 object cup" or "2 color red".
        objects, positions, colors : lists of words
            What the indices of `meanings` stand for.

    Raises
    ------
    ValueError
        A parameter is out of its range: with too few objects there are not as many different sentences.

    See Also
    --------
    decode_meanings : Meanings from the outputs of a model.
    valid_error, exact_error : Shares of wrong sentences.
    KeywordMemory : A baseline.

    Notes
    -----
    All sentences of train and test together are different ones. One-clause sentences are drawn uniformly from all of
    them without replacement. Two-clause sentences are drawn uniformly from all ordered pairs of clauses without
    replacement, a clause with itself among them; they are never listed, so the cost is O(O + n). Either clause may also
    be a one-clause sentence of train or test, and both may speak of the same object, which then has two slots.

    To learn at every word instead of at the last one, give each step the teacher of its sentence:
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
    rng = _generator(random_state)
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
    """What is given of the sentences with clauses `drawn` (n, 2)."""
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
    """Scenes (n, 2 (O + 7)) of the meanings (n, 2, 3), what is not mentioned drawn at random."""
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
                f"{name}={n} must be 0 to {available // 2}: train and test share the {available} sentences that there "
                "are of this kind. Ask for fewer, or for more objects."
            )
    if n_one + n_two == 0:
        raise ValueError("n_one_clause and n_two_clauses are both 0, but at least one sentence is needed.")
