"""A profile as a table, as JSON, as an image; several beside each other."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from t2igan.files import whole_file, write_whole
from t2igan.profiling.steps import Profile

_COLOURS = {"data": "#b5891b", "optimiser": "#6b6f76", "average": "#6b6f76", "logging, training loop": "#6b6f76"}
_COLOUR = "#3465a4"


def table(profile: Profile) -> Table:
    """Parts of a step with their shares, and what they compute."""
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
    """What the table does not say."""
    spread = f"{min(profile.step_seconds):.4f} to {max(profile.step_seconds):.4f}"
    peaks = profile.peaks
    return [
        f"a step without the clock: {profile.seconds:.4f} s (median of {len(profile.step_seconds)}, {spread}), "
        f"{profile.images_per_second:,.1f} images/s, at most {profile.peak_megabytes:,.0f} MB",
        f"{profile.device}, {profile.threads} threads, {profile.precision}: convolutions at most "
        f"{peaks['convolution']:,.0f} GFLOP/s, matrix products {peaks['matrix']:,.0f}; the step reaches "
        f"{profile.gflop / profile.seconds:,.0f}, {profile.share_of_peak:.0%} of the convolutions' peak",
    ]


def write_json(profile: Profile, path: Path) -> None:
    """Write everything that was measured."""
    write_whole(path, f"{json.dumps(profile.as_dict(), indent=1)}\n".encode())


def draw(profile: Profile, path: Path) -> None:
    """Draw a bar a part: as long as it takes, with its share and its rate beside it.

    Args:
        profile: what was measured.
        path: PNG to write.
    """
    from matplotlib.figure import Figure

    timed = sum(part.seconds for part in profile.parts)
    parts = profile.parts[::-1]
    figure = Figure(figsize=(9, 1.4 + 0.36 * len(parts)), layout="constrained")
    axes = figure.subplots()
    colours = [_COLOURS.get(part.name, _COLOUR) for part in parts]
    bars = axes.barh([part.name for part in parts], [part.seconds for part in parts], color=colours)
    labels = [
        f"{part.seconds / timed:.1%}" + (f", {part.gflop / part.seconds:,.0f} GFLOP/s" if part.gflop else "")
        for part in parts
    ]
    axes.bar_label(bars, labels, padding=4, fontsize=9)
    axes.set_xlim(0, 1.3 * max(part.seconds for part in parts))
    axes.set_xlabel("seconds of a step")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(
        f"{profile.subject}: {profile.images_per_second:,.1f} images/s, "
        f"{profile.share_of_peak:.0%} of the convolutions' peak of {profile.peaks['convolution']:,.0f} GFLOP/s",
        loc="left",
        fontsize=10,
    )
    with whole_file(path) as draft:
        figure.savefig(draft, dpi=150, format="png")


def comparison(rounds: Mapping[str, Sequence[Mapping[str, Any]]]) -> Table:
    """Option sets beside each other.

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
            f"{profiles[0]['images'] / middle:,.1f}",
            f"{max(each['peak_megabytes'] for each in profiles):,.0f}",
            f"{statistics.median(each['share_of_peak'] for each in profiles):.0%}",
            f"{first / middle:.2f}",
        )
    return shown
