import hashlib

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from t2igan.data.classification import ClassificationData
from t2igan.data.vocabulary import Vocabulary
from t2igan.data.writing import StoredImage, StoreHeader, write_store
from t2igan.errors import UserError
from t2igan.metrics.backbones import Backbone
from t2igan.metrics.inception import inception_v3
from t2igan.models.classifier import (
    EvaluationClassifier,
    InceptionClassifier,
    SmallConvNet,
)
from t2igan.models.suite_module import content_sha256, load_module
from t2igan.nn.images import to_signed

COLOURS = [(200, 40, 40), (40, 200, 40), (40, 40, 200), (200, 200, 40), (40, 200, 200)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Five classes of noisy flat colours, three to train on and two to test on, ten images each."""
    path = tmp_path_factory.mktemp("store") / "colours.h5"
    generator, vocabulary = np.random.default_rng(0), Vocabulary.build(["a colour"])
    splits, pixels = {"train": [], "test": []}, {}
    for number in range(50):
        c = number // 10
        image = np.clip(generator.normal(COLOURS[c], 60, (19, 19, 3)), 0, 255).astype(np.uint8)
        key, payload = f"{c}/{number}", image.tobytes()
        pixels[key] = payload
        digest = hashlib.sha256(payload).hexdigest()
        text, tokens = ["a colour"], [vocabulary.encode("a colour")]
        stored = StoredImage(key, c, None, (19, 19), len(payload), digest, text, tokens)
        splits["train" if c < 3 else "test"].append(stored)
    header = StoreHeader("colours", "zero-shot", 16, 19, "raw", False)
    write_store(path, header, vocabulary, list("rgbyc"), splits, lambda piece: pixels[piece.key])
    return path


def data(store):
    return ClassificationData(str(store), image_size=16, batch_size=10, num_workers=0, seed=1)


def trainer(folder, **options):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "max_epochs": 8}
    return pl.Trainer(default_root_dir=folder, accelerator="cpu", **{**quiet, **options})


@pytest.fixture(scope="module")
def trained(store, tmp_path_factory):
    """A trained classifier, its checkpoint, and what was logged."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("run")
    module, runner = EvaluationClassifier(image_size=16, width=8, lr=1e-2), trainer(folder)
    runner.fit(module, datamodule=data(store))
    runner.save_checkpoint(folder / "classifier.ckpt")
    return module.eval(), folder / "classifier.ckpt", runner.callback_metrics


def test_it_learns_the_classes_of_both_splits(trained, store):
    module, _, logged = trained
    assert module.classes == [0, 1, 2, 3, 4]
    assert logged["val/accuracy"] >= 0.9
    assert {"train/loss", "val/loss"} <= logged.keys()
    flat = torch.tensor(COLOURS, dtype=torch.uint8)[:, :, None, None].expand(5, 3, 16, 16)
    assert module(flat)[1].argmax(1).tolist() == [0, 1, 2, 3, 4]


def test_rate_rises_and_ends_at_zero(store, tmp_path):
    rates = []

    class Watch(pl.Callback):
        def on_before_optimizer_step(self, runner, module, optimizer):
            rates.append(module.optimizers().param_groups[0]["lr"])

    module = EvaluationClassifier(image_size=16, width=4, lr=0.5, warmup=0.25)
    options = {"enable_checkpointing": False, "callbacks": [Watch()], "limit_val_batches": 0}
    trainer(tmp_path, **options).fit(module, datamodule=data(store))
    assert len(rates) == 32  # 40 images in batches of 10, 8 epochs
    assert rates[:9] == pytest.approx([0.5 * min(1, (step + 1) / 8) for step in range(9)])
    assert rates[8:] == sorted(rates[8:], reverse=True) and 0 < rates[-1] < 0.01


def test_labels_are_smoothed_in_training_and_sharp_in_validation(store, tmp_path):
    """The loss of the first step, beside the formula: 0.1 of the weight lies evenly on all classes."""
    losses = []

    class Sharp(EvaluationClassifier):
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            with torch.no_grad():
                logs = self.network(to_signed(batch.images))[1].log_softmax(1)
            own = -logs[torch.arange(len(batch)), self.labels(batch.class_ids)].mean()
            losses.append((loss.item(), (0.9 * own - 0.1 * logs.mean()).item(), own.item()))
            return loss

    options = {"max_epochs": -1, "max_steps": 5, "enable_checkpointing": False, "limit_val_batches": 0}
    trainer(tmp_path, **options).fit(Sharp(image_size=16, width=4, lr=0.1), datamodule=data(store))
    assert [loss for loss, *_ in losses] == pytest.approx([smooth for _, smooth, _ in losses], rel=1e-5)
    assert abs(losses[-1][0] - losses[-1][2]) > 1e-4, "smoothing makes a difference here"


def test_checkpoint_alone_rebuilds_it(trained):
    module, path, _ = trained
    torch.load(path, weights_only=True)
    loaded = load_module(path)
    images = torch.randint(0, 256, (4, 3, 16, 16)).byte()
    assert loaded.classes == module.classes
    for found, expected in zip(loaded(images), module(images)):
        assert torch.equal(found, expected)


def test_backbone_gives_what_the_classifier_gives(trained):
    module, path, _ = trained
    backbone = load_module(path).backbone(content_sha256(load_module(path)))
    assert isinstance(backbone, Backbone)
    assert (backbone.name, backbone.sha256, backbone.feature_dim) == (
        "classifier",
        content_sha256(load_module(path)),
        32,
    )
    images = torch.randint(0, 256, (4, 3, 16, 16)).byte()
    features, logits = backbone(images)
    assert features.shape == (4, 32) and logits.shape == (4, 5) and not features.requires_grad
    with torch.no_grad():
        assert torch.equal(logits, module(images)[1])


def test_images_of_other_sizes_are_reduced_with_antialias(trained):
    backbone = trained[0].backbone()
    stripes = torch.zeros(1, 3, 64, 64, dtype=torch.uint8)
    stripes[..., ::2] = 200  # without antialias every fourth column would be seen: one flat colour
    grey = torch.full((1, 3, 16, 16), 100, dtype=torch.uint8)
    torch.testing.assert_close(backbone(stripes)[0], backbone(grey)[0], rtol=1e-3, atol=1e-2)
    assert backbone(torch.randint(0, 256, (2, 3, 40, 24)).byte())[0].shape == (2, 32)


def test_backbone_is_a_frozen_copy(trained):
    module, _, _ = trained
    backbone = module.backbone()
    images = torch.randint(0, 256, (4, 3, 16, 16)).byte()
    before = backbone(images)[0]
    weight = module.network.classifier.weight
    assert weight.requires_grad and not backbone.network.classifier.weight.requires_grad
    hash_before = backbone.sha256
    assert module.backbone().sha256 == hash_before
    with torch.no_grad():
        module.network.trunk[0][0].weight.add_(1)
    try:
        assert torch.equal(backbone(images)[0], before)
        assert module.backbone().sha256 != hash_before
    finally:
        with torch.no_grad():
            module.network.trunk[0][0].weight.sub_(1)


def test_labels_follow_the_class_list():
    module = EvaluationClassifier(classes=[4, 9, 30], width=4)
    module.configure_model()
    assert module.labels(torch.tensor([30, 4, 9, 4])).tolist() == [2, 0, 1, 0]
    for unknown in (0, 5, 31):
        with pytest.raises(UserError, match=f"class {unknown} of the data is unknown"):
            module.labels(torch.tensor([4, unknown]))


def test_bad_set_ups_are_named(store, tmp_path, trained):
    with pytest.raises(UserError, match="does not know its classes"):
        EvaluationClassifier().configure_model()
    with pytest.raises(UserError, match="has classes that this classifier was not built for"):
        trainer(tmp_path).fit(EvaluationClassifier(classes=[0, 1]), datamodule=data(store))
    endless = trainer(tmp_path, max_epochs=-1)
    with pytest.raises(UserError, match=r"trainer\.max_epochs"):
        endless.fit(EvaluationClassifier(image_size=16, width=4), datamodule=data(store))


def test_inception_starts_from_the_given_file(tmp_path):
    source = inception_v3(1000, tf_pooling=False)
    torch.save(source.state_dict(), tmp_path / "imagenet.pth")
    network = InceptionClassifier(7)
    last_layer = network.network.fc.weight.clone()
    network.load_pretrained(str(tmp_path / "imagenet.pth"))
    assert torch.equal(network.network.Mixed_7c.branch1x1.conv.weight, source.Mixed_7c.branch1x1.conv.weight)
    assert torch.equal(network.network.fc.weight, last_layer)
    features, logits = network.eval()(torch.zeros(1, 3, 139, 139))
    assert features.shape == (1, network.feature_dim) and logits.shape == (1, 7)
    with pytest.raises(UserError, match=r"missing\.pth"):
        network.load_pretrained(str(tmp_path / "missing.pth"))
    with pytest.warns(UserWarning, match="random weights"):
        network.load_pretrained("random")


def test_small_net_has_small_features():
    features, logits = SmallConvNet(80)(torch.zeros(2, 3, 64, 64))
    assert features.shape == (2, 128) and logits.shape == (2, 80)
