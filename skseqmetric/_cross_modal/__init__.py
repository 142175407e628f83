"""Images and sequences in one embedding space."""
