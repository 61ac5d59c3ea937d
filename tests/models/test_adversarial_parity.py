"""Whole training iterations of the released code, through the suite's own training step."""

from functools import partial

import pytest
import pytorch_lightning as pl
import torch
from cascade_recording import WHOLE_ITERATIONS
from golden_fill import fill_captions, fill_input, fill_module, load_case
from torch.utils.data import DataLoader

from t2igan.data.batch import CaptionedImages
from t2igan.interop.kinds import official_name
from t2igan.losses.gradient_penalty import MAGP, gradient_norm
from t2igan.models.adversarial import Chunk
from t2igan.models.damsm import DAMSM, InceptionImageEncoder
from t2igan.models.ssagan import SSAGAN
from t2igan.networks.dfgan import OneWayDiscriminator
from t2igan.nn.levers import EXACT, PLAIN, pull

VOCABULARY = 100


def filled_damsm(gain, dtype):
    damsm = DAMSM(InceptionImageEncoder(weights="random"), vocabulary_size=VOCABULARY)
    damsm.configure_model()
    fill_module(damsm.image_encoder, partial(official_name, "damsm-image-encoder"), gain)
    fill_module(damsm.text_encoder, partial(official_name, "damsm-text-encoder"))
    return damsm.to(dtype).eval().requires_grad_(False)


class Recorded(SSAGAN):
    """Fed with recorded float images and noise in place of uint8 images and generated noise; keeps its logs."""

    def __init__(self, case, dtype):
        super().__init__(damsm="recorded", channels=8, text_mode="frozen", ema_decay=None)
        self.case, self.wide, self.measured = case, dtype, []

    def _load_scorer(self):
        return filled_damsm(self.case["config"]["image_encoder_gain"], self.wide)

    def _chunks(self, batch):
        it = len(self.measured)
        self.measured.append({})
        images, noise = (
            torch.from_numpy(fill_input(key, self.case["inputs"][key]["shape"], self.case["inputs"][key]["kind"]))
            for key in (f"images:{it}", f"noise:{it}")
        )
        spec = self.case["inputs"][f"captions:{it}"]
        ids = fill_captions(spec["lengths"], spec["vocab"], spec["width"], f"input:captions:{it}")
        batch.captions = torch.from_numpy(ids)
        return [Chunk(batch, images.to(self.wide), noise.to(self.wide), self._scored_text(batch))]

    def _log(self, chunk, **values):
        self.measured[-1] |= {key: value.item() for key, value in values.items()}


@pytest.mark.parametrize("levers", WHOLE_ITERATIONS)
def test_three_iterations_of_ssagan(levers):
    dtype = torch.float64
    case = load_case("ssagan_losses", "train_3_iterations_nf8")
    module = Recorded(case, dtype)
    module.levers = levers
    fill_module(module.generator, partial(official_name, "ssagan-generator"))
    fill_module(module.discriminators[0], partial(official_name, "ssagan-discriminator"))
    lengths = torch.tensor(case["inputs"]["cap_lens"]["value"])
    batch = CaptionedImages(
        torch.zeros(4, 3, 1, 1, dtype=torch.uint8),
        torch.zeros(4, 18, dtype=torch.long),
        lengths,
        torch.tensor(case["inputs"]["class_ids"]["value"]),
        list("abcd"),
        torch.arange(4),
    )
    loader = DataLoader([batch] * 3, batch_size=None)
    pl.Trainer(accelerator="cpu", precision="64-true", barebones=True, max_steps=3).fit(module, loader)

    names = {"errD": "loss_d", "d_loss": "penalty", "errG": "loss_g_adversarial", "0.05*DAMSM": "loss_g_damsm"}
    measured = {
        f"it{it}_{name}": step[own] for it, step in enumerate(module.measured) for name, own in names.items()
    }
    for letter, network in (("G", module.generator), ("D", module.discriminators)):
        norms = torch.stack([parameter.double().norm() for parameter in network.parameters()])
        measured[f"final_param_l2_{letter}"] = norms.norm().item()
    assert set(case["scalars"]) <= set(measured)
    for key, (_, double, _) in case["scalars"].items():
        assert abs(measured[key] - double) <= 1e-9 * abs(double), key


@pytest.mark.parametrize("levers", [PLAIN, EXACT], ids=["plain", "exact"])
@pytest.mark.parametrize("name", ["hinge_magp_nf8", "hinge_magp_nf8_gain"])
def test_penalty_equals_the_original(name, levers):
    case = load_case("ssagan_losses", name)
    discriminator = OneWayDiscriminator(channels=8).double()
    pull(discriminator, levers)
    fill_module(discriminator, partial(official_name, "ssagan-discriminator"), case["config"]["gain"])
    images, sentence = (
        torch.from_numpy(fill_input(key, case["inputs"][key]["shape"], case["inputs"][key]["kind"])).double()
        for key in ("images", "sent_emb")
    )
    images.requires_grad_()
    sentence.requires_grad_()
    logits = discriminator.conditional(discriminator(images), sentence)
    want = torch.tensor(case["outputs"]["grad_l2norm"]["float64"]["values"], dtype=torch.float64)
    assert torch.allclose(gradient_norm(logits, images, sentence), want, rtol=1e-9)
    penalty = MAGP(weight=2, power=6)(logits, images, sentence)
    assert penalty.item() == pytest.approx(case["scalars"]["d_loss (2 * MA-GP)"][1], rel=1e-9)
    penalty.backward()
    for key, parameter in discriminator.named_parameters():
        recorded = case["grads"]["d_loss/" + official_name("ssagan-discriminator", key)][1]
        got = 0.0 if parameter.grad is None else parameter.grad.norm().item()
        assert got == pytest.approx(recorded, rel=1e-9, abs=1e-12), key
