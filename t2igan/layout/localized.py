"""Localized Narratives (Pont-Tuset et al., ECCV 2020): JSON Lines with spoken captions and mouse traces.

A line is ``{"dataset_id", "image_id", "annotator_id", "caption", "timed_caption": [{"utterance", "start_time",
"end_time"}, ...], "traces": [[{"x", "y", "t"}, ...], ...], "voice_recording"}``. The shards of a part may be read
one after another.
"""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np

from t2igan.errors import UserError
from t2igan.layout.line_faults import LineFaults
from t2igan.layout.narratives import Narrative, Span
from t2igan.plain_files import parse_json

POSITION_STEP, TIME_STEP = 1e-4, 1e-3
"""What the released files have: four decimals of the image's sides, three of seconds. What is finer is rounded."""
LONGEST_LINE = 2**24
"""Bytes; the longest of the released lines has some hundred thousand."""
MOST_WORDS = 2_000
"""Of a narrative; the longest of the released ones has some hundred."""
MOST_POINTS = 100_000
"""Of a narrative: half an hour at sixty a second."""
LONGEST = 36_000.0
"""Seconds."""
FARTHEST = 1.0
"""How many image sides outside of the image a point may lie; a narrow band round it was recorded."""

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


class BadLineError(ValueError):
    """A line is not a valid narrative; the message gives the reason."""


def narrative_words(text: str) -> tuple[str, ...]:
    """Lower-case words without punctuation, apostrophes inside of words kept, as the released TReCS words are."""
    return tuple(_WORD.findall(text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")))


def iterate_localized(path: str | Path, refused: LineFaults, noted: LineFaults) -> Iterator[Narrative]:
    """Iterate over the narratives of a file, in bounded memory.

    Args:
        path: path of the ``.jsonl`` file.
        refused: receives the lines that are left out: invalid JSON, missing or wrong values, decreasing times,
            utterances that do not match the caption, repetitions of annotator and image.
        noted: receives lines that are kept despite an oddity: a trace outside of the image, or no pointer during
            most utterances.

    Raises:
        UserError: the file cannot be read.
    """
    path, seen = Path(path), set()
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), 1):
                if not line.strip(b"\xef\xbb\xbf \t\r\n"):
                    continue
                try:
                    narrative = parse_localized(_text(line, file), f"line {number}")
                    if narrative.key in seen:
                        raise BadLineError(f"a second narrative of {narrative.key}")
                except BadLineError as error:
                    refused.add(number, str(error))
                    continue
                seen.add(narrative.key)
                if odd := _oddity(narrative):
                    noted.add(number, odd)
                yield narrative
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def read_localized(path: str | Path) -> list[Narrative]:
    """Read all narratives of a file.

    Raises:
        UserError: the file cannot be read, or a line is not a narrative.
    """
    refused = LineFaults(path)
    narratives = list(iterate_localized(path, refused, LineFaults(path)))
    if refused or not narratives:
        raise UserError(str(refused) if refused else f"{path}: holds no narrative")
    return narratives


def _text(line: bytes, file: Any) -> str:
    """Decode a line as UTF-8; the rest of an overlong line is skipped."""
    if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
        while (rest := file.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
            pass
        raise BadLineError(f"longer than {LONGEST_LINE:,} bytes")
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadLineError(f"not UTF-8 (byte {error.start + 1})") from None


def parse_localized(line: str, where: str = "narrative") -> Narrative:
    """Parse one narrative.

    Args:
        line: a JSON object.
        where: position for error messages, such as file and line.

    Raises:
        BadLineError: the line is not a narrative.
    """
    try:
        content = parse_json(line, where, parse_constant=_refuse_constant)
    except UserError as error:
        raise BadLineError(str(error).removeprefix(f"{where}: ").replace("(line 1: ", "(")) from None
    if not isinstance(content, dict):
        raise BadLineError(f"a {type(content).__name__}, not an object")
    caption = " ".join(_value(content, "caption", str).split())
    words = _words(caption, "caption")
    if not words:
        raise BadLineError("caption: no word")
    return Narrative(
        image_id=_name(content, "image_id"),
        annotator_id=_name(content, "annotator_id"),
        words=words,
        spans=_spans(words, _value(content, "timed_caption", list)) if "timed_caption" in content else None,
        traces=_traces(_value(content, "traces", list)) if "traces" in content else None,
        caption=caption,
    )


def _words(text: str, what: str) -> tuple[str, ...]:
    words = narrative_words(text)
    if len(words) > MOST_WORDS:
        raise BadLineError(f"{what}: {len(words):,} words, more than {MOST_WORDS:,}")
    return words


def _refuse_constant(name: str) -> None:
    raise BadLineError(f"{name} is not a number in JSON")


def _value(content: dict, key: str, kind: type) -> Any:
    if not isinstance(content.get(key), kind):
        what = f"is a {type(content[key]).__name__}, not a {kind.__name__}" if key in content else "is missing"
        raise BadLineError(f"{key} {what}")
    return content[key]


def _name(content: dict, key: str) -> str:
    """Check an id: a string without blanks, or a whole number."""
    value = content.get(key)
    name = str(value) if type(value) is int else value
    if not isinstance(name, str) or not name or len(name) > 200 or any(each.isspace() for each in name):
        raise BadLineError(f"{key} is not a name: {value!r:.60}" if key in content else f"{key} is missing")
    return name


def _number(value: Any, what: str, least: float, most: float) -> float:
    if type(value) not in (int, float) or not least <= value <= most:
        raise BadLineError(f"{what} is {value!r:.40}, not a number of {least:g} to {most:g}")
    return float(value)


def _traces(strokes: list) -> tuple[np.ndarray, ...]:
    """Non-empty strokes, float32 (N, 3) each."""
    if not all(isinstance(stroke, list) for stroke in strokes):
        raise BadLineError("traces: not a list of lists")
    if sum(map(len, strokes)) > MOST_POINTS:
        raise BadLineError(f"traces: {sum(map(len, strokes)):,} points, more than {MOST_POINTS:,}")
    return tuple(_stroke(stroke) for stroke in strokes if stroke)


def _stroke(points: list) -> np.ndarray:
    try:
        values = np.array([(point["x"], point["y"], point["t"]) for point in points])
    except (TypeError, KeyError, IndexError, ValueError):
        raise BadLineError("traces: a point without x, y and t") from None
    if values.dtype.kind not in "if" or values.ndim != 2:
        raise BadLineError("traces: a point whose x, y, t are not numbers")
    inside = (values[:, :2] >= -FARTHEST) & (values[:, :2] <= 1 + FARTHEST)
    if not inside.all():
        outside = values[:, :2][~inside][0]
        raise BadLineError(f"traces: a point at {outside:g} image sides, far outside of the image")
    if not (np.abs(values[:, 2]) <= LONGEST).all():
        raise BadLineError(f"traces: a time that is not within {LONGEST:g} seconds")
    return on_grid(values)


def on_grid(points: np.ndarray) -> np.ndarray:
    """Points rounded to :data:`POSITION_STEP` and :data:`TIME_STEP`, as the store keeps them; float32 (N, 3)."""
    return from_grid(to_grid(points))


def to_grid(points: np.ndarray) -> np.ndarray:
    """int32 (N, 3): points (x, y, t) in steps."""
    steps = np.array([POSITION_STEP, POSITION_STEP, TIME_STEP])
    return np.round(np.asarray(points, np.float64) / steps).astype(np.int32)


def from_grid(steps: np.ndarray) -> np.ndarray:
    """float32 (N, 3): points (x, y, t) of steps."""
    return (steps / np.array([1 / POSITION_STEP, 1 / POSITION_STEP, 1 / TIME_STEP])).astype(np.float32)


def _spans(words: Sequence[str], utterances: list) -> tuple[Span, ...]:
    """Time spans of the caption's words."""
    said: list[tuple[tuple[str, ...], float, float]] = []
    if len(utterances) > MOST_WORDS:
        raise BadLineError(f"timed_caption: {len(utterances):,} entries, more than {MOST_WORDS:,}")
    for place, each in enumerate(utterances):
        if not isinstance(each, dict):
            raise BadLineError(f"timed_caption: entry {place + 1} is not an object")
        text = _words(_value(each, "utterance", str), "timed_caption")
        t0, t1 = (
            _number(each.get(key), f"timed_caption: {key}", -1, LONGEST) for key in ("start_time", "end_time")
        )
        if t1 < t0:
            raise BadLineError(f"timed_caption: entry {place + 1} ends at {t1:g} s, before it begins ({t0:g} s)")
        said.append((text, t0, t1))
    return _merged(_aligned(words, said))


def _aligned(words: Sequence[str], said: list[tuple[tuple[str, ...], float, float]]) -> list[Span]:
    """Align utterances with the caption; one span per utterance that has words of it.

    Utterances are mostly consecutive parts of the caption. A word that was corrected in only one of both belongs to
    the previous utterance.
    """
    spoken = [word for text, _, _ in said for word in text]
    owners = [owner for owner, (text, _, _) in enumerate(said) for _ in text]
    if list(words) != spoken:
        blocks = SequenceMatcher(None, words, spoken, autojunk=False).get_matching_blocks()
        pairs = {block.a + i: owners[block.b + i] for block in blocks for i in range(block.size)}
        if 2 * len(pairs) < len(words):
            raise BadLineError(
                f"timed_caption: has {len(pairs)} of the {len(words)} words of the caption in its order"
            )
        owner = min(pairs.values())
        owners = [owner := pairs.get(place, owner) for place in range(len(words))]
    starts = [place for place in range(len(owners)) if place == 0 or owners[place] != owners[place - 1]]
    return [
        Span(start, end, *(round(t, 3) for t in said[owners[start]][1:]))
        for start, end in zip(starts, [*starts[1:], len(owners)])
    ]


def _merged(spans: list[Span]) -> tuple[Span, ...]:
    """Merge utterances of no duration with the next one, the last with the previous one."""
    merged: list[Span] = []
    for span in spans:
        if merged and merged[-1].t1 <= merged[-1].t0:
            span = span._replace(start=merged[-1].start, t0=min(merged.pop().t0, span.t0))
        merged.append(span)
    if len(merged) > 1 and merged[-1].t1 <= merged[-1].t0:
        last = merged.pop()
        merged[-1] = merged[-1]._replace(end=last.end, t1=max(merged[-1].t1, last.t1))
    return tuple(merged)


def _oddity(narrative: Narrative) -> str:
    """The oddity of a usable narrative, or an empty string."""
    if narrative.traces is None:
        return ""
    points = np.concatenate([np.empty((0, 3), np.float32), *narrative.traces])
    if not ((points[:, :2] >= 0) & (points[:, :2] <= 1)).all(axis=1).any():
        return "no point of its trace lies within the image"
    times = np.sort(points[:, 2])
    spans = narrative.spans or ()
    empty = sum(bool(np.searchsorted(times, s.t0) == np.searchsorted(times, s.t1, "right")) for s in spans)
    # Short pauses of the pointer occur in every narrative.
    many = 2 * empty > len(spans)
    return f"{empty} of {len(spans)} utterances have no point of the trace in their time" if many else ""
