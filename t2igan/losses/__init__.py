"""Objectives, penalties and text-image matching, as functions of tensors and thin configurable classes."""
