"""Siamese recurrent networks whose halves are coupled in several forms, in plain torch operations."""
