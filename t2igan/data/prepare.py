"""Write the store of a raw data set, in parallel and resumable."""

import multiprocessing
import os
import shutil
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from t2igan.cpus import available_cpus
from t2igan.data.checksums import LAYOUTS, NARRATIVES
from t2igan.data.journal import Journal
from t2igan.data.layout import SPLITS, partial_path
from t2igan.data.layout_rendering import LayoutJob
from t2igan.data.packing import unpack_narrative
from t2igan.data.rendering import Rendered, RenderJob, serve_the_parent, short_side
from t2igan.data.sources.base import RawImage, Source, first_of, is_name
from t2igan.data.vocabulary import Vocabulary
from t2igan.data.writing import Piece, StoredImage, StoredRecord, StoreHeader, unfinished_path, write_store
from t2igan.errors import UserError

Job = RenderJob | LayoutJob
Progress = Callable[[int, int], None]
"""Called with (images done, images in all)."""

_LAYOUT = "\0layout"  # unlike any image name, because those contain no NUL
_BACKLOG = 4  # rendered images waiting for the journal, per worker: bounds the memory
_SERIAL_BELOW = 200  # fewer images are done before a pool of processes has started


class UnusableFilesError(UserError):
    """Files of the raw data set are missing or unreadable.

    Attributes:
        problems: one line for each file.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        lines = "\n  ".join(problems)
        super().__init__(
            f"{len(problems)} missing or unreadable, nothing was written; "
            f"repair them (finished work is kept), or skip their images with --allow-missing:\n  {lines}"
        )


@dataclass(frozen=True)
class SplitCounts:
    """Numbers of images, captions and classes of one split."""

    images: int
    captions: int
    classes: int


@dataclass(frozen=True)
class PrepareSummary:
    """Result of :func:`prepare`.

    Attributes:
        path: path of the store.
        images: number of images.
        captions: number of captions.
        classes: number of classes.
        words: size of the vocabulary, ``<end>`` included.
        bytes: size of the file.
        seconds: wall time.
        splits: the counts of each split.
        resumed: number of images reused from an interrupted run.
        left_out: one line for everything that was missing or unreadable (``allow_missing``).
        fingerprint: sha256 (hex) of the store's content.
    """

    path: Path
    images: int
    captions: int
    classes: int
    words: int
    bytes: int
    seconds: float
    splits: dict[str, SplitCounts]
    resumed: int
    left_out: list[str]
    fingerprint: str


def prepare(
    source: Source,
    out: str | Path,
    image_size: int,
    encoding: Literal["raw", "jpeg"] = "raw",
    workers: int | None = None,
    progress: Progress | None = None,
    allow_missing: bool = False,
) -> PrepareSummary:
    """Write the store of a raw data set.

    After any interruption the same call continues from ``<out>.partial`` and writes the same store.

    Args:
        source: the raw data set; its vocabulary is used if it brings one, else one is built over train and test.
        out: path of the store; an older one is replaced once the new one is complete.
        image_size: the training resolution S; images are stored with a short side of int(S * 76 / 64).
        encoding: ``"raw"`` pixels (fast, large) or ``"jpeg"`` (small, not lossless).
        workers: number of processes that decode and resize; default: one per core; 1 stays in this process.
        progress: called with (images done, images in total).
        allow_missing: leave out missing and unreadable images instead of raising.

    Raises:
        UnusableFilesError: there are such images; every one is listed.
        UserError: an image has no name of its own, ``out`` cannot be written, another process is writing it, no
            image is left, the disk is full, or a worker died.
    """
    started = time.monotonic()
    out = Path(out)
    images, problems = source.scan()
    _check_keys(out, images)
    side = short_side(image_size)
    header = StoreHeader(source.name, source.split_scheme, image_size, side, encoding, source.crop_by_box)
    with Journal(partial_path(out), {"short_side": side, "encoding": encoding}) as journal:
        resumed, failures = _render_all(images, header, journal, workers or available_cpus(), progress)
        problems += failures.values()
        if problems and not allow_missing:
            raise UnusableFilesError(problems)
        usable = [image for image in images if image.key not in failures]
        if not usable:
            raise UserError(f"{out}: no usable image in the data set, nothing to write")
        _require_space(out, sum(_bytes(image, journal) for image in usable))
        vocabulary, splits, value = _assemble(out, source, header, usable, journal)
        journal.remove()
    return PrepareSummary(
        out,
        **_counts(usable),
        words=len(vocabulary),
        bytes=out.stat().st_size,
        seconds=time.monotonic() - started,
        splits={name: _count(stored) for name, stored in splits.items()},
        resumed=resumed,
        left_out=problems,
        fingerprint=value,
    )


def _counts(images: Sequence[RawImage]) -> dict[str, int]:
    return {
        "images": len(images),
        "captions": sum(len(image.captions) for image in images),
        "classes": len({image.class_id for image in images}),
    }


def _check_keys(out: Path, images: list[RawImage]) -> None:
    """Require unique image keys: images and their rendered bytes are looked up by key."""
    strange = [image for image in images if not is_name(image.key)]
    counts = Counter(image.key for image in images)
    twice = [key for key, count in counts.items() if count > 1]
    if strange:
        named = first_of([f"{image.key!a} ({str(image.path)!a})" for image in strange])
        raise UserError(f"{out}: {len(strange):,} images have no name that a store can keep: {named}; rename them")
    if twice:
        raise UserError(
            f"{out}: {len(twice):,} names stand for several images each: {first_of(twice)}; rename them"
        )


def _render_all(
    images: list[RawImage], header: StoreHeader, journal: Journal, workers: int, progress: Progress | None
) -> tuple[int, dict[str, str]]:
    """Render all images into the journal; returns how many were there already, and the problem of each failure."""
    stamps = {image.key: _stamp(image, header.crop_by_box) for image in images}
    stamps |= {image.key + _LAYOUT: [*stamps[image.key], image.layout.stamp()] for image in images if image.layout}
    known = {key for key, entry in journal.entries.items() if stamps.get(key) == entry.stamp}
    jobs = [job for image in images for job in _jobs(image, header) if job.key not in known]
    total = len(stamps)
    done, failures = total - len(jobs), {}
    resumed = sum(image.key in known for image in images)
    if progress:
        progress(done, total)
    for rendered in _rendered(jobs, workers):
        if rendered.problem:
            failures[rendered.key.removesuffix(_LAYOUT)] = rendered.problem
        else:
            journal.append(rendered, stamps[rendered.key])
        done += 1
        if progress:
            progress(done, total)
    return resumed, failures


def _jobs(image: RawImage, header: StoreHeader) -> Iterator[Job]:
    """The rendering jobs of an image: its pixels and its layout."""
    box = image.box if header.crop_by_box else None
    yield RenderJob(image.key, image.path, box, header.short_side, header.encoding)
    if image.layout:
        yield LayoutJob(image.key + _LAYOUT, image.path, image.layout, header.short_side)


def _rendered(jobs: list[Job], workers: int) -> Iterator[Rendered]:
    """The results of the jobs, in their order."""
    if workers == 1 or len(jobs) < _SERIAL_BELOW:
        yield from (job.render() for job in jobs)
        return
    # Spawned, not forked: the caller may hold threads (progress bar, OpenMP) that a fork would break.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=serve_the_parent)
    try:
        yield from _bounded(pool, jobs, _BACKLOG * workers)
    except BrokenProcessPool:
        raise UserError(
            f"one of {workers} rendering processes died, perhaps because memory ran out; run the same command "
            "again to continue, with fewer --workers to save memory (a Python script must call this below "
            '`if __name__ == "__main__":`, or with workers=1)'
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _bounded(pool: ProcessPoolExecutor, jobs: Iterable[Job], backlog: int) -> Iterator[Rendered]:
    pending: deque = deque()
    for job in jobs:
        pending.append(pool.submit(job.render))
        if len(pending) >= backlog:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def _bytes(image: RawImage, journal: Journal) -> int:
    """Number of bytes that an image takes in the store."""
    layout = journal.entries[image.key + _LAYOUT].length if image.layout else 0
    return journal.entries[image.key].length + layout + sum(map(len, image.narratives))


def _require_space(out: Path, size: int) -> None:
    """Refuse to write a store for which the disk has too little space beside the journal."""
    unfinished_path(out).unlink(missing_ok=True)  # left by a killed run; its space would count as used
    free = shutil.disk_usage(out.parent).free
    if free < size:
        raise UserError(
            f"{out}: the disk has {free / 1e9:.1f} GB left and the store needs {size / 1e9:.1f} GB beside "
            f"{partial_path(out).name}; make room and run the same command again; finished work is kept"
        )


def _stamp(image: RawImage, crop_by_box: bool) -> list[Any]:
    """Identifies the version of the raw file and box; after a change the image is rendered again."""
    status = image.path.stat()
    box = list(image.box) if crop_by_box and image.box else None
    return [os.path.abspath(image.path), status.st_size, status.st_mtime_ns, box]


def _assemble(
    out: Path, source: Source, header: StoreHeader, images: list[RawImage], journal: Journal
) -> tuple[Vocabulary, dict[str, list[StoredImage]], str]:
    """Write the store from the journal; returns its vocabulary, its images by split, and its fingerprint."""
    told = {image.key: [unpack_narrative(each).caption for each in image.narratives] for image in images}
    texts = (text for image in images for text in [*image.captions, *told[image.key]])
    vocabulary = source.vocabulary or Vocabulary.build(texts)
    # A narrative may have no word of a released vocabulary.
    narratives = {
        image.key: [each for each in zip(image.narratives, map(vocabulary.encode, told[image.key])) if each[1]]
        for image in images
    }
    numbers = sorted({image.class_id for image in images})
    splits = _stored(images, numbers, journal, vocabulary, narratives)
    names = [source.class_names[number] for number in numbers]

    def payload(piece: Piece) -> bytes:
        if piece.kind == NARRATIVES:
            return narratives[piece.key][piece.number][0]
        return journal.payload(piece.key + (_LAYOUT if piece.kind == LAYOUTS else ""))

    return vocabulary, splits, write_store(out, header, vocabulary, names, splits, payload)


def _stored(
    images: list[RawImage],
    class_numbers: list[int],
    journal: Journal,
    vocabulary: Vocabulary,
    narratives: dict[str, list[tuple[bytes, list[int]]]],
) -> dict[str, list[StoredImage]]:
    """The images of each split in the form that the store holds."""
    rows = {number: row for row, number in enumerate(class_numbers)}
    splits: dict[str, list[StoredImage]] = {name: [] for name in SPLITS}
    for image in images:
        entry = journal.entries[image.key]
        layout = journal.entries[image.key + _LAYOUT] if image.layout else None
        splits[image.split].append(
            StoredImage(
                key=image.key,
                class_id=rows[image.class_id],
                box=image.box,
                shape=entry.shape,
                length=entry.length,
                sha256=entry.sha256,
                texts=image.captions,
                tokens=image.tokens or [vocabulary.encode(text) for text in image.captions],
                layout=layout and StoredRecord(layout.length, layout.sha256),
                segments=image.layout.texts if image.layout else [],
                narratives=[
                    StoredRecord(len(data), sha256(data).hexdigest(), tokens)
                    for data, tokens in narratives[image.key]
                ],
            )
        )
    return splits


def _count(images: list[StoredImage]) -> SplitCounts:
    captions = sum(len(image.texts) for image in images)
    return SplitCounts(len(images), captions, len({image.class_id for image in images}))
