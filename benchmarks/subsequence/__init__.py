"""Patterns to find in long recordings: problems, searches, and how their matches are scored."""
