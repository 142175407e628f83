"""Sequences to try things on, and the file form they are kept in."""

from __future__ import annotations

from skseqmetric.datasets._files import read_sequences, write_sequences
from skseqmetric.datasets._japanese_vowels import load_japanese_vowels
from skseqmetric.datasets._synthetic import make_shifted_sequences

__all__ = [
    "load_japanese_vowels",
    "make_shifted_sequences",
    "read_sequences",
    "write_sequences",
]
