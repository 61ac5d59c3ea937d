"""The metrics that a protocol may name, one file each; a file that is put here is found."""

from importlib import import_module
from pkgutil import iter_modules

from t2igan.evaluation.metrics.base import METRICS, ScoredMetric, register, shown

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["METRICS", "ScoredMetric", "register", "shown"]
