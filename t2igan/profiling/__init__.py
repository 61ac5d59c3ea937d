"""Profiling of training steps: time by part, and the share of the device's peak."""
