import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn_digests import TEXTS, digest, same_images_expected
from PIL import Image

from t2igan.data.sources import make_source
from t2igan.data.sources.base import Listing
from t2igan.data.sources.coco import COCOSource
from t2igan.data.sources.drawn_birds.species import palette
from t2igan.data.sources.scenes.painter import paint_scene
from t2igan.data.sources.scenes.sentences import Mention, describe, write_captions, write_narrative
from t2igan.data.sources.scenes.source import ScenesConfig, ScenesSource, write_scenes
from t2igan.data.sources.scenes.traces import speak
from t2igan.data.sources.scenes.world import (
    COLORS,
    HELD_OUT,
    PLACES,
    THINGS,
    Thing,
    invent_scene,
    is_unseen,
    looks,
    unseen_pair,
)
from t2igan.errors import UserError
from t2igan.layout.labels import COCO_STUFF
from t2igan.layout.localized import narrative_words, read_localized
from t2igan.layout.narratives import read_tagged

SMALL = ScenesConfig(train_images=10, val_images=6, image_pixels=64, seed=5)


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def scenes(count, unseen=0.0):
    rngs = [np.random.default_rng([7, index]) for index in range(count)]
    return [(invent_scene(rng, unseen), rng) for rng in rngs]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("scenes") / "scenes"
    write_scenes(root, SMALL, workers=1)
    return root


def table(root, name, part):
    return json.loads((root / "annotations" / f"{name}_{part}2017.json").read_text())


def unpacked(segmentation):
    """The mask of uncompressed run lengths, written down once more."""
    values, on = [], False
    for length in segmentation["counts"]:
        values += [on] * length
        on = not on
    height, width = segmentation["size"]
    return np.array(values).reshape(width, height).T


# --- what is invented --------------------------------------------------------------------------------------------


def test_training_shows_no_held_out_pair_and_validation_shows_both_kinds():
    assert len(HELD_OUT) == 2 * len(THINGS)
    assert {thing for _, thing in HELD_OUT} == set(THINGS) and {color for color, _ in HELD_OUT} == set(COLORS)
    pairs = {(thing.color, thing.name) for scene, _ in scenes(1500) for thing in scene.things}
    assert pairs == {(color, thing) for color in COLORS for thing in THINGS} - HELD_OUT
    shown = [is_unseen(f"{thing.color} {thing.name}") for scene, _ in scenes(200, 0.4) for thing in scene.things]
    assert 0.3 < np.mean(shown) < 0.5


def test_only_texts_of_a_colour_and_a_thing_are_pairs():
    found = [
        unseen_pair(text) for text in ("a small red airplane", "a red bird", "a grey sky", "red flowers by a bird")
    ]
    assert found == [True, False, None, None]


def test_every_place_is_drawn_and_names_are_of_coco():
    invented = [scene for scene, _ in scenes(300)]
    assert {scene.place for scene in invented} == set(PLACES)
    names = {segment.name for scene in invented for segment in scene.segments}
    assert all(COCO_STUFF.is_thing(COCO_STUFF.value(name)) == (name in THINGS) for name in names)
    assert names > set(THINGS)
    for scene in invented:
        assert 1 <= len(scene.things) <= 3 and scene.main in scene.things
        # A label stands for one segment, which is how a label map gives the segments back.
        assert len({segment.name for segment in scene.segments}) == len(scene.segments)


# --- what is painted ---------------------------------------------------------------------------------------------


def test_images_are_deterministic_and_of_any_size():
    scene, _ = scenes(1)[0]
    first, again, other = (paint_scene(scene, 64, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])
    # The same scene in another size is the same image.
    large, owners = paint_scene(scene, 128, np.random.default_rng(1))
    assert large.shape == (128, 128, 3) and owners.shape == (128, 128)
    assert (owners[::2, ::2] == first[1]).mean() > 0.93


def test_segments_are_where_their_colors_are():
    values = np.array([palette()[color] for color in COLORS], float)
    right = []
    for scene, rng in scenes(120):
        image, owners = paint_scene(scene, 96, rng)
        for number, thing in enumerate(scene.things, len(scene.stuff)):
            region = image[owners == number].astype(float)
            if len(region) < 150 or thing.name in ("boat", "umbrella", "sheep"):
                continue  # little of it to be seen, or half of it in the second colour or in shade
            nearest = np.linalg.norm(region[:, None] - values, axis=2).argmin(1)
            share = np.bincount(nearest, minlength=len(COLORS)) / len(region)
            right.append(share[COLORS.index(thing.color)] > 0.2)
    assert len(right) > 60 and np.mean(right) > 0.9


def test_a_thing_changes_the_image_at_its_segment_and_its_shadow_only():
    for scene, rng in scenes(12):
        state = rng.bit_generator.state
        with_thing, owners = paint_scene(scene, 64, rng)
        rng.bit_generator.state = state
        without, _ = paint_scene(replace(scene, things=scene.things[:-1]), 64, rng)
        mask = owners == len(scene.segments) - 1
        changed = np.abs(with_thing.astype(int) - without).max(2)
        assert (changed[mask] > 0).mean() > 0.9
        left, top, right, bottom = scene.things[-1].box
        rows, columns = (np.mgrid[0:64, 0:64] + 0.5) / 64
        far = (rows < top - 0.2) | (rows > bottom + 0.2) | (columns < left - 0.25) | (columns > right + 0.25)
        assert changed[far].max(initial=0) <= 6


def test_most_images_have_several_segments_of_five_per_cent():
    large = []
    for scene, rng in scenes(80):
        _, owners = paint_scene(scene, 64, rng)
        shares = np.bincount(owners.reshape(-1), minlength=len(scene.segments)) / owners.size
        large.append((shares >= 0.05).sum())
        assert shares[len(scene.stuff) :].max() > 0.015
    assert np.mean(np.array(large) >= 3) > 0.9


# --- what is said ------------------------------------------------------------------------------------------------


def test_texts_claim_nothing_false_and_put_the_color_before_the_noun():
    for scene, rng in scenes(200, 0.4):
        things = {thing.name: thing for thing in scene.things}
        narrative = " ".join(f"{each.lead} {each.phrase}" for each in write_narrative(scene, rng))
        texts = [*write_captions(scene, 5, rng), narrative, *(describe(each, rng) for each in scene.segments)]
        for text in texts:
            for color, name in re.findall(rf"(\w+) ({'|'.join(THINGS)})\b", text):
                assert name in things and things[name].color == color, (text, scene)
            for size, name in re.findall(rf"\b(small|large) \w+ ({'|'.join(THINGS)})\b", text):
                assert things[name].size == size
            for name, second in re.findall(rf"\b({'|'.join(THINGS)}) with (?:an? )?(\w+)", text):
                assert things[name].second == second or "in the background" in text
            assert not re.search(r"\b(left|right)\b", text), "training mirrors images"
            assert not re.search(r"\ba [aeio]|\ban [^aeio]|  | ,|\b(\w+) \1\b", text), text
        unseen = {thing.name for thing in scene.things if (thing.color, thing.name) in HELD_OUT}
        assert bool(unseen) == is_unseen(narrative)


def test_captions_differ_and_say_more_than_labels():
    captions = [caption for scene, rng in scenes(100) for caption in write_captions(scene, 5, rng)]
    lengths = np.array([len(caption.split()) for caption in captions])
    assert lengths.min() >= 3 and lengths.max() <= 32 and 7 < np.mean(lengths) < 15
    assert len(set(captions)) > 0.85 * len(captions)
    assert np.mean([sum(color in caption for color in COLORS) > 1 for caption in captions]) > 0.5


def test_narratives_are_long_and_mention_every_thing_in_order_of_size():
    lengths = []
    for scene, rng in scenes(60):
        mentions = write_narrative(scene, rng)
        told = [mention.segment for mention in mentions]
        assert len(set(told)) == len(told)
        widths = [scene.segments[k].width for k in told if isinstance(scene.segments[k], Thing)]
        assert len(widths) == len(scene.things) and widths == sorted(widths, reverse=True)
        lengths.append(sum(len(f"{each.lead} {each.phrase}".split()) for each in mentions))
    assert 25 < np.mean(lengths) < 60 and min(lengths) >= 10


def test_traces_go_where_the_words_are():
    hits, outside = [], []
    for scene, rng in scenes(40):
        _, owners = paint_scene(scene, 64, rng)
        visible = set(np.unique(owners).tolist())
        mentions = [mention for mention in write_narrative(scene, rng) if mention.segment in visible]
        utterances, strokes, segments = speak(mentions, owners, rng)
        words = " ".join(str(each["utterance"]) for each in utterances).split()
        assert len(words) == len(segments)
        points = np.array([(p["x"], p["y"], p["t"]) for stroke in strokes for p in stroke])
        assert (np.diff(points[:, 2]) >= 0).all()
        outside.append(((points[:, :2] < 0) | (points[:, :2] > 1)).any(1).mean())
        times, first = {}, 0
        for each in utterances:
            assert each["end_time"] > each["start_time"]
            times.setdefault(segments[first], []).extend((each["start_time"], each["end_time"]))
            first += len(str(each["utterance"]).split())
        for segment, said in times.items():
            assert said == sorted(said)
            middle = (said[0] + said[-1]) / 2
            during = points[(points[:, 2] >= middle) & (points[:, 2] <= said[-1]), :2]
            rows, columns = np.nonzero(owners == segment)
            x, y = np.median(during, axis=0) * 64
            hits.append(columns.min() - 3 < x < columns.max() + 4 and rows.min() - 3 < y < rows.max() + 4)
    assert np.mean(hits) > 0.95
    assert 0 < np.mean(outside) < 0.15


def test_a_mention_of_what_cannot_be_seen_still_gives_a_trace():
    rng = np.random.default_rng(0)
    utterances, strokes, segments = speak([Mention("there is", "a red bird", 3)], np.zeros((8, 8), np.uint8), rng)
    assert segments == [3] * 5 and strokes and str(utterances[-1]["utterance"]).endswith("bird.")


# --- on disk: the readers of the real thing ----------------------------------------------------------------------


def test_cocos_reader_reads_them(written):
    listing = Listing(COCOSource(written))
    assert not listing.problems and len(listing.images) == 16
    assert [image.split for image in listing.images] == ["train"] * 10 + ["test"] * 6
    assert all(len(image.captions) == 5 for image in listing.images)
    ours = Listing(ScenesSource(written))
    assert [image.captions for image in ours.images] == [image.captions for image in listing.images]
    facts = json.loads((written / "scenes.json").read_text())
    for image in ours.images:
        assert ours.class_names[image.class_id] == facts[image.key]["class"]
    assert ours.name == "scenes"


@pytest.mark.parametrize("part", ["train", "val"])
def test_instances_tile_the_label_map(written, part):
    content = table(written, "instances", part)
    names = {category["id"]: category["name"] for category in content["categories"]}
    assert all(COCO_STUFF.names[number - 1] == name for number, name in names.items())
    ids = [each["id"] for each in content["annotations"]]
    assert ids == list(range(1, len(ids) + 1))
    for image in content["images"]:
        path = written / "stuffthingmaps" / f"{part}2017" / image["file_name"].replace(".jpg", ".png")
        labels = np.array(Image.open(path))
        assert labels.dtype == np.uint8 and labels.shape == (64, 64)
        drawn = np.full_like(labels, 255)
        for each in (a for a in content["annotations"] if a["image_id"] == image["id"]):
            mask = unpacked(each["segmentation"])
            assert each["area"] == mask.sum() > 0 and (drawn[mask] == 255).all()
            rows, columns = np.nonzero(mask)
            assert each["bbox"] == [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
            assert each["description"]
            drawn[mask] = each["category_id"] - 1
        assert np.array_equal(drawn, labels)


@pytest.mark.parametrize("part", ["train", "val"])
def test_narratives_and_word_labels_belong_together(written, part):
    narratives = read_localized(written / "annotations" / f"coco_{part}_localized_narratives.jsonl")
    tagged = read_tagged(written / "tagged" / part)
    assert [each.key for each in narratives] == [each.key for each in tagged]
    images = {image["id"] for image in table(written, "captions", part)["images"]}
    assert {int(each.image_id) for each in narratives} == images
    for narrative, labelled in zip(narratives, tagged):
        assert narrative.words == labelled.words == narrative_words(narrative.caption)
        path = written / "stuffthingmaps" / f"{part}2017" / f"{int(narrative.image_id):012d}.png"
        shown = {COCO_STUFF.names[value] for value in np.unique(np.array(Image.open(path)))}
        assert set(labelled.tags) <= shown
        for word, tag in zip(labelled.words, labelled.tags):
            assert word not in THINGS or word == tag


def test_training_descriptions_are_seen_and_some_of_validation_are_not(written):
    train, val = (
        [each["description"] for each in table(written, "instances", part)["annotations"]]
        for part in ("train", "val")
    )
    assert not any(map(is_unseen, train)) and any(map(is_unseen, val))


def test_the_data_set_is_what_it_was(tmp_path):
    """Who changes a digest here draws another data set: raise ``RENDERER``, and train the zoo anew."""
    write_scenes(tmp_path, ScenesConfig(40, 20, image_pixels=48, seed=3), workers=1)
    facts = json.loads((tmp_path / "scenes.json").read_text()).values()
    assert {each["name"] for scene in facts for each in scene["stuff"]} == set(looks())
    assert {each["name"] for scene in facts for each in scene["things"]} == set(THINGS)
    assert digest(tmp_path, *TEXTS) == "3f283551432bf0c0"
    assert digest(tmp_path, ".png") == "20bab7ab1a4f4fe7"
    same_images_expected()
    assert digest(tmp_path, ".jpg") == "a0627e20246695cd"


def test_same_bytes_with_several_processes(written, tmp_path):
    calls = []
    write_scenes(tmp_path / "b", SMALL, workers=2, progress=lambda done, total: calls.append((done, total)))
    assert contents(tmp_path / "b") == contents(written)
    assert calls == [(i, 16) for i in range(1, 17)]


def test_resumed_writing_gives_identical_bytes_and_keeps_what_is_there(written, tmp_path):
    root = tmp_path / "scenes"
    write_scenes(root, SMALL, workers=1)
    images = sorted((root / "images").rglob("*.jpg"))
    images[0].unlink()
    sorted((root / "stuffthingmaps").rglob("*.png"))[4].write_bytes(b"\x89PNG cut off")
    Image.new("L", (64, 64), 200).save(sorted((root / "stuffthingmaps").rglob("*.png"))[5])
    (root / "scenes.json").unlink()
    (root / "annotations" / "instances_val2017.json").unlink()
    untouched = images[-1].stat().st_mtime_ns
    write_scenes(root, SMALL, workers=1)
    assert contents(root) == contents(written)
    assert images[-1].stat().st_mtime_ns == untouched


def test_killed_drawing_leaves_no_process_and_goes_on(tmp_path):
    root = tmp_path / "scenes"
    code = (
        "from pathlib import Path; from t2igan.data.sources.scenes.source import *\n"
        f"if __name__ == '__main__': write_scenes(Path({str(root)!r}), ScenesConfig(400, 4, image_pixels=64), 2)"
    )
    script = tmp_path / "draw.py"
    script.write_text(code)
    process = subprocess.Popen([sys.executable, str(script)])
    until = time.monotonic() + 60
    while not list(root.glob("images/train2017/*.jpg")) and time.monotonic() < until:
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    assert len(children) >= 2
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    while any(running(child) for child in children) and time.monotonic() < until:
        time.sleep(0.05)
    assert not [child for child in children if running(child)]
    assert not (root / "scenes.json").exists()
    for path in root.rglob("*.jpg"):
        Image.open(path).load()


def running(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_make_source_draws_once(tmp_path):
    root = tmp_path / "scenes"
    source = make_source("scenes", root, config=replace(SMALL, train_images=2, val_images=1), workers=1)
    assert len(source.scan()[0]) == 3
    before = contents(root)
    make_source("scenes", root, captions_per_image=2)
    assert contents(root) == before
    with pytest.raises(UserError, match="one split"):
        make_source("scenes", root, "zero-shot")
    with pytest.raises(UserError, match=r"recipe\.json.*train_images 2 instead of 4"):
        make_source("scenes", root, config=replace(SMALL, train_images=4, val_images=1))


@pytest.mark.parametrize("content", ["[]", '{"x": {"class": "red boat"}}', '{"1": {}}', '{"1": 3}'])
def test_strange_facts_are_refused(written, tmp_path, content):
    root = tmp_path / "scenes"
    root.mkdir()
    for name in ("annotations", "images"):
        (root / name).symlink_to(written / name)
    (root / "scenes.json").write_text(content)
    with pytest.raises(UserError, match=r"scenes\.json: not the facts of drawn scenes"):
        ScenesSource(root).scan()


def test_a_strange_folder_is_refused(tmp_path):
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(UserError, match=r"no recipe\.json of drawn scenes"):
        write_scenes(tmp_path, SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["holiday.jpg"]


@pytest.mark.parametrize(
    ("key", "value"), [("train_images", 0), ("val_images", -1), ("image_pixels", 8), ("seed", -1), ("unseen", 1.5)]
)
def test_senseless_configs_are_refused(key, value):
    with pytest.raises(UserError, match=key):
        replace(SMALL, **{key: value})
