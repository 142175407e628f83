"""What the non-local recurrent memory is worth: tasks, fits, tables (see `benchmarks.run_nrnm`)."""
