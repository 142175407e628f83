"""Modes of transport by recording, for `benchmarks.run_transport`."""
