import pytest
import torch
from clip_fixture import write_clip
from segment_fixture import VOCABULARY, toy_batch, train_on_scenes

from t2igan.errors import UserError
from t2igan.models.joint_encoder import (
    SegmentEncoder,
    captions_of,
    contrastive_loss,
    load_joint_encoder,
    word_numbers,
)
from t2igan.models.prior import MLPPrior, SegmentPrior


def test_the_stand_in_finds_the_texts_of_unseen_segments(vectors):
    texts, images, names = vectors
    choices = list(dict.fromkeys(names))
    table = torch.stack([texts[names.index(choice)] for choice in choices])
    hits = [choices[place] == name for place, name in zip((images @ table.T).argmax(1).tolist(), names)]
    assert sum(hits) / len(hits) > 0.6 > 4 / len(choices)


def test_duplicate_texts_are_positives():
    images = torch.nn.functional.normalize(torch.randn(3, 4), dim=1)
    texts = images.clone()
    same = contrastive_loss(images, texts, ["a", "a", "a"], 0.1)
    assert same.abs() < 1e-6 < contrastive_loss(images, texts, ["a", "b", "a"], 0.1)


def test_words_have_their_numbers_everywhere():
    assert word_numbers("A red, red bird") == [8497, 2341, 2341, 12551]
    assert captions_of(toy_batch(1), VOCABULARY)[0].startswith("a ")


def test_a_word_that_training_never_had_says_nothing():
    encoder = SegmentEncoder(dim=4, channels=4, width=8)
    known = encoder.caption_vectors(["red", "vermilion", ""])
    assert torch.equal(known[0], known[1])  # no word has been trained yet
    assert known.isfinite().all()


def test_equal_texts_have_equal_vectors(encoder_path):
    found = load_joint_encoder(encoder_path).caption_vectors(["a red disc", "sand", "a red disc"])
    assert torch.equal(found[0], found[2]) and not torch.equal(found[0], found[1])


def test_a_folder_is_a_clip(tmp_path):
    pytest.importorskip("transformers")
    encoder = load_joint_encoder(write_clip(tmp_path / "clip"))
    assert encoder.dim == 12 and encoder.image_vectors(toy_batch(2).images).shape == (2, 12)


def test_what_is_no_encoder_is_refused(tmp_path, encoder_path):
    with pytest.raises(UserError, match="no checkpoint at"):
        load_joint_encoder(tmp_path / "none.ckpt")
    with pytest.raises(UserError, match="no CLIP here"):
        load_joint_encoder(tmp_path)
    path = train_on_scenes(SegmentPrior(str(encoder_path), MLPPrior(16, 8)), 1, tmp_path)
    with pytest.raises(UserError, match="not a SegmentEncoder"):
        load_joint_encoder(path)
