"""Layouts and narratives, from the files of drawn scenes to the batch."""

import multiprocessing
import pickle
import shutil
import zlib

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_lightning import Trainer

from t2igan.data.datamodule import CaptionedImagesModule, Scenes
from t2igan.data.datasets import EvaluationItems, TrainingItems
from t2igan.data.layout import partial_path
from t2igan.data.prepare import prepare
from t2igan.data.selection import NarrativesAsCaptions, SelectedImages, only_with
from t2igan.data.sources.scenes.source import ScenesConfig, ScenesSource, write_scenes
from t2igan.data.store import open_store
from t2igan.data.verifying import verify_store
from t2igan.errors import UserError
from t2igan.layout.localized import read_localized
from t2igan.layout.segmentations import read_stuff_map
from t2igan.models.suite_module import SuiteModule
from t2igan.profiling.repeating import repeat_store

BOTH = {"layouts", "narratives"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """12 training and 6 validation scenes at 76 pixels, the short side of a store for 64; read-only."""
    folder = tmp_path_factory.mktemp("scenes") / "raw"
    write_scenes(folder, ScenesConfig(train_images=12, val_images=6, image_pixels=76), workers=1)
    return folder


@pytest.fixture(scope="module")
def path(root):
    out = root.parent / "scenes.h5"
    prepare(ScenesSource(root), out, image_size=64, workers=1)
    return out


@pytest.fixture
def split(path):
    return open_store(path).split("train")


# -------------------------------------------------------------------------------------------------- the store


def test_the_store_holds_what_the_files_say(root, path):
    store = open_store(path)
    assert store.schema_version == 4 and store.holds == {"captions", "layouts", "segments", "narratives"}
    for part, name in (("train", "train"), ("val", "test")):
        split = store.split(name)
        told = {
            each.key: each for each in read_localized(root / f"annotations/coco_{part}_localized_narratives.jsonl")
        }
        for image in range(len(split)):
            layout = split.layout(image)
            expected = read_stuff_map(root / f"stuffthingmaps/{part}2017/{split.key(image)}.png")
            assert np.array_equal(layout.labels, expected)
            texts = split.segment_texts(image)
            assert layout.instances.max() == len(texts) > 2
            for number in range(1, len(texts) + 1):
                assert len(np.unique(layout.labels[layout.instances == number])) == 1
            for number in split.narratives_of(image):
                narrative = split.narrative(number)
                assert narrative == told.pop(narrative.key) and int(narrative.image_id) == int(split.key(image))
                words = store.vocabulary.decode(split.narrative_tokens(number))
                assert words == store.vocabulary.decode(store.vocabulary.encode(narrative.caption)) and words
        assert not told


def test_descriptions_of_segments_are_kept(root, split):
    import json

    content = json.loads((root / "annotations/instances_train2017.json").read_text())
    for image in range(len(split)):
        own = [each for each in content["annotations"] if each["image_id"] == int(split.key(image))]
        assert list(split.segment_texts(image)) == [each["description"] for each in own]


def test_a_resized_map_holds_no_new_value(root, tmp_path):
    prepare(ScenesSource(root), tmp_path / "small.h5", image_size=32, workers=1)
    small = open_store(tmp_path / "small.h5").split("train")
    for image in range(len(small)):
        labels = small.layout(image).labels
        expected = Image.open(root / f"stuffthingmaps/train2017/{small.key(image)}.png")
        assert labels.shape == (38, 38) == small.shape(image)
        assert np.array_equal(labels, expected.resize((38, 38), Image.Resampling.NEAREST))


def test_an_interrupted_preparation_gives_the_same_store(root, path, tmp_path, monkeypatch):
    from t2igan.data.layout_rendering import LayoutJob

    rendered, render = [], LayoutJob.render

    def until_the_fifth(job):
        rendered.append(job.key)
        if len(rendered) == 5:
            raise KeyboardInterrupt
        return render(job)

    out = tmp_path / "scenes.h5"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(LayoutJob, "render", until_the_fifth)
        prepare(ScenesSource(root), out, image_size=64, workers=1)
    assert partial_path(out).exists() and not out.exists()
    monkeypatch.setattr(LayoutJob, "render", lambda job: rendered.append(job.key) or render(job))
    summary = prepare(ScenesSource(root), out, image_size=64, workers=1)
    assert len(rendered) == 5 + 18 - 4
    assert summary.fingerprint == open_store(path).fingerprint and out.read_bytes() == path.read_bytes()


def test_another_process_reads_the_same(split):
    expected = [split.layout(3).labels.sum(), split.narrative(5).key]
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(1) as pool:
            assert pool.apply(_read, (split,)) == expected
    again = pickle.loads(pickle.dumps(split))
    assert _read(again) == expected


def _read(split):
    return [split.layout(3).labels.sum(), split.narrative(5).key]


def test_every_damaged_record_is_noticed(path, tmp_path):
    assert verify_store(path) == []
    for kind, read in (
        ("layouts", lambda split: split.layout(2)),
        ("narratives", lambda split: split.narrative(2)),
    ):
        damaged = tmp_path / f"{kind}.h5"
        shutil.copyfile(path, damaged)
        with h5py.File(damaged, "r") as file:
            offsets = file[f"train/{'layout_offsets' if kind == 'layouts' else 'narrative_byte_offsets'}"][:]
            position = file[f"train/{kind}"].id.get_offset() + int(offsets[2])
        with damaged.open("r+b") as file:
            file.seek(position + 9)
            byte = file.read(1)
            file.seek(position + 9)
            file.write(bytes([byte[0] ^ 1]))
        split = open_store(damaged).split("train")
        with pytest.raises(UserError, match=r"damaged, .*(layout|narrative).* is not what was written"):
            read(split)
        assert verify_store(damaged) == [f"{damaged}: train {kind[:-1]} 2 is damaged"]


def test_changed_texts_are_noticed_at_open(path, tmp_path):
    shutil.copyfile(path, tmp_path / "s.h5")
    with h5py.File(tmp_path / "s.h5", "r+") as file:
        texts = file["test/segment_texts"][:]
        texts[0] ^= 1
        file["test/segment_texts"][...] = texts
    with pytest.raises(UserError, match="damaged, its captions, words, classes or sizes"):
        open_store(tmp_path / "s.h5")


def test_packed_maps_are_a_small_part_of_the_store(path):
    with h5py.File(path) as file:
        assert len(file["train/layouts"]) < 0.1 * len(file["train/pixels"])
        assert len(zlib.decompress(file["train/layouts"][: file["train/layout_offsets"][1]].tobytes())) == 2 * 76**2


def test_a_repeated_store_repeats_them_too(path, tmp_path):
    repeat_store(path, tmp_path / "large.h5", records=30)
    large, small = open_store(tmp_path / "large.h5").split("train"), open_store(path).split("train")
    assert len(large) == 30 and large.layout(25) == small.layout(1)
    assert large.narrative(large.narratives_of(25)[0]) == small.narrative(small.narratives_of(1)[0])


def test_a_store_without_them_says_so(tiny_store):
    store = open_store(tiny_store)
    assert store.holds == {"captions"} and not store.split("train").holding("layouts").any()
    assert store.split("train").segment_texts(0) == () and len(store.split("train").narratives_of(0)) == 0
    for read in (store.split("train").layout, store.split("train").narrative):
        with pytest.raises(UserError, match=r"no (layout|narratives).*make it again"):
            read(0)


# ------------------------------------------------------------------------------------------------- the batches


def test_maps_and_traces_are_cropped_and_flipped_as_the_image(split):
    items = TrainingItems(split, 64, seed=3, carried=BOTH)
    numbers = list(range(len(split)))
    batch = items[[(0, image) for image in numbers]].cut()
    choices = {choice.image: choice for choice in (items.choose(0, image) for image in numbers)}
    assert {choice.mirrored for choice in choices.values()} == {True, False}
    assert len({(choice.top, choice.left) for choice in choices.values()}) > 5
    for row, key in enumerate(batch.keys):
        choice = choices[split.keys.index(key)]
        window = np.s_[choice.top : choice.top + 64, choice.left : choice.left + 64]
        whole, image = split.layout(choice.image), split.image(choice.image).transpose(1, 2, 0)
        for found, expected in (
            (batch.images[row].permute(1, 2, 0), image),
            (batch.layouts.labels[row], whole.labels),
            (batch.layouts.instances[row], whole.instances),
        ):
            expected = expected[window][:, ::-1] if choice.mirrored else expected[window]
            assert np.array_equal(found, expected)
        assert batch.layouts.texts[row] == split.segment_texts(choice.image)
        narrative, raw = batch.narratives[row], split.narrative(choice.narrative)
        assert narrative.words == raw.words and choice.narrative in split.narratives_of(choice.image)
        x = (np.concatenate(raw.traces)[:, 0] * 76 - choice.left) / 64
        y = (np.concatenate(raw.traces)[:, 1] * 76 - choice.top) / 64
        found = np.concatenate(narrative.traces)
        assert np.allclose(found[:, 0], 1 - x if choice.mirrored else x, atol=1e-5)
        assert np.allclose(found[:, 1], y, atol=1e-5)


def test_what_is_carried_changes_no_image_and_no_caption(split):
    order = [(1, image) for image in range(len(split))]
    bare, full = (TrainingItems(split, 64, seed=3, carried=each)[order].cut() for each in ((), BOTH))
    assert torch.equal(bare.images, full.images) and torch.equal(bare.captions, full.captions)
    assert bare.layouts is None and bare.narratives is None


def test_evaluation_pairs_have_the_centre_of_the_map(split):
    batch = EvaluationItems(split, 64, carried=BOTH)[[0, 7, 12]]
    for row, caption in enumerate((0, 7, 12)):
        image = split.caption_image(caption)
        assert np.array_equal(batch.layouts.labels[row], split.layout(image).labels[6:70, 6:70])
        assert batch.narratives[row].words == split.narrative(split.narratives_of(image)[0]).words


class Watcher(SuiteModule):
    """Keeps what it is given."""

    requires = frozenset({"segments", "narratives"})

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = []

    def training_step(self, batch, batch_idx):
        self.seen.append(batch)
        return self.weight.sum()

    def validation_step(self, batch, batch_idx):
        self.seen.append(batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_model_gets_what_it_requires_at_the_size_of_its_images(path, tmp_path, workers):
    data = Scenes(str(path), image_size=32, batch_size=4, num_workers=workers)
    module = Watcher()
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(max_steps=2, accelerator="cpu", default_root_dir=tmp_path, **options)
    trainer.fit(module, datamodule=data)
    assert len(module.seen) == 4  # two of the sanity check, two of training
    for batch in module.seen:
        assert (
            batch.images.shape[2:]
            == batch.layouts.labels.shape[1:]
            == batch.layouts.instances.shape[1:]
            == (32, 32)
        )
        assert batch.layouts.labels.dtype == torch.uint8 and len(batch.narratives) == len(batch) == len(
            batch.layouts
        )
    assert "layouts" not in Scenes(str(path)).carried


def test_a_batch_carries_what_the_option_asks(path):
    data = Scenes(str(path), batch_size=4, num_workers=0, carry=["layouts"])
    batch = next(iter(data.train_dataloader())).cut()
    assert batch.layouts is not None and batch.narratives is None


def test_what_the_option_asks_must_be_there(tiny_store):
    with pytest.raises(
        UserError, match=r"the configuration needs layouts, which .*tiny.h5 \(cub\) does not contain"
    ):
        CaptionedImagesModule(str(tiny_store), 32, carry=["layouts"]).setup()
    with pytest.raises(UserError, match="the configuration needs narratives"):
        CaptionedImagesModule(str(tiny_store), 32, captions="narratives").setup()


# ----------------------------------------------------------------------------------------- parts of the images


def test_images_without_a_narrative_are_left_out_where_they_are_asked_for(root, tmp_path):
    raw = tmp_path / "raw"
    shutil.copytree(root, raw)
    for part, kept in (("train", 9), ("val", 5)):
        lines = raw / f"annotations/coco_{part}_localized_narratives.jsonl"
        images = sorted({each.image_id for each in read_localized(lines)}, key=int)[:kept]
        text = lines.read_text().splitlines()
        keep = [line for line, each in zip(text, read_localized(lines)) if each.image_id in images]
        lines.write_text("\n".join(keep) + "\n")
    prepare(ScenesSource(raw), tmp_path / "some.h5", image_size=64, workers=1)
    data = Scenes(str(tmp_path / "some.h5"), batch_size=4, num_workers=0)
    assert (len(data.train_split), len(data.test_split)) == (12, 6)
    data.require({"captions", "narratives"}, "TReCS")
    assert (len(data.train_split), len(data.test_split)) == (9, 5)
    told = Scenes(str(tmp_path / "some.h5"), batch_size=4, num_workers=0, captions="narratives", words=60)
    assert (len(told.train_split), len(told.test_split)) == (9, 5)


def test_narratives_stand_for_captions(path):
    store = open_store(path)
    told = NarrativesAsCaptions(store)
    split, whole = told.split("train"), store.split("train")
    assert split.n_captions == sum(len(whole.narratives_of(image)) for image in range(12)) >= 12
    assert told.fingerprint != store.fingerprint and told.vocabulary == store.vocabulary
    for number in range(split.n_captions):
        assert split.caption_text(number) == split.narrative(number).caption == whole.narrative(number).caption
        assert np.array_equal(split.caption_tokens(number), whole.narrative_tokens(number))
        assert split.caption_image(number) == split.caption_images[number]
    assert pickle.loads(pickle.dumps(told)).split("test").n_captions == told.split("test").n_captions
    data = Scenes(str(path), batch_size=4, num_workers=0, captions="narratives", words=20, carry=["narratives"])
    batch = next(iter(data.train_dataloader())).cut()
    assert int(batch.lengths.max()) == 20
    for row, caption in enumerate(batch.caption_ids.tolist()):
        assert batch.narratives[row].caption == split.caption_text(caption)
        words = data.vocabulary.encode(batch.narratives[row].caption)
        assert set(batch.captions[row].tolist()) <= {0, *words}


def test_numbers_of_selected_images_lead_to_their_own(split):
    odd = SelectedImages("odd", [(split, np.array([7, 1, 4]))])
    twice = SelectedImages("twice", [(odd, np.array([2, 0]))])
    for chosen, originals in ((odd, (7, 1, 4)), (twice, (4, 7))):
        for image, own in enumerate(originals):
            assert chosen.layout(image) == split.layout(own)
            assert chosen.segment_texts(image) == split.segment_texts(own)
            numbers = chosen.narratives_of(image)
            assert [chosen.narrative(n) for n in numbers] == [split.narrative(n) for n in split.narratives_of(own)]
    assert only_with(split, BOTH) is split and odd.holding("narratives").all()
