"""Files: how the package writes them, and who may."""

from __future__ import annotations

from skseqmetric._files.atomic import replacing
from skseqmetric._files.lock import HeldElsewhere, locked

__all__ = ["HeldElsewhere", "locked", "replacing"]
