"""``t2igan refine``: derive word labels from traces and gold maps, as training data of a tagger."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console
from rich.table import Table

from t2igan.cli.parsing import call
from t2igan.data.store import open_store
from t2igan.errors import UserError
from t2igan.evaluation.images.gallery import Gallery, join_tags
from t2igan.evaluation.record import require_writable
from t2igan.evaluation.step_record import StepRecord
from t2igan.files import make_folder, write_whole
from t2igan.layout.hulls import noisy_labels
from t2igan.layout.labels import COCO_STUFF
from t2igan.layout.narratives import Narrative, read_tagged
from t2igan.metrics.tagging import tagging_quality
from t2igan.ranges import Count, Positive
from t2igan.shipped import EXPERIMENTS, known_experiment
from t2igan.text.refining import refine, shown_labels
from t2igan.text.tagging import SHARPENING

console = Console()


def run(verb: str, argv: Sequence[str]) -> None:
    """Run ``t2igan refine`` with the arguments that follow it."""
    call(refine_verb, argv, verb)


def refine_verb(
    *,
    store: str,
    out: str,
    subset: Literal["train", "test"] = "train",
    exponent: Positive = 1.0,
    rounds: Count = 10,
    tags: str | None = None,
    records: str = "runs/steps.jsonl",
) -> None:
    """Label every word: by the classes below the hull of its trace, then by IBM model 1 and the constrained HMM.

    Args:
        store: with layouts and narratives.
        out: beginning of the files <out>.ids.txt, .words.txt and .cleaned_tags.txt, as TReCS's are.
        subset: split whose narratives are labelled.
        exponent: exponent of the transitions between labels. TReCS gives 10, with which our reading of its formula
            leaves most narratives a single label; see docs/narratives.md.
        rounds: rounds of IBM model 1.
        tags: path prefix of such files with true labels, which the result is compared with.
        records: file that the records are appended to.
    """
    require_writable(records)
    opened = open_store(store)
    gallery = Gallery(opened, subset, opened.image_size)
    told = [(narrative, place) for place in range(len(gallery)) for narrative in gallery.narratives(place)]
    maps = {place: gallery[place].labels for _, place in told}
    narratives = [narrative for narrative, _ in told]
    if untraced := next((each.key for each in narratives if not each.traces), None):
        raise UserError(f"{store}: narrative {untraced} has no trace")
    noisy = [noisy_labels(narrative, maps[place]) for narrative, place in told]
    shown = [shown_labels(maps[place]) for _, place in told]
    words = [each.words for each in narratives]
    rows = {"hull of the trace": [tuple(COCO_STUFF.names[value] for value in row) for row in noisy]}
    for power in dict.fromkeys((exponent, SHARPENING)):
        rows[f"refined, exponent {power:g}"] = refine(words, noisy, shown, rounds=rounds, exponent=power)
    if tags is not None:
        _score(rows, narratives, tags, Path(records), opened.name, opened.fingerprint)
    _write(Path(out), narratives, rows[f"refined, exponent {exponent:g}"])
    console.print(f"wrote {out}.ids.txt, .words.txt and .cleaned_tags.txt: {len(told)} narratives", soft_wrap=True)
    console.print(f"next: t2igan fit --config {_tagger_for(opened.name)} --data.files {out}", soft_wrap=True)


def _tagger_for(dataset: str) -> str:
    """The shipped experiment of a data set's tagger; COCO's of any other's."""
    own = f"{dataset}/trecs-tagger"
    return f"{EXPERIMENTS}/{own if known_experiment(own) else 'coco/trecs-tagger'}.yaml"


def _score(
    rows: dict[str, list[tuple[str, ...]]],
    narratives: Sequence[Narrative],
    tags: str,
    records: Path,
    dataset: str,
    fingerprint: str,
) -> None:
    """Compare labels with the true ones."""
    joined, without = join_tags(narratives, read_tagged(tags))
    kept = [place for place, each in enumerate(joined) if each.tags is not None]
    if not kept:
        raise UserError(f"--tags: {tags} has labels of none of these narratives")
    if without:
        console.print(f"not scored: {without} narratives, for which {tags} has no matching labels")
    values = {name: value for value, name in enumerate(COCO_STUFF.names)}
    true = [np.array([values[tag] for tag in joined[place].tags or ()]) for place in kept]
    every = [np.ones(len(row), bool) for row in true]
    table = Table(
        "labels", "token accuracy", "macro F1", "boundary F1", "set Jaccard", title=f"{len(kept)} narratives"
    )
    for name, row in rows.items():
        guess = [np.array([values[tag] for tag in row[place]]) for place in kept]
        quality = tagging_quality(guess, true, every).as_dict()
        del quality["content_accuracy"]  # every word has a label here, so this equals the token accuracy
        table.add_row(name, *(f"{value:.3f}" for value in quality.values()))
        words, options = sum(map(len, true)), {"tags": tags}
        StepRecord("tag", name, quality, words, dataset, fingerprint, options=options).append(records)
    console.print(table)


def _write(prefix: Path, narratives: Sequence[Narrative], tags: Sequence[Sequence[str]]) -> None:
    """Write the files that :func:`t2igan.layout.narratives.read_tagged` reads."""
    columns = {
        "ids": [each.key for each in narratives],
        "words": [" ".join(each.words) for each in narratives],
        "cleaned_tags": [" ".join(row) for row in tags],
    }
    make_folder(prefix.parent)
    for kind, lines in columns.items():
        write_whole(Path(f"{prefix}.{kind}.txt"), "".join(f"{line}\n" for line in lines).encode())
