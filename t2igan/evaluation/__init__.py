"""Evaluation under pinned protocols: subjects, images, features, metrics and records."""
