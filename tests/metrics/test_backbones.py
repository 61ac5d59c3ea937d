import numpy as np
import pytest
import torch
from golden_fill import fill_module
from PIL import Image

from t2igan.errors import UserError
from t2igan.metrics.backbones import Backbone, InceptionBackbone, load_weights
from t2igan.metrics.inception import inception_v3, tf1_resize
from t2igan.metrics.weights import PUBLISHED, file_sha256


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Files with made-up weights of both networks."""
    folder = tmp_path_factory.mktemp("weights")
    for name, classes in (("tf", 1008), ("tv", 1000)):
        network = fill_module(inception_v3(classes, tf_pooling=False), gain=1.7)
        state = {k: v for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
        if name == "tv":
            state["AuxLogits.fc.weight"] = torch.zeros(3)
        torch.save(state, folder / f"{name}.pth")
    return folder


@pytest.fixture(scope="module")
def backbones(files):
    choices = {"tf-2015": "tf", "torchvision-affine": "tv", "torchvision": "tv"}
    return {flavour: InceptionBackbone(flavour, files / f"{f}.pth", verify=False) for flavour, f in choices.items()}


def sees(flavour, files, image, resize=None):
    """What the network of a flavour is given, without going through the network."""
    file = "tf" if flavour == "tf-2015" else "tv"
    return InceptionBackbone(flavour, files / f"{file}.pth", verify=False, resize=resize).preprocess(image)


def noise(count=2, height=80, width=60):
    return torch.randint(0, 256, (count, 3, height, width), generator=torch.Generator().manual_seed(0)).byte()


def test_shapes_and_attributes(backbones, files):
    for flavour, classes in (("tf-2015", 1008), ("torchvision-affine", 1000), ("torchvision", 1000)):
        backbone = backbones[flavour]
        features, logits = backbone(noise())
        assert features.shape == (2, backbone.feature_dim) and logits.shape == (2, classes)
        assert features.dtype == logits.dtype == torch.float32 and not features.requires_grad
        assert backbone.name == f"inception-{flavour} (not the published weights)"
        assert backbone.sha256 == file_sha256(files / ("tf.pth" if classes == 1008 else "tv.pth"))


def test_only_the_tensorflow_logits_lack_the_bias(backbones):
    for flavour in ("tf-2015", "torchvision"):
        backbone = backbones[flavour]
        features, logits = backbone(noise())
        bias = 0 if flavour == "tf-2015" else backbone.network.fc.bias
        torch.testing.assert_close(logits, features @ backbone.network.fc.weight.T + bias, rtol=1e-4, atol=1e-3)


def test_it_stays_frozen(backbones):
    backbone = backbones["torchvision"]
    before, _ = backbone(noise())
    backbone.train()
    after, _ = backbone(noise())
    assert torch.equal(before, after)
    assert not any(p.requires_grad for p in backbone.parameters())
    torch.testing.assert_close(backbone(noise()[:1])[0], before[:1], rtol=1e-4, atol=1e-4)


def test_flat_colours_reach_the_network_scaled_as_documented(backbones):
    flat = torch.tensor([0, 128, 255], dtype=torch.uint8)[None, :, None, None].expand(1, 3, 50, 70)
    channels = {flavour: backbone.preprocess(flat) for flavour, backbone in backbones.items()}
    for scaled in channels.values():
        assert scaled.shape == (1, 3, 299, 299)
        assert scaled.std((2, 3)).max() < 1e-6
    means = {flavour: scaled.mean((0, 2, 3)).tolist() for flavour, scaled in channels.items()}
    assert means["tf-2015"] == pytest.approx([-1, 0, 127 / 128], abs=1e-6)
    assert means["torchvision"] == pytest.approx([-1, 256 / 255 - 1, 1], abs=1e-6)
    affine = [-0.015 / 0.5, 128 / 255 * 0.448 - 0.044 / 0.5, 0.45 - 0.094 / 0.5]
    assert means["torchvision-affine"] == pytest.approx(affine, abs=1e-5)


@pytest.mark.parametrize("size", [(64, 64), (256, 256), (500, 333)])
def test_resize_is_pils(backbones, size):
    stored = noise(1, *size)
    ours = backbones["torchvision"].preprocess(stored)[0].add(1).mul(127.5).round()
    image = Image.fromarray(stored[0].permute(1, 2, 0).numpy()).resize((299, 299), Image.Resampling.BILINEAR)
    assert torch.equal(ours, torch.from_numpy(np.array(image)).permute(2, 0, 1).float())


def test_only_images_are_taken(backbones):
    for wrong in (noise().long(), noise()[0], noise()[:, :1]):
        with pytest.raises(ValueError, match="uint8 or float images"):
            backbones["torchvision"](wrong)


def test_images_as_drawn_are_seen_as_drawn(backbones):
    stored = noise()
    drawn = stored.float() / 127.5 - 1
    for flavour, backbone in backbones.items():
        difference = (backbone.preprocess(drawn) - backbone.preprocess(stored)).abs().max()
        # PIL's resize rounds the stored image to levels, of 2 / 255 at most in these units.
        assert difference < (1e-4 if flavour == "tf-2015" else 1.1 / 127.5)
        darker = backbone.preprocess(drawn - 0.3 / 127.5) - backbone.preprocess(drawn)
        assert darker.max() < 0


def test_dfgan_resizes_floats_without_antialias(files, backbones):
    stored = noise(1, 256, 256)
    unit = stored.float() / 255
    resized = torch.nn.functional.interpolate(unit, (299, 299), mode="bilinear", align_corners=False)
    mean, std = (torch.tensor(x)[:, None, None] for x in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    expected = resized * std / 0.5 + (mean - 0.5) / 0.5
    found = sees("dfgan", files, stored)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    affine = backbones["torchvision-affine"].preprocess(stored)
    # Rounding to 8 bits, once an axis, is all that differs.
    assert 0 < (found - affine).abs().max() < 1.1 * 0.458 / 255


def test_pils_resize_in_another_flavour(files):
    stored = noise(1, 400, 320)
    image = Image.fromarray(stored[0].permute(1, 2, 0).numpy()).resize((299, 299), Image.Resampling.BILINEAR)
    expected = torch.from_numpy(np.array(image)).permute(2, 0, 1).float()
    found = sees("tf-2015", files, stored, "pil")[0] * 128 + 128
    assert (found - expected).abs().max() < 1e-4


def test_the_clean_resize_is_pils_in_float(files):
    stored = noise(1, 400, 320)
    channels = [
        Image.fromarray(channel.float().numpy(), mode="F").resize((299, 299), Image.Resampling.BICUBIC)
        for channel in stored[0]
    ]
    expected = torch.from_numpy(np.stack([np.array(channel) for channel in channels])).clamp(0, 255)
    found = sees("tf-2015", files, stored, "clean")[0] * 128 + 128
    assert (found - expected).abs().max() < 0.02


def test_ssagans_inception_score_goes_through_128_pixels(files):
    stored = noise(1, 256, 256)
    image = Image.fromarray(stored[0].permute(1, 2, 0).numpy()).resize((128, 128), Image.Resampling.BILINEAR)
    small = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
    found = sees("tf-2015", files, stored, "pil-128")
    assert (found - (tf1_resize(small, 299) - 128) / 128).abs().max() < 1e-4


def test_the_birds_of_stackgan_lose_their_background(tmp_path):
    network = fill_module(inception_v3(51, tf_pooling=True, last_by_maximum=False), gain=1.7)
    torch.save(network.state_dict(), tmp_path / "inception-slim-birds.pth")
    backbone = InceptionBackbone("slim-birds", folder=tmp_path)
    features, logits = backbone(noise())
    expected = network.eval().fc(features)
    torch.testing.assert_close(logits, expected[:, 1:], rtol=1e-4, atol=1e-3)
    flat = torch.tensor([0, 128, 255], dtype=torch.uint8)[None, :, None, None].expand(1, 3, 50, 70)
    assert backbone.preprocess(flat).mean((0, 2, 3)).tolist() == pytest.approx([-1, 256 / 255 - 1, 1], abs=1e-6)
    assert type(network.Mixed_7c) is type(network.Mixed_7b)
    with pytest.raises(UserError, match="nobody publishes it in this form: convert the network of https"):
        InceptionBackbone("slim-birds", folder=tmp_path / "elsewhere")


def test_unverified_weights_are_refused_by_default(files):
    with pytest.raises(UserError, match="SHA-256 starts with"):
        InceptionBackbone("tf-2015", files / "tf.pth")
    with pytest.raises(UserError, match="is not one of tf-2015"):
        InceptionBackbone("keras", files / "tf.pth")


def test_missing_weights_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "cache"))
    for flavour, published in (("tf-2015", "inception-tf-2015"), ("torchvision", "inception-torchvision")):
        with pytest.raises(UserError) as raised:
            InceptionBackbone(flavour, folder=tmp_path, download=False)
        assert PUBLISHED[published].url in str(raised.value) and str(tmp_path) in str(raised.value)


def test_the_older_torchvision_file_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "cache"))
    old = tmp_path / "inception_v3_google-1a9a5a14.pth"
    old.write_bytes(b"not it")
    for options in ({"weights": old}, {"folder": tmp_path}):
        with pytest.raises(UserError, match="published is 1a9a5a14"):
            InceptionBackbone("torchvision", download=False, **options)


def test_files_of_another_kind_are_named(tmp_path):
    network = torch.nn.Linear(3, 2)
    cases = {
        "not a readable file": b"garbage",
        "holds a list": [1, 2],
        "lacks bias": {"weight": torch.zeros(2, 3)},
        "has the unknown scale": {**network.state_dict(), "scale": torch.zeros(1)},
        "has another shape of weight": {**network.state_dict(), "weight": torch.zeros(2, 4)},
    }
    for message, content in cases.items():
        path = tmp_path / "file.pth"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            torch.save(content, path)
        with pytest.raises(UserError, match=message):
            load_weights(network, path)


def test_a_backbone_of_ones_own():
    class Colours(Backbone):
        name, sha256, feature_dim = "colours", "0" * 64, 3

        def _embed(self, images):
            means = images.double().mean((2, 3))
            return means, -means

    features, logits = Colours()(noise())
    torch.testing.assert_close(features, noise().float().mean((2, 3)))
    assert torch.equal(logits, -features) and features.dtype == torch.float32
