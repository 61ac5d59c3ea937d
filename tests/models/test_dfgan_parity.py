"""Losses and whole training iterations of the released DF-GAN, through the suite's own training step."""

import pytest
import pytorch_lightning as pl
import torch
from golden_fill import fill_module, load_case
from test_dfgan import CURRENT_D, PRECISIONS, assert_numbers, embedding, gradient_norms, own_key, recorded_input
from torch.utils.data import DataLoader

from t2igan.data.batch import CaptionedImages
from t2igan.interop.kinds import official_name
from t2igan.losses.mismatch import mismatched
from t2igan.models import Synthesis
from t2igan.models.adversarial import Chunk
from t2igan.models.dfgan import DFGAN
from t2igan.nn.levers import EXACT, PLAIN

BATCH = 4


def empty_batch():
    """The recorded runs start from float images and sentence vectors; class ids only fill a place."""
    return CaptionedImages(
        torch.zeros(BATCH, 3, 1, 1, dtype=torch.uint8),
        torch.ones(BATCH, 1, dtype=torch.long),
        torch.ones(BATCH, dtype=torch.long),
        torch.arange(BATCH),
        list("abcd"),
        torch.arange(BATCH),
    )


class Recorded(DFGAN):
    """Fed with recorded images, sentences and noise; keeps its logs."""

    def __init__(self, case, dtype):
        super().__init__("recorded", case["config"]["imsize"], case["config"]["nf"], vocabulary_size=3)
        self.case, self.wide, self.measured = case, dtype, []
        self.to(dtype)
        fill_module(self.generator, lambda name: official_name("dfgan-generator", name))
        fill_module(self.discriminators[0], own_key, case["config"].get("gain", 1.0))

    def _load_scorer(self):
        return None

    def _chunks(self, batch):
        keys = [f"{name}:{len(self.measured)}" for name in ("images", "noise", "sent_emb")]
        images, noise, sentence = (recorded_input(self.case, key, self.wide).detach() for key in keys)
        self.measured.append({})
        return [Chunk(batch, images, noise, embedding(sentence))]

    def _log(self, chunk, **values):
        self.measured[-1] |= {key: value.item() for key, value in values.items()}


@pytest.mark.parametrize(
    "name", ["losses_nf8_64", "losses_nf8_64_gain", pytest.param("losses_nf32_256", marks=pytest.mark.wide)]
)
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_losses_equal_the_original(name, dtype):
    case = load_case("dfgan", name)
    module = Recorded(case, dtype)
    discriminator, hinge = module.discriminators[0], module.objective
    images, fakes, sentence = (recorded_input(case, key, dtype).detach() for key in ("images", "fakes", "sent_emb"))
    module.measured.append({})
    chunk = Chunk(empty_batch(), images, None, embedding(sentence), Synthesis([fakes]), embedding(sentence))

    # Gradients add up: those of the penalty alone, then, with those of the other terms, of the whole loss.
    penalty, module.penalty = module.penalty_loss(chunk), None
    penalty.backward()
    norms = {f"MAGP/{key}": norm for key, norm in gradient_norms(discriminator, CURRENT_D).items()}
    others = module.discriminator_loss(chunk)
    others.backward()
    norms |= {f"errD/{key}": norm for key, norm in gradient_norms(discriminator, CURRENT_D).items()}
    assert_numbers(case["grads"], norms, dtype)

    with torch.no_grad():
        features = discriminator(images)
        wrong = mismatched(features, sentence, chunk.batch.class_ids, module.mismatch)
        scalars = {
            "errD_real": hinge.real(discriminator.conditional(features, sentence)),
            "errD_mis": hinge.fake(discriminator.conditional(*wrong)),
            "errD_fake": hinge.fake(discriminator.conditional(discriminator(fakes), sentence)),
        }
    scalars |= {"errD": others + penalty, "errD_MAGP": penalty}
    assert_numbers(case["scalars"], scalars, dtype, noise=1e-4)


@pytest.mark.parametrize("levers", [PLAIN, EXACT], ids=["plain", "exact"])
def test_three_iterations_of_dfgan(levers):
    case = load_case("dfgan", "train_3_iterations_nf8_64")
    module = Recorded(case, torch.float64)
    module.levers = levers
    loader = DataLoader([empty_batch()] * 3, batch_size=None)
    pl.Trainer(accelerator="cpu", precision="64-true", barebones=True, max_steps=3).fit(module, loader)

    own = {"errD": "loss_d", "MAGP": "penalty", "errG": "loss_g"}
    measured = {f"it{it}_{name}": step[key] for it, step in enumerate(module.measured) for name, key in own.items()}
    discriminator = module.discriminators[0]
    trunk = [parameter for name, parameter in discriminator.named_parameters() if not name.startswith("joint.")]
    networks = {"G": module.generator.parameters(), "D": trunk, "C": discriminator.joint.parameters()}
    for letter, parameters in networks.items():
        norms = torch.stack([parameter.detach().norm() for parameter in parameters])
        measured[f"final_param_l2_{letter}"] = norms.norm()
    assert_numbers(case["scalars"], measured, torch.float64)
