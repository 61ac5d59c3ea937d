from functools import partial

import pytest
import torch
from golden_fill import compare, fill_input, fill_module, load_case
from torchvision.models import inception_v3

from t2igan.errors import UserError
from t2igan.interop.kinds import official_name
from t2igan.models.damsm import DAMSM, InceptionImageEncoder, SmallImageEncoder
from t2igan.models.suite_module import load_module, read_checkpoint

COMPONENT = "damsm_cnn_encoder"


def filled_encoder(gain, **options):
    encoder = InceptionImageEncoder(weights="random", **options).double()
    return fill_module(encoder, partial(official_name, "damsm-image-encoder"), gain)


def recorded_images(case):
    spec = case["inputs"]["images"]
    return torch.from_numpy(fill_input("images", spec["shape"], spec["kind"])).double()


@pytest.mark.parametrize("name", ["eval_256_gain", "eval_64_gain"])
def test_inception_encoder_equals_the_original(name):
    case = load_case(COMPONENT, name)
    encoder = filled_encoder(case["config"]["gain"]).eval()
    with torch.no_grad():
        regions, code = encoder(recorded_images(case))
    assert compare(case["outputs"]["features"], regions, float64=True) == []
    assert compare(case["outputs"]["code"], code, float64=True) == []


@pytest.mark.parametrize("name", ["eval_256_gain", "eval_256_gain_blocks", "eval_64_gain"])
def test_aligned_corners_equal_dmgans(name):
    case = load_case(f"{COMPONENT}_align_corners", name)
    encoder = filled_encoder(case["config"]["gain"], align_corners=True).eval()
    with torch.no_grad():
        regions, code = encoder(recorded_images(case))
    assert compare(case["outputs"]["features"], regions, float64=True) == []
    assert compare(case["outputs"]["code"], code, float64=True) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["eval_256_gain", "eval_256_gain_blocks", "train_256_blocks"])
def test_gradients_and_drifting_statistics_equal_the_originals(name):
    case = load_case(COMPONENT, name)
    encoder = filled_encoder(case["config"]["gain"]).train(case["config"]["mode"] == "train")
    images = recorded_images(case).requires_grad_()
    regions, code = encoder(images)
    weights = [
        torch.from_numpy(fill_input(key, case["inputs"][key]["shape"])).double()
        for key in ("grad_features", "grad_code")
    ]
    loss = (regions * weights[0]).sum() + (code * weights[1]).sum()
    loss.backward()
    assert loss.item() == pytest.approx(case["scalars"]["loss"][1], rel=1e-9)
    measured = {name: parameter.grad for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    measured["images"] = images.grad
    for key, buffer in encoder.named_buffers():
        measured["buffer:" + official_name("damsm-image-encoder", key)] = buffer
    for key, (_, double, _) in case["grads"].items():
        # Block images tie in the max-pools, and rounding, which varies with the number of threads, breaks the ties.
        limit = 1e-2 if key == "images" and case["inputs"]["images"]["kind"] == "blocks" else 1e-9
        assert measured[key].double().norm().item() == pytest.approx(double, rel=limit), key


def test_the_corners_of_the_resize_matter():
    case = load_case(COMPONENT, "eval_64_gain")
    with torch.no_grad():
        regions, _ = filled_encoder(case["config"]["gain"], align_corners=True).eval()(recorded_images(case))
    assert compare(case["outputs"]["features"], regions, float64=True) != []


def test_the_trunk_is_frozen_and_keeps_its_statistics_if_told_so():
    assert not InceptionImageEncoder(weights="random", bn_mode="eval").trunk.Conv2d_1a_3x3.bn.training
    encoder = InceptionImageEncoder(weights="random", bn_mode="eval").train()
    assert not encoder.trunk.Conv2d_1a_3x3.bn.training
    assert InceptionImageEncoder(weights="random").train().trunk.Conv2d_1a_3x3.bn.training
    assert {name for name, p in encoder.named_parameters() if p.requires_grad} == {
        "emb_features.weight",
        "emb_cnn_code.weight",
        "emb_cnn_code.bias",
    }


def test_a_file_of_imagenet_weights_is_taken(tmp_path):
    published = inception_v3(weights=None, init_weights=False)
    torch.save(published.state_dict(), tmp_path / "inception.pth")
    encoder = InceptionImageEncoder(weights=str(tmp_path / "inception.pth"))
    encoder.load_pretrained()
    assert torch.equal(encoder.trunk.Mixed_7c.branch1x1.conv.weight, published.Mixed_7c.branch1x1.conv.weight)


def test_a_file_of_something_else_is_refused(tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"other\.pth: lacks .* weights of another network"):
        InceptionImageEncoder(weights=str(tmp_path / "other.pth")).load_pretrained()


def test_a_file_that_is_not_there_is_named_with_its_source(tmp_path):
    with pytest.raises(UserError, match=r"none\.pth.*download\.pytorch\.org"):
        InceptionImageEncoder(weights=str(tmp_path / "none.pth")).load_pretrained()


def test_random_weights_are_said_aloud():
    with pytest.warns(UserWarning, match="random weights"):
        InceptionImageEncoder(weights="random").load_pretrained()


def test_rate_falls_to_its_floor():
    module = DAMSM(SmallImageEncoder(dim=4, channels=1, image_size=16), lr=0.002, lr_decay=0.98, lr_floor=0.0002)
    assert module.rate(0) == 0.002
    assert module.rate(10) == pytest.approx(0.002 * 0.98**10)
    # "while the rate is above the floor": the last factor takes it just below.
    assert module.rate(114) == pytest.approx(0.002 * 0.98**114)
    assert module.rate(114) < 0.0002 < module.rate(113)
    assert module.rate(500) == module.rate(114)


@pytest.mark.parametrize("persistent", [True, False])
def test_released_training_makes_a_new_adam_every_epoch(train, persistent):
    module = DAMSM(SmallImageEncoder(dim=8, channels=2, image_size=16), persistent_adam=persistent)
    train(module, max_steps=-1, max_epochs=2)
    (state, *_) = module.optimizers().optimizer.state.values()
    assert state["step"].item() == (6 if persistent else 3)


def test_only_the_text_encoder_is_clipped(train):
    module = DAMSM(SmallImageEncoder(dim=8, channels=2, image_size=16), clip=1e-6)
    train(module, max_steps=1)
    norms = [
        torch.stack([p.grad.norm() for p in network.parameters()]).norm()
        for network in (module.text_encoder, module.image_encoder)
    ]
    assert norms[0] <= 1.01e-6 < 1e-3 < norms[1]


def test_training_brings_captions_and_images_together(train, birds):
    torch.manual_seed(0)
    module = DAMSM(SmallImageEncoder(dim=16, channels=8, image_size=16), lr=0.01, clip=10, dropout=0)
    data = birds()
    losses = []
    module.on_train_batch_end = lambda outputs, *_: losses.append(outputs["loss"].item())
    train(module, data, max_steps=60)
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_checkpoint_alone_is_enough(damsm_checkpoint):
    module = load_module(damsm_checkpoint)
    assert module.vocabulary[0] == "<end>"
    assert module.text_encoder.vocabulary_size == len(module.vocabulary)
    assert module.dataset["name"] == "drawn-birds"


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no checkpoint at"), (b"torn", "cannot be read"), ({"state_dict": {}}, "no config")],
)
def test_files_that_are_no_checkpoint_of_ours(tmp_path, content, words):
    path = tmp_path / "x.ckpt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(UserError, match=words):
        read_checkpoint(path)
