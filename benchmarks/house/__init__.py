"""Figures of how the package is built: its classes, the way of a call through its files, its texts."""
