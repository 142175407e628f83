"""Training: the loop, its callbacks, batches, augmentation and objectives."""
