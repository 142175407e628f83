"""What the coupling is worth: which fits to make, making them, and comparing them seed by seed."""
