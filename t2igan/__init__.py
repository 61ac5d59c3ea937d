"""t2igan: a benchmark suite for text-to-image GANs.

Nothing heavy is imported here, so that ``t2igan --version`` answers at once; the Python interface
(:mod:`t2igan.api`, :mod:`t2igan.datasets`) is imported on first access.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from t2igan import datasets
    from t2igan.api import Model, Sampled, evaluate, load

__version__ = "0.1.0"
__all__ = ["Model", "Sampled", "__version__", "datasets", "evaluate", "load"]


def __getattr__(name: str) -> Any:
    """Import a public name on first access, because the models behind it take seconds to import."""
    if name == "datasets":
        return importlib.import_module("t2igan.datasets")
    if name in __all__:
        return getattr(importlib.import_module("t2igan.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
