"""``t2igan sample``: images of captions of your own."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from rich.console import Console
from rich.progress import track

from t2igan.cli.parsing import call
from t2igan.data.vocabulary import Vocabulary, tokenize
from t2igan.errors import UserError
from t2igan.evaluation.chosen import checkpoint_of
from t2igan.evaluation.evaluation import choose_device
from t2igan.evaluation.subjects import load_generator
from t2igan.models.adversarial import AdversarialModule
from t2igan.models.synthesis import Synthesis
from t2igan.nn.images import to_uint8
from t2igan.nn.noise import caption_noise
from t2igan.plotting.grids import captioned_grid, save_png, to_picture
from t2igan.plotting.overlays import attention_overlay, mask_strip
from t2igan.ranges import Count, Whole

Overlay = Literal["none", "masks", "attention"]
COLUMNS = 4

console = Console()


def run(verb: str, argv: Sequence[str]) -> None:
    """Run the verb."""
    call(sample_verb, argv, verb)


@dataclass(frozen=True)
class KnownCaption:
    """A caption as a checkpoint understands it.

    Attributes:
        text: as given.
        words: those that the vocabulary has.
        ids: their ids.
        unknown: words left out.
    """

    text: str
    words: list[str]
    ids: list[int]
    unknown: list[str] = field(default_factory=list)


def sample_verb(
    *,
    checkpoint: str,
    out: str,
    caption: str | None = None,
    captions: str | None = None,
    n: Count = 4,
    seed: Whole = 0,
    overlay: Overlay = "none",
    weights: Literal["ema", "raw"] = "ema",
    device: str = "auto",
) -> None:
    """Draw captions of your own; one PNG an image, and a grid of all.

    Args:
        checkpoint: of a generator, or the folder of its run: then the best one that it kept, else the last.
        out: folder to write to.
        caption: what to draw.
        captions: file with one caption a line; a caption given with --caption comes first.
        n: images of each caption.
        seed: of the noise; an image depends on it, on the caption's place and on the image's number alone.
        overlay: masks: beside each image its fusion masks; attention: where each word looks.
        weights: averaged weights (ema), or those that training moved (raw).
        device: auto, cpu, cuda, cuda:1.
    """
    texts = read_captions(caption, captions)
    where = choose_device(device)
    checkpoint = str(checkpoint_of(checkpoint))
    module = load_generator(checkpoint).to(where)
    known = understand(texts, _vocabulary(module, checkpoint))
    folder = Path(out)
    pictures = []
    for index, entry in enumerate(track(known, "captions", console=console)):
        generated = _draw(module, entry, index, n, seed, weights, where)
        images = to_uint8(generated.images[-1]).cpu()
        _write(folder, index, images, generated, entry, overlay)
        pictures.extend(images)
    save_png(_grid(pictures, texts, n), folder / "grid.png")
    beside = "" if overlay == "none" else f", {overlay} beside each"
    console.print(f"wrote {folder}/grid.png and {len(pictures)} images c000_s00.png ...{beside}", soft_wrap=True)
    console.print(
        f"next: t2igan evaluate --checkpoint {checkpoint} --protocol ... --store ... scores it",
        soft_wrap=True,
    )


def _vocabulary(module: AdversarialModule, checkpoint: str) -> Vocabulary:
    if not module.vocabulary:
        raise UserError(f"{checkpoint} holds no vocabulary, it never saw a data set; train it with t2igan fit")
    return Vocabulary(module.vocabulary)


def read_captions(caption: str | None, file: str | None) -> list[str]:
    """The captions of both options, blank lines left out.

    Raises:
        UserError: there is none, or the file cannot be read.
    """
    texts = [caption] if caption else []
    if file is not None:
        try:
            lines = Path(file).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"--captions: {file} cannot be read as UTF-8 text, one caption a line") from error
        texts += [line.strip() for line in lines if line.strip()]
    if not texts:
        raise UserError('no caption: give --caption "a small red bird", or --captions FILE with one a line')
    return texts


def understand(texts: Sequence[str], vocabulary: Vocabulary) -> list[KnownCaption]:
    """Look captions up in a vocabulary, and say which words it lacks.

    Raises:
        UserError: a caption has no word that the vocabulary knows.
    """
    known = []
    for index, text in enumerate(texts):
        tokens = tokenize(text)
        words = [word for word in tokens if vocabulary.encode([word])]
        unknown = [word for word in tokens if word not in words]
        if not words:
            raise UserError(
                f"caption {index} ({text!r}) has no word that the checkpoint knows; "
                f"it knows {len(vocabulary) - 1} words, such as {', '.join(vocabulary.words[1:8])}"
            )
        if unknown:
            console.print(
                f"caption {index}: words the checkpoint does not know were dropped: {', '.join(unknown)}",
                soft_wrap=True,
            )
        known.append(KnownCaption(text, words, vocabulary.encode(words), unknown))
    return known


@torch.no_grad()
def _draw(
    module: AdversarialModule,
    caption: KnownCaption,
    index: int,
    n: int,
    seed: int,
    weights: Literal["ema", "raw"],
    device: torch.device,
) -> Synthesis:
    """``n`` images of one caption."""
    place, dim = torch.tensor([index]), module.generator.random_dim
    noise = torch.cat([caption_noise(place, dim, seed, draw) for draw in range(n)])
    ids = torch.tensor([caption.ids]).expand(n, -1)
    lengths = torch.full((n,), len(caption.ids))
    return module.synthesise(noise.to(device), ids.to(device), lengths.to(device), weights)


def _write(
    folder: Path, index: int, images: torch.Tensor, generated: Synthesis, caption: KnownCaption, overlay: Overlay
) -> None:
    if overlay != "none" and not getattr(generated, overlay):
        raise UserError(f"--overlay: this generator has no {overlay}; take another overlay, or none")
    for number, image in enumerate(images):
        stem = f"c{index:03d}_s{number:02d}"
        save_png(to_picture(image), folder / f"{stem}.png")
        if overlay == "masks":
            masks = [mask[number].cpu() for mask in generated.masks]
            save_png(mask_strip(image, masks), folder / f"{stem}_masks.png")
        if overlay == "attention":
            looked = generated.attention[-1][number].cpu()
            save_png(attention_overlay(image, looked, caption.words), folder / f"{stem}_attention.png")


def _grid(pictures: list[torch.Tensor], texts: list[str], n: int) -> Image.Image:
    """One row a caption; single images have their captions beneath instead."""
    if n == 1:
        return captioned_grid(pictures, texts, columns=min(COLUMNS, len(pictures)))
    return captioned_grid(pictures, [""] * len(pictures), columns=n, row_labels=texts)
