"""Distances between sequences: the protocol, thresholds, neighbour search, and learned embeddings."""
