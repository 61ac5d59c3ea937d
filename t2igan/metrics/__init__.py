"""Evaluation metrics: Frechet distance, inception score, R-precision, and the feature backbones they need."""
