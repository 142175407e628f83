"""What a sentence has said after every word: its structure and its content, as labels to explain states by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skseqmetric._input import positional
from skseqmetric.datasets._cross_situational_grammar import AND, N_SLOTS, sentence_roles

FIELDS = ("object", "position", "color")


def sentence_factors(sentences: Sequence[Sequence[str]]) -> dict[str, dict[str, list[np.ndarray]]]:
    """Describe structure and content of every prefix of sentences of the cross-situational task.

    Parameters
    ----------
    sentences : sequence of n sequences of T_i words
        Sentences of the task, with or without BEGIN and END.

    Returns
    -------
    dict of dicts of lists of n ndarrays (T_i,)
        One label for every word:

        - "structure": "place" and "word" as in `sentence_roles`, and "fields", the fields that the clause has named so
          far, such as "object color", or "none";
        - "content": "object 1", "position 1", "color 1" and the same for 2: what the first and the second clause have
          said so far, None before they say it.

    Raises
    ------
    ValueError
        A sentence is one string, has "and" twice, or has a word outside the grammar.

    See Also
    --------
    skseqmetric.inspection.UnitEncodingDisplay : Explains the units of networks by such factors.

    Notes
    -----
    The kind of the word "orange" comes from the whole sentence. At END the fields are those of the last clause.

    Examples
    --------
    >>> from skseqmetric.datasets import sentence_factors
    >>> factors = sentence_factors([["a", "cup", "is", "red"]])
    >>> factors["structure"]["fields"][0].tolist()
    ['none', 'object', 'object', 'object color']
    >>> factors["content"]["color 1"][0].tolist()
    [None, None, None, 'red']
    """
    found = [_factors_of(words) for words in positional(sentences, "sentences", "Pass a list of lists of words.")]
    names = _factors_of([]) if not found else found[0]
    return {group: {name: [own[group][name] for own in found] for name in factors} for group, factors in names.items()}


def _factors_of(sentence: Sequence[str]) -> dict[str, dict[str, np.ndarray]]:
    kinds = sentence_roles(sentence, kind="word")
    words = list(positional(sentence, "sentence"))
    content: dict[str, list[Any]] = {f"{field} {slot}": [] for slot in range(1, N_SLOTS + 1) for field in FIELDS}
    said: dict[str, Any] = dict.fromkeys(content)
    fields, named, slot = [], [False] * len(FIELDS), 1
    for t, (word, kind) in enumerate(zip(words, kinds.tolist(), strict=True)):
        if t and words[t - 1] == AND:
            slot, named = slot + 1, [False] * len(FIELDS)
        if kind in FIELDS:
            said[f"{kind} {slot}"], named[FIELDS.index(kind)] = word, True
        for name, values in content.items():
            values.append(said[name])
        fields.append(" ".join(field for field, own in zip(FIELDS, named, strict=True) if own) or "none")
    structure = {"place": sentence_roles(sentence), "word": kinds, "fields": np.array(fields, dtype=np.str_)}
    return {"structure": structure, "content": {name: np.array(own, dtype=object) for name, own in content.items()}}
