"""Generators of layouts under a protocol of narratives, and what is refused, on a few drawn scenes."""

from dataclasses import replace

import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

from t2igan.callbacks.scoring import Scores
from t2igan.data.classification import ClassificationData
from t2igan.data.datamodule import Scenes
from t2igan.data.store import open_store
from t2igan.errors import UserError
from t2igan.evaluation.evaluation import Evaluation, store_for
from t2igan.evaluation.features.networks import NetworkOptions, load_classifier
from t2igan.evaluation.images.told import whole_layouts
from t2igan.evaluation.protocol import load_protocol
from t2igan.evaluation.record import read_records
from t2igan.evaluation.subjects.folder import ImageFolder
from t2igan.evaluation.subjects.generated import load_checkpoint_subject
from t2igan.evaluation.subjects.real import RealImages, real_images
from t2igan.layout.labels import COCO_STUFF
from t2igan.models.classifier import EvaluationClassifier
from t2igan.models.segmenter import Segmenter
from t2igan.models.spade import SPADEGAN
from t2igan.networks.layout_discriminators import PatchDiscriminator
from t2igan.networks.spade import SPADEGenerator

QUIET = {
    "accelerator": "cpu",
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
    "limit_val_batches": 0,
}


@pytest.fixture(scope="module")
def protocol():
    """Without R-precision, and with few images."""
    whole = load_protocol("scenes/trecs")
    return replace(whole, images=6, metrics=whole.metrics[:1])


@pytest.fixture(scope="module")
def classifier(scenes_store, tmp_path_factory):
    path = tmp_path_factory.mktemp("classifier") / "classifier.ckpt"
    trainer = pl.Trainer(max_steps=2, default_root_dir=path.parent, **QUIET)
    data = ClassificationData(str(scenes_store), 64, 8, holdout=0.5, num_workers=0)
    trainer.fit(EvaluationClassifier(image_size=64, width=4), datamodule=data)
    trainer.save_checkpoint(path)
    return str(path)


def small_spade():
    torch.manual_seed(0)
    generator = SPADEGenerator(64, 2, hidden=4, embed=4)
    return SPADEGAN(generator=generator, discriminators=[PatchDiscriminator(64, 4, layers=2, embed=4)])


def fit(store, folder, captions="narratives", callbacks=()):
    data = Scenes(str(store), batch_size=4, num_workers=0, captions=captions, words=30)
    trainer = pl.Trainer(max_steps=2, default_root_dir=folder, callbacks=list(callbacks), **QUIET)
    trainer.fit(small_spade(), datamodule=data)
    (folder / "checkpoints").mkdir(exist_ok=True)
    trainer.save_checkpoint(folder / "checkpoints" / "last.ckpt")
    return str(folder / "checkpoints" / "last.ckpt")


@pytest.fixture(scope="module")
def checkpoint(scenes_store, tmp_path_factory):
    return fit(scenes_store, tmp_path_factory.mktemp("spade"))


def test_a_generator_of_layouts_is_scored_whatever_the_batch(checkpoint, classifier, scenes_store, protocol):
    store = store_for(protocol, open_store(scenes_store))
    values = []
    for batch_size in (2, 5):
        subject = load_checkpoint_subject(checkpoint, protocol.weights)
        options = NetworkOptions(batch_size, device="cpu")
        record = Evaluation(
            subject, protocol, store, classifier=load_classifier(classifier, store), options=options
        ).run()
        assert (record.n_generated, record.protocol) == (6, "scenes/trecs")
        values.append(record.metrics["fd-classifier"].value)
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_images_follow_the_layout_of_their_own_narrative(checkpoint, scenes_store, protocol):
    """Two narratives in the plan's order and in another one give the same images."""
    store = store_for(protocol, open_store(scenes_store))
    subject = load_checkpoint_subject(checkpoint, protocol.weights)
    plan = subject.plan(protocol, store.split("test"))
    there = {}
    for order in (range(4), [3, 1, 0, 2]):
        parts = subject.images(protocol, store, plan, order, 4, torch.device("cpu"))
        for part in parts:
            for number, image in zip(part.numbers.tolist(), part.images):
                assert torch.equal(there.setdefault(number, image), image)
    assert not torch.equal(there[0], there[1])


def test_a_store_without_layouts_is_refused_by_name(checkpoint, drawn_birds_store, protocol):
    subject = load_checkpoint_subject(checkpoint, protocol.weights)
    subject.module.vocabulary = list(open_store(drawn_birds_store).vocabulary.words)
    with pytest.raises(UserError, match="needs layouts"):
        subject.check(replace(protocol, told="captions"), open_store(drawn_birds_store))
    with pytest.raises(UserError, match=r"protocol scenes/trecs needs narratives.*--narratives"):
        store_for(protocol, open_store(drawn_birds_store))


def test_a_protocol_of_narratives_wants_a_training_on_them(scenes_store, protocol):
    with pytest.raises(
        UserError, match=r"scenes/trecs is for narratives: set data\.init_args\.captions: narratives"
    ):
        Evaluation(RealImages(), protocol, open_store(scenes_store))


def test_layout_iou_is_that_of_what_the_segmenter_finds(scenes_store, protocol, tmp_path, monkeypatch):
    """One of a perfect segmenter; less where it sees another label in some pixels."""
    metric = replace(load_protocol("scenes/trecs"), images=6).metrics[-1]
    asked, store = replace(protocol, metrics=(metric,)), store_for(protocol, open_store(scenes_store))
    split, captions = store.split("test"), list(range(store.split("test").n_captions))
    gold = whole_layouts(split, store.image_size, 64, captions).labels
    shown = real_images(store, asked, captions, torch.device("cpu"))
    known = {image.numpy().tobytes(): labels for image, labels in zip(shown, gold)}
    trainer = pl.Trainer(max_steps=1, default_root_dir=tmp_path, **QUIET)
    trainer.fit(Segmenter(channels=2), datamodule=Scenes(str(scenes_store), batch_size=4, num_workers=0))
    trainer.save_checkpoint(tmp_path / "segmenter.ckpt")
    options = NetworkOptions(4, device="cpu", segmenter=tmp_path / "segmenter.ckpt", bootstrap=20)

    def found(change):
        perfect = [known[image.numpy().tobytes()] for image in shown]
        by_image = {image.numpy().tobytes(): change(labels) for image, labels in zip(shown, perfect)}
        maps = lambda self, images: torch.stack([by_image[each.numpy().tobytes()] for each in images])  # noqa: E731
        monkeypatch.setattr(Segmenter, "label_maps", maps)
        return Evaluation(RealImages(), asked, store, options=options).run().metrics

    perfect = found(lambda labels: labels)
    assert (perfect["layout-iou"].value, perfect["layout-accuracy"].value) == (1, 1)
    assert perfect["layout-iou"].n == len(range(1, len(split), 2))
    worse = found(lambda labels: labels.where(torch.arange(64) < 48, COCO_STUFF.value("person")))
    assert worse["layout-accuracy"].value == pytest.approx(0.75, abs=0.02)
    assert 0 < worse["layout-iou"].low < worse["layout-iou"].value < worse["layout-iou"].high < 1


def test_scores_while_it_trains(scenes_store, classifier, tmp_path):
    scores = Scores("scenes/trecs", every_n_steps=2, images=4, metrics=["fd-classifier"], classifier=classifier)
    fit(scenes_store, tmp_path, callbacks=[scores])
    (record,) = read_records(tmp_path / "records.jsonl")
    assert set(record.metrics) == {"fd-classifier"}


def test_a_folder_named_by_image_and_annotator(classifier, scenes_store, protocol, tmp_path):
    """One narrative has no file, one file no narrative."""
    store = store_for(protocol, open_store(scenes_store))
    split = store.split("test")
    names = [split.narrative(number).key for number in range(split.n_captions)]
    for place, name in enumerate([*names[1:], f"{names[0]}9"]):
        Image.new("RGB", (64, 64), (40 * place % 256, 99, 0)).save(tmp_path / f"{name}.png")
    pattern = "{image_id}_{annotator_id}"
    with pytest.raises(UserError, match=r"1 missing, 1 unexpected"):
        ImageFolder(tmp_path, split, pattern=pattern)
    folder = ImageFolder(tmp_path, split, coverage=0.5, pattern=pattern)
    network = load_classifier(classifier, store)
    record = Evaluation(folder, protocol, store, classifier=network, options=NetworkOptions(4, device="cpu")).run()
    assert record.n_generated == split.n_captions - 1
    assert record.n_real == len(range(0, len(split), 2))
    assert any("1 missing, 1 unexpected" in note for note in record.notes)
