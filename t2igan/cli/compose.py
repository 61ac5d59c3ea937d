"""``t2igan compose``: compose canvases of narratives, compare them with gold maps, and draw sheets of the steps."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from t2igan.cli.next_step import line_of, synthesising
from t2igan.cli.parsing import call
from t2igan.data.store import open_store
from t2igan.errors import UserError
from t2igan.evaluation.images.gallery import Gallery, join_tags, released_narratives
from t2igan.evaluation.record import require_writable
from t2igan.evaluation.step_record import StepRecord
from t2igan.evaluation.subjects.pipeline import load_retriever, load_tagger
from t2igan.layout.composing import SHARES, Composer, Scale
from t2igan.layout.labels import COCO_STUFF
from t2igan.layout.layout import Layout
from t2igan.layout.mask_bank import MaskBank
from t2igan.layout.narratives import Narrative, read_tagged
from t2igan.metrics.layout_agreement import LayoutAgreement
from t2igan.models.suite_module import content_sha256
from t2igan.models.tagger import Tagger
from t2igan.models.trecs import Composition, Trace, TrecsPipeline
from t2igan.plotting.grids import save_png
from t2igan.plotting.layouts import Steps, steps_sheet
from t2igan.ranges import Count, Side, Whole

Told = tuple[int, Narrative]
TRACES: tuple[Trace, ...] = ("real", "oracle", "none")

console = Console()


def run(verb: str, argv: Sequence[str]) -> None:
    """Run ``t2igan compose`` with the arguments that follow it."""
    call(compose_verb, argv, verb)


def compose_verb(
    *,
    store: str,
    tagger: str | None = None,
    tags: str | None = None,
    narratives: str | None = None,
    retriever: str = "tfidf",
    k: Count = 5,
    scale: Scale = "kept",
    size: Side | None = None,
    sheets: Whole = 0,
    out: str = "runs/compose",
    records: str = "runs/steps.jsonl",
) -> None:
    """Compose a canvas of each test narrative from the training images' masks, and compare it with the gold map.

    Done with the narrative's trace, with hulls of the gold map (oracle), and without any, to see what traces add.

    Args:
        store: with layouts and narratives.
        tagger: checkpoint or run of a Tagger; labels the words.
        tags: beginning of <tags>.ids.txt, .words.txt and .cleaned_tags.txt, true labels of the narratives' words.
        narratives: beginning of such files, whose narratives take the place of the store's; their image ids are
            COCO's, they have no traces, and their labels count as true.
        retriever: tfidf, the checkpoint or run of a DAMSM, or the folder of a CLIP.
        k: retrieved images whose masks are candidates.
        scale: scale of things: kept, or fitted to the hull's box.
        size: side of the canvas; default: the store's.
        sheets: so many narratives are drawn step by step, with the first trace of the table.
        out: folder of the sheets.
        records: file that the records are appended to.
    """
    _require_labels(tagger, tags, narratives)
    require_writable(records)
    opened = open_store(store)
    side = size or opened.image_size
    needs = ("layouts", "narratives") if narratives is None else ("layouts",)
    bank_of, told_of = (Gallery(opened, split, side, needs) for split in ("train", "test"))
    found, sha256 = load_retriever(retriever, bank_of)
    bank, composer = MaskBank(bank_of, side), Composer(k, scale)
    told = _told(told_of, tags) if narratives is None else released_narratives(told_of, narratives)
    gold = [told_of[place] for place, _ in told]
    taggers: dict[str, Tagger | None] = {"true labels": None} if tags or narratives else {}
    taggers |= {"tagger": load_tagger(tagger)} if tagger else {}
    title = f"{len(told)} test narratives, masks of {k} images, things' scale {scale}"
    table = Table("labels", "trace", "pixel accuracy", "mean IoU", "pixels by", "s", title=title)
    traces: list[Trace] = [trace for trace in TRACES if trace != "real" or narratives is None]
    for name, module in taggers.items():
        for trace in traces:
            begin = time.monotonic()
            composed = TrecsPipeline(module, found, bank, composer, trace).compose([each for _, each in told], gold)
            seconds = time.monotonic() - begin
            agreed, shares = agreement(composed, gold), _shares(composed)
            table.add_row(name, trace, *_cells(agreed, shares, seconds))
            parts = {"retriever": sha256} | ({"tagger": content_sha256(module)} if module else {})
            options = {"trace": trace, "k": k, "scale": scale, "size": side, "tags": tags, "narratives": narratives}
            source = opened.name, opened.fingerprint
            StepRecord("compose", name, agreed | shares, len(composed), *source, parts, options).append(
                Path(records)
            )
            if trace == traces[0]:
                _draw(Path(out) / name.replace(" ", "-"), told_of, told[:sheets], composed, bank)
    console.print(table)
    console.print(f"wrote {len(taggers) * len(traces)} record(s) to {records}", soft_wrap=True)
    console.print(line_of(synthesising(opened)), soft_wrap=True, markup=False)


def _require_labels(tagger: str | None, tags: str | None, narratives: str | None) -> None:
    if tagger is None and tags is None and narratives is None:
        raise UserError("give --tagger, the checkpoint of a Tagger, or --tags with true labels, or both")
    if tags is not None and narratives is not None:
        raise UserError("--tags: the files of --narratives have their own labels; give only one of the two")


def _cells(agreed: Mapping[str, float], shares: Mapping[str, float], seconds: float) -> list[str]:
    """The numbers of a row of the table, which follow its labels and trace."""
    filled = ", ".join(f"{by} {share:.1%}" for by, share in shares.items() if share)
    return [*(f"{value:.3f}" for value in agreed.values()), filled, f"{seconds:.1f}"]


def _told(gallery: Gallery, tags: str | None) -> list[Told]:
    """The narratives with the index of their image; with files of labels, only the narratives that match one."""
    pairs = [(place, told) for place in range(len(gallery)) for told in gallery.narratives(place)]
    if tags is None:
        return pairs
    joined, without = join_tags([told for _, told in pairs], read_tagged(tags))
    if without:
        console.print(f"left out: {without} of {len(joined)} narratives, for which {tags} has no matching labels")
    kept = [(place, told) for (place, _), told in zip(pairs, joined) if told.tags is not None]
    if not kept:
        raise UserError(f"--tags: {tags} has no labels for the narratives of {gallery.store.path}")
    return kept


def agreement(composed: Sequence[Composition], gold: Sequence[Layout]) -> dict[str, float]:
    """Pixel accuracy and mean IoU of canvases with the layouts of their images."""
    metric = LayoutAgreement(len(COCO_STUFF))
    made = np.stack([each.canvas.layout.labels for each in composed])
    true = np.stack([each.labels for each in gold])
    metric.update(torch.from_numpy(made), torch.from_numpy(true), torch.arange(len(gold)))
    return {name: float(value) for name, value in metric.compute().items()}


def _shares(composed: Sequence[Composition]) -> dict[str, float]:
    """Share of all pixels by the source of their label."""
    return {name: float(np.mean([each.canvas.shares[name] for each in composed])) for name in SHARES}


def _draw(
    folder: Path, gallery: Gallery, told: Sequence[Told], composed: Sequence[Composition], bank: MaskBank
) -> None:
    """Draw a sheet of the steps for each narrative."""
    for (place, narrative), each in zip(told, composed):
        steps = Steps(narrative, each.tags, each.canvas, gold=gallery[place], real=gallery.image(place))
        save_png(steps_sheet(steps, bank), folder / f"{narrative.key}.png")
    if told:
        console.print(f"wrote {len(told)} sheets to {folder}", soft_wrap=True)
