"""Numbers of metrics as text: with how many digits, what their spread is over, which way is better."""

import math
from dataclasses import dataclass

from t2igan.evaluation.metrics import shown
from t2igan.evaluation.record import MetricValue

# What a ± may be over, in words.
SPREADS = {
    "seeds": "sample standard deviation over training seeds",
    "folds": "standard deviation over folds of the images of one run",
    "subsets": "standard deviation over random subsets of the images of one run",
    "images": "standard deviation over images",
    "captions": "standard deviation over captions",
    "bootstrap": "standard deviation over bootstrap replicates of the images of one run",
    "fit": "standard error of the fitted line (an old record), too small as an error of the value",
}
# What it was over in records that do not say, by the beginnings of names.
OLD_SPREADS = {
    **{"kid": "subsets", "clip-score": "images", "lpips": "captions"},
    **{"fid-infinity": "fit", "fd-classifier-infinity": "fit"},
}


@dataclass(frozen=True)
class Summary:
    """A metric over the runs of one row.

    Attributes:
        values: of each run that has it, in the order of the runs.
        mean: over runs.
        spread: sample standard deviation over runs; of a single run its own, None where it has none.
        over: what the spread is over; ``seeds`` for that over runs, None without a spread.
    """

    values: tuple[MetricValue, ...]
    mean: float
    spread: float | None
    over: str | None

    @property
    def runs(self) -> int:
        """Runs that have the metric."""
        return len(self.values)


def spread_over(name: str, value: MetricValue) -> str | None:
    """What the spread of one run's value is over; records of before they said so are known by the metric."""
    if value.spread is None:
        return None
    if value.spread_over is not None:
        return value.spread_over
    return next((over for start, over in OLD_SPREADS.items() if name.startswith(start)), "folds")


def format_summary(name: str, summary: Summary | None) -> str:
    """A number with its spread; shares as percentages."""
    if summary is None:
        return "-"
    return format_number(name, summary.mean, summary.spread, summary.values[0].chance is not None)


def format_number(name: str, value: float, spread: float | None = None, share: bool = False) -> str:
    """A number of a metric.

    Args:
        name: of the metric.
        value: as recorded.
        spread: as recorded.
        share: whether it is shown in per cent.
    """
    factor, unit = (100, " %") if share else (1, "")
    decimals = 2 if share else shown(name).decimals
    beside = "" if spread is None else f" ± {spread * factor:.{decimals}f}"
    return f"{value * factor:.{decimals}f}{beside}{unit}"


def is_better(name: str, first: Summary, second: Summary) -> bool:
    """Whether several runs of one beat several of the other by more than both spreads together."""
    if min(first.runs, second.runs) < 2 or not direction(name):
        return False
    lead = direction(name) * (first.mean - second.mean)
    return lead > (first.spread or 0.0) + (second.spread or 0.0) and not math.isclose(lead, 0.0)


def direction(name: str) -> int:
    """1 for a metric of which more is better, -1 for less, 0 for a control."""
    return {"lower": -1, "neither": 0, "higher": 1}[shown(name).better]
