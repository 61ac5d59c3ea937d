"""The whole road: a pipeline out of its file, sampled and scored like any generator."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
import yaml
from PIL import Image

from t2igan.cli.main import main
from t2igan.data.classification import ClassificationData
from t2igan.data.datamodule import DrawnBirds, Scenes
from t2igan.data.selection import NarrativesAsCaptions
from t2igan.data.store import open_store
from t2igan.data.tagged import TaggedNarratives
from t2igan.errors import UserError
from t2igan.evaluation.images.gallery import Gallery, join_tags
from t2igan.evaluation.images.generate import caption_tokens
from t2igan.evaluation.plan import plan_for
from t2igan.evaluation.protocol import load_protocol
from t2igan.evaluation.subjects.pipeline import PipelineSubject, load_pipeline, load_retriever, read_pipeline_file
from t2igan.layout.composing import Composer
from t2igan.layout.mask_bank import MaskBank
from t2igan.layout.narratives import read_tagged
from t2igan.layout.retrieval import TfidfIndex
from t2igan.models.classifier import EvaluationClassifier
from t2igan.models.damsm import DAMSM, SmallImageEncoder
from t2igan.models.spade import SPADEGAN
from t2igan.models.tagger import BiLSTMTagger, Tagger
from t2igan.models.trecs import TrecsPipeline
from t2igan.networks.spade import SPADEGenerator

SIZE = 32
EXPERIMENTS = Path(__file__).parents[3] / "experiments"


def save(module, data, path, **options):
    trainer = pl.Trainer(
        accelerator="cpu", logger=False, enable_progress_bar=False, enable_model_summary=False,
        enable_checkpointing=False, limit_val_batches=0, **options,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    trainer.save_checkpoint(path)


@pytest.fixture(scope="module")
def parts(scenes_root, scenes_store, tmp_path_factory):
    """Checkpoints after a few steps, and the file that names them."""
    folder = tmp_path_factory.mktemp("pipeline")
    torch.manual_seed(0)
    told = TaggedNarratives(str(scenes_root / "tagged" / "train"), batch_size=8)
    save(Tagger(BiLSTMTagger(16, 16, 0.0)), told, folder / "tagger.ckpt", max_steps=60)
    generator = SPADEGenerator(SIZE, channels=2, hidden=8, embed=4, noise_dim=8)
    data = Scenes(str(scenes_store), SIZE, batch_size=4, num_workers=0)
    module = SPADEGAN(SIZE, discriminator_channels=4, embed=4, generator=generator)
    save(module, data, folder / "spade.ckpt", max_steps=2)
    content = {"tagger": str(folder / "tagger.ckpt"), "generator": str(folder / "spade.ckpt")}
    content |= {"bank": str(scenes_store)}
    for trace in ("real", "oracle", "none"):
        (folder / f"{trace}.yaml").write_text(yaml.safe_dump(content | {"trace": trace}))
    return folder


@pytest.fixture(scope="module")
def protocol(tmp_path_factory):
    path = tmp_path_factory.mktemp("protocol") / "small.yaml"
    path.write_text(
        f"dataset: scenes\nimage_size: {SIZE}\ntold: narratives\nimages: 12\nwords: 256\nreference: halves\n"
        "metrics: [{name: fd-classifier}]\n"
    )
    return path


def images_of(subject, protocol, store, batch_size):
    plan = plan_for(protocol, store.split("test"))
    found = torch.zeros(len(plan), 3, SIZE, SIZE, dtype=torch.uint8)
    for part in subject.images(protocol, store, plan, np.arange(len(plan)), batch_size, torch.device("cpu")):
        found[part.numbers] = part.images
    return found


def test_images_depend_on_the_trace_and_not_on_the_batch(parts, protocol, scenes_store):
    pinned, store = load_protocol(str(protocol)), NarrativesAsCaptions(open_store(scenes_store))
    subjects = {trace: PipelineSubject(parts / f"{trace}.yaml", "ema") for trace in ("real", "oracle", "none")}
    for subject in subjects.values():
        subject.check(pinned, store)
    whole = {trace: images_of(subject, pinned, store, 12) for trace, subject in subjects.items()}
    apart = images_of(subjects["real"], pinned, store, 5)
    assert torch.equal(apart, whole["real"])
    assert len({one.numpy().tobytes() for one in whole.values()}) == 3
    assert len({subject.card.sha256 for subject in subjects.values()}) == 3
    assert any("gold maps" in note for note in subjects["oracle"].notes)


def test_the_record_names_all_parts(parts, protocol, scenes_store, tmp_path):
    data = ClassificationData(str(scenes_store), image_size=SIZE, batch_size=8, num_workers=0, holdout=0.5)
    save(EvaluationClassifier(image_size=SIZE, width=4), data, tmp_path / "classifier.ckpt", max_steps=2)
    written = tmp_path / "records.jsonl"
    command = ["evaluate", "--pipeline", str(parts / "real.yaml"), "--protocol", str(protocol), "--cache", "none"]
    command += ["--store", str(scenes_store), "--classifier", str(tmp_path / "classifier.ckpt")]
    main([*command, "--real", "true", "--records", str(written)])
    pipeline, real = map(json.loads, written.read_text().splitlines())
    card = pipeline["subject"]
    assert (card["kind"], card["name"]) == ("pipeline", "real")
    assert set(card["parts"]) == {"tagger", "retriever", "bank", "generator"}
    assert card["generator"].endswith("SPADEGenerator")
    assert pipeline["metrics"]["fd-classifier"]["value"] > real["metrics"]["fd-classifier"]["value"]
    main([*command, "--records", str(written), "--once", "true"])
    assert len(written.read_text().splitlines()) == 2


def test_narratives_are_sampled_with_a_sheet_of_the_steps(parts, scenes_root, tmp_path):
    lines = (scenes_root / "annotations" / "coco_val_localized_narratives.jsonl").read_text().splitlines()[:2]
    (tmp_path / "told.jsonl").write_text("\n".join(lines) + "\n")
    command = ["sample", "--pipeline", str(parts / "real.yaml"), "--narratives", str(tmp_path / "told.jsonl")]
    main([*command, "--out", str(tmp_path / "out"), "--n", "2"])
    keys = ["{image_id}_{annotator_id}".format(**json.loads(line)) for line in lines]
    names = [f"{key}_{end}.png" for key in keys for end in ("s00", "s01", "steps")]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    with Image.open(tmp_path / "out" / names[0]) as image:
        assert image.size == (SIZE, SIZE)
    first, second = ((tmp_path / "out" / name).read_bytes() for name in names[:2])
    assert first != second  # other noise
    with pytest.raises(SystemExit):
        main([*command[:1], "--pipeline", str(parts / "oracle.yaml"), *command[3:], "--out", str(tmp_path / "o")])


def test_canvases_are_a_function_of_the_narrative(parts, scenes_store):
    gallery, pipeline = Gallery(open_store(scenes_store), "test", SIZE), load_pipeline(parts / "real.yaml").pipeline
    told = [narrative for image in range(4) for narrative in gallery.narratives(image)]
    together = pipeline.compose(told)
    for narrative, one in zip(told, together):
        (alone,) = pipeline.compose([narrative])
        assert alone.canvas.layout == one.canvas.layout and alone.tags == one.tags


def test_what_a_pipeline_lacks_is_said(scenes_store, scenes_root):
    gallery = Gallery(open_store(scenes_store), "train", SIZE)
    bank, index = MaskBank(gallery, SIZE), TfidfIndex(gallery.texts())
    told = gallery.narratives(0)
    with pytest.raises(UserError, match="has no labels: give a tagger"):
        TrecsPipeline(None, index, bank, Composer(), "none").compose(told)
    joined, _ = join_tags(told, read_tagged(scenes_root / "tagged" / "train"))
    with pytest.raises(UserError, match="oracle takes the hulls from the gold maps"):
        TrecsPipeline(None, index, bank, Composer(), "oracle").compose(joined)
    tagged = [each for each in read_tagged(scenes_root / "tagged" / "train") if each.key == told[0].key]
    with pytest.raises(UserError, match="has no trace"):
        TrecsPipeline(None, index, bank, Composer(), "real").compose(tagged)
    composed = TrecsPipeline(None, index, bank, Composer(), "none").compose(tagged)
    with pytest.raises(UserError, match="no generator"):
        TrecsPipeline(None, index, bank, Composer()).synthesise(composed, torch.zeros(1, 8), [told[0].words])


def test_generators_of_another_kind_or_size_are_refused(parts, scenes_store, checkpoints):
    loaded = load_pipeline(parts / "real.yaml")
    with pytest.raises(UserError, match="the generator's images have 32 px"):
        bank = MaskBank(Gallery(open_store(scenes_store), "test", 16), 16)
        TrecsPipeline(None, loaded.pipeline.retriever, bank, Composer(), "none", loaded.generator)
    file = parts / "text.yaml"
    content = yaml.safe_load((parts / "real.yaml").read_text()) | {"generator": str(checkpoints.generator)}
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match="generates no images from layouts"):
        load_pipeline(file)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tagger": None}, "tagger"),
        ({"k": 0}, "k: 0 is below 1"),
        ({"trace": "imagined"}, "trace: 'imagined' is not one of real, oracle, none"),
        ({"trees": 1}, "trees: unknown key"),
    ],
)
def test_files_that_are_wrong_are_refused(parts, tmp_path, change, message):
    content = yaml.safe_load((parts / "real.yaml").read_text()) | change
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(UserError, match=message):
        read_pipeline_file(tmp_path / "p.yaml")


def test_the_files_of_the_experiments_are_read():
    found = [read_pipeline_file(path) for path in sorted(EXPERIMENTS.glob("*/pipelines/*.yaml"))]
    assert sorted(each.trace for each in found) == ["none", "oracle", "real"]


def test_captions_of_narratives_have_the_narratives_words(scenes_store):
    store = NarrativesAsCaptions(open_store(scenes_store))
    gallery = Gallery(store, "test", SIZE)
    words, lengths = caption_tokens(store.split("test"), [3], 256, 0)
    known = [store.vocabulary.words[place] for place in words[0, : lengths[0]]]
    assert known == [word for word in gallery.narrative(3).words if word in store.vocabulary.words]


def test_its_parts_are_named_by_the_folders_of_their_runs_too(parts, scenes_store, tmp_path):
    for name in ("tagger", "spade"):
        (tmp_path / name / "checkpoints").mkdir(parents=True)
        shutil.copy(parts / f"{name}.ckpt", tmp_path / name / "checkpoints" / "last.ckpt")
    content = yaml.safe_load((parts / "real.yaml").read_text())
    content |= {"tagger": str(tmp_path / "tagger"), "generator": str(tmp_path / "spade")}
    (tmp_path / "runs.yaml").write_text(yaml.safe_dump(content))
    assert load_pipeline(tmp_path / "runs.yaml").sha256 == load_pipeline(parts / "real.yaml").sha256


def test_a_retriever_is_named_by_the_folder_of_its_run_too(drawn_birds_store, tmp_path):
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    last.parent.mkdir(parents=True)
    data = DrawnBirds(str(drawn_birds_store), batch_size=8, num_workers=0)
    save(DAMSM(SmallImageEncoder(dim=8, channels=2, image_size=32)), data, last, max_steps=1)
    gallery = Gallery(open_store(drawn_birds_store), "test", 32, needs=())
    assert load_retriever(str(tmp_path / "run"), gallery)[1] == load_retriever(str(last), gallery)[1]
