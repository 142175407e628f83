"""Training: the loop, its callbacks, batches, sampling, augmentation and what is minimised."""
