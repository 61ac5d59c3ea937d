"""The card of a store: statistics and a contact sheet, to inspect before training on it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from t2igan.data.annotation_card import (
    LayoutCard,
    NarrativeCard,
    annotation_lines,
    describe_layouts,
    describe_narratives,
    spread,
    spread_evenly,
)
from t2igan.data.layout import CARD_FOLDER
from t2igan.data.rendering import crop_window
from t2igan.data.sources.base import RawImage, first_of
from t2igan.data.store import SPLITS, Store, StoreSplit
from t2igan.files import make_folder, whole_file, write_whole

CARD, PAGE, SHEET, LEFT_OUT = "card.json", "card.md", "contact-sheet.png", "left-out.txt"
WORD_LIMITS = (12, 18, 25)
"""Limits of the released code: COCO in training, CUB in training and in evaluation."""

_MOST_FILES = 2000
_LONGEST_BAR, _MOST_BARS = 40, 30


@dataclass(frozen=True)
class SplitCard:
    """Statistics of one split of a store.

    Attributes:
        images: number of images.
        captions: number of captions.
        classes: number of classes with at least one image.
        captions_per_image: minimum, mean and maximum.
        words_per_caption: minimum, mean and maximum.
        lengths: how many captions have 1, 2, 3, ... words.
        longer: by word limit, the share of captions above it, which are sub-sampled.
        words: number of different words.
        layouts: statistics of the layouts, None if there are none.
        narratives: statistics of the narratives, None if there are none.
    """

    images: int
    captions: int
    classes: int
    captions_per_image: tuple[int, float, int]
    words_per_caption: tuple[int, float, int]
    lengths: list[int]
    longer: dict[int, float]
    words: int
    layouts: LayoutCard | None = None
    narratives: NarrativeCard | None = None


@dataclass(frozen=True)
class RawSizes:
    """Short sides of the raw images, or of their crops around a box.

    Attributes:
        looked_at: number of images whose size was read, spread evenly over all.
        least: smallest short side in pixels.
        median: median short side in pixels.
        most: largest short side in pixels.
        enlarged: share of the images with a short side below the store's, which are enlarged.
    """

    looked_at: int
    least: int
    median: int
    most: int
    enlarged: float


@dataclass(frozen=True)
class Card:
    """Statistics of a whole store.

    Attributes:
        store: file name of the store.
        name: name of the data set.
        fingerprint: sha256 (hex) of the store's content.
        split_scheme: how train and test are told apart.
        image_size: training resolution S in pixels.
        short_side: shorter side of the stored images in pixels.
        encoding: ``"raw"`` or ``"jpeg"``.
        bytes: bytes of the file.
        vocabulary: number of different words in both splits.
        splits: statistics by split name.
        only_in_test: number of words without a training caption, whose embedding is never trained.
        reduced: number of captions with a letter that the tokeniser drops, e.g. an accented one.
        raw_sizes: None if the raw images were not looked at.
        left_out: one line for everything that was missing or unusable.
    """

    store: str
    name: str
    fingerprint: str
    split_scheme: str
    image_size: int
    short_side: int
    encoding: str
    bytes: int
    vocabulary: int
    splits: dict[str, SplitCard]
    only_in_test: list[str]
    reduced: int
    raw_sizes: RawSizes | None
    left_out: list[str]


def describe(store: Store, raw: Sequence[RawImage] = (), left_out: Sequence[str] = ()) -> Card:
    """Compute the statistics of a store.

    Args:
        store: an open store.
        raw: the raw images that the store was made from, whose sizes are read.
        left_out: one line for everything that was missing or unusable.
    """
    splits = {name: store.split(name) for name in SPLITS}
    lengths, words = {}, {}
    for name, split in splits.items():
        lengths[name], words[name] = _count_words(split)
    texts = (split.caption_text(n) for split in splits.values() for n in range(split.n_captions))
    return Card(
        store=store.path.name,
        name=store.name,
        fingerprint=store.fingerprint,
        split_scheme=store.split_scheme,
        image_size=store.image_size,
        short_side=store.short_side,
        encoding=store.encoding,
        bytes=store.path.stat().st_size,
        vocabulary=len(store.vocabulary) - 1,
        splits={name: _split_card(split, lengths[name], len(words[name])) for name, split in splits.items()},
        only_in_test=store.vocabulary.decode(sorted(words["test"] - words["train"])),
        reduced=sum(_is_reduced(text) for text in texts),
        raw_sizes=_raw_sizes(raw, store),
        left_out=list(left_out),
    )


def card_folder(store: Path) -> Path:
    """Folder of the card of a store: ``birds-64.card`` for ``birds-64.h5``."""
    return store.with_name(f"{store.stem}{CARD_FOLDER}")


def write_card(card: Card, folder: Path, sheet: Image.Image) -> None:
    """Write a card's files; ``card.json`` comes last, so a folder that has it is complete.

    Args:
        card: statistics from :func:`describe`.
        folder: folder of the card, created if needed; an older card in it is replaced.
        sheet: contact sheet with example images.
    """
    make_folder(folder)
    for name in (CARD, LEFT_OUT):
        (folder / name).unlink(missing_ok=True)
    with whole_file(folder / SHEET) as draft:
        sheet.save(draft, "PNG")
    if card.left_out:
        write_whole(folder / LEFT_OUT, ("\n".join(card.left_out) + "\n").encode())
    write_whole(folder / PAGE, as_markdown(card).encode())
    write_whole(folder / CARD, (json.dumps(asdict(card), indent=2, ensure_ascii=False) + "\n").encode())


def summary_lines(card: Card) -> list[str]:
    """The card in a few lines."""
    lines = []
    for name, split in card.splits.items():
        least, _, most = split.captions_per_image
        low, mean, high = split.words_per_caption
        longer = "".join(f", {share:.1%} over {limit}" for limit, share in split.longer.items() if share)
        lines.append(
            f"{name}: {least if least == most else f'{least} to {most}'} captions an image, "
            f"{mean:.1f} words a caption ({low} to {high}{longer})"
        )
    for name, split in card.splits.items():
        lines += annotation_lines(name, split.images, split.layouts, split.narratives)
    if card.only_in_test:
        count, words = len(card.only_in_test), first_of(card.only_in_test)
        lines.append(f"{count:,} of {card.vocabulary:,} words are in test captions only: {words}")
    if card.reduced:
        lines.append(f"{card.reduced:,} captions have letters that the tokeniser drops (it keeps a-z and 0-9)")
    if card.raw_sizes:
        sizes = card.raw_sizes
        lines.append(
            f"raw images: short side {sizes.least} to {sizes.most}, median {sizes.median} pixels, "
            f"{sizes.enlarged:.1%} of them below {card.short_side} and enlarged ({sizes.looked_at:,} looked at)"
        )
    return lines


def as_markdown(card: Card) -> str:
    """The card as a page that shows the contact sheet beside it."""
    parts = [
        f"# {card.store}",
        f"{card.name}, split {card.split_scheme}, for training at {card.image_size} pixels "
        f"({card.encoding}, short side {card.short_side}), {card.bytes / 1e6:,.1f} MB, "
        f"{card.vocabulary:,} words, fingerprint `{card.fingerprint[:12]}`",
        "| | images | captions | classes | words |\n| --- | ---: | ---: | ---: | ---: |\n"
        + "\n".join(
            f"| {name} | {each.images:,} | {each.captions:,} | {each.classes:,} | {each.words:,} |"
            for name, each in card.splits.items()
        ),
        "\n".join(f"* {line}" for line in summary_lines(card)),
        f"![images spread evenly over both splits, with their first captions]({SHEET})",
    ]
    for name, split in card.splits.items():
        parts += [f"## Words a caption, {name}", f"```\n{_histogram(split.lengths)}\n```"]
    if card.left_out:
        parts += ["## Left out", f"{len(card.left_out):,} lines in [{LEFT_OUT}]({LEFT_OUT})"]
    return "\n\n".join(parts) + "\n"


def _count_words(split: StoreSplit) -> tuple[np.ndarray, set[int]]:
    """Number of words of each caption, and the ids of all words."""
    lengths, words = np.zeros(split.n_captions, np.int64), set()
    for caption in range(split.n_captions):
        ids = split.caption_tokens(caption)
        lengths[caption] = len(ids)
        words.update(ids.tolist())
    return lengths, words


def _split_card(split: StoreSplit, lengths: np.ndarray, words: int) -> SplitCard:
    per_image = np.bincount(split.caption_images, minlength=len(split))
    return SplitCard(
        images=len(split),
        captions=split.n_captions,
        classes=len(np.unique(split.class_ids)),
        captions_per_image=spread(per_image),
        words_per_caption=spread(lengths),
        lengths=np.bincount(lengths)[1:].tolist(),
        longer={limit: float((lengths > limit).mean()) if len(lengths) else 0.0 for limit in WORD_LIMITS},
        words=words,
        layouts=describe_layouts(split),
        narratives=describe_narratives(split),
    )


def _is_reduced(text: str) -> bool:
    """Whether the tokeniser drops a letter of the caption."""
    return not text.isascii() and any(letter.isalnum() and not letter.isascii() for letter in text)


def _raw_sizes(raw: Sequence[RawImage], store: Store) -> RawSizes | None:
    """Statistics of the raw sizes, read from the headers of at most two thousand files."""
    if not raw:
        return None
    sides = np.array([_short_side(raw[n], store.crop_by_box) for n in spread_evenly(len(raw), _MOST_FILES)])
    return RawSizes(
        looked_at=len(sides),
        least=int(sides.min()),
        median=int(np.median(sides)),
        most=int(sides.max()),
        enlarged=float((sides < store.short_side).mean()),
    )


def _short_side(raw: RawImage, crop_by_box: bool) -> int:
    with Image.open(raw.path) as image:
        width, height = image.size
    if crop_by_box and raw.box is not None:
        left, top, right, bottom = crop_window(raw.box, width, height)
        width, height = right - left, bottom - top
    return min(width, height)


def _histogram(lengths: list[int]) -> str:
    """One bar for each caption length, and one for all longer captions."""
    bars = [(str(number), count) for number, count in enumerate(lengths[:_MOST_BARS], 1)]
    if len(lengths) > _MOST_BARS:
        bars.append((f"over {_MOST_BARS}", sum(lengths[_MOST_BARS:])))
    longest = max((count for _, count in bars), default=0)
    return "\n".join(
        f"{name:>8} {'#' * -(-_LONGEST_BAR * count // longest):<{_LONGEST_BAR}} {count:,}" for name, count in bars
    )
