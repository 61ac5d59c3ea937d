"""SSA-GAN's losses against numbers recorded from its released code."""

from functools import partial

import pytest
import torch
from cascade_recording import disagreements, filled_damsm, norm, recorded_input
from golden_fill import fill_module, load_case

from t2igan.interop.kinds import official_name
from t2igan.losses.adversarial import Hinge, Logits
from t2igan.losses.matching import Gammas
from t2igan.losses.mismatch import mismatched
from t2igan.models.generator_losses import DAMSMLoss, GeneratorView
from t2igan.networks.dfgan import OneWayDiscriminator
from t2igan.networks.synthesis import Synthesis
from t2igan.text import TextEmbedding

KIND = "ssagan-discriminator"


# Not the gain of 2 in float32: there a gradient of small differences varies by 2e-3 between processors.
@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("hinge_magp_nf8", torch.float64),
        ("hinge_magp_nf8", torch.float32),
        ("hinge_magp_nf8_gain", torch.float64),
        pytest.param("hinge_magp_nf64", torch.float64, marks=pytest.mark.wide),
    ],
)
def test_adversarial_losses(name, dtype):
    case = load_case("ssagan_losses", name)
    discriminator = OneWayDiscriminator(channels=case["config"]["ndf"]).to(dtype)
    fill_module(discriminator, partial(official_name, KIND), case["config"]["gain"])
    images, fakes, sentence = (recorded_input(case, key, dtype) for key in ("images", "fakes", "sent_emb"))
    fakes.requires_grad_()
    features, objective = discriminator(images), Hinge()
    real = Logits(discriminator.conditional(features, sentence))
    fake = Logits(discriminator.conditional(discriminator(fakes), sentence))
    wrong = discriminator.conditional(*mismatched(features, sentence, torch.arange(4), "neighbour"))
    loss = objective.discriminator_loss(real, fake, wrong)
    loss.backward(retain_graph=True)
    scalars = {
        "errD_real": objective.real(real.conditional).item(),
        "errD_mismatch": objective.fake(wrong).item(),
        "errD_fake": objective.fake(fake.conditional).item(),
        "errD": loss.item(),
        "errG": objective.generator_loss(fake).item(),
    }
    grads = {
        f"errD/{official_name(KIND, key)}": norm(value.grad) for key, value in discriminator.named_parameters()
    }
    case["scalars"] = {key: value for key, value in case["scalars"].items() if key in scalars}
    case["grads"] = {key: value for key, value in case["grads"].items() if key.startswith("errD/")}
    assert len(case["scalars"]) == 5
    assert len(case["grads"]) > 30
    assert not disagreements({**case, "outputs": {}}, {}, scalars, grads, dtype)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["damsm_loss", "damsm_loss_distinct"])
def test_damsm_loss_of_the_generator(name):
    case = load_case("ssagan_losses", name)
    sentence, words = recorded_input(case, "sent_emb"), recorded_input(case, "words_emb")
    lengths = torch.tensor(case["inputs"]["cap_lens"]["value"])
    text = TextEmbedding(sentence, words, torch.arange(words.shape[2]) >= lengths[:, None])
    batch = type("Batch", (), {"class_ids": torch.tensor(case["inputs"]["class_ids"]["value"])})
    fakes = recorded_input(case, "fakes")
    view = GeneratorView(Synthesis([fakes]), text, batch, filled_damsm(case["config"]["image_encoder_gain"]))
    loss = DAMSMLoss(0.05, Gammas(*case["config"]["gamma"]))(view).item()
    scalars = {"DAMSM": loss / 0.05, "0.05*DAMSM": loss}
    assert not disagreements({**case, "outputs": {}, "grads": {}}, {}, scalars, {})
