"""Descriptions of released networks, one module per paper."""
