"""Assemble released networks into a checkpoint of the suite."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from t2igan.errors import UserError
from t2igan.files import write_whole
from t2igan.interop.files import ReleasedNetwork
from t2igan.interop.kinds import KINDS
from t2igan.interop.networks import DFGANNetworks, LoneNetwork
from t2igan.models.adversarial import AdversarialModule
from t2igan.models.damsm import DAMSM, ImageEncoder
from t2igan.models.digest import seal
from t2igan.models.stream import STREAM
from t2igan.models.suite_module import SuiteModule
from t2igan.networks.stream import CaptionDecoder, CaptionEncoder
from t2igan.networks.synthesis import Discriminator, Generator
from t2igan.nn.config import config_of
from t2igan.text import TextEncoder

# Vocabulary sizes reported by users of the original code.
KNOWN_SIZES = {
    5453: "5,453 is said of MirrorGAN's bird_captions.pickle: AttnGAN's 5,450 words, padding, start and unknown",
    5598: "5,598 is said of captions.pickle files that users built themselves",
}


@dataclass(frozen=True)
class CaptionWords:
    """The words of a ``captions.pickle``.

    Attributes:
        path: path of the file.
        words: the words by id, ``<end>`` first.
    """

    path: str | Path
    words: list[str]


@dataclass(frozen=True)
class System:
    """A module of the suite with released weights.

    Attributes:
        module: the LightningModule with the weights.
        parts: the released networks by their place in the module.
    """

    module: SuiteModule
    parts: dict[str, ReleasedNetwork]

    @property
    def complete(self) -> bool:
        """Whether this is more than a single network."""
        return not isinstance(self.module, LoneNetwork)


def assemble(networks: Sequence[ReleasedNetwork], words: CaptionWords | None = None) -> System:
    """Assemble released networks into a module in eval mode.

    A generator and a text encoder make the module of the generator's paper, with any discriminators among the
    networks; text and image encoder make a DAMSM; both parts of a captioner a STREAM. One network by itself is kept
    as a :class:`LoneNetwork`.

    Args:
        networks: at least one.
        words: the vocabulary that they were trained with; every system needs it.

    Raises:
        UserError: the networks or the words do not belong together.
    """
    roles = _roles(networks)
    present = set(roles)
    if present - {"discriminator"} == {"generator", "text encoder"}:
        system = _adversarial(roles, _required(words))
    elif present == {"text encoder", "image encoder"}:
        system = _damsm(roles, _required(words))
    elif present == {"stream-cnn", "stream-rnn"}:
        system = _stream(roles, _required(words))
    elif len(networks) == 1:
        system = _lone(networks[0], words)
    else:
        raise UserError(
            f"{', '.join(each.kind for each in networks)} do not form a system: a generator goes with a text "
            "encoder and its discriminators, a text encoder with an image encoder, stream-cnn with stream-rnn"
        )
    system.module.eval()
    return system


def _roles(networks: Sequence[ReleasedNetwork]) -> dict[str, list[ReleasedNetwork]]:
    roles: dict[str, list[ReleasedNetwork]] = {}
    for each in networks:
        roles.setdefault(_role(each.kind), []).append(each)
    for role, filled in roles.items():
        if len(filled) > 1 and role != "discriminator":
            raise UserError(
                f"more than one {role}: {', '.join(str(each.path) for each in filled)}; give one of them"
            )
    return roles


def _role(kind: str) -> str:
    if KINDS[kind].module is not None:
        return "generator"
    if kind.endswith("-discriminator"):
        return "discriminator"
    return {"damsm-text-encoder": "text encoder", "damsm-image-encoder": "image encoder"}.get(kind, kind)


def _required(words: CaptionWords | None) -> CaptionWords:
    if words is None:
        raise UserError(
            "--captions_pickle is missing: give the captions.pickle that the networks were trained with; "
            "they hold only the ids of words"
        )
    return words


def _adversarial(roles: dict[str, list[ReleasedNetwork]], words: CaptionWords) -> System:
    (generated,), (text,) = roles["generator"], roles["text encoder"]
    _require_size(text, words)
    _require_usual(text)
    encoder, network = cast(TextEncoder, text.network), cast(Generator, generated.network)
    _require_width(generated, network.sentence_dim, text, encoder.dim)
    generator, discriminators = _split(network)
    parts = {"generator": generated, "text_encoder": text}
    for each in sorted(roles.get("discriminator", []), key=lambda each: _discriminator(each).image_size):
        _require_width(each, each.form.read["sentence_dim"], text, encoder.dim)
        parts[f"discriminators.{len(discriminators)}"] = each
        discriminators.append(_giving_logits(_discriminator(each)))
    paper, arguments = cast(tuple[Callable[..., AdversarialModule], dict[str, Any]], KINDS[generated.kind].module)
    module = paper(
        generator=generator,
        discriminators=discriminators,
        generator_losses=[],
        text_mode="joint",  # the other modes need a DAMSM
        ema_decay=None,
        **arguments,
    )
    module.vocabulary = words.words
    module.configure_model()
    module.text_encoder.load_state_dict(text.network.state_dict())
    return System(module, parts)


def _discriminator(each: ReleasedNetwork) -> Discriminator:
    return cast(Discriminator, each.network)


def _split(network: Generator) -> tuple[Generator, list[Discriminator]]:
    if isinstance(network, DFGANNetworks):
        return network.generator, [network.discriminator]
    return network, []


def _giving_logits(discriminator: Discriminator) -> Discriminator:
    """Switch discriminators from probabilities to logits, on which the suite trains."""
    if getattr(discriminator, "probabilities", False):
        discriminator.probabilities = False
        discriminator.remember(probabilities=False)
    return discriminator


def _damsm(roles: dict[str, list[ReleasedNetwork]], words: CaptionWords) -> System:
    (text,), (image,) = roles["text encoder"], roles["image encoder"]
    _require_size(text, words)
    _require_usual(text)
    image_encoder, text_encoder = cast(ImageEncoder, image.network), cast(TextEncoder, text.network)
    _require_width(image, image_encoder.dim, text, text_encoder.dim)
    module = DAMSM(image_encoder)
    module.vocabulary = words.words
    module.configure_model()
    module.text_encoder.load_state_dict(text.network.state_dict())
    return System(module, {"text_encoder": text, "image_encoder": image})


def _stream(roles: dict[str, list[ReleasedNetwork]], words: CaptionWords) -> System:
    (encoder,), (decoder,) = roles["stream-cnn"], roles["stream-rnn"]
    _require_size(decoder, words)
    network = cast(CaptionEncoder, encoder.network)
    _require_width(encoder, network.dim, decoder, decoder.form.read["embedding_dim"])
    module = STREAM(network, hidden_dim=decoder.form.read["hidden_dim"])
    module.vocabulary = words.words
    module.configure_model()
    module.decoder.load_state_dict(decoder.network.state_dict())
    return System(module, {"encoder": encoder, "decoder": decoder})


def _lone(each: ReleasedNetwork, words: CaptionWords | None) -> System:
    module = LoneNetwork(each.network)
    if words is not None:
        if not hasattr(each.network, "vocabulary_size"):
            raise UserError(
                f"{words.path} belongs to a text encoder or a captioner: give that too; {each.kind} has no words"
            )
        _require_size(each, words)
        module.vocabulary = words.words
    return System(module, {"network": each})


def _require_size(each: ReleasedNetwork, words: CaptionWords) -> None:
    """Check that the network has one embedding per word; whether the words are right cannot be checked."""
    rows, size = cast(TextEncoder | CaptionDecoder, each.network).vocabulary_size, len(words.words)
    if rows == size:
        return
    known = "".join(f"; {KNOWN_SIZES[number]}" for number in (rows, size) if number in KNOWN_SIZES)
    raise UserError(
        f"{each.path} was trained on {rows:,} words, {words.path} has {size:,}: give the captions.pickle that came "
        f"with it (5,450 words for birds, 27,297 for COCO){known}"
    )


def _require_usual(text: ReleasedNetwork) -> None:
    usual, own = TextEncoder(1), config_of(text.network)["init_args"]
    if own["cell"] != "lstm" or own["embedding_dim"] != usual.embedding.embedding_dim:
        raise UserError(
            f"{text.path}: the suite's systems have text encoders with an LSTM and {usual.embedding.embedding_dim} "
            f"numbers a word; this one has {own['cell']} and {own['embedding_dim']}"
        )


def _require_width(one: ReleasedNetwork, width: int, other: ReleasedNetwork, other_width: int) -> None:
    if width != other_width:
        raise UserError(
            f"{one.path} ({one.kind}) works with vectors of {width} numbers, {other.path} ({other.kind}) of "
            f"{other_width}: they do not belong together"
        )


def write_checkpoint(system: System, out: str | Path) -> None:
    """Write a checkpoint of the suite, including the origin and the form of the released weights.

    Args:
        system: the module and its parts.
        out: file to write, replaced atomically.
    """
    checkpoint: dict[str, Any] = {"state_dict": system.module.state_dict()}
    system.module.on_save_checkpoint(checkpoint)
    checkpoint["t2igan"]["imported"] = {
        place: {"kind": each.kind, "file": each.path.name, "sha256": each.sha256}
        for place, each in system.parts.items()
    }
    checkpoint["t2igan"]["official"] = {place: each.form.plain() for place, each in system.parts.items()}
    seal(checkpoint)
    # On a full disk PyTorch's own writer raises an error that does not mention the disk.
    written = io.BytesIO()
    torch.save(checkpoint, written)
    write_whole(Path(out), written.getbuffer())
