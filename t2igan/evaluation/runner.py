"""One subject under one protocol: a single pass over its pictures feeds all metrics."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial

import numpy as np
import torch

from t2igan.data.store import Store
from t2igan.errors import UserError
from t2igan.evaluation.assembly import Options, find_networks, make_scorers
from t2igan.evaluation.cache import Shelf
from t2igan.evaluation.costs import DRAWING, charged, part
from t2igan.evaluation.diversity import lpips_diversity
from t2igan.evaluation.embedders import Embedder, Judge
from t2igan.evaluation.environment import environment
from t2igan.evaluation.feeding import Feed, feed
from t2igan.evaluation.generate import Pictures, batches
from t2igan.evaluation.metric_specs import LPIPSDiversity
from t2igan.evaluation.plan import Plan
from t2igan.evaluation.protocol import Protocol
from t2igan.evaluation.record import ResultRecord, package_versions
from t2igan.evaluation.reference import Reference
from t2igan.evaluation.scorers import Scorer, Values
from t2igan.evaluation.subjects import RealImages, Subject
from t2igan.metrics.lpips import LpipsNetwork
from t2igan.models.classifier import ClassifierBackbone

Progress = Callable[[str, int, int], None]


class Evaluation:
    """A subject under a protocol, with the networks that score it: checked, and ready to run.

    Where ``torch.distributed`` is initialised, each process takes its range of the pictures and all get the record.

    Args:
        subject: what is scored.
        protocol: how.
        store: the data set.
        judges: DAMSMs; the first is the one that was trained against, the others are independent.
        classifier: backbone of the evaluation classifier.
        options: what does not change the numbers.

    Raises:
        UserError: something is missing or does not fit together.
    """

    def __init__(
        self,
        subject: Subject,
        protocol: Protocol,
        store: Store,
        judges: Sequence[Judge] = (),
        classifier: ClassifierBackbone | None = None,
        options: Options | None = None,
    ) -> None:
        self.subject, self.protocol, self.store, self.judges = subject, protocol, store, judges
        self.options = options or Options()
        self.device = choose_device(self.options.device)
        _check(protocol, store, self.options)
        subject.check(protocol, store)
        self.networks = find_networks(subject, protocol, judges, classifier, self.options, self.device)

    def is_in(self, records: Iterable[ResultRecord]) -> bool:
        """Whether one of the records is what :meth:`run` would measure: same pictures, protocol, store and judges.

        A record that more networks have judged counts too; one that was edited does not.
        """
        card, backbones, damsm = self.subject.card, self.networks.sha256, [one.sha256 for one in self.judges]
        return any(
            record.integrity != "edited"
            and record.subject.same_pictures(card)
            and (record.protocol_hash, record.fingerprint) == (self.protocol.hash, self.store.fingerprint)
            and list(record.damsm.values()) == damsm
            and backbones.items() <= record.backbones.items()
            for record in records
        )

    def run(self, progress: Progress | None = None) -> ResultRecord:
        """Score.

        Args:
            progress: is told (stage, done, total).

        Raises:
            UserError: nothing could be computed.
        """
        begin = time.monotonic()
        subject, protocol, store, options = self.subject, self.protocol, self.store, self.options
        networks, device = self.networks, self.device
        plan = subject.plan(protocol, store.split(protocol.split))
        # Reduced-precision convolutions would let the batch size into the numbers.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            scorers = make_scorers(networks, subject, protocol, store, plan, device)
            n_real = _feed_reference(scorers, protocol, store, options, device, progress)
            _feed_pictures(scorers, subject, protocol, store, plan, options, device, progress)
            metrics, failed = _compute(scorers, protocol)
            if networks.lpips is not None:
                spec = next(spec for spec in protocol.metrics if isinstance(spec, LPIPSDiversity))
                shelf = _diversity_shelf(options, _picture_content(subject, protocol, store), networks.lpips, spec)
                metrics[spec.name] = lpips_diversity(
                    subject,
                    spec,
                    protocol,
                    store,
                    plan,
                    networks.lpips,
                    options.batch_size,
                    device,
                    shelf,
                    progress,
                )
        return ResultRecord(
            subject=subject.card,
            metrics=metrics,
            not_computed=networks.not_computed | failed,
            protocol=protocol.name,
            protocol_hash=protocol.hash,
            dataset=store.name,
            fingerprint=store.fingerprint,
            n_real=n_real,
            n_generated=len(plan),
            n_split=len(store.split(protocol.split)),
            backbones=networks.sha256,
            damsm={judge.label: judge.sha256 for judge in self.judges},
            damsm_origin={judge.label: judge.origin for judge in self.judges if judge.origin},
            seed=protocol.noise_seed,
            device=device_name(device),
            seconds=round(time.monotonic() - begin, 3),
            notes=[*subject.notes, *(note for scorer in scorers for note in scorer.notes)],
            protocol_content=protocol.content,
            environment=asdict(environment()),
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


def _feed_reference(
    scorers: Sequence[Scorer],
    protocol: Protocol,
    store: Store,
    options: Options,
    device: torch.device,
    progress: Progress | None,
) -> int:
    """Show the reference to the scorers that want one; how many images it has."""
    wanting = [scorer for scorer in scorers if scorer.wants_reference]
    if not wanting:
        return 0
    reference = Reference(store, protocol)
    numbers = np.arange(len(reference))
    everything = np.ones(len(reference), bool)
    feeds = [
        Feed(
            embedder, everything, [one.add_reference for one in own], _shelf(options, reference.identity, embedder)
        )
        for embedder, own in _by_embedder(wanting)
    ]

    def read(own: Sequence[int]) -> Iterator[Pictures]:
        for batch in batches(own, options.batch_size):
            with part("reading the reference"):
                images = reference.images(batch, device)
            yield Pictures(torch.from_numpy(batch), images)

    ids = np.stack([np.full_like(numbers, -1), numbers], axis=1)
    feed(feeds, ids, read, device, partial(progress, "reference images") if progress else None)
    return len(reference)


def _feed_pictures(
    scorers: Sequence[Scorer],
    subject: Subject,
    protocol: Protocol,
    store: Store,
    plan: Plan,
    options: Options,
    device: torch.device,
    progress: Progress | None,
) -> None:
    content = _picture_content(subject, protocol, store)
    feeds = [
        Feed(
            embedder,
            np.any([one.wanted for one in own], axis=0),
            [partial(_take_wanted, one) for one in own],
            _shelf(options, content, embedder),
        )
        for embedder, own in _by_embedder(scorers)
    ]

    def draw(own: Sequence[int]) -> Iterator[Pictures]:
        yield from charged(DRAWING, subject.pictures(protocol, store, plan, own, options.batch_size, device))

    feed(feeds, picture_ids(plan), draw, device, partial(progress, "pictures") if progress else None)


def _take_wanted(scorer: Scorer, numbers: torch.Tensor, rows: tuple[torch.Tensor, ...]) -> None:
    mask = torch.from_numpy(scorer.wanted)[numbers]
    if mask.any():
        scorer.add(numbers[mask], tuple(column[mask.to(column.device)] for column in rows))


def picture_ids(plan: Plan) -> np.ndarray:
    """What tells the pictures of one subject apart, int64 (N, 2).

    Caption and draw, so that protocols which choose captions in different ways share what they have in common.
    """
    return np.stack([plan.captions, plan.draws], axis=1)


def _by_embedder(scorers: Sequence[Scorer]) -> list[tuple[Embedder, list[Scorer]]]:
    groups: dict[int, tuple[Embedder, list[Scorer]]] = {}
    for scorer in scorers:
        groups.setdefault(id(scorer.embedder), (scorer.embedder, []))[1].append(scorer)
    return list(groups.values())


def _picture_content(subject: Subject, protocol: Protocol, store: Store) -> list[object] | None:
    """What pictures depend on, None where that has no name."""
    card = subject.card
    what = "real" if isinstance(subject, RealImages) else card.sha256
    return None if what is None else [card.kind, what, store.fingerprint, protocol.drawing]


def _shelf(options: Options, content: object, embedder: Embedder) -> Shelf | None:
    if options.cache is None or content is None:
        return None
    return Shelf(options.cache, {"pictures": content, "network": embedder.identity, "versions": package_versions()})


def _diversity_shelf(
    options: Options, content: object, network: LpipsNetwork, spec: LPIPSDiversity
) -> Shelf | None:
    if options.cache is None or content is None:
        return None
    seen = ["lpips-diversity", network.sha256, spec.samples]
    return Shelf(options.cache, {"pictures": content, "network": seen, "versions": package_versions()})


def _compute(scorers: Sequence[Scorer], protocol: Protocol) -> Values:
    found, failed = {}, {}
    for scorer in scorers:
        values, reasons = scorer.values()
        found |= values
        failed |= reasons
    if failed and not found:
        lines = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise UserError(f"no metric of protocol {protocol.name} could be computed: {lines}")
    return found, failed
