"""Drawn scenes: the embedded data set with layouts and narratives."""
