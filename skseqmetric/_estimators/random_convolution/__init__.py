"""Fixed random convolutions: their features, and a metric on them."""
