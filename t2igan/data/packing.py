"""Lossless packing of layouts and narratives into bytes."""

import json
import zlib

import numpy as np

from t2igan.layout.localized import TIME_STEP, from_grid, to_grid
from t2igan.layout.narratives import Narrative, Span

_LEVEL = 6  # of deflate; level 9 takes three times as long and saves little


def pack_maps(labels: np.ndarray, instances: np.ndarray) -> bytes:
    """Pack two uint8 (h, w) maps: concatenated row by row and deflated."""
    return zlib.compress(labels.tobytes() + instances.tobytes(), _LEVEL)


def unpack_maps(data: bytes | np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Unpack the two maps of :func:`pack_maps`.

    Raises:
        ValueError: the bytes are not two maps of this size.
    """
    labels, instances = np.frombuffer(_inflate(data, 2 * height * width), np.uint8).reshape(2, height, width)
    return labels, instances


def pack_narrative(narrative: Narrative) -> bytes:
    """Pack a narrative: a line of JSON, then its spans and the differences of its trace points, deflated.

    Points and times are whole numbers of :data:`t2igan.layout.localized.POSITION_STEP` and ``TIME_STEP``, which is
    the precision of the readers: nothing is lost.
    """
    spans, strokes = narrative.spans, narrative.traces
    head = {
        "image_id": narrative.image_id,
        "annotator_id": narrative.annotator_id,
        "caption": narrative.caption,
        "words": " ".join(narrative.words),
        "tags": None if narrative.tags is None else " ".join(narrative.tags),
        "spans": None if spans is None else len(spans),
        "strokes": None if strokes is None else [len(stroke) for stroke in strokes],
    }
    timed = [(each.start, each.end, round(each.t0 / TIME_STEP), round(each.t1 / TIME_STEP)) for each in spans or ()]
    points = to_grid(np.concatenate([np.empty((0, 3), np.float32), *(strokes or ())]))
    steps = np.diff(points, axis=0, prepend=np.zeros((1, 3), np.int32))
    body = np.array(timed, "<i4").tobytes() + steps.T.astype("<i4").tobytes()
    return zlib.compress(json.dumps(head, ensure_ascii=False).encode() + b"\n" + body, _LEVEL)


def unpack_narrative(data: bytes | np.ndarray) -> Narrative:
    """Unpack the narrative of :func:`pack_narrative`.

    Raises:
        ValueError: the bytes are not a packed narrative.
    """
    line, _, body = _inflate(data).partition(b"\n")
    head = json.loads(line)
    numbers = np.frombuffer(body, "<i4")
    timed = numbers[: 4 * (head["spans"] or 0)].reshape(-1, 4).tolist()
    points = from_grid(np.cumsum(numbers[4 * len(timed) :].reshape(3, -1), axis=1).T)
    edges = np.cumsum(head["strokes"] or [])[:-1]
    return Narrative(
        image_id=head["image_id"],
        annotator_id=head["annotator_id"],
        words=tuple(head["words"].split(" ")),
        tags=None if head["tags"] is None else tuple(head["tags"].split(" ")),
        spans=None if head["spans"] is None else tuple(Span(*s[:2], *(t / 1000 for t in s[2:])) for s in timed),
        traces=None if head["strokes"] is None else tuple(np.split(points, edges)) if head["strokes"] else (),
        caption=head["caption"],
    )


def _inflate(data: bytes | np.ndarray, size: int = 0) -> bytes:
    """Inflate bytes, up to little more than ``size`` if that is given."""
    try:
        return zlib.decompressobj().decompress(
            data.data if isinstance(data, np.ndarray) else data, size and size + 1
        )
    except zlib.error as error:
        raise ValueError(str(error)) from error
