import pytest
import torch
from clip_fixture import write_clip
from segment_fixture import toy_batch, train_on_scenes
from test_spatext_diffusion import DIM, SMALL, draw

from t2igan.errors import UserError
from t2igan.layout.segments import SpatioTextualMap
from t2igan.models.spatext_diffusion import SpaTextDiffusion
from t2igan.models.spatext_hosts import LatentHost, PixelHost, widen_first_convolution
from t2igan.models.suite_module import load_module

diffusers = pytest.importorskip("diffusers")


def stable_diffusion(folder):
    """A tiny Stable Diffusion with random weights, in the layout of the published ones."""
    torch.manual_seed(0)
    diffusers.AutoencoderKL(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        norm_num_groups=4,
    ).save_pretrained(folder / "vae")
    diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=4,
        norm_num_groups=4,
    ).save_pretrained(folder / "unet")
    from transformers import CLIPModel, CLIPTextModel, CLIPTokenizerFast

    clip = write_clip(folder / "clip")
    model = CLIPTextModel(CLIPModel.from_pretrained(clip).config.text_config)
    model.save_pretrained(folder / "text_encoder")
    CLIPTokenizerFast.from_pretrained(clip).save_pretrained(folder / "tokenizer")
    return folder


def test_a_widened_stable_diffusion_says_what_it_said_and_can_be_trained(tiny_encoder, tmp_path):
    pytest.importorskip("transformers")
    folder = stable_diffusion(tmp_path / "sd")
    before = diffusers.UNet2DConditionModel.from_pretrained(folder / "unet")
    host = LatentHost(str(folder), DIM)
    assert (host.image_size, host.shape) == (16, (4, 8, 8))
    noisy, times = torch.randn(2, 4, 8, 8), torch.tensor([3, 900])
    text = host.tell(["a bird", ""], None)
    st_map = SpatioTextualMap(torch.randn(2, 2, DIM), torch.randint(0, 3, (2, 16, 16)))
    said = host.predict(noisy, times, text, st_map)
    assert torch.allclose(said, before(noisy, times, encoder_hidden_states=text).sample, atol=1e-6)
    vae, images = diffusers.AutoencoderKL.from_pretrained(folder / "vae").eval(), torch.rand(2, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        mean = vae.encode(images).latent_dist.mean
        assert torch.allclose(host.encode(images), 0.18215 * mean, atol=1e-5)
        assert torch.allclose(host.decode(0.18215 * mean), vae.decode(mean).sample.clamp(-1, 1), atol=1e-4)
    module = SpaTextDiffusion(host, tiny_encoder, steps=2, lr=1e-2)
    path = train_on_scenes(module, 2, tmp_path, size=2)
    assert host.unet.conv_in.weight[:, 4:].abs().max() > 0
    assert not torch.equal(host.predict(noisy, times, text, st_map), said)
    assert not any(".vae." in key or ".words." in key for key in torch.load(path, weights_only=True)["state_dict"])
    batch = toy_batch(2, 5)
    assert torch.equal(*(draw(each, batch, batch.layouts) for each in (module, load_module(path))))


def test_a_widened_convolution_keeps_its_weights():
    sides = {"down_block_types": ("DownBlock2D",) * 2, "up_block_types": ("UpBlock2D",) * 2}
    unet = diffusers.UNet2DModel(block_out_channels=(8, 8), norm_num_groups=4, **sides)
    old = unet.conv_in.weight.clone()
    widen_first_convolution(unet, 5)
    assert unet.config.in_channels == 8 and torch.equal(unet.conv_in.weight[:, :3], old)
    assert not unet.conv_in.weight[:, 3:].any()


def test_what_is_no_stable_diffusion_is_refused(tmp_path):
    with pytest.raises(UserError, match="no Stable Diffusion in"):
        LatentHost(str(tmp_path))


def test_a_host_of_another_width_is_refused(tiny_encoder):
    module = SpaTextDiffusion(PixelHost(32, **(SMALL | {"segment_dim": 9})), tiny_encoder)
    with pytest.raises(UserError, match="segment_dim is 9, but segment conditions have width 8"):
        module.configure_model()
