"""Scorers, which feed the rows of a network to a metric."""
