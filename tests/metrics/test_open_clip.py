import json
import sys

import pytest
import torch
from clip_fixture import write_clip, write_open_clip
from torchvision.transforms.v2.functional import to_pil_image

from t2igan.errors import UserError
from t2igan.metrics.clip import ClipEncoder
from t2igan.metrics.open_clip import OpenClipEncoder, load_clip
from t2igan.models.joint_encoder import load_joint_encoder

open_clip = pytest.importorskip("open_clip")
PIXELS = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.25], "interpolation": "bilinear"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_open_clip(tmp_path_factory.mktemp("clip"), **PIXELS)


def images(side, count=3):
    return torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(0)).byte()


@pytest.mark.parametrize("side", [32, 48])
def test_vectors_are_those_of_open_clip(folder, side):
    """As its own transforms and towers make them; from 48 pixels down to 32 too, by the interpolation it names."""
    model, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    pixels = torch.stack([transform(to_pil_image(each)) for each in images(side)])
    captions = ["a bird", "a red boat on the sea " * 9, "A bird!"]
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(captions)
    with torch.no_grad():
        expected = model.eval().encode_image(pixels, normalize=True), model.encode_text(tokens, normalize=True)
    encoder = load_joint_encoder(folder)
    assert isinstance(encoder, OpenClipEncoder) and (encoder.dim, encoder.side) == (12, 32)
    # PIL rounds to whole levels between the two passes of a resize, and we do at their end.
    torch.testing.assert_close(
        encoder.image_vectors(images(side)), expected[0], rtol=0, atol=5e-3 if side > 32 else 1e-5
    )
    torch.testing.assert_close(encoder.caption_vectors(captions), expected[1], rtol=1e-4, atol=1e-5)
    assert not encoder.train().training and not any(each.requires_grad for each in encoder.parameters())


def test_its_identity_holds_weights_and_configuration(folder, tmp_path):
    first = load_clip(folder).sha256
    assert load_clip(write_open_clip(tmp_path / "same", **PIXELS)).sha256 == first
    assert load_clip(write_open_clip(tmp_path / "other", **(PIXELS | {"mean": [0.5, 0.5, 0.5]}))).sha256 != first


def test_a_folder_in_both_layouts_is_read_by_transformers(tmp_path):
    pytest.importorskip("transformers")
    write_clip(write_open_clip(tmp_path))
    assert isinstance(load_clip(tmp_path), ClipEncoder)


def test_what_cannot_be_read_is_one_line_and_nothing_is_fetched(tmp_path, monkeypatch):
    folder = write_open_clip(tmp_path)
    content = json.loads((folder / "open_clip_config.json").read_text())
    content["model_cfg"]["text_cfg"]["hf_model_name"] = "somewhere/roberta"
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="somewhere/roberta lies on a hub, which is never asked"):
        load_clip(folder)
    weights = folder / "open_clip_model.safetensors"
    weights.write_bytes(b"torn")
    del content["model_cfg"]["text_cfg"]["hf_model_name"]
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="not a readable CLIP") as error:
        load_clip(folder)
    assert "\n" not in str(error.value)
    weights.unlink()
    with pytest.raises(UserError, match="without weights; put one of open_clip_model"):
        load_clip(folder)
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(UserError, match=r"CLIPs of open_clip need `pip install 't2igan\[clip\]'`"):
        load_clip(folder)
