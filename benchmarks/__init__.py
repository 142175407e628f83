"""Benchmarks of skseqmetric; run one with `python -m benchmarks.run_NAME` from the root of the repository."""
