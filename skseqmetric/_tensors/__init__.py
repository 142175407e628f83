"""Sequences as tensors on a device: flat, in padded batches, and the random generators beside them."""
