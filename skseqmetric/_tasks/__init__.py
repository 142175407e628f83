"""Tasks. A task says what y means: classes, numbers, symbols or pairs, for a sequence or for every step."""

from skseqmetric._tasks.base import Blocks, Targets, Task, each_block
from skseqmetric._tasks.classes import Classes, check_same_type, class_factors, decision, probabilities
from skseqmetric._tasks.numbers import Numbers
from skseqmetric._tasks.pairs import Pairs
from skseqmetric._tasks.symbols import Symbols

__all__ = [
    "Blocks",
    "Classes",
    "Numbers",
    "Pairs",
    "Symbols",
    "Targets",
    "Task",
    "check_same_type",
    "class_factors",
    "decision",
    "each_block",
    "probabilities",
]
