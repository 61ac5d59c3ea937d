"""Show profiles as a table, JSON or bar chart, and compare several."""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from t2igan.files import whole_file, write_whole
from t2igan.profiling.steps import Profile

_COLOURS = {"data": "#b5891b", "optimiser": "#6b6f76", "average": "#6b6f76", "logging, training loop": "#6b6f76"}
_COLOUR = "#3465a4"
DISTURBED = "something else ran while it was measured; profile again on an idle machine"


def table(profile: Profile) -> Table:
    """Table of the parts of a step with time, share and arithmetic."""
    timed = sum(part.seconds for part in profile.parts)
    shown = Table(title=f"{profile.subject}: a step with the clock", title_justify="left")
    shown.add_column("part")
    for header in ("seconds", "share", "GFLOP", "GFLOP/s"):
        shown.add_column(header, justify="right")
    for part in profile.parts:
        rate = f"{part.gflop / part.seconds:,.1f}" if part.gflop and part.seconds else ""
        count = f"{part.gflop:,.2f}" if part.gflop else ""
        shown.add_row(part.name, f"{part.seconds:.4f}", f"{part.seconds / timed:.1%}", count, rate)
    shown.add_row("all", f"{timed:.4f}", "", f"{profile.gflop:,.2f}", f"{profile.gflop / timed:,.1f}")
    return shown


def sentences(profile: Profile) -> list[str]:
    """Summary lines of a profile that supplement the table."""
    spread = f"{min(profile.step_seconds):.4f} to {max(profile.step_seconds):.4f}"
    peaks = profile.peaks
    lines = [
        f"a step without the clock: {profile.seconds:.4f} s (median of {len(profile.step_seconds)}, {spread}), "
        f"{rate_in_words(profile.images_per_second)} images/s, at most {profile.peak_megabytes:,.0f} MB",
        f"{profile.device}, {counted(profile.threads, 'thread')}, {profile.precision}: convolutions at most "
        f"{peaks['convolution']:,.0f} GFLOP/s, matrix products {peaks['matrix']:,.0f}; the step reaches "
        f"{profile.gflop / profile.seconds:,.0f}, {profile.share_of_peak:.0%} of the convolutions' peak",
    ]
    if profile.peak_disturbed:
        lines.append(f"the peak is too low: {DISTURBED}")
    return lines


def write_json(content: Any, path: Path) -> None:
    """Write measurements, given as plain data, to a JSON file."""
    write_whole(path, f"{json.dumps(content, indent=1)}\n".encode())


def draw(profile: Profile, path: Path) -> None:
    """Draw one bar per part with its time, share and rate.

    Args:
        profile: the profile to draw.
        path: PNG to write.
    """
    timed = sum(part.seconds for part in profile.parts)
    bars = [
        Bar(
            part.name,
            part.seconds,
            f"{part.seconds / timed:.1%}"
            + (f", {rate_in_words(part.gflop / part.seconds)} GFLOP/s" if part.gflop and part.seconds else ""),
            _COLOURS.get(part.name, _COLOUR),
        )
        for part in profile.parts
    ]
    title = (
        f"{profile.subject}, {counted(profile.images, 'image')} a step, {profile.precision}: "
        f"{rate_in_words(profile.images_per_second)} images/s\n"
        f"{profile.share_of_peak:.0%} of the convolutions' peak of {profile.peaks['convolution']:,.0f} GFLOP/s "
        f"({profile.device}, {counted(profile.threads, 'thread')})"
    )
    if profile.peak_disturbed:
        title += f"\nthe peak is too low: {DISTURBED}"
    draw_bars(bars, title, "seconds of a step with the clock", path)


@dataclass(frozen=True)
class Bar:
    """One bar of a bar chart.

    Attributes:
        name: label to the left of the bar.
        length: length of the bar in the unit of the axis.
        words: text to the right of the bar.
        colour: matplotlib colour of the bar.
    """

    name: str
    length: float
    words: str
    colour: str = _COLOUR


def bars_of(amounts: Mapping[str, float], colour: str = _COLOUR) -> list[Bar]:
    """A bar for each amount with its share of the sum, the longest first."""
    total = sum(amounts.values()) or 1.0
    ordered = sorted(amounts.items(), key=lambda item: -item[1])
    return [Bar(name, amount, f"{amount / total:.1%}", colour) for name, amount in ordered]


def draw_bars(bars: Sequence[Bar], title: str, axis: str, path: Path) -> None:
    """Draw bars one below the other.

    Args:
        bars: from the top down.
        title: heading, lines separated by newlines.
        axis: label of the axis with its unit.
        path: PNG to write.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 1.5 + 0.36 * len(bars)), layout="constrained")
    axes = figure.subplots()
    places = range(len(bars))[::-1]
    drawn = axes.barh(places, [bar.length for bar in bars], color=[bar.colour for bar in bars])
    axes.set_yticks(places, [bar.name for bar in bars])
    axes.bar_label(drawn, [bar.words for bar in bars], padding=4, fontsize=9)
    axes.set_xlim(0, 1.3 * max(bar.length for bar in bars) or 1)
    axes.set_xlabel(axis)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, loc="left", fontsize=10)
    with whole_file(path) as draft:
        figure.savefig(draft, dpi=150, format="png")


def rate_in_words(rate: float) -> str:
    """Format a rate with three digits: 0.0891, 12.3, 4,560."""
    return f"{float(f'{rate:.3g}'):,.10g}"


def counted(count: int, noun: str) -> str:
    """A number with its noun in singular or plural."""
    return f"{count} {noun}" + "s" * (count != 1)


def comparison(rounds: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    """Table that compares sets of options.

    Args:
        rounds: for each set of options the profiles, as plain data, of the rounds in which all took turns; ratios
            are to the first set.
    """
    shown = Table(title=f"{len(next(iter(rounds.values())))} rounds, taking turns", title_justify="left")
    shown.add_column("options")
    for header in ("s a step", "spread", "images/s", "MB", "of peak", "faster"):
        shown.add_column(header, justify="right", no_wrap=True)
    first = None
    for options, profiles in rounds.items():
        seconds = [each["seconds"] for each in profiles]
        middle = statistics.median(seconds)
        first = first or middle
        shown.add_row(
            options,
            f"{middle:.4f}",
            f"{min(seconds):.4f} to {max(seconds):.4f}",
            rate_in_words(profiles[0]["images"] / middle),
            f"{max(each['peak_megabytes'] for each in profiles):,.0f}",
            f"{statistics.median(each['share_of_peak'] for each in profiles):.0%}",
            f"{first / middle:.2f}",
        )
    return shown
