"""One subject under one protocol: a single pass over its pictures feeds all metrics."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import distributed

from t2igan.data.store import Store
from t2igan.errors import UserError
from t2igan.evaluation.generate import batches
from t2igan.evaluation.plan import Plan, share
from t2igan.evaluation.protocol import FID, FDClassifier, ISClassifier, Protocol, RPrecision
from t2igan.evaluation.record import MetricValue, ResultRecord
from t2igan.evaluation.scorers import BackboneScorer, Judge, MatchingScorer, Scorer
from t2igan.evaluation.subjects import RealImages, Subject, real_images
from t2igan.metrics.backbones import Backbone, InceptionBackbone
from t2igan.models.classifier import ClassifierBackbone

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Options:
    """What may change without changing a number.

    Attributes:
        batch_size: pictures at a time.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ...
        weights_folder: where Inception weights are looked for.
        download: whether the net may be asked for them.
        skip_missing: leave out metrics whose networks are not there, and say so in the record.
    """

    batch_size: int = 64
    device: str = "auto"
    weights_folder: Path = Path("checkpoints")
    download: bool = True
    skip_missing: bool = False


def evaluate(
    subject: Subject,
    protocol: Protocol,
    store: Store,
    judges: Sequence[Judge] = (),
    classifier: ClassifierBackbone | None = None,
    options: Options | None = None,
    progress: Progress | None = None,
) -> ResultRecord:
    """Score a subject.

    Where ``torch.distributed`` is initialised, each process takes its range of the pictures and all get the record.

    Args:
        subject: what is scored.
        protocol: how.
        store: the data set.
        judges: DAMSMs; the first is the one that was trained against, the others are independent.
        classifier: backbone of the evaluation classifier.
        options: what does not change the numbers.
        progress: is told (stage, done, total).

    Raises:
        UserError: something is missing or does not fit together.
    """
    options, begin = options or Options(), time.monotonic()
    device = choose_device(options.device)
    _check(protocol, store, options)
    subject.check(protocol, store)
    networks, not_computed = _networks(subject, protocol, judges, classifier, options)
    split = store.split(protocol.split)
    plan = subject.plan(protocol, split)
    scorers, backbones = _scorers(subject, protocol, store, plan, networks, device)
    # Reduced-precision convolutions would let the batch size into the numbers.
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
        n_real = _feed_reference(scorers, protocol, store, options.batch_size, device, progress)
        _feed_pictures(scorers, subject, protocol, store, plan, options.batch_size, device, progress)
        metrics = _compute(scorers)
    return ResultRecord(
        subject=subject.card,
        metrics=metrics,
        not_computed=not_computed,
        protocol=protocol.name,
        protocol_hash=protocol.hash,
        dataset=store.name,
        fingerprint=store.fingerprint,
        n_real=n_real,
        n_generated=len(plan),
        backbones=backbones,
        damsm={judge.label: judge.sha256 for judge in judges},
        seed=protocol.noise_seed,
        device=device_name(device),
        seconds=round(time.monotonic() - begin, 3),
        notes=list(subject.notes),
    )


def choose_device(name: str) -> torch.device:
    """The device of a name; ``auto`` is the GPU where there is one.

    Raises:
        UserError: there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device: {name} is not there; take auto or cpu") from error
    return device


def device_name(device: torch.device) -> str:
    """For the record."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def _check(protocol: Protocol, store: Store, options: Options) -> None:
    if store.name != protocol.dataset:
        raise UserError(
            f"{store.path}: holds {store.name!r}, protocol {protocol.name} is for {protocol.dataset!r}: "
            "choose another protocol or store"
        )
    if store.image_size < protocol.image_size:
        raise UserError(
            f"{store.path}: prepared at {store.image_size} px, {protocol.name} needs {protocol.image_size} px: "
            f"prepare it with --image_size {protocol.image_size}"
        )
    if options.batch_size < 1:
        raise UserError(f"--batch_size: {options.batch_size} is below 1")


@dataclass
class _Networks:
    inception: Backbone | None = None
    frechet_classifier: ClassifierBackbone | None = None
    score_classifier: ClassifierBackbone | None = None
    judges: Sequence[Judge] = ()


def _networks(
    subject: Subject,
    protocol: Protocol,
    judges: Sequence[Judge],
    classifier: ClassifierBackbone | None,
    options: Options,
) -> tuple[_Networks, dict[str, str]]:
    """The networks that the protocol's metrics need, and why a metric cannot be computed.

    Raises:
        UserError: naming everything that is missing at once, unless metrics may be left out.
    """
    networks, impossible, missing = _Networks(), {}, {}
    for spec in protocol.metrics:
        reason = _impossible(spec, subject, protocol)
        if reason:
            impossible[spec.name] = reason
        elif isinstance(spec, FID):
            try:
                networks.inception = InceptionBackbone(
                    spec.flavour, folder=options.weights_folder, download=options.download
                )
            except UserError as error:
                missing[spec.name] = str(error)
        elif isinstance(spec, FDClassifier | ISClassifier) and classifier is None:
            missing[spec.name] = (
                "no evaluation classifier: train one with a classifier.yaml and give --classifier"
            )
        elif isinstance(spec, FDClassifier):
            networks.frechet_classifier = classifier
        elif isinstance(spec, ISClassifier):
            networks.score_classifier = classifier
        elif judges:
            networks.judges = judges
        else:
            missing[spec.name] = "no DAMSM: train one with a damsm.yaml and give --damsm"
    if missing and not options.skip_missing:
        lines = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
        raise UserError(
            f"{protocol.name} needs what is not there (--skip_missing true leaves it out): {lines}"
        )
    if len(impossible) + len(missing) == len(protocol.metrics):
        reasons = "; ".join(f"{name}: {reason}" for name, reason in (impossible | missing).items())
        raise UserError(f"no metric of protocol {protocol.name} can be computed: {reasons}")
    return networks, impossible | missing


def _impossible(spec: object, subject: Subject, protocol: Protocol) -> str:
    """Why a metric makes no sense for a subject, or an empty string."""
    if (
        isinstance(spec, FID | FDClassifier)
        and isinstance(subject, RealImages)
        and protocol.reference == "whole"
    ):
        return "the reference is these very images; a protocol with `reference: halves` has this row"
    if isinstance(spec, RPrecision) and not subject.knows_captions:
        return "the file names do not tell the captions; name files <key>_c<number of the caption>"
    if isinstance(spec, RPrecision) and spec.source == "float" and not subject.has_floats:
        return "the protocol ranks pictures before quantisation, which these have not"
    return ""


def _scorers(
    subject: Subject,
    protocol: Protocol,
    store: Store,
    plan: Plan,
    networks: _Networks,
    device: torch.device,
) -> tuple[list[Scorer], dict[str, str]]:
    """Scorers, and the backbones' sha256 by name."""
    split = store.split(protocol.split)
    distinct = subject.distinct(plan, split)
    specs = {type(spec): spec for spec in protocol.metrics}
    scorers: list[Scorer] = []
    if networks.inception is not None:
        scorers.append(BackboneScorer(networks.inception.to(device), FID.name, None, distinct, device))
    classifier = networks.frechet_classifier or networks.score_classifier
    if classifier is not None:
        frechet = FDClassifier.name if networks.frechet_classifier else None
        score = specs[ISClassifier] if networks.score_classifier else None
        scorers.append(BackboneScorer(classifier.to(device), frechet, score, distinct, device))
    backbones = {scorer.backbone.name: scorer.backbone.sha256 for scorer in scorers}
    for judge in networks.judges:
        scorers.append(MatchingScorer(judge, specs[RPrecision], protocol, split, plan, device))
    return scorers, backbones


def _processes() -> tuple[int, int]:
    """Rank and number of processes."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def _feed_reference(
    scorers: list[Scorer],
    protocol: Protocol,
    store: Store,
    batch_size: int,
    device: torch.device,
    progress: Progress | None,
) -> int:
    """Show the reference to the scorers that want one; how many images it has."""
    if not any(isinstance(scorer, BackboneScorer) and scorer.frechet_name for scorer in scorers):
        return 0
    split = store.split(protocol.split)
    images = range(0, len(split), 2 if protocol.reference == "halves" else 1)
    own = share(len(images), *_processes())
    for batch in batches(own, batch_size):
        captions = [split.captions_of(images[int(number)]).start for number in batch]
        pixels = real_images(store, protocol, captions, device)
        for scorer in scorers:
            scorer.add_reference(pixels)
        if progress:
            progress("reference images", int(batch[-1]) + 1 - own.start, len(own))
    return len(images)


def _feed_pictures(
    scorers: list[Scorer],
    subject: Subject,
    protocol: Protocol,
    store: Store,
    plan: Plan,
    batch_size: int,
    device: torch.device,
    progress: Progress | None,
) -> None:
    own, done = share(len(plan), *_processes()), 0
    for pictures in subject.pictures(protocol, store, plan, own, batch_size, device):
        for scorer in scorers:
            scorer.add(pictures)
        done += len(pictures)
        if progress:
            progress("pictures", done, len(own))


def _compute(scorers: list[Scorer]) -> dict[str, MetricValue]:
    found: dict[str, MetricValue] = {}
    for scorer in scorers:
        found |= scorer.values()
    return found
