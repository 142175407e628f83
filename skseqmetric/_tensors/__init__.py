"""Sequences as tensors on a device: flat or in padded batches. Also scaling, devices and seeds."""
