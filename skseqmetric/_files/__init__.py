"""Files: how the package writes them."""

from __future__ import annotations

from skseqmetric._files.atomic import replacing

__all__ = ["replacing"]
