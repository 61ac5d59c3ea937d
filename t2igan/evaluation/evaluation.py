"""Evaluate one subject under one protocol, with a single pass over its images for all metrics."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial

import numpy as np
import torch

from t2igan.data.requirements import refuse_lack
from t2igan.data.selection import NarrativesAsCaptions, Numbers
from t2igan.data.store import Store
from t2igan.errors import UserError
from t2igan.evaluation.environment import environment
from t2igan.evaluation.features.cache import shelf_for
from t2igan.evaluation.features.embedders import Embedder, Rows, ScoringDamsm
from t2igan.evaluation.features.feeding import Feed, feed
from t2igan.evaluation.features.networks import NetworkOptions, Supply
from t2igan.evaluation.features.reference import Reference
from t2igan.evaluation.images.generate import NumberedImages, batches
from t2igan.evaluation.metrics import ScoredMetric
from t2igan.evaluation.protocol import Protocol
from t2igan.evaluation.record import MetricValue, ResultRecord, by_reason
from t2igan.evaluation.scorers.base import Progress, Scorer, Setting
from t2igan.evaluation.subjects.base import Subject
from t2igan.evaluation.timing import DRAWING, charged, part
from t2igan.models.classifier import ClassifierBackbone


class Evaluation:
    """A subject, a protocol and the scoring networks, checked and ready to run.

    With ``torch.distributed`` initialised, each process takes its range of the images and all return the record.

    Args:
        subject: source of the images.
        protocol: the evaluation protocol.
        store: store of the data set.
        damsms: DAMSMs for R-precision; the generator was trained against the first, the others are independent.
        classifier: backbone of the evaluation classifier.
        options: options that do not change the values.

    Attributes:
        not_computed: reasons of omitted metrics, by name.

    Raises:
        UserError: something is missing or does not fit together.
    """

    def __init__(
        self,
        subject: Subject,
        protocol: Protocol,
        store: Store,
        damsms: Sequence[ScoringDamsm] = (),
        classifier: ClassifierBackbone | None = None,
        options: NetworkOptions | None = None,
    ) -> None:
        self.subject, self.protocol, self.store, self.damsms = subject, protocol, store, damsms
        self.options = options or NetworkOptions()
        self.device = choose_device(self.options.device)
        _check(protocol, store, self.options)
        subject.check(protocol, store)
        self._supply = Supply(damsms, classifier, self.options, self.device)
        self._found, self.not_computed = _find_networks(subject, protocol, self._supply, self.options)

    def is_in(self, records: Iterable[ResultRecord]) -> bool:
        """Whether one of the records is that of :meth:`run`: same images, protocol, store and networks.

        A record with additional networks counts too; an edited one does not.
        """
        card, backbones, damsm = self.subject.card, self._supply.sha256, [one.sha256 for one in self.damsms]
        return any(
            record.integrity != "edited"
            and record.subject.same_images(card)
            and (record.protocol_hash, record.fingerprint) == (self.protocol.hash, self.store.fingerprint)
            and list(record.damsm.values()) == damsm
            and backbones.items() <= record.backbones.items()
            for record in records
        )

    def run(self, progress: Progress | None = None) -> ResultRecord:
        """Compute all metrics and return the record.

        Args:
            progress: called with (stage, done, total).

        Raises:
            UserError: nothing could be computed.
        """
        begin = time.monotonic()
        subject, protocol, store = self.subject, self.protocol, self.store
        split = store.split(protocol.split)
        plan = subject.plan(protocol, split)
        distinct, ways = subject.distinct(plan, split), (self._supply, self.options, self.device, progress)
        setting = Setting(subject, protocol, store, plan, distinct, *ways)
        # With reduced-precision convolutions the numbers would depend on the batch size.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            scorers = [spec.scorer(embedder, setting) for spec, own in self._found for embedder in own]
            n_real = _feed_reference(scorers, setting)
            _feed_images(scorers, setting)
            metrics, failed = _compute(scorers, protocol)
        return ResultRecord(
            subject=subject.card,
            metrics=metrics,
            not_computed=self.not_computed | failed,
            protocol=protocol.name,
            protocol_hash=protocol.hash,
            dataset=store.name,
            fingerprint=store.fingerprint,
            n_real=n_real,
            n_generated=len(plan),
            n_split=len(split),
            backbones=dict(self._supply.sha256),
            damsm={damsm.label: damsm.sha256 for damsm in self.damsms},
            damsm_origin={damsm.label: damsm.origin for damsm in self.damsms if damsm.origin},
            seed=protocol.noise_seed,
            device=device_name(self.device),
            seconds=round(time.monotonic() - begin, 3),
            notes=[*subject.notes, *(note for scorer in scorers for note in scorer.notes)],
            protocol_content=protocol.content,
            environment=asdict(environment(protocol)),
        )


def store_for(protocol: Protocol, store: Store) -> Store:
    """The store, or its view with narratives as captions if the protocol asks for that.

    Raises:
        UserError: the store has no narratives.
    """
    if protocol.told == "captions":
        return store
    refuse_lack({protocol.told}, store.holds, f"protocol {protocol.name}", f"{store.path} ({store.name})")
    return NarrativesAsCaptions(store)


def choose_device(name: str) -> torch.device:
    """Convert a device name; ``auto`` selects the GPU if there is one.

    Raises:
        UserError: the device does not exist.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device: {name} is not available; use auto or cpu") from error
    return device


def device_name(device: torch.device) -> str:
    """Name of the device for the record."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def _check(protocol: Protocol, store: Store, options: NetworkOptions) -> None:
    if store.name != protocol.dataset:
        raise UserError(
            f"{store.path}: holds {store.name!r}, protocol {protocol.name} is for {protocol.dataset!r}: "
            "choose another protocol or store"
        )
    if (protocol.told == "narratives") != store.split(protocol.split).narrated:
        raise UserError(
            f"{protocol.name} is for {protocol.told}: set data.init_args.captions: {protocol.told}, or choose "
            "another protocol"
        )
    if store.image_size < protocol.image_size:
        raise UserError(
            f"{store.path}: prepared at {store.image_size} px, {protocol.name} needs {protocol.image_size} px: "
            f"prepare it with --image_size {protocol.image_size}"
        )
    if options.batch_size < 1:
        raise UserError(f"--batch_size: {options.batch_size} is below 1")


def _find_networks(
    subject: Subject, protocol: Protocol, supply: Supply, options: NetworkOptions
) -> tuple[list[tuple[ScoredMetric, Sequence[Embedder]]], dict[str, str]]:
    """The networks of each computable metric, and the reasons of the others, by name.

    Raises:
        UserError: lists everything that is missing, unless metrics may be skipped; or no metric is left.
    """
    found: list[tuple[ScoredMetric, Sequence[Embedder]]] = []
    not_computed, missing = {}, {}
    for spec in protocol.metrics:
        obstacle = spec.obstacle(subject, protocol)
        if obstacle:
            not_computed[spec.name] = obstacle
            continue
        try:
            found.append((spec, spec.find(supply)))
        except UserError as error:
            missing[spec.name] = str(error)
    if missing and not options.skip_missing:
        lines = _in_words(missing)
        raise UserError(f"{protocol.name}: networks are missing ({options.remedy} skips their metrics): {lines}")
    not_computed |= missing
    if not found:
        raise UserError(f"no metric of protocol {protocol.name} can be computed: {_in_words(not_computed)}")
    return found, not_computed


def _in_words(missing: dict[str, str]) -> str:
    return "; ".join(f"{names}: {reason}" for names, reason in by_reason(missing))


def _feed_reference(scorers: Sequence[Scorer], setting: Setting) -> int:
    """Feed the reference images to the scorers that need them; returns their number."""
    wanting = [scorer for scorer in scorers if scorer.wants_reference]
    if not wanting:
        return 0
    reference = Reference(setting.store, setting.protocol)
    numbers, everything = np.arange(len(reference)), np.ones(len(reference), bool)
    feeds = [
        Feed(
            embedder,
            everything,
            [one.add_reference for one in own],
            shelf_for(setting.options.cache, reference.identity, embedder.identity),
        )
        for embedder, own in _by_embedder(wanting)
    ]

    def read(own: Numbers) -> Iterator[NumberedImages]:
        for batch in batches(own, setting.options.batch_size):
            with part("reading the reference"):
                images = reference.images(batch, setting.device)
            yield NumberedImages(torch.from_numpy(batch), images)

    ids = np.stack([np.full_like(numbers, -1), numbers], axis=1)
    feed(feeds, ids, read, setting.device, _told(setting, "reference images"))
    return len(reference)


def _feed_images(scorers: Sequence[Scorer], setting: Setting) -> None:
    content = setting.subject.address(setting.protocol, setting.store)
    feeds = [
        Feed(
            embedder,
            np.any([one.wanted for one in own], axis=0),
            [partial(_take_wanted, one) for one in own],
            shelf_for(setting.options.cache, content, embedder.identity),
        )
        for embedder, own in _by_embedder([scorer for scorer in scorers if scorer.wanted.any()])
    ]

    def draw(own: Numbers) -> Iterator[NumberedImages]:
        how = setting.protocol, setting.store, setting.plan, own, setting.options.batch_size, setting.device
        yield from charged(DRAWING, setting.subject.images(*how))

    feed(feeds, setting.plan.ids, draw, setting.device, _told(setting, "images"))


def _told(setting: Setting, stage: str) -> partial[None] | None:
    return partial(setting.progress, stage) if setting.progress else None


def _take_wanted(scorer: Scorer, numbers: torch.Tensor, rows: Rows) -> None:
    mask = torch.from_numpy(scorer.wanted)[numbers]
    if mask.all():
        scorer.add(numbers, rows)  # not copied: all scorers of a network share these rows
    elif mask.any():
        scorer.add(numbers[mask], tuple(column[mask.to(column.device)] for column in rows))


def _by_embedder(scorers: Sequence[Scorer]) -> list[tuple[Embedder, list[Scorer]]]:
    groups: dict[int, tuple[Embedder, list[Scorer]]] = {}
    for scorer in scorers:
        groups.setdefault(id(scorer.embedder), (scorer.embedder, []))[1].append(scorer)
    return list(groups.values())


def _compute(scorers: Sequence[Scorer], protocol: Protocol) -> tuple[dict[str, MetricValue], dict[str, str]]:
    found: dict[str, MetricValue] = {}
    failed: dict[str, str] = {}
    for scorer in scorers:
        try:
            found |= scorer.values()
        except UserError as error:
            failed[scorer.title] = str(error)
    if failed and not found:
        lines = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise UserError(f"no metric of protocol {protocol.name} could be computed: {lines}")
    return found, failed
