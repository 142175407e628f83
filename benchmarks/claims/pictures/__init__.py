"""What `benchmarks.claims.images` is made of: tasks with few labelled sequences and many images, and fits."""
