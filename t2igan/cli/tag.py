"""``t2igan tag``: label every word of narratives, and compare a tagger with simple baselines."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Column, Table

from t2igan.cli.parsing import call
from t2igan.data.tagged import UNKNOWN, TaggedNarratives
from t2igan.errors import UserError
from t2igan.evaluation.subjects.chosen import checkpoint_of
from t2igan.files import whole_file
from t2igan.layout.labels import COCO_STUFF
from t2igan.layout.narratives import Narrative, read_tagged
from t2igan.metrics.tagging import TaggingQuality, content_words, tagging_quality
from t2igan.models.suite_module import load_module
from t2igan.models.tagger import Tagger
from t2igan.text.tagging import LabelHMM

Rows = list[np.ndarray]

console = Console()


def run(verb: str, argv: Sequence[str]) -> None:
    """Run ``t2igan tag`` with the arguments that follow it."""
    call(tag_verb, argv, verb)


def tag_verb(*, checkpoint: str, narratives: str, out: str | None = None) -> None:
    """Tag narratives; those that have tags are also scored, on the test tenth of their images.

    Args:
        checkpoint: checkpoint or run of a Tagger.
        narratives: beginning of the files <narratives>.ids.txt, .words.txt and perhaps .cleaned_tags.txt.
        out: file for the tags, JSON lines with id, words and tags.
    """
    tagger = load_module(checkpoint_of(checkpoint))
    if not isinstance(tagger, Tagger):
        raise UserError(f"--checkpoint: {checkpoint} holds a {type(tagger).__name__}, not a Tagger")
    found = read_tagged(narratives)
    if found[0].tags is None and out is None:
        raise UserError(
            f"{narratives}.cleaned_tags.txt does not exist, nothing can be scored: give --out FILE to write tags"
        )
    if found[0].tags is not None:
        _print(reference_rows(TaggedNarratives(narratives), tagger))
    if out is not None:
        write_tags(Path(out), found, tagger)
        console.print(f"wrote {out}", soft_wrap=True)


def write_tags(path: Path, narratives: Sequence[Narrative], tagger: Tagger) -> None:
    """Write narratives with their tags, a line of JSON each.

    Raises:
        OSError: it cannot be written; names ``path``.
    """
    with whole_file(path) as draft, draft.open("w", encoding="utf-8") as file:
        for start in range(0, len(narratives), 128):
            batch = narratives[start : start + 128]
            for narrative, tags in zip(batch, tagger.tag([each.words for each in batch])):
                file.write(json.dumps({"id": narrative.key, "words": narrative.words, "tags": tags}) + "\n")


def reference_rows(data: TaggedNarratives, tagger: Tagger) -> dict[str, TaggingQuality]:
    """Quality on the test narratives of constant labels, per-word labels, an HMM and the tagger.

    Args:
        data: narratives with tags.
        tagger: tagger to measure; the baselines learn from the same training narratives.
    """
    words, tags = data.training_rows()
    size, labels = len(data.vocabulary), len(COCO_STUFF)
    values = {name: value for value, name in enumerate(COCO_STUFF.names)}
    ids = {word: place for place, word in enumerate(data.vocabulary.words)}
    test = data.parts["test"]
    said = [np.array([ids.get(word, ids[UNKNOWN]) for word in each.words]) for each in test]
    true = [np.array([values[tag] for tag in each.tags or ()]) for each in test]
    commonest = Counter(np.concatenate(tags).tolist()).most_common(1)[0][0]
    favourite = _favourites(words, tags, size, commonest)
    hmm = LabelHMM.of_counts(words, tags, size, labels)
    taggers: dict[str, Callable[[], Rows]] = {
        f"always `{COCO_STUFF.names[commonest]}`": lambda: [np.full(len(each), commonest) for each in said],
        "most frequent label of each word": lambda: [favourite[each] for each in said],
        "HMM of counts": lambda: hmm.decode(said, exponent=1.0),
        type(tagger.network).__name__: lambda: [
            np.array([values[tag] for tag in row]) for row in tagger.tag([each.words for each in test])
        ],
    }
    telling = content_words(words, tags, size)
    content = [telling[each] for each in said]
    return {name: tagging_quality(guess(), true, content) for name, guess in taggers.items()}


def _favourites(words: Rows, tags: Rows, size: int, otherwise: int) -> np.ndarray:
    """Most frequent label of each word id, int64 (size,); ``otherwise`` for words without labels."""
    counts = np.zeros((size, len(COCO_STUFF)), np.int64)
    np.add.at(counts, (np.concatenate(words), np.concatenate(tags)), 1)
    return np.where(counts.any(axis=1), counts.argmax(axis=1), otherwise)


def _print(rows: dict[str, TaggingQuality]) -> None:
    names = list(next(iter(rows.values())).as_dict())
    # The class of a tagger is one word, which must not be cut on a narrow terminal. Nor is the right side cut:
    # narrow headers leave space for the first column.
    tagger = Column("tagger", min_width=max(len(word) for name in rows for word in name.split()))
    table = Table(tagger, *(name.replace("_", "\n") for name in names), title="test narratives, split by image")
    for name, quality in rows.items():
        table.add_row(name, *(f"{value:.3f}" for value in quality.as_dict().values()))
    console.print(table)
