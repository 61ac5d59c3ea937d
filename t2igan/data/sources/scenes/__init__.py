"""Drawn scenes: the embedded synthetic data set with layouts and narratives."""
