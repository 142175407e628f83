"""Networks as torch modules: parameters, their starting values, and how operations are put together."""
