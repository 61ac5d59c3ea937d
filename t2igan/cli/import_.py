"""``t2igan import``: convert released weights into a checkpoint of the suite."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from t2igan.cli.next_step import Hint, line_of, sampling
from t2igan.cli.parsing import call
from t2igan.data.vocabulary import read_captions_pickle
from t2igan.errors import UserError
from t2igan.interop.assemble import CaptionWords, System, assemble, write_checkpoint
from t2igan.interop.files import ReleasedNetwork, read_networks
from t2igan.models.adversarial import AdversarialModule
from t2igan.models.damsm import DAMSM

# Options that are keywords of Python, which cannot name arguments of a function.
SPELLINGS = {"--as": "--kind", "--with": "--beside+"}

console = Console()


def run(verb: str, argv: Sequence[str]) -> None:
    """Run ``t2igan import`` with the arguments that follow it."""
    call(import_verb, list(_spelt(argv)), verb)


def _spelt(argv: Sequence[str]) -> Iterator[str]:
    """Rewrite ``--as KIND`` and ``--with FILE`` as the parser's ``--kind`` and ``--beside``."""
    for argument in argv:
        name, equals, value = argument.partition("=")
        yield SPELLINGS.get(name, name) + equals + value


def import_verb(
    file: str,
    *,
    out: str,
    kind: str = "auto",
    beside: list[str] = [],  # noqa: B006 (the parser copies it)
    captions_pickle: str | None = None,
    legacy_mask: bool | None = None,
    align_corners: bool | None = None,
    renormalise: bool | None = None,
    sentence_softmax: Literal["channels", "spatial"] | None = None,
    mask_from_upsampled: bool | None = None,
    legacy_power_iteration: bool | None = None,
    probabilities: bool | None = None,
) -> None:
    """Convert released weights into a checkpoint of the suite; no code in the files is executed.

    A generator with its text encoder and captions.pickle becomes a checkpoint that sample and evaluate take; text
    and image encoder become a checkpoint for --model.init_args.damsm, both networks of a captioner one for
    --model.init_args.captioner. A single network is stored until the others are given.

    Args:
        file: file of released weights.
        out: the checkpoint to write, such as checkpoints/attngan.ckpt.
        kind: what the file holds, also spelt --as: damsm-text-encoder, damsm-image-encoder, stream-cnn, stream-rnn,
            mirrorgan-generator, dmgan-generator, attndcgan-generator, attngan-generator, ssagan-generator,
            ssagan-discriminator, dfgan, dfgan-legacy-generator, attngan-discriminator, dmgan-discriminator; auto
            tells it by its tensors.
        beside: a further file, also spelt --with FILE; may be given several times. Its kind is told by its tensors.
        captions_pickle: the captions.pickle that the networks were trained with.
        legacy_mask: generators attend to words under the released mask, which mixes up the captions of a batch.
        align_corners: image and caption encoders resize images by their corner pixels.
        renormalise: the caption encoder gets images normalised as on ImageNet.
        sentence_softmax: over what MirrorGAN's attention to the sentence sums to 1.
        mask_from_upsampled: SSA-GAN predicts masks as its paper's figure shows.
        legacy_power_iteration: DM-GAN's discriminators change with each call, as released; released default: true.
        probabilities: the AttnGAN family's discriminators by themselves return probabilities, as released.
    """
    config = {
        "legacy_mask": legacy_mask,
        "align_corners": align_corners,
        "renormalise": renormalise,
        "sentence_softmax": sentence_softmax,
        "mask_from_upsampled": mask_from_upsampled,
        "legacy_power_iteration": legacy_power_iteration,
        "probabilities": probabilities,
    }
    require_another_file(out, [file, *beside])
    words = (
        None
        if captions_pickle is None
        else CaptionWords(captions_pickle, read_captions_pickle(captions_pickle)[0].words)
    )
    given = {name: value for name, value in config.items() if value is not None}
    networks = read_networks([file, *beside], kind, **given)
    if align_corners is None and any(each.kind == "damsm-image-encoder" for each in networks):
        raise UserError(
            "--align_corners is missing: the file does not say how images were resized for its image encoder; "
            "give true for AttnGAN, MirrorGAN and DM-GAN as released, false for SSA-GAN and DF-GAN"
        )
    system = assemble(networks, words)
    for each in networks:
        console.print(_table(each), "")
    write_checkpoint(system, out)
    console.print(f"wrote {out}: {_what(system)}", soft_wrap=True, markup=False)
    console.print(line_of(_next(system, file, out, captions_pickle)), soft_wrap=True, markup=False)


def require_another_file(out: str, inputs: Sequence[str]) -> None:
    """Refuse to overwrite an input file or a folder.

    Raises:
        UserError: ``out`` is one of the inputs, or a folder.
    """
    if Path(out).is_dir():
        raise UserError(f"--out: {out} is a folder; name the file to write")
    if Path(out).resolve() in [Path(path).resolve() for path in inputs]:
        raise UserError(f"--out: {out} is the input file, which would be overwritten; give another name")


def _table(each: ReleasedNetwork) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    rows = {
        "file": escape(str(each.path)),
        "kind": each.kind,
        "tensors": f"{each.tensors:,}",
        "parameters": f"{each.parameters:,}",
        "its shapes say": _listed(each.form.read),
        "sha256": each.sha256,
    }
    for row in rows.items():
        table.add_row(*row)
    return table


def _listed(read: dict[str, Any]) -> str:
    return ", ".join(
        f"{name}: {_listed(value)}" if isinstance(value, dict) else f"{name} {value}"
        for name, value in read.items()
    )


def _what(system: System) -> str:
    kinds = ", ".join(each.kind for each in system.parts.values())
    alone = "" if system.complete else ", by itself"
    words = f", {len(system.module.vocabulary):,} words" if system.module.vocabulary else ""
    return f"{type(system.module).__name__} of {kinds}{words}{alone}"


def _next(system: System, file: str, out: str, captions: str | None) -> str:
    """The next command, or the files that are still missing."""
    if isinstance(system.module, AdversarialModule):
        return sampling(out, system.module, "images")
    if system.complete:
        option, model = ("damsm", "attngan") if isinstance(system.module, DAMSM) else ("captioner", "mirrorgan")
        return Hint(
            f"t2igan prepare cub --captions_pickle {captions}, then t2igan fit --config cub/{model} "
            f"--model.{option} {out}; coco in the place of cub where that is its data set"
        )
    (each,) = system.parts.values()
    missing, with_what = {
        "damsm-text-encoder": ("its image encoder", "image_encoder.pth --align_corners true|false"),
        "damsm-image-encoder": ("its text encoder", "text_encoder.pth"),
        "stream-cnn": ("its decoder", "rnn_decoder.ckpt"),
        "stream-rnn": ("its encoder", "cnn_encoder.ckpt"),
    }.get(each.kind, ("its text encoder", "text_encoder.pth"))
    if each.kind.endswith("-discriminator"):
        return Hint(
            "a discriminator goes beside its generator: t2igan import GENERATOR.pth "
            f"--with {file} --with text_encoder.pth --captions_pickle captions.pickle --out {out}"
        )
    return Hint(
        f"it works with {missing} and their vocabulary: t2igan import {file} --as {each.kind} --with {with_what} "
        f"--captions_pickle captions.pickle --out {out}"
    )
