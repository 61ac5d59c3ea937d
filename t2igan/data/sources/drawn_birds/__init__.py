"""Drawn birds: the embedded data set of synthetic birds in CUB's layout."""
