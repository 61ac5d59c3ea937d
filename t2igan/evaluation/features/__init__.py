"""Rows of numbers that networks make of images: the networks, where they come from, and what keeps the rows."""
