"""What `benchmarks.claims.memory` is made of: tasks with a long range, and fits."""
