"""Files: how the package writes them, who may, and the format of model files. It knows nothing of estimators."""

from __future__ import annotations

from skseqmetric._files.archive import read_archive, write_archive
from skseqmetric._files.atomic import partial_files, replacing
from skseqmetric._files.lock import HeldElsewhere, locked
from skseqmetric._files.records import RECORD, Checker, check_lengths, described, is_record, made, record
from skseqmetric._files.refused import DamagedFile, NotStorable, damaged
from skseqmetric._files.values import Reader, Writer

__all__ = [
    "RECORD",
    "Checker",
    "DamagedFile",
    "HeldElsewhere",
    "NotStorable",
    "Reader",
    "Writer",
    "check_lengths",
    "damaged",
    "described",
    "is_record",
    "locked",
    "made",
    "partial_files",
    "read_archive",
    "record",
    "replacing",
    "write_archive",
]
