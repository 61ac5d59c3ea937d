"""The released code's way to do a training step, in plain PyTorch: same sizes, same operations, nothing clever.

Weights are PyTorch's own; only time and memory are measured here. That the suite computes what the released code
computes is the business of tests/golden.
"""
