"""Texts and images in one space."""

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from clip_fixture import write_clip

from t2igan.errors import UserError
from t2igan.models.damsm import DAMSM, SmallImageEncoder
from t2igan.models.dual_encoders import ClipDualEncoder, DamsmDualEncoder, EncodedImages, load_dual_encoder
from t2igan.models.tagger import BiLSTMTagger, Tagger
from t2igan.nn.images import to_signed


@pytest.fixture
def damsm():
    torch.manual_seed(0)
    module = DAMSM(SmallImageEncoder(dim=16, channels=8, image_size=32), vocabulary_size=4)
    module.vocabulary = ["<end>", "a", "red", "bird"]
    module.configure_model()
    return module.eval()


def images_of(count):
    return torch.randint(0, 256, (count, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_scores_of_a_damsm_are_cosines_of_sentences_and_codes(damsm):
    images = images_of(3)
    with torch.no_grad():
        codes = damsm.image_encoder(to_signed(images))[1]
        text = damsm.text_encoder(torch.tensor([[1, 2, 3]]), torch.tensor([3])).sentence
    expected = torch.cosine_similarity(text, codes)
    index = EncodedImages(DamsmDualEncoder(damsm), images.split(2))
    # Words that the DAMSM does not know are left out.
    scores = index.scores([["a", "huge", "red", "bird"], ["red"], ["huge"]])
    assert np.allclose(scores[0], expected, atol=1e-6)
    assert not np.allclose(scores[1], scores[0]) and not scores[2].any()


def test_a_text_has_one_vector_in_any_batch(damsm):
    encoder = DamsmDualEncoder(damsm)
    alone, together = encoder.text_vectors([["red"]]), encoder.text_vectors([["a", "red", "bird"], ["red"]])
    assert torch.allclose(alone[0], together[1], atol=1e-6)


def test_clip_in_a_folder(tmp_path):
    pytest.importorskip("transformers")
    encoder = load_dual_encoder(write_clip(tmp_path / "clip"))
    assert isinstance(encoder, ClipDualEncoder)
    scores = EncodedImages(encoder, [images_of(2)]).scores([["a", "bird"], ["a", "dog"], ["a", "bird"]])
    assert scores.shape == (3, 2) and np.array_equal(scores[0], scores[2])
    assert np.abs(scores).max() <= 1 + 1e-5


def test_other_checkpoints_are_refused(tmp_path):
    trainer, module = pl.Trainer(logger=False, accelerator="cpu"), Tagger(BiLSTMTagger(4, 4), vocabulary_size=3)
    module.configure_model()
    trainer.strategy.connect(module)
    trainer.save_checkpoint(tmp_path / "tagger.ckpt")
    with pytest.raises(UserError, match="retrieval takes a DAMSM"):
        load_dual_encoder(tmp_path / "tagger.ckpt")
