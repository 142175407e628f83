"""Sequences to try things on, and the file form they are kept in."""

from __future__ import annotations

from skseqmetric.datasets._cross_modal import gramian_angular_field, make_sine_images, make_sine_words
from skseqmetric.datasets._files import read_sequences, write_sequences
from skseqmetric.datasets._japanese_vowels import load_japanese_vowels
from skseqmetric.datasets._pen import make_words, render_trajectory
from skseqmetric.datasets._synthetic import make_shifted_sequences

__all__ = [
    "gramian_angular_field",
    "load_japanese_vowels",
    "make_shifted_sequences",
    "make_sine_images",
    "make_sine_words",
    "make_words",
    "read_sequences",
    "render_trajectory",
    "write_sequences",
]
