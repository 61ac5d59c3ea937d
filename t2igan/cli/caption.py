"""``t2igan caption``: caption images with a STREAM, or measure its quality."""

import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image, ImageOps
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from torch import Tensor

from t2igan.cli.next_step import Hint, line_of
from t2igan.cli.parsing import call
from t2igan.data.datasets import EvaluationItems
from t2igan.data.rendering import open_upright_rgb
from t2igan.data.store import Store, open_store
from t2igan.errors import UserError
from t2igan.evaluation.evaluation import choose_device
from t2igan.evaluation.history import read_config
from t2igan.evaluation.images.generate import batches, caption_tokens, planned_noise
from t2igan.evaluation.plan import plan_images, shuffled_captions
from t2igan.evaluation.subjects.chosen import checkpoint_of
from t2igan.evaluation.subjects.folder import SUFFIXES
from t2igan.evaluation.subjects.generated import label_of, load_generator, require_same_words
from t2igan.files import write_whole
from t2igan.image_files import UndecodableImageError, decoding
from t2igan.metrics.captions import CaptionQuality
from t2igan.models.drawing import DrawingModule
from t2igan.models.stream import STREAM, reference_captions
from t2igan.models.suite_module import load_module
from t2igan.nn.images import generated_uint8, to_signed
from t2igan.shipped import preparation_of

ROWS_SHOWN = 20

console = Console()


def run(verb: str, argv: Sequence[str]) -> None:
    """Run ``t2igan caption`` with the arguments that follow it."""
    call(caption_verb, argv, verb)


def caption_verb(
    *,
    checkpoint: str,
    images: str | None = None,
    store: str | None = None,
    generator: str | None = None,
    count: int | None = None,
    words: int = 18,
    seed: int = 0,
    weights: Literal["ema", "raw"] = "ema",
    out: str | None = None,
    batch_size: int = 50,
    device: str = "auto",
) -> None:
    """Caption image files, or measure a captioner on a store's test images and on generated ones.

    With --images: a caption of each. With --store: loss and perplexity a token of true captions, BLEU-4 and ROUGE-L
    of the captioner's own, on test images and, as a control, on images of other captions. With --generator too: the
    same on images that it generates from these captions.

    Args:
        checkpoint: checkpoint or run of a STREAM.
        images: an image, or a folder of images.
        store: store of the data set (t2igan prepare).
        generator: checkpoint or run of a generator whose images are measured.
        count: number of test captions that are measured; default: as many as test images.
        words: the most words of a test caption.
        seed: seed of the generator's noise.
        weights: weights of the generator: averaged (ema), or those that training moved (raw).
        out: file for the result as JSON lines, one an image or one a row of the table.
        batch_size: images at a time; changes no number.
        device: auto, cpu, cuda, cuda:1.
    """
    numbers = {"count": count, "words": words, "batch_size": batch_size}
    _refuse(_contradictions(images, store, generator) + _bad_values(numbers, out))
    checkpoint, generator = str(checkpoint_of(checkpoint)), generator and str(checkpoint_of(generator))
    where = choose_device(device)
    captioner = load_captioner(checkpoint).to(where)
    if images is not None:
        rows = list(caption_files(captioner, image_files(Path(images)), batch_size))
        _print_captions(rows)
    else:
        opened = open_store(str(store))
        require_same_words(captioner, opened, checkpoint)
        rows = _measure(captioner, ChosenCaptions(opened, count, words, batch_size), generator, seed, weights)
        _print_quality(rows, captioner)
    if out is not None:
        _write(Path(out), rows)
    console.print(line_of(_next(checkpoint, images, generator)), soft_wrap=True)


def _contradictions(images: str | None, store: str | None, generator: str | None) -> list[str]:
    problems = []
    if (images is None) == (store is None):
        problems.append("give either --images FILE_OR_FOLDER or --store STORE")
    if generator is not None and store is None:
        problems.append("--generator generates images of test captions: give --store too")
    return problems


def _bad_values(numbers: dict[str, int | None], out: str | None) -> list[str]:
    problems = [f"--{name} must be at least 1, got {n}" for name, n in numbers.items() if n is not None and n < 1]
    if out is not None and Path(out).is_dir():
        problems.append(f"--out: {out} is a folder: give the name of a file")
    return problems


def _refuse(problems: Sequence[str]) -> None:
    if problems:
        raise UserError("; ".join(problems))


def load_captioner(path: str | Path) -> STREAM:
    """Load a STREAM from a checkpoint.

    Raises:
        UserError: it cannot be read, holds another kind of network, or has no vocabulary.
    """
    module = load_module(path)
    if not isinstance(module, STREAM):
        raise UserError(f"{path} holds {type(module).__name__}, which writes no captions; give a STREAM")
    if not module.vocabulary:
        raise UserError(f"{path} has no vocabulary because it was never trained; train it with t2igan fit")
    return module


# -------------------------------------------------------------------- image files


def image_files(path: Path) -> list[Path]:
    """The image file at ``path``, or all image files below that folder, sorted by name.

    Raises:
        UserError: there is none.
    """
    if path.is_file():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    if not files:
        what = "no image" if path.is_dir() else "no such file or folder"
        raise UserError(f"--images: {path}: {what}; give an image, or a folder with {', '.join(sorted(SUFFIXES))}")
    return files


@torch.no_grad()
def caption_files(captioner: STREAM, files: Sequence[Path], batch_size: int) -> Iterator[dict[str, Any]]:
    """Caption image files.

    Args:
        captioner: the STREAM that writes the captions.
        files: image files of any size; their central square is used.
        batch_size: images at a time.

    Yields:
        ``image`` (path), ``caption``, ``log_probability`` (natural logarithm, of the whole caption).

    Raises:
        UserError: files cannot be read; all of them are named.
    """
    unreadable = []
    for part in batches(range(len(files)), batch_size):
        read = [(files[number], read_square(files[number], captioner.encoder.image_size)) for number in part]
        unreadable += [str(file) for file, pixels in read if pixels is None]
        if unreadable:
            continue
        pixels = torch.stack([pixels for _, pixels in read if pixels is not None]).to(captioner.device)
        captions, probabilities = captioner.say(captioner.encoder(to_signed(pixels)))
        for (file, _), caption, probability in zip(read, captions, probabilities.tolist()):
            yield {"image": str(file), "caption": caption, "log_probability": round(probability, 4)}
    if unreadable:
        raise UserError(f"--images: not readable as images: {', '.join(unreadable)}; repair or remove them")


def read_square(path: Path, size: int) -> Tensor | None:
    """The square in the middle of an image, uint8 (3, size, size); None if the file is no readable image."""
    try:
        with decoding(path):
            upright = open_upright_rgb(path, box=None)
    except UndecodableImageError:
        return None
    square = ImageOps.fit(upright, (size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(square)).permute(2, 0, 1)


# ------------------------------------------------------------------- test captions


def _measure(
    captioner: STREAM,
    chosen: "ChosenCaptions",
    generator: str | None,
    seed: int,
    weights: Literal["ema", "raw"],
) -> list[dict[str, Any]]:
    """Rows of the table: generated images, the captions' own images, images of other captions."""
    sources = chosen.images()
    if generator is not None:
        module = load_generator(generator).to(captioner.device)
        require_same_words(module, chosen.store, generator)
        sources = {f"generated by {label_of(generator)}": chosen.generated(module, seed, weights)} | sources
    return [{"images": name} | chosen.quality(captioner, images) for name, images in sources.items()]


class ChosenCaptions:
    """Captions spread evenly over the test images, with the images that they are compared to.

    Args:
        store: store of the data set.
        count: number of captions; None takes as many as there are test images.
        words: the most words of a caption.
        batch_size: images at a time.
    """

    def __init__(self, store: Store, count: int | None, words: int, batch_size: int) -> None:
        self.store, self.split = store, store.split("test")
        self.items = EvaluationItems(self.split, store.image_size)
        self.plan = plan_images(self.split, count or len(self.split))
        self.parts = list(batches(range(len(self.plan)), batch_size))
        self.tokens = [caption_tokens(self.split, self.plan.captions[part], words, seed=0) for part in self.parts]

    def images(self) -> dict[str, Iterator[Tensor]]:
        """Batches uint8 (B, 3, S, S) of the captions' own images, and of others as the control."""
        own = self.plan.captions
        others = shuffled_captions(own, self.split.caption_images[own], seed=0)
        return {
            "real images": (self.items[own[part]].images for part in self.parts),
            "real images of other captions": (self.items[others[part]].images for part in self.parts),
        }

    def generated(self, module: DrawingModule, seed: int, weights: Literal["ema", "raw"]) -> Iterator[Tensor]:
        """Batches uint8 (B, 3, S, S) of images that a generator makes from the captions."""
        for part, (captions, lengths) in zip(self.parts, self.tokens):
            own, draws = self.plan.captions[part], self.plan.draws[part]
            noise = planned_noise(own, draws, module.generator.random_dim, seed)
            noise, captions = noise.to(module.device), captions.to(module.device)
            yield generated_uint8(module.synthesise(noise, captions, lengths, weights).images[-1])

    @torch.no_grad()
    def quality(self, captioner: STREAM, batches: Iterator[Tensor]) -> dict[str, float]:
        """Quality of the captioner's captions of ``batches``; see :class:`CaptionQuality`."""
        quality = CaptionQuality().to(captioner.device)
        for part, (captions, lengths), images in zip(self.parts, self.tokens, batches):
            inputs = [*(each.to(captioner.device) for each in (to_signed(images), captions)), lengths]
            references = reference_captions(self.split, self.plan.captions[part].tolist())
            captioner.measure(quality, inputs[0], inputs[1], inputs[2], references)
        return {"count": len(self.plan)} | {name: value.item() for name, value in quality.compute().items()}


# ------------------------------------------------------------------------- output


def _print_captions(rows: Sequence[dict[str, Any]]) -> None:
    table = Table("image", "caption", "log p", title=_first(rows))
    for row in rows[:ROWS_SHOWN]:
        table.add_row(escape(row["image"]), row["caption"], f"{row['log_probability']:.2f}")
    console.print(table)


def _first(rows: Sequence[dict[str, Any]]) -> str | None:
    return f"the first {ROWS_SHOWN} of {len(rows)} images" if len(rows) > ROWS_SHOWN else None


def _print_quality(rows: Sequence[dict[str, Any]], captioner: STREAM) -> None:
    table = Table("images", "count", "token loss v", "perplexity v", "BLEU-4 ^", "ROUGE-L ^")
    for row in rows:
        numbers = (f"{row[name]:.3f}" for name in ("loss", "perplexity", "bleu_4", "rouge_l"))
        table.add_row(row["images"], str(row["count"]), *numbers)
    console.print(table)
    tokens = "words and <end>" if captioner.end_token else "words"
    console.print(
        f"token loss: minus the mean logarithm of the probability of the true captions' {tokens}; BLEU-4, ROUGE-L: "
        "the captioner's own captions against all captions of the image that the true one is of",
        soft_wrap=True,
        markup=False,
    )


def _write(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)
    write_whole(path, text.encode(errors="backslashreplace"))  # file names may not be UTF-8
    console.print(f"wrote {path}: {len(rows)} lines", soft_wrap=True)


def _next(checkpoint: str, images: str | None, generator: str | None) -> str:
    if images is not None:
        data = (read_config(checkpoint) or {}).get("data") or {}
        store = (data.get("init_args") or {}).get("store")
        if store and Path(store).is_file():
            return f"t2igan caption {shlex.join(['--checkpoint', checkpoint, '--store', store])}"
        preparation = preparation_of(store or "")
        if "--image_size" in preparation:  # a whole command: the path tells the data set
            return preparation
        return Hint("the same with the store of its data set, --store, in place of --images measures its captions")
    if generator is None:
        return Hint("the same with a checkpoint for --generator measures images that it makes")
    return Hint("the same with another --generator and the same --seed compares the two")
