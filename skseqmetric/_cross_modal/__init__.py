"""Images and sequences in one embedding space."""

from skseqmetric._cross_modal._embedder import CrossModalTripletEmbedder

__all__ = ["CrossModalTripletEmbedder"]
