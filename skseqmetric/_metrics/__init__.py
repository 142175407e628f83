"""Distances between sequences: the protocol, thresholds, the search for neighbours, learned embeddings."""
