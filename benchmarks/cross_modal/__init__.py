"""What images add to sequences, and what they cost: tasks, fits, tables (see `benchmarks.run_cross_modal`)."""
