"""Networks as torch modules: parameters, their initial values, and the order of operations."""
