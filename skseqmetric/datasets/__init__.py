"""Sequences to try things on, and the file form they are kept in."""

from __future__ import annotations

from skseqmetric.datasets._cross_modal import gramian_angular_field, make_sine_images, make_sine_words
from skseqmetric.datasets._cross_situational import make_cross_situational
from skseqmetric.datasets._cross_situational_factors import sentence_factors
from skseqmetric.datasets._cross_situational_grammar import one_clause_sentences, sentence_roles
from skseqmetric.datasets._cross_situational_scores import (
    KeywordMemory,
    decode_meanings,
    exact_error,
    rate_meanings,
    valid_error,
)
from skseqmetric.datasets._japanese_vowels import load_japanese_vowels
from skseqmetric.datasets._pen import make_words, render_trajectory
from skseqmetric.datasets._reading import read_sequences
from skseqmetric.datasets._synthetic import make_shifted_sequences
from skseqmetric.datasets._trips import make_trips
from skseqmetric.datasets._writing import write_sequences

__all__ = [
    "KeywordMemory",
    "decode_meanings",
    "exact_error",
    "gramian_angular_field",
    "load_japanese_vowels",
    "make_cross_situational",
    "make_shifted_sequences",
    "make_sine_images",
    "make_sine_words",
    "make_trips",
    "make_words",
    "one_clause_sentences",
    "rate_meanings",
    "read_sequences",
    "render_trajectory",
    "sentence_factors",
    "sentence_roles",
    "valid_error",
    "write_sequences",
]
