"""t2igan: a benchmark suite for text-to-image GANs.

Nothing heavy is imported here, so that ``t2igan --version`` answers at once.
"""

__version__ = "0.1.0"
