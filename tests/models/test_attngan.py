import json
from functools import partial
from pathlib import Path

import pytest
import torch

from t2igan.errors import UserError
from t2igan.interop.kinds import official_name
from t2igan.losses.gradient_penalty import MAGP
from t2igan.models.attngan import AttnGAN
from t2igan.models.ssagan import SSAGAN
from t2igan.models.suite_module import load_module
from t2igan.networks.attngan import AttnDCGANGenerator, AttnGANDiscriminator, AttnGANGenerator
from t2igan.networks.ssagan import SSAGANGenerator
from t2igan.text import TextEmbedding

DIM = 16  # of the DAMSM in conftest.py
MANIFEST = json.loads((Path(__file__).parents[1] / "golden/manifests/attngan.json").read_text())["modules"]


def parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameter_counts_are_those_of_the_released_networks():
    with torch.device("meta"):  # orthogonal weights of this size would take a minute
        assert parameters(AttnGANGenerator()) == 7_084_592
        assert parameters(AttnGANGenerator(channels=48, residual_blocks=3)) == 13_811_456
        assert parameters(AttnDCGANGenerator()) == 6_638_960
        cub = [parameters(AttnGANDiscriminator(size)) for size in (64, 128, 256)]
        coco = [parameters(AttnGANDiscriminator(size, channels=96)) for size in (64, 128, 256)]
        assert cub == [6_313_730, 19_424_002, 71_858_946]
        assert coco == [13_304_450, 42_800_258, 160_774_274]
        assert parameters(AttnGANDiscriminator(256, conditional_only=True)) == 71_850_753


@pytest.mark.parametrize(
    ("kind", "make", "name"),
    [
        ("attngan-generator", AttnGANGenerator, "G_NET GF_DIM=32 R_NUM=2 BRANCH_NUM=3"),
        ("attndcgan-generator", partial(AttnDCGANGenerator, residual_blocks=2), "G_DCGAN GF_DIM=32 R_NUM=2"),
        *(
            (f"attngan-discriminator-{size}", partial(AttnGANDiscriminator, size), f"D_NET{size} DF_DIM=64")
            for size in (64, 128, 256)
        ),
    ],
)
def test_tensors_are_those_of_the_released_networks(kind, make, name):
    with torch.device("meta"):
        tensors = make().state_dict()
    own = {official_name(kind, key): list(value.shape) for key, value in tensors.items()}
    assert own == {key: entry[0] for key, entry in MANIFEST[name]["state"].items()}


def small_generator(**options):
    torch.manual_seed(0)
    settings = {"image_size": 16, "stages": 2, "channels": 4, "noise_dim": 8, "sentence_dim": DIM, "eps_dim": 6}
    return AttnGANGenerator(**(settings | options))


def captions(lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    words = torch.randn(len(lengths), DIM, 9, generator=generator)
    padding = torch.arange(9) >= torch.tensor(lengths)[:, None]
    return TextEmbedding(words.mean(dim=2), words.masked_fill(padding[:, None], 0.0), padding)


def test_an_image_does_not_depend_on_the_other_captions_of_its_batch():
    text, random = captions([9, 6, 4, 2]), torch.randn(4, 14)
    order = torch.tensor([2, 0, 3, 1])
    generator = small_generator().eval()
    with torch.no_grad():
        straight = generator.from_random(random, text)
        shuffled = generator.from_random(random[order], text.select(order))
        alone = generator.from_random(random[2:3], text.select(torch.tensor([2])))
    assert torch.allclose(straight.images[-1][order], shuffled.images[-1], atol=1e-6)
    assert torch.allclose(straight.images[-1][2:3], alone.images[-1], atol=1e-6)
    assert torch.allclose(straight.attention[-1][order], shuffled.attention[-1], atol=1e-6)
    assert (straight.attention[-1][1, 6:] == 0).all()


def test_with_the_legacy_mask_it_does():
    text, random = captions([9, 6, 4, 2]), torch.randn(4, 14)
    generator = small_generator(legacy_mask=True).eval()
    with torch.no_grad():
        together = generator.from_random(random, text)
        alone = generator.from_random(random[2:3], text.select(torch.tensor([2])))
    assert not torch.allclose(together.images[-1][2:3], alone.images[-1], atol=1e-4)


def test_with_equal_lengths_both_masks_are_one():
    text, random = captions([5, 5, 5, 5]), torch.randn(4, 14)
    with torch.no_grad():
        images = [small_generator(legacy_mask=legacy).eval().from_random(random, text) for legacy in (False, True)]
    assert torch.equal(images[0].images[-1], images[1].images[-1])


def test_conditioning_noise_is_drawn_if_it_is_not_given():
    text, noise, generator = captions([9, 6]), torch.randn(2, 8), small_generator().eval()
    with torch.no_grad():
        first, second = generator(noise, text).images[-1], generator(noise, text).images[-1]
        fixed = [generator(noise, text, torch.zeros(2, 6)).images[-1] for _ in range(2)]
    assert not torch.equal(first, second)
    assert torch.equal(*fixed)


def test_weights_start_orthogonal():
    weight = small_generator().initial.upsample[0][1].weight.flatten(1)
    rows = weight if weight.shape[0] <= weight.shape[1] else weight.T
    assert torch.allclose(rows @ rows.T, torch.eye(len(rows)), atol=1e-5)


def test_probabilities_are_the_logits_seen_through_a_sigmoid():
    torch.manual_seed(0)
    discriminators = [AttnGANDiscriminator(16, 4, DIM, probabilities=flag) for flag in (False, True)]
    discriminators[1].load_state_dict(discriminators[0].state_dict())
    images, sentence = torch.randn(3, 3, 16, 16), torch.randn(3, DIM)
    logits, probabilities = (
        discriminator.conditional(discriminator(images), sentence) for discriminator in discriminators
    )
    assert torch.allclose(logits.sigmoid(), probabilities)
    logits, probabilities = (discriminator.unconditional(discriminator(images)) for discriminator in discriminators)
    assert torch.allclose(logits.sigmoid(), probabilities)


def test_training_on_probabilities_is_refused():
    discriminator = AttnGANDiscriminator(16, 4, DIM, probabilities=True)
    with pytest.raises(UserError, match="needs logits"):
        AttnGAN(damsm="any", generator=small_generator(), discriminators=[discriminator])


def test_no_discriminators_are_made_where_none_are_wanted():
    module = AttnGAN(damsm="any", generator=small_generator(), discriminators=[])
    assert not module.discriminators
    with pytest.raises(UserError, match=r"give model.init_args.discriminators one"):
        module.configure_optimizers()


def networks(sizes=(8, 16)):
    return {
        "generator": small_generator(),
        "discriminators": [AttnGANDiscriminator(size, 4, DIM) for size in sizes],
    }


def test_trains_and_comes_back_from_its_checkpoint(damsm_checkpoint, train, tmp_path):
    module = AttnGAN(damsm=damsm_checkpoint, **networks())
    before = {key: value.clone() for key, value in module.state_dict().items()}
    trainer = train(module)
    assert {loss.name for loss in module.generator_losses} == {"damsm", "kl"}
    assert all(torch.isfinite(value).all() for value in module.state_dict().values())
    for name in ("generator.augmentation.fc.weight", "discriminators.0.pair_head.weight"):
        assert not torch.equal(before[name], module.state_dict()[name])
    trainer.save_checkpoint(tmp_path / "attngan.ckpt")
    again = load_module(tmp_path / "attngan.ckpt")
    ids, lengths, random = torch.ones(2, 3, dtype=torch.long), torch.tensor([3, 2]), torch.randn(2, 14)
    generated = [network.synthesise(random, ids, lengths).images[-1] for network in (module, again)]
    assert torch.equal(*generated)


def test_ssagans_generator_trains_under_attngans_losses(damsm_checkpoint, train):
    generator = SSAGANGenerator(16, 4, noise_dim=8, sentence_dim=DIM)
    module = AttnGAN(damsm=damsm_checkpoint, generator=generator, discriminator_channels=4)
    assert [discriminator.image_size for discriminator in module.discriminators] == [16]
    assert [loss.name for loss in module.generator_losses] == ["damsm"]
    before = generator.fc.weight.clone()
    train(module)
    assert not torch.equal(before, generator.fc.weight)


def test_attngans_generator_trains_under_hinge_and_penalty(damsm_checkpoint, train):
    module = SSAGAN(damsm=damsm_checkpoint, generator=small_generator(), channels=4, penalty=MAGP())
    assert [discriminator.image_size for discriminator in module.discriminators] == [8, 16]
    before = module.generator.augmentation.fc.weight.clone()
    trainer = train(module)
    assert not torch.equal(before, module.generator.augmentation.fc.weight)
    assert trainer.logged_metrics["train/penalty"] > 0
