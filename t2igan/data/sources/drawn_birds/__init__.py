"""Drawn birds: the embedded data set."""
