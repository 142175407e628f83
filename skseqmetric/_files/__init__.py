"""Files: how the package writes them, and who may."""

from __future__ import annotations

from skseqmetric._files.atomic import partial_files, replacing
from skseqmetric._files.lock import HeldElsewhere, locked

__all__ = ["HeldElsewhere", "locked", "partial_files", "replacing"]
