"""Benchmark plans: many commands with their order, their launcher and their state."""
