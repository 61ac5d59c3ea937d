"""The metrics that a protocol may name, one file each; files in this folder are found automatically."""

from t2igan.errors import UserError
from t2igan.evaluation.metrics.base import ScoredMetric, known_metrics, register, shown
from t2igan.user_modules import own_class

__all__ = ["ScoredMetric", "find_metric", "known_metrics", "register", "shown"]


def find_metric(class_path: str) -> type[ScoredMetric]:
    """Import and register a user's own metric.

    Args:
        class_path: class path such as ``mine.Sharpness``, for a class in mine.py.

    Raises:
        UserError: the module or the metric does not exist or cannot be imported, or the metric's name is taken.
    """
    kind = own_class(class_path)
    if not (isinstance(kind, type) and issubclass(kind, ScoredMetric)):
        raise UserError(f"{class_path} is not a metric: derive it from FeatureMetric or ScoredMetric")
    try:
        return register(kind)
    except ValueError as error:
        raise UserError(str(error)) from error
