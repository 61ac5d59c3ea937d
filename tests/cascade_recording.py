"""Runs the recorded cases of the cascaded generators through the suite's own classes."""

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from golden_fill import FLOAT64_AGREEMENT, compare, fill_captions, fill_input, fill_module
from torch.utils.data import DataLoader

from t2igan.data.batch import CaptionedImages
from t2igan.interop.kinds import official_name
from t2igan.models.adversarial import Chunk
from t2igan.models.damsm import DAMSM, InceptionImageEncoder
from t2igan.nn.levers import EXACT, PLAIN
from t2igan.text import TextEmbedding

DTYPES = [torch.float64, torch.float32]
# What users train with runs in every test run; the plain steps, slower by half, with the wide recordings.
WHOLE_ITERATIONS = [pytest.param(PLAIN, id="plain", marks=pytest.mark.wide), pytest.param(EXACT, id="exact")]
# A gradient that is zero on paper (a bias before batch norm) is round-off beside the others.
NOTHING = 1e-12
# Measured float32 noise of gradient norms in the deepest recorded cases, times ten (golden README).
FLOAT32_GRADIENTS = 4e-4


def recorded_input(case, name, dtype=torch.float64):
    """The input of that name; with its iteration's number after a colon."""
    spec = case["inputs"][name]
    array = fill_input(name, spec["shape"], spec["kind"], spec.get("scale", 1.0))
    return torch.from_numpy(array).to(dtype)


def recorded_text(case, dtype=torch.float64):
    """Sentence and words of a case, as leaves, with the padding of its lengths."""
    sentence, words = (recorded_input(case, name, dtype) for name in ("sent_emb", "words_emb"))
    lengths = torch.tensor(case["inputs"]["lengths"]["value"])
    padding = torch.arange(words.shape[2]) >= lengths[:, None]
    return TextEmbedding(sentence.requires_grad_(), words.requires_grad_(), padding)


def draw_recorded(case, generator, kind, dtype=torch.float64):
    """Fill a generator, draw a recorded case, go back through it; everything measured, under the recorded names."""
    fill_module(generator.to(dtype), partial(official_name, kind), case["config"]["gain"])
    generator.train(case["config"]["mode"] == "train")
    text, noise = recorded_text(case, dtype), recorded_input(case, "noise", dtype).requires_grad_()
    eps = recorded_input(case, "ca_eps", dtype)
    generated = generator(noise, text, eps)
    outputs = {f"image{image.shape[-1]}": image for image in generated.images}
    outputs |= {f"attention{weights.shape[-1]}": weights for weights in generated.attention}
    outputs |= {"mu": generated.mu, "logvar": generated.logvar}
    scalars, grads = {}, {}
    if case.get("grads"):
        sides = [image.shape[-1] for image in generated.images]
        targets = [recorded_input(case, grad_name(case, side), dtype) for side in sides]
        loss = sum((image * target).sum() for image, target in zip(generated.images, targets))
        loss.backward()
        scalars["loss"] = loss.item()
        leaves = {"noise": noise, "sent_emb": text.sentence, "words_emb": text.words}
        grads = {name: norm(leaf.grad) for name, leaf in leaves.items()}
        for name, parameter in generator.named_parameters():
            grads[official_name(kind, name)] = norm(parameter.grad)
        for name, buffer in generator.named_buffers():
            grads["buffer:" + official_name(kind, name)] = norm(buffer)
    return generated, outputs, scalars, grads


def grad_name(case, side):
    """The recorded gradient of the image of a side."""
    return f"grad_image{side}" if f"grad_image{side}" in case["inputs"] else "grad_image"


def norm(tensor):
    return 0.0 if tensor is None else tensor.double().norm().item()


def disagreements(case, outputs, scalars, grads, dtype=torch.float64):
    """Sentences about what differs from the record; every recorded number must have been measured."""
    wide = dtype == torch.float64
    wrong = [
        f"{name}: {line}"
        for name, entry in case["outputs"].items()
        for line in compare(entry, outputs[name], float64=wide)
    ]
    largest = max([abs(entry[1]) for entry in case.get("grads", {}).values()], default=0.0)
    for group, measured in (("scalars", scalars), ("grads", grads)):
        for name, (single, double, tolerance) in case.get(group, {}).items():
            want = double if wide else single
            limit = (
                FLOAT64_AGREEMENT * abs(want) + NOTHING * largest
                if wide
                else max(tolerance, FLOAT32_GRADIENTS * abs(want)) + 1e-6 * largest
            )
            if not abs(measured[name] - want) <= limit:
                wrong.append(f"{name}: {measured[name]!r}, recorded {want!r}")
    return wrong


def filled_damsm(gain=1.0, dtype=torch.float64, vocabulary=100, align_corners=False):
    """A DAMSM with the recorded weights."""
    damsm = DAMSM(InceptionImageEncoder(weights="random", align_corners=align_corners), vocabulary)
    damsm.configure_model()
    fill_module(damsm.image_encoder, partial(official_name, "damsm-image-encoder"), gain)
    fill_module(damsm.text_encoder, partial(official_name, "damsm-text-encoder"))
    return damsm.to(dtype).eval().requires_grad_(False)


class Recorded:
    """Put before an AdversarialModule: feeds it recorded images and noise, and keeps what it logs.

    ``case`` and ``recorded_damsm`` (a DAMSM) are set after construction.
    """

    def _load_scorer(self):
        return self.recorded_damsm

    def _chunks(self, batch):
        self.measured = getattr(self, "measured", [])
        it, wide = len(self.measured), self.generator.to_image[0][0].weight.dtype
        self.measured.append({})
        spec = self.case["inputs"][f"captions:{it}"]
        ids = fill_captions(spec["lengths"], spec["vocab"], spec["width"], f"input:captions:{it}")
        batch.captions = torch.from_numpy(ids)
        random = [recorded_input(self.case, f"{name}:{it}", wide) for name in ("noise", "ca_eps")]
        nothing = torch.zeros(len(batch), 3, 1, 1)
        chunk = Chunk(batch, nothing, torch.cat(random, dim=1), self._scored_text(batch))
        chunk.real = lambda size: recorded_input(self.case, f"images{size}:{it}", wide)
        return [chunk]

    def _log(self, chunk, **values):
        self.measured[-1] |= {key: value.item() for key, value in values.items()}


def train_recorded(module, case, iterations):
    """The recorded training iterations in float64 -> every recorded scalar's own counterpart."""
    module.case = case
    lengths = torch.tensor(case["inputs"]["cap_lens"]["value"])
    classes = case["inputs"].get("class_ids", {"value": list(range(len(lengths)))})["value"]
    batch = CaptionedImages(
        torch.zeros(len(lengths), 3, 1, 1, dtype=torch.uint8),
        torch.zeros(len(lengths), 18, dtype=torch.long),
        lengths,
        torch.tensor(classes),
        [str(k) for k in range(len(lengths))],
        torch.arange(len(lengths)),
    )
    loader = DataLoader([batch] * iterations, batch_size=None)
    pl.Trainer(accelerator="cpu", precision="64-true", barebones=True, max_steps=iterations).fit(module, loader)
    measured = {}
    for it, step in enumerate(module.measured):
        measured |= {f"it{it}_errD{k}": step[f"loss_d_{64 * 2**k}"] for k in range(3)}
        measured |= {f"it{it}_errG_total": step["loss_g"], f"it{it}_kl": step["loss_g_kl"]}
    networks = {
        "G": module.generator,
        **{f"D{k}": discriminator for k, discriminator in enumerate(module.discriminators)},
    }
    if "generator" in module.averages:
        networks["avg_G"] = module.averages["generator"].module
    for name, network in networks.items():
        norms = torch.stack([parameter.double().norm() for parameter in network.parameters()])
        measured[f"final_param_l2_{name}"] = norms.norm().item()
    return measured
