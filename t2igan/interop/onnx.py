"""Export generators with their text encoders to ONNX: word ids and noise in, images out."""

import logging
import warnings
from pathlib import Path
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from t2igan.errors import UserError
from t2igan.files import write_whole
from t2igan.models.adversarial import AdversarialModule
from t2igan.models.suite_module import SuiteModule
from t2igan.networks.synthesis import Generator
from t2igan.optional import library
from t2igan.text.embedding import TextEmbedding
from t2igan.text.encoder import TextEncoder

INPUTS, OUTPUT = ("noise", "captions", "lengths"), "images"
VOCABULARY = "vocabulary"
OPSET = 18


class UnpackedEncoder(nn.Module):
    """A text encoder without packed sequences, which ONNX lacks; the values are the same.

    For the backward direction each caption is reversed within its own length.

    Args:
        encoder: text encoder whose weights are used.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        super().__init__()
        self.embedding, both = encoder.embedding, encoder.rnn
        self.directions = nn.ModuleList()
        for ending in ("", "_reverse"):
            one = type(both)(both.input_size, both.hidden_size, batch_first=True)
            one.load_state_dict({name: getattr(both, name + ending) for name in one.state_dict()})
            self.directions.append(one)

    def forward(self, captions: Tensor, lengths: Tensor) -> TextEmbedding:
        """Like :meth:`TextEncoder.forward`, for captions (B, T) padded to a fixed T."""
        places = torch.arange(captions.shape[1], device=captions.device)[None]
        last = lengths[:, None] - 1
        turned = torch.where(places <= last, last - places, places)[:, :, None]
        embedded = self.embedding(captions)
        ahead, _ = self.directions[0](embedded)
        back, _ = self.directions[1](embedded.gather(1, turned.expand(-1, -1, embedded.shape[2])))
        end = last[:, :, None].expand(-1, -1, ahead.shape[2])
        sentence = torch.cat([ahead.gather(1, end), back.gather(1, end)], 2)[:, 0]
        padding = places > last
        words = torch.cat([ahead, back.gather(1, turned.expand(-1, -1, back.shape[2]))], 2)
        return TextEmbedding(sentence, (words * ~padding[:, :, None]).transpose(1, 2), padding)


class ImagesOfCaptions(nn.Module):
    """Noise (B, Z), captions (B, T), lengths (B,) -> images (B, 3, S, S) in [-1, 1].

    Args:
        module: module whose networks are exported.
        weights: averaged, or those that training moved.
    """

    def __init__(self, module: AdversarialModule, weights: Literal["ema", "raw"]) -> None:
        super().__init__()
        networks: dict[str, nn.Module] = {"generator": module.generator, "text_encoder": module.text_encoder}
        if weights == "ema":
            networks |= {name: average.module for name, average in module.averages.items()}
        self.generator = networks["generator"]
        self.text_encoder = UnpackedEncoder(cast(TextEncoder, networks["text_encoder"]))
        self._module = (module,)  # not a child module, so that its other networks are not exported

    def forward(self, noise: Tensor, captions: Tensor, lengths: Tensor) -> Tensor:
        """The images of the last stage."""
        told = self._module[0].conditions(self.text_encoder(captions, lengths), None)
        return cast(Generator, self.generator).from_random(noise, told).images[-1]


def write_onnx(module: SuiteModule, out: str | Path, weights: Literal["ema", "raw"], words: int) -> int:
    """Write a generator with its text encoder; one image of one caption a run.

    Inputs ``noise`` float (1, Z), ``captions`` int64 (1, words), 0 = padding, ``lengths`` int64 (1,); output
    ``images`` float (1, 3, S, S) in [-1, 1]. The words of the ids are in the file's metadata, a line each.

    Args:
        module: a GAN of captions.
        out: file to write, replaced atomically.
        weights: averaged, or those that training moved.
        words: the most words of a caption.

    Returns:
        Bytes written.

    Raises:
        UserError: the generator needs more than captions, or ONNX's packages are not installed.
    """
    if not isinstance(module, AdversarialModule) or module.requires != {"captions"}:
        raise UserError(f"--to onnx: exports GANs that generate from captions, not {type(module).__name__}")
    if not isinstance(module.text_encoder, TextEncoder):
        raise UserError(
            f"--to onnx: exports the recurrent text encoder only, not {type(module.text_encoder).__name__}"
        )
    library("onnxscript", "exports to onnx", "t2igan[onnx]")  # otherwise torch's exporter reports it in many lines
    captions = torch.ones(1, words, dtype=torch.int64)
    example = torch.zeros(1, module.generator.random_dim), captions, torch.tensor([words])
    model = _exported(ImagesOfCaptions(module, weights).eval(), example)
    entry = model.metadata_props.add()
    entry.key, entry.value = VOCABULARY, "\n".join(module.vocabulary)
    content = model.SerializeToString()
    write_whole(Path(out), content)
    return len(content)


def _exported(drawing: nn.Module, example: tuple[Any, ...]) -> Any:
    """Export to ONNX's ``ModelProto``, suppressing the exporter's messages."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        made = torch.onnx.export(
            drawing,
            example,
            input_names=INPUTS,
            output_names=[OUTPUT],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert made is not None  # torch's types: with dynamo it is a program
    return made.model_proto
