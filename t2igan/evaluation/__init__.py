"""Pinned protocols, the runner that applies them, result records and the tables made of records."""
