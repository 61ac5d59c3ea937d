"""Read released checkpoints of the original repositories without executing code in them.

``from_official(kind, state_dict, **config)`` gives a network of the suite, ``to_official(network)`` hands its
weights back, ``kind_of(state_dict)`` tells what a state dict is of. On the command line: ``t2igan import`` and
``t2igan export``.
"""

import importlib
from typing import Any

_PLACES = {
    "from_official": "t2igan.interop.official",
    "to_official": "t2igan.interop.official",
    "kind_of": "t2igan.interop.kinds",
    "DFGANNetworks": "t2igan.interop.networks",
}

__all__ = ["DFGANNetworks", "from_official", "kind_of", "to_official"]


def __getattr__(name: str) -> Any:
    """Import a public name on first access, because the models behind it take seconds to import."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)
