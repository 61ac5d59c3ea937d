"""``t2igan retrieve``: recall of text-to-image retrieval."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console
from rich.table import Table

from t2igan.cli.next_step import composing, line_of
from t2igan.cli.parsing import call
from t2igan.data.store import open_store
from t2igan.evaluation.images.gallery import Gallery, released_narratives
from t2igan.evaluation.record import require_writable
from t2igan.evaluation.step_record import StepRecord
from t2igan.evaluation.subjects.pipeline import TFIDF, load_retriever
from t2igan.layout.retrieval import TfidfIndex, recall_at

Texts = list[list[str]]

console = Console()


def run(verb: str, argv: Sequence[str]) -> None:
    """Run ``t2igan retrieve`` with the arguments that follow it."""
    call(retrieve_verb, argv, verb)


def retrieve_verb(
    *,
    store: str,
    retriever: str = "tfidf",
    subset: Literal["train", "test"] = "test",
    narratives: str | None = None,
    records: str = "runs/steps.jsonl",
) -> None:
    """Measure Recall@1, @5 and @10 of images by captions and by narratives.

    tf-idf represents an image by its captions (without the querying one), a dual encoder by its pixels.

    Args:
        store: store of the data set.
        retriever: tfidf, the checkpoint or run of a DAMSM, or the folder of a CLIP.
        subset: split whose images are searched.
        narratives: beginning of the files <narratives>.ids.txt and .words.txt, whose image ids are COCO's; default:
            the store's own narratives, where it has any.
        records: file that the records are appended to.
    """
    require_writable(records)
    opened = open_store(store)
    gallery = Gallery(opened, subset, opened.image_size, needs=())
    captions = [gallery.captions(place) for place in range(len(gallery))]
    asked = {"first captions": ([own[0] for own in captions], np.arange(len(captions)))}
    told, targets = _narratives(gallery, narratives)
    if told:
        asked["narratives"] = told, targets
    encoded, sha256 = (None, "") if retriever == TFIDF else load_retriever(retriever, gallery)
    table = Table(
        "queries", "n", "images", "recall@1", "recall@5", "recall@10", title=f"{retriever}, {subset} images"
    )
    for name, (queries, right) in asked.items():
        if encoded is None:
            documents = [own[1:] if name == "first captions" else own for own in captions]
            scores = TfidfIndex([[word for text in own for word in text] for own in documents]).scores(queries)
        else:
            scores = encoded.scores(queries)
        values = recall_at(scores, right)
        table.add_row(name, str(len(queries)), str(len(gallery)), *(f"{value:.3f}" for value in values.values()))
        source = {"retriever": Path(retriever).name, "narratives": narratives}
        options = {**source, "split": subset, "images": len(gallery)}
        parts = {"retriever": sha256} if sha256 else {}
        record = StepRecord("retrieve", name, values, len(queries), opened.name, opened.fingerprint, parts, options)
        record.append(Path(records))
    console.print(table)
    console.print(f"wrote {len(asked)} record(s) to {records}", soft_wrap=True)
    console.print(line_of(composing(opened, retriever)), soft_wrap=True, markup=False)


def _narratives(gallery: Gallery, files: str | None) -> tuple[Texts, np.ndarray]:
    """Words of each narrative, and the index of its image."""
    if files is None:
        found = [(list(told.words), place) for place in range(len(gallery)) for told in gallery.narratives(place)]
    else:
        found = [(list(told.words), place) for place, told in released_narratives(gallery, files)]
    return [words for words, _ in found], np.array([place for _, place in found], np.int64)
