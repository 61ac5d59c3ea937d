import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from t2igan.errors import UserError
from t2igan.layout.segments import crop_segments
from t2igan.models.conditioner import all_segments
from t2igan.models.joint_encoder import (
    SegmentEncoder,
    captions_of,
    contrastive_loss,
    load_joint_encoder,
    word_numbers,
)
from t2igan.models.prior import DiffusionPrior, MLPPrior, SegmentPrior, load_prior
from tests.clip_fixture import write_clip
from tests.segment_fixture import VOCABULARY, toy_batch

STEPS = 80


def train(module, steps, folder, size=16):
    """A checkpoint of the module after some steps on toy scenes."""
    module.vocabulary = VOCABULARY
    trainer = pl.Trainer(
        max_steps=steps,
        default_root_dir=folder,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    batches = DataLoader([toy_batch(size, seed) for seed in range(steps)], batch_size=None)
    trainer.fit(module, batches)
    path = folder / f"{type(module).__name__}.ckpt"
    trainer.save_checkpoint(path)
    return path


@pytest.fixture(scope="module")
def encoder_path(tmp_path_factory):
    torch.manual_seed(0)
    return train(SegmentEncoder(dim=16, channels=8, width=24), STEPS, tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def vectors(encoder_path):
    """Of texts and of crops of unseen scenes, and the texts."""
    encoder, batch = load_joint_encoder(encoder_path), toy_batch(48, 10_000)
    segments = all_segments(batch.layouts)
    crops = crop_segments(batch.images, segments, 32)
    return encoder.caption_vectors(segments.flat_texts), encoder.image_vectors(crops), segments.flat_texts


def test_the_stand_in_finds_the_texts_of_unseen_segments(vectors):
    texts, images, names = vectors
    choices = list(dict.fromkeys(names))
    table = torch.stack([texts[names.index(choice)] for choice in choices])
    hits = [choices[place] == name for place, name in zip((images @ table.T).argmax(1).tolist(), names)]
    assert sum(hits) / len(hits) > 0.6 > 4 / len(choices)


def test_the_modalities_lie_apart_and_a_prior_closes_the_gap(vectors, encoder_path, tmp_path):
    texts, images, _ = vectors
    torch.manual_seed(0)
    path = train(SegmentPrior(str(encoder_path), MLPPrior(16, 64)), 40, tmp_path)
    prior = load_prior(path, load_joint_encoder(encoder_path).sha256)
    with torch.no_grad():
        predicted = prior.network(texts)
    cosines = [(each * images).sum(1).mean().item() for each in (texts, predicted)]
    gaps = [(each.mean(0) - images.mean(0)).norm().item() for each in (texts, predicted)]
    assert cosines[1] > cosines[0] + 0.02 and gaps[1] < gaps[0]
    assert not any(key.startswith("encoder.") for key in torch.load(path, weights_only=True)["state_dict"])


def test_a_prior_of_another_encoder_is_refused(encoder_path, tmp_path):
    path = train(SegmentPrior(str(encoder_path), MLPPrior(16, 8)), 1, tmp_path)
    with pytest.raises(UserError, match="another encoder"):
        load_prior(path, "0" * 64)


def test_the_diffusion_prior_learns_and_gives_equal_texts_equal_vectors():
    pytest.importorskip("diffusers")
    torch.manual_seed(0)
    prior = DiffusionPrior(dim=8, layers=1, heads=2, head_dim=8, steps=5)
    texts = torch.nn.functional.normalize(torch.randn(4, 8), dim=1)
    images = torch.nn.functional.normalize(texts.flip(1) + 0.3, dim=1)
    optimizer = torch.optim.Adam(prior.parameters(), lr=3e-3)
    before = (prior(texts) * images).sum(1).mean()
    for _ in range(150):
        optimizer.zero_grad()
        prior.loss(texts.repeat(8, 1), images.repeat(8, 1)).backward()
        optimizer.step()
    with torch.no_grad():
        after = prior(texts)
    assert (after * images).sum(1).mean() > before + 0.2
    assert torch.allclose(prior(texts[:1]), after[:1], atol=1e-5)
    assert torch.allclose(after.norm(dim=1), torch.ones(4))


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
    path = train(SegmentPrior(str(encoder_path), MLPPrior(16, 8)), 1, tmp_path)
    with pytest.raises(UserError, match="not a SegmentEncoder"):
        load_joint_encoder(path)
