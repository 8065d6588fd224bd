"""Answers questions, with a model and a cache that may fail."""
