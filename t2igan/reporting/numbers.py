"""Formatting of metric values: digits, spread, interval and direction."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from t2igan.evaluation.metrics import shown
from t2igan.evaluation.record import MetricValue, ResultRecord

CONFIDENCE = 0.95  # for intervals over training seeds; bootstraps use the protocol's

# Descriptions of what a ± is over.
SPREADS = {
    "seeds": "sample standard deviation over training seeds",
    "folds": "standard deviation over folds of the images of one run",
    "subsets": "standard deviation over random subsets of the images of one run",
    "segments": "standard deviation over the told segments",
    "images": "standard deviation over images",
    "captions": "standard deviation over captions",
    "bootstrap": "standard deviation over bootstrap replicates of the images of one run",
    "fit": "standard error of the fitted line (an old record), too small as an error of the value",
}
# The same for records that do not say it, by prefixes of metric names.
OLD_SPREADS = {
    **{"kid": "subsets", "clip-score": "images", "lpips": "captions"},
    **{"fid-infinity": "fit", "fd-classifier-infinity": "fit"},
}


@dataclass(frozen=True)
class Summary:
    """Summary of a metric over the runs of one row.

    Attributes:
        values: values of the runs that have it, in the order of the runs.
        mean: mean over runs.
        spread: sample standard deviation over runs; for a single run its recorded spread, or None.
        over: items of the spread; ``seeds`` for several runs, None without a spread.
    """

    values: tuple[MetricValue, ...]
    mean: float
    spread: float | None
    over: str | None

    @property
    def runs(self) -> int:
        """Number of runs that have the metric."""
        return len(self.values)

    @property
    def ends(self) -> tuple[float, float] | None:
        """Confidence interval: the record's for one run, Student's t for several; None without one."""
        if self.runs > 1:
            return student(self.mean, self.spread or 0.0, self.runs)
        low, high = self.values[0].low, self.values[0].high
        return None if low is None or high is None else (low, high)


def student(mean: float, spread: float, runs: int) -> tuple[float, float]:
    """Student's t confidence interval of a mean over runs, from their sample standard deviation."""
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, runs - 1)) * spread / math.sqrt(runs)
    return mean - half, mean + half


def spread_over(name: str, value: MetricValue) -> str | None:
    """Items of the spread of a single run's value; for older records, inferred from the metric."""
    if value.spread is None:
        return None
    if value.spread_over is not None:
        return value.spread_over
    return next((over for start, over in OLD_SPREADS.items() if name.startswith(start)), "folds")


def format_summary(name: str, summary: Summary | None) -> str:
    """Format a value with its spread; shares as percentages."""
    if summary is None:
        return "-"
    return format_number(name, summary.mean, summary.spread, summary.values[0].chance is not None)


def format_number(name: str, value: float, spread: float | None = None, share: bool = False) -> str:
    """Format a value of a metric.

    Args:
        name: name of the metric.
        value: as recorded.
        spread: as recorded.
        share: whether it is shown in per cent.
    """
    factor, unit = (100, " %") if share else (1, "")
    decimals = 2 if share else shown(name).decimals
    beside = "" if spread is None else f" ± {spread * factor:.{decimals}f}"
    return f"{value * factor:.{decimals}f}{beside}{unit}"


def format_interval(name: str, ends: tuple[float, float] | None, share: bool) -> str:
    """``[low, high]`` in the units of the value; empty without an interval."""
    if ends is None:
        return ""
    low, high = (format_number(name, end, None, share).removesuffix(" %") for end in ends)
    return f"[{low}, {high}]"


def interval_notes(records: Sequence[ResultRecord], repeated: bool) -> list[str]:
    """Notes that explain the intervals of a table.

    Args:
        records: records of the table.
        repeated: whether any row has several runs.
    """
    having = [one for one in records if any(value.low is not None for value in one.metrics.values())]
    levels = sorted({one.protocol_content["confidence"] for one in having if "confidence" in one.protocol_content})
    level = f"{' or '.join(f'{level:.0%}' for level in levels)} " if levels else ""
    kinds = [f"{level}confidence interval of the bootstrap over the images of one run"] if having else []
    kinds += [f"of several runs {CONFIDENCE:.0%} by Student's t over training seeds"] if repeated else []
    return [f"[low, high]: {'; '.join(kinds)}"] if kinds else []


def welch(first: Summary, second: Summary) -> tuple[float, float]:
    """Confidence interval of the difference of two means over runs, which need not spread equally."""
    numbers = [[value.value for value in summary.values] for summary in (first, second)]
    found = stats.ttest_ind(*numbers, equal_var=False).confidence_interval(CONFIDENCE)
    return float(found.low), float(found.high)


def is_better(name: str, first: Summary, second: Summary) -> bool:
    """Whether several runs of one beat several of the other: by more than both spreads, and by Welch's test.

    Two runs of each are within a small spread by chance often enough; Welch's interval knows how few they are.
    """
    if min(first.runs, second.runs) < 2 or not direction(name):
        return False
    lead, spread = direction(name) * (first.mean - second.mean), (first.spread or 0.0) + (second.spread or 0.0)
    if lead <= spread or math.isclose(lead, 0.0):
        return False
    low, high = welch(first, second) if spread else (lead, lead)
    return not low <= 0 <= high


def direction(name: str) -> int:
    """1 for a metric where higher is better, -1 for lower, 0 for a control."""
    return {"lower": -1, "neither": 0, "higher": 1}[shown(name).better]
