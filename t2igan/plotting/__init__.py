"""Figures: captioned grids, mask and attention overlays, training curves. Independent of the models."""
