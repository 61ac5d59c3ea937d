"""How fast the suite is beside a plain reading of the released code: ``python -m benchmarks --help``."""
