"""``t2igan export``: export weights for the original code, as safetensors, as ONNX, or for a zoo."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from rich.console import Console

from t2igan.cli.export_zoo import export_to_zoo, with_history
from t2igan.cli.import_ import require_another_file
from t2igan.cli.next_step import Hint, line_of, sampling, scoring
from t2igan.cli.parsing import call
from t2igan.errors import UserError
from t2igan.evaluation.subjects.chosen import checkpoint_of
from t2igan.interop.export import network_in, write_official
from t2igan.interop.onnx import write_onnx
from t2igan.models.damsm import InceptionImageEncoder
from t2igan.models.drawing import DrawingModule
from t2igan.models.suite_module import load_module
from t2igan.models.weights_file import SUFFIX, write_weights
from t2igan.ranges import Few

Format = Literal["original", "safetensors", "onnx", "zoo"]
Weights = Literal["ema", "raw"]

FORMATS: dict[str, Format] = {SUFFIX: "safetensors", ".onnx": "onnx"}
"""Formats with a suffix of their own, which decides where ``--to`` is not given."""

console = Console()


def run(verb: str, argv: Sequence[str]) -> None:
    """Run ``t2igan export`` with the arguments that follow it."""
    call(export_verb, argv, verb)


def export_verb(
    checkpoint: str,
    *,
    out: str,
    to: Literal["original", "safetensors", "onnx", "zoo"] | None = None,
    part: str | None = None,
    weights: Literal["ema", "raw"] = "ema",
    words: Few = 18,
) -> None:
    """Export weights: for the original code, as safetensors, as ONNX, or as a zoo folder with a model card.

    Args:
        checkpoint: checkpoint of the suite, trained here or imported, the folder of its run, or a name of the zoo.
        out: the file to write, such as netG.pth, model.safetensors, model.onnx; with --to zoo a folder.
        to: original: a network as the original code loads it; safetensors: all averaged networks, a checkpoint like
            any other that cannot be trained on; onnx: generator with text encoder; zoo: a folder with safetensors
            in half precision, configuration, curve, samples and model card. Default: what the suffix of --out says,
            .safetensors or .onnx, else original.
        part: generator, text_encoder, image_encoder, discriminators.0 ... of --to original; default: the generator,
            or the only one.
        weights: averaged weights (ema), as the AttnGAN family's generators are released, or those that training
            moved (raw).
        words: the most words of a caption, with --to onnx.
    """
    named = FORMATS.get(Path(out).suffix, "original")
    to = to or named
    if to == "original" != named:
        raise UserError(
            f"--out: {out} has the suffix of another format: give --to {named}, or a name such as netG.pth"
        )
    if to != "original" and part is not None:
        raise UserError("--part has an effect with --to original only: remove it")
    if to in ("zoo", "safetensors") and weights != "ema":
        raise UserError(f"--to {to} exports the averaged weights of all networks: remove --weights")
    if to == "zoo":
        _to_zoo(checkpoint, out)
        return
    require_another_file(out, [checkpoint])
    if to == "original":
        _to_original(checkpoint, out, part, weights)
    elif to == "safetensors":
        _to_safetensors(checkpoint, out)
    else:
        _to_onnx(checkpoint, out, weights, words)


def _to_original(checkpoint: str, out: str, part: str | None, weights: Weights) -> None:
    network = network_in(checkpoint_of(checkpoint), part, weights)
    tensors = write_official(network, out)
    _say(f"wrote {out}: {type(network).__name__}, {tensors} tensors")
    back = Path(out).with_suffix(".t2igan.ckpt")
    words = [out, "--out", str(back)]
    if isinstance(network, InceptionImageEncoder):
        words += ["--align_corners", str(network.align_corners).lower()]  # which the file does not say
    _say(f"next: t2igan import {shlex.join(words)}  # converts it back")


def _to_safetensors(checkpoint: str, out: str) -> None:
    if Path(out).suffix != SUFFIX:
        raise UserError(f"--out: {out} must end in {SUFFIX}, which determines the format")
    write_weights(Path(out), with_history(checkpoint_of(checkpoint), half=False))
    module = load_module(out)
    _say(f"wrote {out}: {type(module).__name__}, {Path(out).stat().st_size / 1e6:.2f} MB")
    if isinstance(module, DrawingModule):
        _say(line_of(sampling(out, module, "drawn")))


def _to_onnx(checkpoint: str, out: str, weights: Weights, words: int) -> None:
    if Path(out).suffix != ".onnx":
        raise UserError(f"--out: {out} must end in .onnx, which determines the format")
    module = load_module(checkpoint_of(checkpoint)).eval()
    size = write_onnx(module, out, weights, words)
    _say(f"wrote {out}: {type(module).__name__} of captions of at most {words} words, {size / 1e6:.2f} MB")
    _say(line_of(Hint("docs/export.md shows how to generate images with onnxruntime")))


def _to_zoo(checkpoint: str, out: str) -> None:
    file, name = export_to_zoo(checkpoint, out)
    _say(f"wrote {file}, {file.stat().st_size / 1e6:.2f} MB")
    module = load_module(file)
    if isinstance(module, DrawingModule):
        _say(line_of(scoring(name, module.generator.image_sizes[-1])))


def _say(line: str) -> None:
    console.print(line, soft_wrap=True, markup=False)
