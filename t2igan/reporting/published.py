"""Published numbers as data, and their comparable counterparts among our own.

The numbers are in ``published/*.yaml``, one file per data set. A published number is shown beside one of ours only
if no difference in their measurement is known (:mod:`t2igan.reporting.comparison`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from t2igan.errors import UserError
from t2igan.evaluation.identity import identity_of
from t2igan.evaluation.protocol import load_protocol, protocol_names
from t2igan.evaluation.record import ResultRecord
from t2igan.plain_files import read_yaml
from t2igan.reporting.comparison import IMAGES, NOT_MEASURED, Measured, differences, settings
from t2igan.reporting.leaderboard import Board, BoardRow, Column, count_of
from t2igan.schema import FromFile, checked_mapping, read_as

FOLDER = Path(__file__).parent / "published"
Certainty = Literal["stated", "listed", "quoted", "recalled", "user"]
VALUE = re.compile(r"(?P<round>about )?(?P<value>\d+(\.\d+)?)( ± (?P<spread>\d+(\.\d+)?))?")
TEXT_KEYS = ("variant", "note", "protocol", "but")
# Modules of the suite -> names of systems in papers.
SYSTEMS = {
    "AttnGAN": "AttnGAN",
    "MirrorGAN": "MirrorGAN",
    "SSAGAN": "SSA-GAN",
    "DFGAN": "DF-GAN",
    "DMGAN": "DM-GAN",
    "SPADEGAN": "SPADE",
    # Our own, based on SpaText: not comparable with a row of the paper.
    "SpaTextGAN": "spatext-gan",
    "SpaTextDiffusion": "spatext-diffusion",
}


@dataclass(frozen=True)
class PublishedMetric:
    """Units of a published metric.

    Attributes:
        recorded: name of the metric in records, None if the suite lacks it.
        factor: published value = factor x recorded value.
        decimals: as published.
    """

    recorded: str | None = None
    factor: float = 1.0
    decimals: int = 2


METRICS = {
    "is": PublishedMetric("is"),
    "is*": PublishedMetric("is"),
    "fid": PublishedMetric("fid"),
    "r-precision": PublishedMetric("r-precision", 100.0),
    "clip-r-precision": PublishedMetric("clip-r-precision", 100.0),
    # TensorFlow's Inception, if the protocol uses another Inception; no protocol of the suite does.
    "fid-tf": PublishedMetric(),
    **{name: PublishedMetric() for name in ("r-precision-top2", "r-precision-top3", "o-is", "o-fid")},
    **{name: PublishedMetric() for name in ("soa-c", "soa-i", "ca", "pa")},
    "rs": PublishedMetric(decimals=1),
    # Scored by unnamed networks: never shown beside ours.
    **{name: PublishedMetric(decimals=4) for name in ("global-distance", "local-distance", "local-iou")},
}


@dataclass(frozen=True)
class PublishedNumber:
    """A published value with its source.

    Attributes:
        dataset: name of the data set.
        system: name of the system.
        variant: variant of the system.
        metric: name of the metric, a key of ``METRICS``.
        value: as published; R-precision in per cent.
        spread: as published.
        rounded: whether the source gives it as a round number only.
        protocol: nearest protocol of the suite; None if the source tells too little.
        but: (key, text) of differences from that protocol, and of settings that the source does not tell.
        source: citation of the source.
        link: URL of the source.
        certainty: stated: read in the source; listed: read in a list of the paper's results; quoted: read in
            another paper; recalled: from memory; user: measured by a user.
        note: note to the reader.
        test_images: minimum and maximum number of test images, if they differ from those of the whole file.
    """

    dataset: str
    system: str
    variant: str
    metric: str
    value: float
    spread: float | None
    rounded: bool
    protocol: str | None
    source: str
    link: str
    certainty: Certainty
    note: str
    but: tuple[tuple[str, str], ...] = ()
    test_images: tuple[int, int] | None = None

    @property
    def text(self) -> str:
        """Value and spread as text."""
        digits = METRICS[self.metric].decimals
        spread = "" if self.spread is None else f" ± {self.spread:.{digits}f}"
        return f"{'about ' if self.rounded else ''}{self.value:.{digits}f}{spread}"

    @property
    def who(self) -> str:
        """System and variant as text."""
        return f"{self.system} ({self.variant})" if self.variant else self.system


@dataclass(frozen=True)
class PublishedSet:
    """All published numbers of a data set.

    Attributes:
        dataset: name of the data set.
        test_images: minimum and maximum number of images of the test split.
        numbers: the numbers, in the order of the file.
    """

    dataset: str
    test_images: tuple[int, int]
    numbers: tuple[PublishedNumber, ...]


@dataclass(frozen=True)
class Block(FromFile):
    """Schema of one source in a file of published numbers; ``published/cub.yaml`` explains the keys.

    Attributes:
        source: see :class:`PublishedNumber`, also for the other keys.
        rows: systems with the values of their metrics.
        certainty: certainty of all rows.
        link: URL of the source.
        protocol: protocol of rows that name none.
        but: differences of all rows.
        note: note of all rows.
        test_images: numbers of test images, if they differ from those of the whole file.
    """

    source: str
    rows: list[dict[str, Any]]
    certainty: Certainty
    link: str = ""
    protocol: str | None = None
    but: dict[str, str] = field(default_factory=dict)
    note: str = ""
    test_images: list[int] | None = None


@dataclass(frozen=True)
class PublishedFile(FromFile):
    """Schema of a file of published numbers.

    Attributes:
        dataset: name of the data set.
        test_images: minimum and maximum number of images of the test split.
        blocks: one for each source.
    """

    dataset: str
    test_images: list[int]
    blocks: list[Block]


@cache
def load_published() -> dict[str, PublishedSet]:
    """Load all published numbers of the suite, by data set."""
    sets = [read_published(path) for path in sorted(FOLDER.glob("*.yaml"))]
    return {one.dataset: one for one in sets}


def read_published(path: Path) -> PublishedSet:
    """Read the numbers of one file.

    Raises:
        UserError: the file violates the format explained in ``published/cub.yaml``; lists all problems.
    """
    file = read_as(PublishedFile, checked_mapping(read_yaml(path), path, "dataset: cub"), path)
    for found in (file.test_images, *(block.test_images for block in file.blocks)):
        if found is not None and len(found) != 2:
            raise UserError(f"{path}: test_images must be the fewest and the most, it is {found}")
    problems: list[str] = []
    numbers: list[PublishedNumber] = []
    for position, block in enumerate(file.blocks, start=1):
        numbers += _read_block(file.dataset, block, f"block {position}", problems)
    if problems:
        raise UserError(f"{path}: {'; '.join(problems)}")
    low, high = file.test_images
    return PublishedSet(file.dataset, (low, high), tuple(numbers))


def _read_block(dataset: str, block: Block, where: str, problems: list[str]) -> Iterator[PublishedNumber]:
    for number, row in enumerate(block.rows, start=1):
        here = f"{where}, row {number}"
        metrics = {key: value for key, value in row.items() if key not in ("system", *TEXT_KEYS)}
        if "system" not in row or not metrics:
            problems.append(f"{here}: needs a system and a metric")
            continue
        for metric, value in metrics.items():
            parts = VALUE.fullmatch(str(value))
            protocol = row.get("protocol", block.protocol)
            but = {**block.but, **row.get("but", {})}
            wrong = _objection(dataset, metric, protocol, but) if parts else f"{value!r} is not a value"
            if wrong or parts is None:
                problems.append(f"{here}: {metric}: {wrong}")
                continue
            yield PublishedNumber(
                dataset,
                row["system"],
                row.get("variant", ""),
                metric,
                float(parts["value"]),
                float(parts["spread"]) if parts["spread"] else None,
                parts["round"] is not None,
                protocol,
                block.source,
                block.link,
                block.certainty,
                "; ".join(text for text in (row.get("note"), block.note) if text),
                tuple(but.items()),
                (block.test_images[0], block.test_images[1]) if block.test_images else None,
            )


def _objection(dataset: str, metric: str, protocol: str | None, but: Mapping[str, str]) -> str:
    """The problem of a metric with a protocol, or an empty string."""
    if metric not in METRICS:
        return f"unknown; choose one of {', '.join(METRICS)}"
    # An unknown key would not keep any number from standing beside ours.
    if strange := [key for key in but if key not in settings()]:
        return f"but: {strange[0]} is not a key of a protocol or a metric, nor {IMAGES}"
    if protocol is None:
        return ""
    if protocol not in protocol_names():
        return f"no protocol {protocol!r}"
    pinned = load_protocol(protocol)
    spec = next((spec for spec in pinned.metrics if spec.name == METRICS[metric].recorded), None)
    if pinned.dataset != dataset:
        return f"{protocol} is for {pinned.dataset}"
    if spec is None:
        return f"{protocol} does not measure it"
    temperature = getattr(spec, "temperature", 1)
    if metric in ("is", "is*") and (temperature != 1) != (metric == "is*"):
        return f"{protocol} has the temperature {temperature}"
    return ""


@dataclass(frozen=True)
class Beside:
    """A published number next to one of our tables.

    Attributes:
        number: the published number.
        row: our row of the same system, None if the table has none.
        value: our value in published units.
        why_not: reason why our value is not compared with it, empty if it is.
    """

    number: PublishedNumber
    row: BoardRow | None = None
    value: float | None = None
    why_not: str = ""

    @property
    def difference(self) -> float | None:
        """Our value minus the published one."""
        return None if self.value is None else self.value - self.number.value


def beside(board: Board) -> list[Beside]:
    """The published numbers comparable with a table, each once for every row of its system.

    They are comparable if no difference in their measurement is known.
    """
    published = load_published().get(board.dataset)
    if published is None:
        return []
    found = []
    for number in published.numbers:
        if differences_of(number, board):
            continue
        rows = [row for row in board.rows if system_of(row.records[0]) == number.system]
        found += [_held_against(number, row, board) for row in rows] or [Beside(number)]
    return found


def elsewhere(tables: Sequence[Board]) -> list[PublishedNumber]:
    """Published numbers of the tables' data sets that are comparable with none of the tables."""
    shown = {one.number for board in tables for one in beside(board)}
    sets = load_published()
    datasets = dict.fromkeys(board.dataset for board in tables)
    numbers = [number for name in datasets if name in sets for number in sets[name].numbers]
    return [number for number in dict.fromkeys(numbers) if number not in shown]


def differences_of(number: PublishedNumber, board: Board) -> list[str]:
    """Differences between the measurements of a published number and a table of its data set."""
    images = number.test_images or load_published()[number.dataset].test_images
    return differences(Measured(METRICS[number.metric].recorded, number.protocol, number.but, images), board)


def nearest(numbers: Sequence[PublishedNumber], tables: Sequence[Board]) -> tuple[Board, list[str]]:
    """The table of their data set from which some numbers differ least, and the differences.

    A difference of only some of the numbers is listed with their metrics.
    """
    own = [board for board in tables if board.dataset == numbers[0].dataset]
    found = [{number.metric: differences_of(number, board) for number in numbers} for board in own]
    board, of_metrics = min(zip(own, found), key=lambda pair: _distance(pair[1].values()))
    having: dict[str, list[str]] = {}
    for metric, texts in of_metrics.items():
        for text in texts:
            having.setdefault(text, []).append(metric)
    return board, [
        text if len(metrics) == len(of_metrics) else f"{', '.join(metrics)}: {text}"
        for text, metrics in having.items()
    ]


def _distance(found: Iterable[Sequence[str]]) -> tuple[int, int]:
    """Distance of a table from some numbers: number of missing metrics, then of differences."""
    texts = [text for own in found for text in own]
    return texts.count(NOT_MEASURED), len(texts)


def _held_against(number: PublishedNumber, row: BoardRow, board: Board) -> Beside:
    column = _column(number, row, board)
    summary = None if column is None else row.summary(column)
    if summary is None and number.metric == "r-precision" and row.records[0].damsm:
        return Beside(number, row, why_not="scored by no DAMSM that was imported from released files")
    if summary is None:
        return Beside(number, row, why_not="not computed")
    if row.edited:
        return Beside(number, row, why_not="its record was edited")
    counts = {count_of(record) for record in row.records}
    if counts != {board.count}:
        # The number of real images is that of the data set.
        return Beside(number, row, why_not=f"{max(counts):,} images, the table has {board.count:,}")
    return Beside(number, row, summary.mean * METRICS[number.metric].factor)


def _column(number: PublishedNumber, row: BoardRow, board: Board) -> Column | None:
    """Column of our value; for R-precision only of an imported DAMSM, as two DAMSMs are not comparable."""
    recorded = METRICS[number.metric].recorded
    wanted = {recorded}
    if recorded == "r-precision":
        wanted = {f"{recorded}@{label}" for label in row.records[0].damsm_origin}
    return next((column for column in board.columns if column[0] in wanted and row.summary(column)), None)


def system_of(record: ResultRecord) -> str | None:
    """The published system that corresponds to a record.

    It is that of the training module, unless the generator was replaced; a folder of images may have the system's
    name; real images correspond to real images.
    """
    subject = record.subject
    if subject.kind == "real":
        return "real images"
    if subject.kind == "images":
        plain = {_plain(name): name for name in SYSTEMS.values()}
        return plain.get(_plain(subject.name))
    kind = (subject.module or "").rpartition(".")[2]
    generator = (subject.generator or identity_of(subject).generator or kind).rpartition(".")[2]
    if subject.kind != "checkpoint" or not generator.startswith(kind):
        return None
    return SYSTEMS.get(kind)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
