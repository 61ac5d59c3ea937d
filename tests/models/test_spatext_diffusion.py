import pytest
import torch
from segment_fixture import VOCABULARY, toy_batch, train_on_scenes

from t2igan.evaluation.subjects.generated import build_untrained_subject
from t2igan.layout.segments import SpatioTextualMap
from t2igan.models.guidance import Fast, Multi
from t2igan.models.spatext_diffusion import Denoiser, SpaTextDiffusion
from t2igan.models.spatext_hosts import PixelHost
from t2igan.models.suite_module import load_module
from t2igan.nn.randomness import Purpose, StepRandom

DIM = 8
SMALL = {"widths": (8, 16), "attention": 1, "segment_dim": DIM}


def draw(module, batch, layouts=None, seed=0, weights="ema"):
    noise = torch.randn(len(batch), module.generator.random_dim, generator=torch.Generator().manual_seed(seed))
    return module.synthesise(noise, batch.captions, batch.lengths, weights, layouts).images[-1]


def test_the_loss_falls_and_the_model_is_saved(tiny_encoder, tmp_path):
    torch.manual_seed(0)
    module = SpaTextDiffusion(PixelHost(32, planes=4, **SMALL), tiny_encoder, lr=2e-3, steps=3, ema_decay=0.9)
    losses = []
    module.log_step = lambda values, samples: losses.append(values["train/loss"].item())
    path = train_on_scenes(module, 40, tmp_path, size=4)
    assert sum(losses[-8:]) < 0.5 * sum(losses[:8])
    again, batch = load_module(path), toy_batch(2, 77)
    images = draw(module, batch, batch.layouts)
    assert images.shape == (2, 3, 32, 32) and images.abs().max() <= 1
    assert torch.equal(draw(again, batch, batch.layouts), images)
    assert not torch.allclose(draw(again, batch), images, atol=1e-3)  # without what was said of places
    assert not torch.allclose(draw(again, batch, batch.layouts, weights="raw"), images, atol=1e-4)
    averaged = again.averages["generator"].module
    again.generator.load_state_dict(averaged.state_dict())  # what "raw" draws with is now what "ema" drew with
    assert torch.equal(draw(again, batch, batch.layouts, weights="raw"), images)
    assert not any("conditioner" in key for key in torch.load(path, weights_only=True)["state_dict"])
    untrained = build_untrained_subject(path, seed=1)
    assert untrained.card.kind == "untrained" and not untrained.notes
    assert not torch.allclose(draw(untrained.module, batch, batch.layouts), images, atol=1e-2)


def test_captions_and_maps_are_dropped_each_alone_and_both_together(tiny_encoder):
    torch.manual_seed(0)
    host = PixelHost(32, planes=4, **SMALL)
    module = SpaTextDiffusion(host, tiny_encoder, most=2, dropped=0.2, both_dropped=0.3)
    module.vocabulary = VOCABULARY
    module.configure_model()
    shown = {}

    def predict(noisy, times, text, st_map):
        shown.update(noisy=noisy, text=text, st_map=st_map)
        return torch.ones_like(noisy)

    host.predict = predict
    batch, random = toy_batch(300, 7), StepRandom(0, 0)
    loss = module._loss(batch, random, host)
    noise = random.normal(300, module.generator.noise_dim, Purpose.DIFFUSION_NOISE).view(300, 3, 32, 32)
    assert torch.allclose(loss, (noise - 1).square().mean())  # it is the noise that is to be predicted
    silent, nowhere = ~shown["text"].any(1), ~shown["st_map"].index.flatten(1).any(1)
    shares = [each.float().mean().item() for each in (silent, nowhere, silent & nowhere)]
    assert shares == pytest.approx([0.3 + 0.7 * 0.2, 0.3 + 0.7 * 0.2, 0.3 + 0.7 * 0.04], abs=0.07)
    assert torch.allclose(shown["text"][~silent].norm(dim=1), torch.ones(int((~silent).sum())), atol=1e-5)
    assert set(shown["st_map"].present.sum(1)[~nowhere].tolist()) == {1, 2}


@pytest.mark.parametrize("sampler", ["ddim", "dpm-solver++"])
def test_an_image_belongs_to_its_noise_and_not_to_its_batch(tiny_encoder, sampler):
    torch.manual_seed(0)
    module = SpaTextDiffusion(PixelHost(32, planes=4, **SMALL), tiny_encoder, steps=4, sampler=sampler)
    module.vocabulary = ["<end>", *"abcdefghijklmnopqrstuvwxyz"]
    module.configure_model()
    batch = toy_batch(3, 5)
    noise = torch.randn(3, module.generator.random_dim)
    layouts = batch.layouts
    together = module.synthesise(noise, batch.captions, batch.lengths, layouts=layouts).images[0]
    one = torch.tensor([1])
    alone = module.synthesise(noise[1:2], batch.captions[1:2], batch.lengths[1:2], layouts=layouts.select(one))
    assert torch.allclose(alone.images[0][0], together[1], atol=1e-4)
    assert not torch.allclose(together[0], together[1], atol=1e-2)


def test_all_planes_or_projected_ones(tiny_encoder):
    st_map = SpatioTextualMap(torch.randn(2, 2, DIM), torch.randint(0, 3, (2, 32, 32)))
    noisy, times, text = torch.randn(2, 3, 32, 32), torch.tensor([3, 900]), torch.randn(2, DIM)
    for planes, channels in ((None, 3 + DIM), (4, 7)):
        host = PixelHost(32, planes=planes, **SMALL)
        assert host.unet.conv_in.in_channels == channels
        said, silent = (host.predict(noisy, times, text, each) for each in (st_map, st_map.nothing()))
        assert said.shape == (2, 3, 32, 32) and not torch.allclose(said, silent)


def test_guidance_of_a_trained_sampler_is_chosen_in_yaml(tiny_encoder):
    torch.manual_seed(0)
    host = PixelHost(32, planes=4, **SMALL)
    batch, generated = toy_batch(2, 5), []
    for guidance in (Fast(0.0), Multi(0.0, 0.0), Fast(4.0), Multi(4.0, 0.0)):
        module = SpaTextDiffusion(host, tiny_encoder, steps=3, guidance=guidance)
        module.vocabulary = ["<end>", *"abcdefghijklmnopqrstuvwxyz"]
        module.configure_model()
        generated.append(draw(module, batch, batch.layouts))
    assert torch.allclose(generated[0], generated[1], atol=1e-5)
    assert not torch.allclose(generated[0], generated[2], atol=1e-4) and not torch.allclose(
        generated[2], generated[3], atol=1e-4
    )


def test_the_samplers_undo_the_noise_that_they_are_told():
    """With a predictor that knows the truth, both end at the image."""

    class Oracle(PixelHost):
        def predict(self, noisy, times, text, st_map):
            alphas = scheduler.alphas_cumprod[times].view(-1, 1, 1, 1)
            return (noisy - alphas.sqrt() * clean) / (1 - alphas).sqrt()

    clean = torch.rand(1, 3, 32, 32) * 2 - 1
    for sampler in ("ddim", "dpm-solver++"):
        denoiser = Denoiser(Oracle(32, planes=4, **SMALL), sampler, 10, 1000, Fast(1.0))
        scheduler = denoiser.scheduler()
        st_map = SpatioTextualMap(torch.zeros(1, 1, DIM), torch.zeros(1, 32, 32, dtype=torch.int64))
        from t2igan.models.guidance import GuidedConditions

        generated = denoiser(
            torch.randn(1, denoiser.noise_dim), GuidedConditions(torch.zeros(1, 1), torch.zeros(1, 1), st_map)
        )
        assert torch.allclose(generated.images[0], clean, atol=2e-2)
