"""The metrics that a protocol may name, one file each; a file that is put here is found."""

from importlib import import_module
from pkgutil import iter_modules

from t2igan.errors import UserError
from t2igan.evaluation.metrics.base import METRICS, ScoredMetric, register, shown
from t2igan.spelling import nearest
from t2igan.user_modules import find_user_module

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")

__all__ = ["METRICS", "ScoredMetric", "find_metric", "register", "shown"]


def find_metric(class_path: str) -> type[ScoredMetric]:
    """A metric of one's own, registered; its module is imported.

    Args:
        class_path: such as ``mine.Sharpness``, of mine.py.

    Raises:
        UserError: there is no such module, it has no such metric, or the metric's name is taken.
    """
    module, _, name = class_path.rpartition(".")
    find_user_module(module)
    known = vars(import_module(module))
    if name not in known:
        raise UserError(f"{module} has no class {name!r}{nearest(name, known)}")
    kind = known[name]
    if not (isinstance(kind, type) and issubclass(kind, ScoredMetric)):
        raise UserError(f"{class_path} is no metric: derive it from FeatureMetric or ScoredMetric")
    try:
        return register(kind)
    except ValueError as error:
        raise UserError(str(error)) from error
