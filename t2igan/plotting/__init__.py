"""Images for people: captioned grids, mask and attention overlays, training curves. Knows no models."""
