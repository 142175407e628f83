"""Classes never seen in training: one-shot trials and verification, for `benchmarks.run_unseen`."""
