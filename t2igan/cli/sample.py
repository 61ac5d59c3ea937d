"""``t2igan sample``: generate images from your own captions."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from rich.console import Console
from rich.progress import track

from t2igan.cli.next_step import line_of, scoring
from t2igan.cli.parsing import call
from t2igan.cli.sample_folder import SampleFolder
from t2igan.cli.sample_narratives import sample_narratives
from t2igan.cli.sample_scene import read_scene, scene_sheet
from t2igan.errors import UserError
from t2igan.evaluation.evaluation import choose_device
from t2igan.evaluation.images.sampling import Sampler, Samples, sweep_of, understand, unknown_words
from t2igan.evaluation.subjects.chosen import checkpoint_of
from t2igan.evaluation.subjects.generated import load_generator
from t2igan.models.suite_module import content_sha256
from t2igan.plotting.grids import captioned_grid, rows_grid, save_png, to_pil
from t2igan.plotting.overlays import attention_overlay, mask_strip
from t2igan.ranges import Few, Whole

Overlay = Literal["none", "masks", "attention"]
COLUMNS = 4
PAIR = "--interpolate"

console = Console()


def run(verb: str, argv: Sequence[str]) -> None:
    """Run ``t2igan sample``: ``--pipeline`` generates from narratives, ``--checkpoint`` from captions."""
    if any(word.partition("=")[0] == "--pipeline" for word in argv):
        call(sample_narratives, argv, verb)
        return
    call(sample_verb, list(_paired(argv)), verb)


def _paired(argv: Sequence[str]) -> Iterator[str]:
    """Rewrite ``--interpolate A B`` in the form in which the parser takes a list."""
    words = iter(argv)
    for word in words:
        if word != PAIR:
            yield word
            continue
        pair = [next(words, None), next(words, None)]
        if any(each is None or each.startswith("--") for each in pair):
            raise UserError(f'{PAIR} takes two captions: {PAIR} "a small red bird" "a large blue bird"')
        yield f"{PAIR}={json.dumps(pair)}"


def sample_verb(
    *,
    checkpoint: str,
    out: str,
    caption: str | None = None,
    captions: str | None = None,
    interpolate: list[str] | None = None,
    sweep: str | None = None,
    scene: str | None = None,
    n: Few = 4,
    frames: Few = 8,
    seed: Whole = 0,
    to_seed: Whole | None = None,
    overlay: Overlay = "none",
    weights: Literal["ema", "raw"] = "ema",
    device: str = "auto",
) -> None:
    """Generate images from your own captions: one PNG per image, and a grid of all.

    Narratives with traces: t2igan sample --pipeline trecs-lite.yaml --narratives FILE.jsonl --out FOLDER
    (t2igan sample --pipeline --help).

    Args:
        checkpoint: checkpoint of a generator, the folder of its run (then the best one that it kept, else the
            last), or a name of the zoo such as zoo:drawn-birds/ssagan (`t2igan list zoo`).
        out: folder to write to; images of another model in it are never mixed with these.
        caption: caption to generate images of.
        captions: file with one caption a line; a caption given with --caption comes first.
        interpolate: two captions, --interpolate "A" "B": a row of images on the way from one to the other.
        sweep: a caption with one or two slots, such as "a bird with {red|blue} {wings|belly}", or "a bird with
            {colour} {part}": a table of images, the same noise in all.
        scene: JSON file of masks with texts and a caption, for a model that takes segments: see
            docs/open-vocabulary.md. --caption and --captions take the place of the scene's own.
        n: images of each caption; rows of an interpolation.
        frames: images of an interpolation, both ends among them.
        seed: seed of the noise; an image depends on it, on the caption's place and on the image's number alone.
        to_seed: interpolate the noise too, from that of --seed to that of this one.
        overlay: masks: beside each image its fusion masks; attention: where each word looks.
        weights: averaged weights (ema), or those that training moved (raw).
        device: auto, cpu, cuda, cuda:1.
    """
    _require_one_way(caption or captions, interpolate, sweep)
    composed = None if scene is None else read_scene(scene)
    own = not (interpolate or sweep or (composed and not caption and not captions))
    texts = read_captions(caption, captions) if own else []
    checkpoint = str(checkpoint_of(checkpoint))
    module = load_generator(checkpoint).to(choose_device(device))
    sampler = Sampler(module, checkpoint, weights)
    with SampleFolder(Path(out), content_sha256(module), checkpoint) as folder:
        if composed:
            _say(unknown_words(understand(texts or composed.captions, sampler.vocabulary)))
            grid = scene_sheet(sampler, folder, composed, texts or composed.captions, n, seed)
        elif interpolate:
            seeds = seed, seed if to_seed is None else to_seed
            grid = _interpolation(sampler, folder, interpolate, seeds, frames, n)
        elif sweep:
            grid = _sweep(sampler, folder, sweep, seed)
        else:
            grid = _captions(sampler, folder, texts, n, seed, overlay)
        save_png(grid, folder.file("grid.png"))
    told = "" if overlay == "none" else f", {overlay} beside each"
    told += f"; they replace {folder.before} of an earlier call" if folder.before else ""
    console.print(
        f"wrote {out}/grid.png and {folder.images} images c000_s00.png ...{told}", soft_wrap=True, markup=False
    )
    console.print(line_of(scoring(checkpoint, module.generator.image_sizes[-1])), soft_wrap=True, markup=False)


def _require_one_way(texts: str | None, interpolate: list[str] | None, sweep: str | None) -> None:
    if sum(map(bool, (texts, interpolate, sweep))) > 1:
        raise UserError("give only one of: captions (--caption, --captions), --interpolate, --sweep")
    if interpolate is not None and len(interpolate) != 2:
        raise UserError(f"{PAIR} takes two captions, {len(interpolate)} were given")


def read_captions(caption: str | None, file: str | None) -> list[str]:
    """The captions of both options, without blank lines.

    Raises:
        UserError: no caption is given, or the file cannot be read.
    """
    texts = [caption] if caption else []
    if file is not None:
        try:
            lines = Path(file).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"--captions: {file} cannot be read as UTF-8 text with one caption per line") from error
        texts += [line.strip() for line in lines if line.strip()]
    if not texts:
        raise UserError('no caption: give --caption "a small red bird", or --captions FILE with one per line')
    return texts


def _captions(
    sampler: Sampler, folder: SampleFolder, texts: list[str], n: int, seed: int, overlay: Overlay
) -> Image.Image:
    """``n`` images of each caption, one row per caption; single images have their captions beneath."""
    known = understand(texts, sampler.vocabulary)
    _say(unknown_words(known))
    images: list[torch.Tensor] = []
    for index, caption in enumerate(track(known, "captions", console=console)):
        samples = sampler.sample([caption] * n, sampler.noise(index, n, seed))
        _write(folder, index, samples, overlay)
        images.extend(samples.images)
    if n == 1:
        return captioned_grid(images, texts, columns=min(COLUMNS, len(images)))
    return captioned_grid(images, [""] * len(images), columns=n, row_labels=texts)


def _interpolation(
    sampler: Sampler, folder: SampleFolder, texts: list[str], seeds: tuple[int, int], frames: int, n: int
) -> Image.Image:
    """``n`` rows of images on the way from one caption, and noise, to another."""
    if frames < 2:
        raise UserError("--frames is 1, but an interpolation needs at least 2")
    first, second = known = understand(texts, sampler.vocabulary)
    _say(unknown_words(known))
    starts, ends = (sampler.noise(0, n, seed) for seed in seeds)
    rows = []
    for number in range(n):
        noise = starts[number : number + 1], ends[number : number + 1]
        samples = sampler.interpolate(first, second, noise, frames)
        _write(folder, number, samples, "none")
        rows.append((f"{number}", samples.images))
    return rows_grid(rows, [texts[0], *[""] * (frames - 2), texts[1]])


def _sweep(sampler: Sampler, folder: SampleFolder, template: str, seed: int) -> Image.Image:
    """A row for each word of the first slot, a column for each of the second."""
    sweep = sweep_of(template, sampler.vocabulary)
    known = understand(sweep.captions, sampler.vocabulary)
    _say(unknown_words(known))
    noise, width = sampler.noise(0, 1, seed), len(sweep.columns)
    rows = []
    for number, word in enumerate(sweep.rows):
        samples = sampler.sample(known[number * width : (number + 1) * width], noise.expand(width, -1))
        _write(folder, number, samples, "none")
        rows.append((word, samples.images))
    return rows_grid(rows, sweep.columns, title=template)


def _say(lines: Iterator[str]) -> None:
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)


def _write(folder: SampleFolder, index: int, samples: Samples, overlay: Overlay) -> None:
    if overlay != "none" and not getattr(samples, overlay):
        raise UserError(f"--overlay: this generator has no {overlay}; take another overlay, or none")
    for number, image in enumerate(samples.images):
        stem = f"c{index:03d}_s{number:02d}"
        save_png(to_pil(image), folder.image(f"{stem}.png"))
        if overlay == "masks":
            masks = [mask[number] for mask in samples.masks]
            save_png(mask_strip(image, masks), folder.file(f"{stem}_masks.png"))
        if overlay == "attention":
            looked, words = samples.attention[-1][number], samples.captions[number].words
            save_png(attention_overlay(image, looked, words), folder.file(f"{stem}_attention.png"))
