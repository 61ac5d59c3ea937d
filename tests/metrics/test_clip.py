import json
import sys

import pytest
import torch
from clip_fixture import write_clip

from t2igan.errors import UserError
from t2igan.metrics.clip import PIXEL_MEAN, PIXEL_STD, ClipEncoder, ClipScore

WORDS = ["a", "bird", "with", "red", "wings"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def encoder(folder):
    return ClipEncoder(folder)


def noise(count=3, height=40, width=50):
    return torch.randint(0, 256, (count, 3, height, width), generator=torch.Generator().manual_seed(0)).byte()


def test_vectors_are_those_of_transformers(encoder, folder):
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(folder)
    images, captions = noise(), ["a bird", "a bird with red wings", "red"]
    tokens = encoder._tokenizer(captions, padding=True, return_tensors="pt")
    squares = noise(3, 32, 32)
    mean, std = torch.tensor(encoder._mean)[:, None, None], torch.tensor(encoder._std)[:, None, None]
    with torch.no_grad():
        found = model(**tokens, pixel_values=(squares / 255 - mean) / std)
    torch.testing.assert_close(encoder.image_vectors(squares), found.image_embeds, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(encoder.caption_vectors(captions), found.text_embeds, rtol=1e-4, atol=1e-5)
    assert encoder.image_vectors(images).shape == (3, 12)
    assert len(encoder.sha256) == 64


@pytest.mark.parametrize("other", ["preprocessor_config.json", "tokenizer_config.json"])
def test_the_identity_holds_all_that_vectors_depend_on(tmp_path, encoder, other):
    """The same weights with another normalisation of pixels, or other tokens, are another network."""
    folder = write_clip(tmp_path)
    assert ClipEncoder(folder).sha256 == encoder.sha256
    usual = {"image_mean": list(PIXEL_MEAN), "image_std": list(PIXEL_STD)}
    (folder / "preprocessor_config.json").write_text(json.dumps(usual))
    assert ClipEncoder(folder).sha256 == encoder.sha256  # what is assumed without the file
    changed = {
        "preprocessor_config.json": json.dumps(usual | {"image_mean": [0.5, 0.5, 0.5]}),
        "tokenizer_config.json": json.dumps({"tokenizer_class": "CLIPTokenizer", "do_lower_case": False}),
    }
    (folder / other).write_text(changed[other])
    assert ClipEncoder(folder).sha256 != encoder.sha256


def test_equal_captions_tie_to_the_last_bit(encoder):
    vectors = encoder.caption_vectors(["a bird", "a bird with red wings", "red", "a bird"])
    assert torch.equal(vectors[0], vectors[3])
    assert not torch.equal(vectors[0], vectors[1])


def test_captions_do_not_depend_on_their_neighbours_and_long_ones_are_cut(encoder):
    long = " ".join(WORDS * 10)
    together = encoder.caption_vectors(["a bird", long, "red wings"])
    torch.testing.assert_close(encoder.caption_vectors(["a bird"])[0], together[0], rtol=1e-4, atol=1e-5)
    assert together.norm(dim=1).tolist() == pytest.approx([1, 1, 1])
    assert (together[0] - together[2]).abs().max() > 1e-3


def test_a_folder_without_a_clip_is_one_line(tmp_path, folder):
    with pytest.raises(UserError, match=r"no CLIP here; put config\.json"):
        ClipEncoder(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(UserError, match="not a readable CLIP") as error:
        ClipEncoder(tmp_path)
    assert "\n" not in str(error.value)


def test_without_transformers_there_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"pip install 't2igan\[clip\]'"):
        ClipEncoder(tmp_path)


def test_the_score_is_a_hundred_times_the_cosine_and_never_below_zero():
    vectors = torch.eye(4)[:3]
    captions = torch.stack([vectors[0], -vectors[1], torch.tensor([0.6, 0, 0.8, 0])])
    metric = ClipScore()
    metric.update(vectors[2:], captions[2:], torch.tensor([2]))
    metric.update(vectors[:2], captions[:2], torch.tensor([0, 1]))
    assert metric.compute().tolist() == pytest.approx([100, 0, 80])
