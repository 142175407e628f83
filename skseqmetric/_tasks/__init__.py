"""What y means: classes, numbers, symbols and pairs, of a sequence or of every step."""
