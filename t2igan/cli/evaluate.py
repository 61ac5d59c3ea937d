"""``t2igan evaluate``: score a checkpoint, a folder of images or real images, and append the records."""

import shlex
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

from rich.console import Console

from t2igan.cli.evaluate_progress import Clocked, told_of
from t2igan.cli.parsing import call
from t2igan.data.store import Store, open_store
from t2igan.errors import UserError
from t2igan.evaluation.evaluation import Evaluation, store_for
from t2igan.evaluation.features.embedders import ScoringDamsm
from t2igan.evaluation.features.networks import NetworkOptions, load_classifier, load_damsms
from t2igan.evaluation.processes import joined, processes
from t2igan.evaluation.protocol import Protocol, load_protocol
from t2igan.evaluation.record import append_record, read_records, require_writable
from t2igan.evaluation.subjects.base import Subject
from t2igan.evaluation.subjects.chosen import checkpoint_of, choice_in
from t2igan.evaluation.subjects.folder import ImageFolder
from t2igan.evaluation.subjects.generated import build_untrained_subject, load_checkpoint_subject
from t2igan.evaluation.subjects.pipeline import PipelineSubject
from t2igan.evaluation.subjects.real import RealImages
from t2igan.evaluation.timing import part
from t2igan.models.suite_module import SELECTED, read_checkpoint
from t2igan.nn.config import allowed_words
from t2igan.ranges import Count, Share, Whole
from t2igan.reporting.leaderboard import boards
from t2igan.reporting.reproduction import of_the_zoo
from t2igan.reporting.tables import rich_table
from t2igan.reporting.wandb_pages import Mode, log_scores
from t2igan.zoo import WEIGHTS, is_zoo_name

LIST_OPTION = "--damsm"
RECORDS, FEATURES = "records.jsonl", "features"
NOTHING = "none"  # value of --records and --cache to keep none

console = Console()


def run(verb: str, argv: Sequence[str]) -> None:
    """Run ``t2igan evaluate`` with the arguments that follow it."""
    call(evaluate_verb, list(repeatable(argv)), verb)


def repeatable(argv: Sequence[str]) -> Iterator[str]:
    """``--damsm A --damsm B`` in the form in which the parser takes a list."""
    wanted = False
    for argument in argv:
        if wanted:
            yield f"{LIST_OPTION}+={argument}"
        elif argument.startswith(f"{LIST_OPTION}="):
            yield argument.replace("=", "+=", 1)
        elif argument != LIST_OPTION:
            yield argument
        wanted = not wanted and argument == LIST_OPTION


def evaluate_verb(
    *,
    protocol: str,
    store: str,
    checkpoint: str | None = None,
    damsm: list[str] = [],  # noqa: B006 (the parser copies it)
    classifier: str | None = None,
    images: str | None = None,
    pattern: str | None = None,
    pipeline: str | None = None,
    real: bool = False,
    untrained: bool = False,
    records: str | None = None,
    batch_size: Count = 64,
    device: str = "auto",
    checkpoints: str = "checkpoints",
    download: bool = True,
    skip_missing: bool = False,
    cache: str | None = None,
    clip: str | None = None,
    encoder: str | None = None,
    segmenter: str | None = None,
    prior: Literal["trained", "none"] = "trained",
    coverage: Share = 1.0,
    seed: Whole = 0,
    bootstrap: Whole = 200,
    once: bool = False,
    timing: bool = False,
    timing_folder: str | None = None,
    wandb: Mode | None = None,
) -> None:
    """Score images under a pinned protocol; each requested subject becomes a row of the table and a record.

    After an interruption the same command continues: computed features are kept in --cache. `torchrun
    --nproc_per_node N -m t2igan evaluate ...` shares the images among N processes and gives the same numbers.

    Args:
        protocol: name of a protocol (`t2igan list protocols`), or a YAML file of your own.
        store: store of the data set (`t2igan prepare` writes it).
        checkpoint: checkpoint of a generator, or the folder of its run: then the best one that it kept, else the
            last.
        damsm: checkpoint or run of a DAMSM for R-precision; may be given several times, first the one that the
            generator was trained against, then independent ones.
        classifier: checkpoint or run of the evaluation classifier.
        images: folder of images generated elsewhere, named after the store's keys.
        pattern: how their names are made, e.g. "{key}_s{sample}" or "{image_id}_{annotation_id}"; default: the
            store's key, perhaps with _c<caption>, _s<stage> and _<pass> behind it.
        pipeline: YAML file of a trecs-lite (keys: tagger, bank, generator, retriever, trace, k, scale); its images
            of the split's narratives are scored.
        real: score real images too.
        untrained: score the checkpoint's network as it was before training, too.
        records: file that the records are appended to; default: records.jsonl in the run's folder; none keeps
            none.
        batch_size: images at a time; changes no number.
        device: auto, cpu, cuda, cuda:1.
        checkpoints: folder of the Inception weights.
        download: whether missing Inception weights may be downloaded.
        skip_missing: skip metrics whose networks are missing, and note it in the record.
        cache: folder where features are cached, so that no image is generated or passed through a network twice
            (Inception: about 12 kB an image); default: the folder features beside the records; none caches nothing.
        clip: folder of a CLIP, as transformers saves it.
        encoder: encoder of SpaText's distances: folder of a CLIP, or checkpoint or run of a SegmentEncoder; another
            one than the generator was conditioned with.
        segmenter: segmenter of local IoU: folder of a semantic segmenter of transformers, or checkpoint or
            run of a Segmenter.
        prior: prior of a SpaText checkpoint; none scores the ablation without prior, on text embeddings themselves.
        coverage: minimum share of the expected images, or narratives, that a folder must contain; scores of an
            incomplete folder are not comparable with those of all images.
        seed: seed of the untrained network's weights.
        bootstrap: replicates of confidence intervals, where the protocol does not say how many; 0 for none. The
            record keeps them, so that `t2igan report --compare` pairs the images of two rows.
        once: skip subjects whose record with the same images, protocol, store and networks exists already.
        timing: print how much time each part took.
        timing_folder: folder where the timing is also written, as <subject>.json and <subject>.png.
        wandb: put the scores into the summary of the run's page at wandb too; offline, for `wandb sync` later.
    """
    pinned = load_protocol(protocol)
    opened = store_for(pinned, open_store(store))
    _require_subject(checkpoint, images or pipeline, real, untrained)
    given, checkpoint = checkpoint, checkpoint and str(checkpoint_of(checkpoint))
    with _records_file(records, checkpoint) as target, joined(device) as own:
        console.quiet = processes()[0] > 0
        if given and checkpoint and given != checkpoint:
            _tell_choice(given, checkpoint)
        generated = _folder(images, pattern, pinned, opened, coverage) if images else None
        damsms = load_damsms(damsm, opened)
        backbone = load_classifier(classifier, opened) if classifier else None
        given_paths = (Path(each) if each else None for each in (clip, encoder, segmenter))
        folders = _cache_folder(cache, target), *given_paths
        given_options = batch_size, own, Path(checkpoints), download, skip_missing
        options = NetworkOptions(*given_options, *folders, bootstrap=bootstrap)
        new_seed = seed if untrained else None
        with_prior = prior == "trained"
        subjects = list(_subjects(pinned, damsms, checkpoint, with_prior, pipeline, generated, real, new_seed))
        parts = [partial(Evaluation, one, pinned, opened, damsms, backbone, options) for one in subjects]
        clocked = Clocked(timing, Path(timing_folder) if timing_folder else None)
        written = _measure(parts, target, once, clocked, wandb)
        if processes()[0]:
            return
        _print_board(target, pinned, opened)
        for line in of_the_zoo(read_records(target)) if checkpoint and is_zoo_name(checkpoint) else ():
            console.print(line, soft_wrap=True, markup=False)
        if records != NOTHING:
            _tell_kept(written, target, options.cache, pinned)


@contextmanager
def _records_file(records: str | None, checkpoint: str | None) -> Iterator[Path]:
    """The file that records are appended to; where none is kept, one that is gone afterwards."""
    if records == NOTHING:
        with tempfile.TemporaryDirectory() as scratch:
            yield Path(scratch) / RECORDS
        return
    target = Path(records) if records else _default_records(checkpoint)
    require_writable(target)
    yield target


def _measure(
    evaluations: Iterable[Callable[[], Evaluation]], target: Path, once: bool, clocked: Clocked, wandb: Mode | None
) -> int:
    """Run each evaluation, append its record, and return their number."""
    before = read_records(target) if once and target.is_file() else []
    written = 0
    with told_of(console) as teller:
        for make in evaluations:
            evaluation = make()
            name = evaluation.subject.card.name
            if evaluation.is_in(before):
                console.print(f"{name}: already in {target}: not measured again", soft_wrap=True, markup=False)
                continue
            with clocked.subject(name, console):
                record = evaluation.run(teller(name))
                with part("writing the record"):
                    if processes()[0] == 0:
                        append_record(target, record)
            if processes()[0] == 0 and wandb is not None:
                log_scores(record, wandb)
            written += 1
    return written


def _cache_folder(cache: str | None, records: Path) -> Path | None:
    if cache == NOTHING:
        return None
    return Path(cache) if cache else records.parent / FEATURES


def _tell_kept(written: int, target: Path, cache: Path | None, protocol: Protocol) -> None:
    """Say what lies where now, and what comes next."""
    console.print(f"wrote {written} record(s) to {target}", soft_wrap=True)
    _print_cache(cache)
    metrics = [word for module in protocol.allow for word in ("--allow", module)]
    shown = shlex.join([str(target), *allowed_words(), *metrics])
    console.print(f"next: t2igan report {shown}", soft_wrap=True, markup=False)


def _print_cache(folder: Path | None) -> None:
    if folder is None or not folder.is_dir():
        return
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    console.print(
        f"features: {size / 1e6:,.1f} MB in {folder}; the next evaluation reuses them; they may be deleted",
        soft_wrap=True,
    )


def _require_subject(checkpoint: str | None, images: str | None, real: bool, untrained: bool) -> None:
    if not (checkpoint or images or real):
        raise UserError("nothing to score: give --checkpoint, --pipeline, --images or --real true")
    if untrained and not checkpoint:
        raise UserError("--untrained needs --checkpoint, whose network is built again with untrained weights")


def _tell_choice(folder: str, checkpoint: str) -> None:
    """Print which checkpoint of a run's folder is used, and why; a folder of exported weights has no other."""
    if Path(checkpoint).name == WEIGHTS:
        return
    selected = read_checkpoint(checkpoint).get(SELECTED)
    why = "the last one; the run kept no best one"
    if selected:
        choice = choice_in(checkpoint, selected)
        why = f"{choice.metric} {choice.value:.4g} at step {choice.step}, selection: {choice.selection}"
    console.print(f"{folder}: takes {checkpoint} ({why})", soft_wrap=True, markup=False, highlight=False)


def _default_records(checkpoint: str | None) -> Path:
    """``records.jsonl`` in the folder of the checkpoint's run, else under ``runs``."""
    folder = Path(checkpoint).parent if checkpoint else None
    if folder is not None and folder.name == "checkpoints":
        return folder.parent / RECORDS
    return Path("runs") / RECORDS


def _subjects(
    protocol: Protocol,
    damsms: Sequence[ScoringDamsm],
    checkpoint: str | None,
    with_prior: bool,
    pipeline: str | None,
    images: ImageFolder | None,
    real: bool,
    untrained_seed: int | None,
) -> Iterator[Subject]:
    if checkpoint:
        yield load_checkpoint_subject(checkpoint, protocol.weights, with_prior)
    if checkpoint and untrained_seed is not None:
        damsm = damsms[0].module if damsms else None
        yield build_untrained_subject(checkpoint, untrained_seed, damsm)
    if pipeline:
        yield PipelineSubject(pipeline, protocol.weights)
    if images:
        yield images
    if real:
        yield RealImages()


def _folder(path: str, pattern: str | None, protocol: Protocol, store: Store, coverage: float) -> ImageFolder:
    folder = ImageFolder(path, store.split(protocol.split), coverage, pattern)
    folder.check(protocol, store)  # fail before anything is measured
    console.print(f"{path}: {folder.content.summary()}", soft_wrap=True)
    for missing in folder.content.missing:
        console.print(f"missing: {missing}", soft_wrap=True, highlight=False)
    for unexpected in folder.content.unexpected:
        console.print(f"not scored, because they belong to no image of the split: {unexpected}", soft_wrap=True)
    return folder


def _print_board(path: Path, protocol: Protocol, store: Store) -> None:
    """Print all records of the file that are comparable with the new ones."""
    comparable = [
        record
        for record in read_records(path)
        if (record.protocol_hash, record.fingerprint) == (protocol.hash, store.fingerprint)
    ]
    for board in boards(comparable):
        console.print(rich_table(board, console.width))
        for note in board.footnotes:
            console.print(note, soft_wrap=True, markup=False)
