"""Images and sequences in one embedding space."""

from skseqmetric._cross_modal._embedder import CrossModalTripletEmbedder
from skseqmetric._cross_modal._transcriber import CrossModalTranscriber

__all__ = ["CrossModalTranscriber", "CrossModalTripletEmbedder"]
