"""Estimators that embed sequences and images in one space."""

from skseqmetric._estimators.cross_modal.embedder import CrossModalTripletEmbedder
from skseqmetric._estimators.cross_modal.transcriber import CrossModalTranscriber

__all__ = ["CrossModalTranscriber", "CrossModalTripletEmbedder"]
