"""Result records: one JSON object per line, appended and never edited."""

import fcntl
import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, BinaryIO, Literal, get_type_hints

import t2igan
from t2igan.errors import UserError
from t2igan.files import make_folder
from t2igan.plain_files import parse_json
from t2igan.typed import fits

SCHEMA = 2  # 1: without digest, content of the protocol, training and environment; still read
PACKAGES = (
    *("torch", "torchvision", "torchmetrics", "pytorch-lightning", "numpy", "scipy"),
    *("Pillow", "h5py", "transformers"),
)
NAMES_BEFORE = {"judge": "network_sha256", "recipe": "module"}  # earlier names of fields
# Whether a record is unchanged since it was written; old records have no digest.
Integrity = Literal["intact", "edited", "without digest"]


@dataclass(frozen=True)
class Resampled:
    """Bootstrap replicates of a value, for paired comparisons of two records of the same images.

    Attributes:
        samples: sha256 (hex) of the resampled items and the seed; replicates with equal hashes are paired.
        deviations: deviations of each replicate from their mean.
    """

    samples: str
    deviations: list[float]


@dataclass(frozen=True)
class MetricValue:
    """A measured value.

    Attributes:
        value: value of the metric; a share between 0 and 1 for R-precision.
        spread: standard deviation over ``spread_over``, None where there is none.
        n: number of images that the value is computed from.
        network_sha256: sha256 of the network that computed the features; values of different networks are not
            comparable.
        chance: value of random guessing, a share above 0; None if unknown.
        low: lower end of its confidence interval, None without one.
        high: upper end of its confidence interval, None without one.
        spread_over: items that the spread is computed over: ``folds``, ``subsets``, ``images``, ``captions`` or
            ``bootstrap`` (replicates); None in records that do not say.
        resampled: its replicates, None without an interval and in records that do not keep them.
    """

    value: float
    spread: float | None
    n: int
    network_sha256: str
    chance: float | None = None
    low: float | None = None
    high: float | None = None
    spread_over: str | None = None
    resampled: Resampled | None = None


@dataclass(frozen=True)
class TrainingCard:
    """How a checkpoint was trained; unknown values are None.

    Attributes:
        config: resolved configuration of its run.
        steps: steps of the generator's optimiser.
        images_seen: training images, each as often as it was seen, on all devices together.
        global_batch: training images of a step, on all devices together.
        fingerprint: fingerprint of the store that it was trained on.
        inputs: sha256 of the content of checkpoints that it read (``damsm``, ``captioner``, ``ckpt_path``: that of
            another run, with which it began), by key, and of own code, by file.
        progress: steps trained and planned (:class:`t2igan.progress.Progress`).
        changes: changes of the configuration or of own code on resume: ``key``, ``before``, ``after`` and ``step``.
    """

    config: dict[str, Any] | None = None
    steps: int | None = None
    images_seen: int | None = None
    global_batch: int | None = None
    fingerprint: str | None = None
    inputs: dict[str, str] = field(default_factory=dict)
    progress: dict[str, Any] | None = None
    changes: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class SubjectCard:
    """Description of the scored subject.

    Attributes:
        kind: ``checkpoint``, ``untrained``, ``pipeline``, ``real`` or ``images``.
        name: name in tables.
        path: path of the checkpoint or folder.
        sha256: sha256 of configuration, vocabulary and weights of a checkpoint, or over all files of the folder.
        module: class of the LightningModule.
        weights: ``ema`` or ``raw``.
        seed: seed of the weights of an untrained module.
        generator: class of its generator.
        experiment: sha256 of the training's configuration without its seeds; runs that share it are repetitions.
        training_seed: seed of the run.
        training: how a checkpoint was trained.
        selection: rule that selected this checkpoint from its run, e.g. ``fid on the test split``; None for the
            last checkpoint, or if unknown.
        n_distinct: number of images of a folder with distinct content, None if not counted.
        parts: sha256 of the content of each part of a pipeline, by its name.
    """

    kind: str
    name: str
    path: str | None = None
    sha256: str | None = None
    module: str | None = None
    weights: str | None = None
    seed: int | None = None
    generator: str | None = None
    experiment: str | None = None
    training_seed: int | None = None
    training: TrainingCard | None = None
    selection: str | None = None
    n_distinct: int | None = None
    parts: dict[str, str] = field(default_factory=dict)

    def same_images(self, other: "SubjectCard") -> bool:
        """Whether another subject generates the same images, judged by content and not by name."""
        if self.kind != other.kind or (self.kind != "real" and self.sha256 is None):
            return False
        return (self.sha256, self.weights, self.seed) == (other.sha256, other.weights, other.seed)


@dataclass(frozen=True)
class ResultRecord:
    """The values of one subject under one protocol, with everything that they depend on.

    Attributes:
        subject: the scored subject.
        metrics: values by name.
        not_computed: reasons of the missing metrics, by name.
        protocol: name of the protocol.
        protocol_hash: hash of the protocol, see :attr:`t2igan.evaluation.protocol.Protocol.hash`.
        dataset: name of the data set.
        fingerprint: fingerprint of the store.
        n_real: number of reference images.
        n_generated: number of scored images.
        backbones: sha256 of each feature network by name.
        damsm: sha256 of each DAMSM by label; the generator was trained against the first.
        seed: seed of the noise.
        device: name of the device.
        seconds: seconds of wall time.
        notes: notes to the reader, e.g. that a folder was incomplete.
        versions: versions of the packages.
        timestamp: UTC, ISO 8601.
        schema: version of the record's format.
        n_split: number of images in the split, None in older records.
        protocol_content: the whole protocol, as :attr:`t2igan.evaluation.protocol.Protocol.content` gives it.
        damsm_origin: released files that a DAMSM was imported from, by its label.
        environment: commit, libraries and threads, see :class:`t2igan.evaluation.environment.Environment`.
        digest: sha256 of all other fields, as read from a file; None in a record that was never written.
        integrity: whether the digest matches the content.
    """

    subject: SubjectCard
    metrics: dict[str, MetricValue]
    not_computed: dict[str, str]
    protocol: str
    protocol_hash: str
    dataset: str
    fingerprint: str
    n_real: int
    n_generated: int
    backbones: dict[str, str]
    damsm: dict[str, str]
    seed: int
    device: str
    seconds: float
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=lambda: package_versions())
    timestamp: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    schema: int = SCHEMA
    n_split: int | None = None
    protocol_content: dict[str, Any] = field(default_factory=dict)
    damsm_origin: dict[str, str] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    digest: str | None = field(default=None, compare=False)
    integrity: Integrity = field(default="intact", compare=False)

    def to_json(self) -> str:
        """One line of JSON with a digest of its content; a record read with a wrong or missing digest keeps it."""
        content = asdict(self)
        known, integrity = content.pop("digest"), content.pop("integrity")
        # The record as read may have other or fewer keys.
        digest = digest_of(content) if integrity == "intact" else known
        if digest is not None and integrity != "without digest":
            content["digest"] = digest
        return json.dumps(content, allow_nan=False)

    @classmethod
    def from_json(cls, line: str) -> "ResultRecord":
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: the line is not a complete record of a known format.
        """
        try:
            content = parse_json(line, "it")
        except UserError as error:
            raise ValueError(str(error)) from error
        if not isinstance(content, dict) or content.get("schema") not in range(1, SCHEMA + 1):
            raise ValueError(f"not a record of schema 1 to {SCHEMA}")
        content["integrity"] = _integrity(content)
        try:
            card = dict(content["subject"])
            if content["schema"] == 1:
                # Its hash ignored precision, devices and more, so equal hashes do not mean repetitions.
                card.pop("experiment", None)
            if card.get("training") is not None:
                card["training"] = TrainingCard(**_known(TrainingCard, card["training"]))
            content["subject"] = SubjectCard(**_known(SubjectCard, card))
            content["metrics"] = {name: _metric(value) for name, value in content["metrics"].items()}
            return cls(**_known(cls, content))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"not a whole record ({error})") from error


def digest_of(content: Mapping[str, Any]) -> str:
    """sha256 (hex) of the canonical JSON of a record without its digest."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _integrity(content: Mapping[str, Any]) -> Integrity:
    if content["schema"] == 1:
        return "without digest"
    rest = {key: value for key, value in content.items() if key != "digest"}
    try:
        return "intact" if content.get("digest") == digest_of(rest) else "edited"
    except ValueError:  # NaN or infinity, which no record contains
        return "edited"


def _metric(content: Mapping[str, Any]) -> MetricValue:
    kept = content.get("resampled")
    found = None if kept is None else Resampled(**_known(Resampled, kept))
    value = MetricValue(**_known(MetricValue, {**content, "resampled": found}))
    if value.chance is not None and not 0 < value.chance <= 1:
        raise ValueError(f"chance is {value.chance}, it is a share above 0")
    return value


def _known(kind: type, content: Mapping[str, Any]) -> dict[str, Any]:
    """Drop keys without a field in the dataclass, so that records of later versions stay readable."""
    names = {own.name for own in fields(kind)}
    named = {NAMES_BEFORE.get(key, key): value for key, value in content.items()}
    known = {key: value for key, value in named.items() if key in names}
    hints = get_type_hints(kind)
    for key, value in known.items():
        if not fits(value, hints[key]):
            raise TypeError(f"{key} is {value!r:.40}")
    return known


def by_reason(not_computed: Mapping[str, str]) -> list[tuple[str, str]]:
    """Missing metrics and their reasons, grouped by reason."""
    names: dict[str, list[str]] = {}
    for name, reason in not_computed.items():
        names.setdefault(reason, []).append(name)
    return [(", ".join(own), reason) for reason, own in names.items()]


def package_versions() -> dict[str, str]:
    """Versions of t2igan and of the packages that values depend on."""
    found = {"t2igan": t2igan.__version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def append_record(path: str | Path, record: ResultRecord) -> None:
    """Append a record to a file; safe for several processes at once.

    Raises:
        UserError: the file cannot be written; the error says where the record is kept.
    """
    line = record.to_json()
    try:
        append_line(path, line)
    except UserError as error:
        raise UserError(f"{error}; {_kept(line)}") from error


def _kept(line: str) -> str:
    """Where a record is kept that hours of scoring may have made: a temporary file, or else the message itself."""
    try:
        # Temporary files are often on another disk.
        with tempfile.NamedTemporaryFile("w", prefix="record-", suffix=".jsonl", delete=False) as file:
            file.write(f"{line}\n")
    except OSError:
        return f"the record: {line}"
    return f"the record is kept in {file.name}"


def append_line(path: str | Path, line: str) -> None:
    """Append a line to a file of records atomically; safe for several processes at once.

    Raises:
        UserError: the file cannot be written.
    """
    path = Path(path)
    try:
        make_folder(path.parent)
        with path.open("ab+", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # The record must not continue an incomplete last line.
            start = "\n" if _ends_inside_a_line(file) else ""
            _append_whole(file, f"{start}{line}\n".encode())
    except OSError as error:
        raise UserError(f"{path}: record not written ({error.strerror}): give another --records") from error


def require_writable(path: str | Path) -> None:
    """Check before a long evaluation that its record can be written.

    Raises:
        UserError: the file, or the folder to create it in, is not writable.
    """
    if Path(path).is_dir():
        raise UserError(f"{path} is a folder: give a file, such as --records {Path(path) / 'records.jsonl'}")
    target = Path(path).absolute()
    place = next(place for place in (target, *target.parents) if place.exists())
    try:
        # By writing: what os.access says is not true of every file system, nor of root.
        with target.open("ab") if place == target else tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise UserError(f"{path}: records cannot be written there: give another --records") from error


def _append_whole(file: BinaryIO, content: bytes) -> None:
    """Append all bytes or none: on a full disk a write may end early without an error."""
    before = file.seek(0, os.SEEK_END)
    try:
        while content:
            content = content[file.write(content) :]
        os.fsync(file.fileno())
    except OSError:
        file.truncate(before)
        raise


def _ends_inside_a_line(file: BinaryIO) -> bool:
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return False
    file.seek(size - 1)
    return file.read(1) != b"\n"


def read_records(path: str | Path) -> list[ResultRecord]:
    """Read all valid records of a file; other lines are skipped with a warning.

    Raises:
        UserError: the file is missing, or is not text.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no records there; `t2igan evaluate --records {path} ...` writes them")
    with path.open("rb") as file:
        if b"\0" in file.read(512):  # a power cut may leave zeros at the end of the file
            raise UserError(f"{path}: holds no records; `t2igan evaluate` writes them, in lines of JSON")
    records = []
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            records.append(ResultRecord.from_json(line))
        except ValueError as error:
            warnings.warn(f"{path}, line {number} left out: {error}", stacklevel=2)
    return records
