"""Where the steps of a plan run: on this machine, on a Ray cluster, in SLURM."""

import inspect
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

from t2igan.benchmark.launchers.base import Launcher
from t2igan.errors import UserError
from t2igan.typed import fits

KINDS = {
    "local": ("t2igan.benchmark.launchers.local", "LocalLauncher"),
    "ray": ("t2igan.benchmark.launchers.ray_cluster", "RayLauncher"),
    "slurm": ("t2igan.benchmark.launchers.slurm", "SlurmLauncher"),
}


def make_launcher(settings: Mapping[str, Any], folder: Path) -> Launcher:
    """Build the launcher that a plan names.

    Args:
        settings: ``kind`` and that launcher's options.
        folder: folder of the plan.

    Raises:
        UserError: no such kind, no such option, or the launcher's package is missing.
    """
    options = dict(settings)
    kind = options.pop("kind", "local")
    if kind not in KINDS:
        raise UserError(f"launcher: unknown kind {kind!r}; choose one of {', '.join(KINDS)}")
    module, name = KINDS[kind]
    launcher = getattr(import_module(module), name)
    known = [key for key in inspect.signature(launcher).parameters if key != "folder"]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UserError(f"launcher: {kind} has no option {unknown[0]!r}; its options are {', '.join(known)}")
    hints = get_type_hints(launcher.__init__)
    for key, value in options.items():
        if not fits(value, hints[key]):
            wanted = getattr(hints[key], "__name__", str(hints[key]))
            raise UserError(f"launcher: {key} is {value!r}, but must be {wanted}")
    return launcher(folder, **options)
