"""Pinned protocols and what applies them: subjects, their images, features of these, scorers, records."""
