import json
import pickle
import re
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from drawn_digests import TEXTS, digest, same_images_expected
from PIL import Image

from t2igan.data.sources.drawn_birds.captions import write_captions
from t2igan.data.sources.drawn_birds.painter import PARTS, render_bird
from t2igan.data.sources.drawn_birds.source import DrawnBirdsConfig, write_drawn_birds
from t2igan.data.sources.drawn_birds.species import (
    BirdAttributes,
    Species,
    differing_colors,
    draw_attributes,
    invent_species,
    name_species,
    palette,
)
from t2igan.errors import UserError

SMALL = DrawnBirdsConfig(
    train_species=4,
    test_species=2,
    train_images_per_species=2,
    test_images_per_species=3,
    image_pixels=64,
    seed=5,
)
COUNT = 4 * 2 + 2 * 3


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def rows(path: Path) -> list[list[str]]:
    return [line.split(" ") for line in path.read_text().splitlines()]


def birds(count: int, seed: int = 0) -> list[tuple[BirdAttributes, np.random.Generator]]:
    train, test = invent_species(60, 20, seed)
    species = train + test
    made = []
    for index in range(count):
        rng = np.random.default_rng([seed, 77, index])
        made.append((draw_attributes(species[index % len(species)], rng), rng))
    return made


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn")
    write_drawn_birds(root, SMALL, workers=1)
    return root


# --- species -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_species_are_distinct_and_test_species_recombine_training_values(seed: int) -> None:
    train, test = invent_species(60, 20, seed)
    assert (len(train), len(test)) == (60, 20)
    assert min(differing_colors(a, b) for a, b in combinations(train + test, 2)) >= 2
    for field in Species.__dataclass_fields__:
        assert {getattr(s, field) for s in test} <= {getattr(s, field) for s in train}
    for part in ("body", "wing", "belly", "crown"):
        assert {getattr(s, part) for s in train} == set(palette())
    assert all(s.wing not in (s.body, s.belly) for s in train + test)


@pytest.mark.parametrize("seed", [1, 2, 5])
def test_the_default_counts_are_found_with_any_seed(seed: int) -> None:
    """With these seeds the rarest colours alone leave no new species before there are 150."""
    train, test = invent_species(150, 50, seed)
    assert min(differing_colors(a, b) for a, b in combinations(train + test, 2)) >= 2
    for part in ("body", "wing", "beak_shape"):
        counts = Counter(getattr(species, part) for species in train).values()
        assert max(counts) - min(counts) <= 2


def test_species_names_are_unique_and_cub_like() -> None:
    train, test = invent_species(60, 20, 0)
    names = name_species(train + test, 0)
    assert len({name.split(".")[1] for name in names}) == 80
    assert all(
        re.fullmatch(rf"{i:03d}\.[A-Z][a-z]+_[a-z]+_[A-Z][a-z]+(_\d+)?", name) for i, name in enumerate(names, 1)
    )


def test_impossible_number_of_species_is_a_user_error() -> None:
    with pytest.raises(UserError, match="test_species"):
        invent_species(2, 50, 0)


# --- images ----------------------------------------------------------------------------------------------------


def test_box_is_the_tight_box_of_the_part_map() -> None:
    for attributes, rng in birds(24):
        image, parts, (x, y, w, h) = render_bird(attributes, 64, rng)
        assert image.shape == (64, 64, 3) and image.dtype == parts.dtype == np.uint8
        outside = parts.copy()
        outside[y : y + h, x : x + w] = 0
        assert not outside.any()
        inside = parts[y : y + h, x : x + w]
        assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()
        assert 0.5 <= max(w, h) / 64 <= 0.82
        assert parts[0, 0] == 0 and parts.max() < len(PARTS)


def test_plumage_shows_the_named_colors() -> None:
    names, values = list(palette()), np.array(list(palette().values()), float)
    right = {part: [] for part in ("body", "belly", "wing", "crown")}
    for attributes, rng in birds(80):
        image, parts, _ = render_bird(attributes, 128, rng)
        for part, hits in right.items():
            region = image[parts == PARTS.index(part)].astype(float)
            assert len(region) > 20, (attributes, part)
            nearest = names[int(np.linalg.norm(values - np.median(region, 0), axis=1).argmin())]
            hits.append(nearest == getattr(attributes.species, part))
    assert {part: np.mean(hits) > 0.9 for part, hits in right.items()} == dict.fromkeys(right, True)


def test_mirrored_bird_looks_the_other_way() -> None:
    attributes, _ = birds(1)[0]
    for facing, sign in (("right", 1), ("left", -1)):
        bird = replace(attributes, facing=facing, pose="standing", setting="branch")
        _, parts, _ = render_bird(bird, 96, np.random.default_rng(3))
        beak, tail = (np.nonzero(parts == PARTS.index(part))[1].mean() for part in ("beak", "tail"))
        assert sign * (beak - tail) > 20


def test_same_seed_same_image_other_seed_another() -> None:
    attributes, _ = birds(1)[0]
    first, again, other = (render_bird(attributes, 64, np.random.default_rng(seed))[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


# --- captions: read by an independent little grammar -----------------------------------------------------------

COLOR = "red|orange|yellow|green|blue|purple|violet|pink|brown|black|white|grey|gray"
SHAPES = {
    "short pointed": {"short", "pointed", "pointy", "sharp"},
    "long straight": {"long", "straight", "pointed", "thin"},
    "long curved": {"long", "curved", "downward"},
    "hooked": {"hooked", "strongly"},
    "thick cone": {"thick", "cone", "shaped", "short"},
    "flat": {"flat", "broad", "duck", "like"},
}
NOUNS = {
    "wings": "wing", "wing feathers": "wing", "wings and tail": "wing", "tail": "wing", "belly": "belly",
    "breast": "belly", "breast and belly": "belly", "chest": "belly", "underside": "belly", "crown": "crown",
    "cap": "crown", "crest": "crown", "pointed crest": "crown", "body": "body", "back": "body",
    "face": "body", "bird": "body",
    "beak": "beak_color", "bill": "beak_color", "legs": "leg_color", "feet": "leg_color", "head": "head",
}  # fmt: skip
NOUN = "|".join(sorted(NOUNS, key=len, reverse=True))


def color_claims(caption: str) -> list[tuple[str, str]]:
    """All (colour, noun) claims of a caption, once every colour word has been accounted for."""
    text = re.sub(r"green leaves|green meadow|blue sky", "place", caption)
    claims = [(c, n) for c, n in re.findall(rf"\b({COLOR}) ({NOUN})\b", text)]
    text = re.sub(rf"\b({COLOR}) ({NOUN})\b", "#", text)
    predicate = rf"\b({NOUN})(?: of this [a-z ]+? bird)? (?:is|are) ({COLOR})\b"
    claims += [(c, n) for n, c in re.findall(predicate, text)]
    assert not re.search(rf"\b({COLOR})\b", re.sub(predicate, "#", text)), caption
    return claims


def test_captions_claim_nothing_false() -> None:
    canonical = {"violet": "purple", "gray": "grey"}
    for attributes, rng in birds(240):
        species = attributes.species
        for caption in write_captions(attributes, 10, rng):
            for color, noun in color_claims(caption):
                part = NOUNS[noun]
                true = {species.crown, species.body} if part == "head" else {getattr(species, part)}
                assert true == {canonical.get(color, color)}, (caption, attributes)
            for kind in re.findall(rf"\b(short|long|forked)(?: (?:{COLOR}))? tail\b", caption):
                assert kind == species.tail, caption
            assert ("crest" not in caption) or species.crest
            sizes = {
                "small": "small",
                "little": "small",
                "tiny": "small",
                "medium": "medium",
                "mid": "medium",
            }
            sizes |= {"large": "large", "big": "large"}
            assert {sizes[w] for w in caption.split() if w in sizes} <= {species.size}, caption
            flying = bool(re.search(r"\bflying\b|\bin flight\b", caption))
            still = bool(re.search(r"\b(perched|standing|sitting|wading|legs|feet)\b|on a branch|ground", caption))
            assert not (flying and attributes.pose != "flying") and not (still and attributes.pose == "flying")
            upward = "looking up" in caption or "head raised" in caption
            assert not upward or attributes.pose == "looking up"
            assert not re.search(r"\b(left|right)\b", caption), "training mirrors images"
            places = {"branch": "branch", "grass": "grass", "meadow": "grass", "water": "water", "sky": "sky"}
            assert {v for k, v in places.items() if re.search(rf"\b{k}\b", caption)} <= {attributes.setting}


def test_beak_words_fit_the_shape() -> None:
    for attributes, rng in birds(120, seed=1):
        for caption in write_captions(attributes, 10, rng):
            for before in re.findall(r"([a-z ]+) (?:beak|bill)\b", caption):
                words = re.split(r"\b(?:an?|its|with|and|the|has)\b", before)[-1].split()
                described = [word for word in words if word not in COLOR.split("|")]
                assert set(described) <= SHAPES[attributes.species.beak_shape], (caption, attributes)


def test_captions_are_varied_and_of_fitting_length() -> None:
    captions = [caption for attributes, rng in birds(160) for caption in write_captions(attributes, 10, rng)]
    lengths = np.array([len(re.findall(r"\w+", caption)) for caption in captions])
    assert lengths.min() >= 5 and lengths.max() <= 40
    assert ((lengths >= 6) & (lengths <= 18)).mean() > 0.65
    assert 0.05 < (lengths > 18).mean() < 0.35
    assert len(set(captions)) > 0.9 * len(captions)
    assert np.mean([len(color_claims(caption)) >= 2 for caption in captions]) > 0.9
    assert len({caption.split()[0] for caption in captions}) >= 5
    for caption in captions:
        assert not re.search(r"\ba [aeio]|\ban [^aeio]|  | ,|\b(\w+) \1\b", caption), caption


def test_captions_of_an_image_differ() -> None:
    attributes, rng = birds(1)[0]
    assert len(set(write_captions(attributes, 30, rng))) == 30


# --- on disk -----------------------------------------------------------------------------------------------------


def test_layout_is_consistent(written: Path) -> None:
    cub = written / "CUB_200_2011"
    names = {"images.txt", "bounding_boxes.txt", "image_class_labels.txt", "train_test_split.txt"}
    tables = {name: rows(cub / name) for name in names}
    assert all([int(row[0]) for row in table] == list(range(1, COUNT + 1)) for table in tables.values())
    classes = {int(i): name for i, name in rows(cub / "classes.txt")}
    labels = {int(i): int(c) for i, c in tables["image_class_labels.txt"]}
    assert sorted(classes) == list(range(1, 7))
    attributes = json.loads((written / "attributes.json").read_text())
    for image_id, file in ((int(i), file) for i, file in tables["images.txt"]):
        key = file.removesuffix(".jpg")
        assert key.split("/")[0] == classes[labels[image_id]]
        assert len((written / "text" / f"{key}.txt").read_text().splitlines()) == 10
        assert attributes[key]["wing"] in palette()
        with (
            Image.open(cub / "images" / file) as image,
            Image.open(cub / "segmentations" / f"{key}.png") as parts,
        ):
            assert image.size == parts.size == (64, 64) and image.format == "JPEG"
            rows_, columns = np.nonzero(np.asarray(parts))
        box = [float(v) for v in tables["bounding_boxes.txt"][image_id - 1][1:]]
        extent = [columns.min(), rows_.min(), np.ptp(columns) + 1, np.ptp(rows_) + 1]
        assert box == [float(v) for v in extent]
    assert [name for _, name in rows(cub / "parts.txt")] == list(PARTS)


def test_the_data_set_is_what_it_was(tmp_path: Path) -> None:
    """Who changes a digest here draws another data set: raise ``RENDERER``, and train the zoo anew."""
    config = DrawnBirdsConfig(12, 4, 6, 6, image_pixels=48, captions_per_image=12, seed=3)
    write_drawn_birds(tmp_path, config, workers=1)
    shown = json.loads((tmp_path / "attributes.json").read_text()).values()
    assert len({(one["setting"], one["pose"]) for one in shown}) == 10, (
        "three settings of three poses, the sky of one"
    )
    assert [len({one[key] for one in shown}) for key in ("beak_shape", "tail", "size", "crest")] == [6, 3, 3, 2]
    assert digest(tmp_path, *TEXTS) == "f5a0bc92b4a546b5"
    assert digest(tmp_path, ".png") == "cc5c35860da80227"
    same_images_expected()
    assert digest(tmp_path, ".jpg") == "ca9c031b4f0cab57"


def test_zero_shot_split_is_disjoint_and_complete(written: Path) -> None:
    keys, ids = {}, {}
    for split in ("train", "test"):
        keys[split] = pickle.loads((written / split / "filenames.pickle").read_bytes())
        ids[split] = pickle.loads((written / split / "class_info.pickle").read_bytes())
        assert [int(key[:3]) for key in keys[split]] == ids[split]
        assert {type(v) for v in keys[split]} == {str} and {type(v) for v in ids[split]} == {int}
    assert not set(ids["train"]) & set(ids["test"])
    images = [file.removesuffix(".jpg") for _, file in rows(written / "CUB_200_2011/images.txt")]
    assert sorted(keys["train"] + keys["test"]) == sorted(images)
    assert (len(keys["train"]), len(keys["test"])) == (8, 6)


def test_same_bytes_with_several_processes(written: Path, tmp_path: Path) -> None:
    calls = []
    write_drawn_birds(tmp_path / "b", SMALL, workers=2, progress=lambda done, total: calls.append((done, total)))
    assert contents(tmp_path / "b") == contents(written)
    assert calls == [(i, COUNT) for i in range(1, COUNT + 1)]


def test_resumed_writing_gives_identical_bytes_and_keeps_what_is_there(tmp_path: Path) -> None:
    root = tmp_path / "birds"
    write_drawn_birds(root, SMALL, workers=1)
    before = contents(root)
    images = sorted((root / "CUB_200_2011/images").rglob("*.jpg"))
    images[0].unlink()
    next((root / "text" / images[4].parent.name).glob("*.txt")).unlink()
    sorted((root / "CUB_200_2011/segmentations").rglob("*.png"))[7].write_bytes(b"\x89PNG cut off")
    (root / "CUB_200_2011/images.txt").unlink()
    untouched = images[-1].stat().st_mtime_ns
    write_drawn_birds(root, SMALL, workers=1)
    assert contents(root) == before
    assert images[-1].stat().st_mtime_ns == untouched


def test_another_config_in_the_folder_is_refused(written: Path) -> None:
    with pytest.raises(UserError, match=r"recipe\.json.*seed 5 instead of 6.*another folder"):
        write_drawn_birds(written, replace(SMALL, seed=6))


def test_a_strange_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"x")
    with pytest.raises(UserError, match=r"no recipe\.json"):
        write_drawn_birds(tmp_path, SMALL)
    assert [p.name for p in tmp_path.iterdir()] == ["holiday.jpg"]


@pytest.mark.parametrize(("key", "value"), [("train_species", 0), ("image_pixels", 8), ("seed", -1)])
def test_senseless_configs_are_refused(key: str, value: int) -> None:
    with pytest.raises(UserError, match=key):
        replace(SMALL, **{key: value})
