import pytest
import torch
from segment_fixture import toy_batch, train_on_scenes

from t2igan.errors import UserError
from t2igan.layout.labels import COCO_STUFF, VOID
from t2igan.models.segmenter import Segmenter, load_segmenter
from t2igan.nn.randomness import StepRandom


def test_it_learns_the_labels_of_unseen_scenes(tmp_path):
    torch.manual_seed(0)
    path = train_on_scenes(Segmenter(32, channels=8, lr=1e-2, recoloured=0.0), 80, tmp_path, size=8)
    segmenter, batch = load_segmenter(path), toy_batch(16, 9_999)
    maps = segmenter.label_maps(batch.images)
    assert maps.dtype == torch.uint8 and maps.shape == batch.layouts.labels.shape
    assert (maps == batch.layouts.labels).float().mean() > 0.85
    assert len(segmenter.sha256) == 64
    larger = torch.nn.functional.interpolate(batch.images.float(), scale_factor=2.0).to(torch.uint8)
    # Resizing softens edges, where a pixel may get its neighbour's label.
    assert (segmenter.label_maps(larger)[:, ::2, ::2] == maps).float().mean() > 0.95


def test_void_is_not_learnt():
    batch = toy_batch(2)
    module = Segmenter(32, channels=4)
    module.log_step = lambda values, samples: None
    batch.layouts.labels[0] = VOID
    module.step_random = lambda samples: StepRandom(0, 0)
    half = module.training_step(batch, 0)
    batch.layouts.labels[1, :16] = VOID
    assert half.isfinite() and not torch.equal(half, module.training_step(batch, 0))


def test_validation_is_over_labelled_pixels_and_the_labels_that_are_there():
    batch, logged = toy_batch(1), {}
    labels = torch.full_like(batch.layouts.labels, VOID)
    labels[0, :4], labels[0, 4:8] = 3, 5
    batch.layouts.labels = labels
    module = Segmenter(32, channels=4)
    found = torch.full_like(labels, 9)
    found[0, :6] = 3
    module.label_maps = lambda images: found
    module.log_dict = lambda values, **_: logged.update(values)
    module.validation_step(batch, 0)
    assert logged["val/pixel_accuracy"] == 0.5
    assert logged["val/miou"] == pytest.approx((4 / 6 + 0) / 2)


def test_a_folder_is_a_segmenter_of_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        hidden_sizes=[8, 16],
        sr_ratios=[2, 1],
        num_attention_heads=[1, 2],
        decoder_hidden_size=16,
        patch_sizes=[7, 3],
        strides=[4, 2],
        mlp_ratios=[2, 2],
        id2label={0: "bird", 1: "potted plant", 2: "a word of its own"},
    )
    transformers.SegformerForSemanticSegmentation(config).save_pretrained(tmp_path)
    transformers.SegformerImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    maps = load_segmenter(tmp_path).label_maps(toy_batch(3).images)
    assert maps.shape == (3, 32, 32)
    assert set(maps.unique().tolist()) <= {COCO_STUFF.value("bird"), COCO_STUFF.value("potted-plant"), VOID}


def test_what_is_no_segmenter_is_refused(tmp_path):
    with pytest.raises(UserError, match="no segmenter here"):
        load_segmenter(tmp_path)
    with pytest.raises(UserError, match="no checkpoint at"):
        load_segmenter(tmp_path / "none.ckpt")
