"""What y means: classes, numbers, symbols and pairs, of a sequence or of every step."""

from skseqmetric._tasks.base import Blocks, Targets, Task, each_block
from skseqmetric._tasks.classes import Classes, class_factors, decision, probabilities
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
    "class_factors",
    "decision",
    "each_block",
    "probabilities",
]
