from dataclasses import replace

import pytest
import torch
from evaluation_fixtures import evaluate, write_protocol
from PIL import Image

from t2igan.data.store import open_store
from t2igan.errors import UserError
from t2igan.evaluation.features.networks import NetworkOptions, load_classifier, load_damsms
from t2igan.evaluation.metrics.kernel_distance import KID
from t2igan.evaluation.protocol import load_protocol
from t2igan.evaluation.subjects.folder import UNKNOWN, ImageFolder, scan_folder
from t2igan.evaluation.subjects.generated import load_checkpoint_subject, load_generator
from t2igan.layout.narratives import Narrative
from t2igan.nn.images import to_uint8
from t2igan.nn.noise import caption_noise
from t2igan.plotting.grids import to_pil


@pytest.fixture(scope="module")
def store(drawn_birds_store):
    return open_store(drawn_birds_store)


@pytest.fixture(scope="module")
def split(store):
    return store.split("test")


@pytest.fixture
def protocol(tmp_path):
    return load_protocol(str(write_protocol(tmp_path / "p.yaml")))


def fill(folder, split, name, size=32, count=None):
    """A folder with an image of each image of the split, named by ``name(key)``."""
    for number, key in enumerate(split.keys[:count]):
        path = folder / f"{name(key)}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (size, size), (number * 9, 80, 255 - number * 9)).save(path)
    return folder


@pytest.mark.parametrize(
    ("name", "caption"),
    [
        (lambda key: key, None),
        (lambda key: key.rpartition("/")[2], None),
        (lambda key: f"{key}_s-1", None),
        (lambda key: f"{key}_s-1_10", None),
        (lambda key: f"{key}_  0", None),
        (lambda key: f"{key}_c3", 3),
        (lambda key: f"{key}_c0_s2", 0),
    ],
)
def test_names_of_files(tmp_path, split, name, caption):
    content = scan_folder(fill(tmp_path / "generated", split, name), split)
    assert (len(content.files), content.missing, content.unexpected) == (len(split), [], [])
    wanted = [UNKNOWN if caption is None else split.captions_of(image)[caption] for image in range(len(split))]
    assert sorted(content.captions) == sorted(wanted)


def test_what_is_missing_and_unexpected_is_reported(tmp_path, split):
    folder = fill(tmp_path / "generated", split, lambda key: key, count=13)
    Image.new("RGB", (32, 32)).save(folder / "stranger.png")
    Image.new("RGB", (32, 32)).save(folder / f"{split.keys[0]}_c99.png")
    (folder / "notes.txt").write_text("not an image")
    content = scan_folder(folder, split)
    assert content.missing == split.keys[13:]
    assert [path.name for path in content.unexpected] == [
        f"{split.keys[0]}_c99.png".rpartition("/")[2],
        "stranger.png",
    ]
    assert content.summary() == "16 images expected, 13 found in 13 files, 3 missing, 2 unexpected"
    with pytest.raises(UserError, match=r"3 missing.*--coverage from 1 "):
        ImageFolder(folder, split)
    assert len(ImageFolder(folder, split, coverage=0.0).content.files) == 13


def test_copies_are_counted_by_content(tmp_path, split):
    folder = fill(tmp_path / "generated", split, lambda key: key, count=4)
    for path in sorted(folder.rglob("*.png")):
        path.with_name(f"{path.stem}_s1.png").write_bytes(path.read_bytes())
    generated = ImageFolder(folder, split, coverage=0.0)
    assert (len(generated.content.files), generated.card.n_distinct) == (8, 4)


def test_no_folder_and_nothing_in_it_are_one_line(tmp_path, split):
    with pytest.raises(UserError, match="--images: no folder"):
        ImageFolder(tmp_path / "none", split)
    with pytest.raises(UserError, match=r"no image in .*: give a folder with \.jpeg, \.jpg, \.png"):
        ImageFolder(tmp_path, split)
    Image.new("RGB", (32, 32)).save(tmp_path / "stranger.png")
    with pytest.raises(
        UserError, match=r"none of its 1 images belongs to a key .* name the files after the store's"
    ):
        ImageFolder(tmp_path, split)


def test_a_folder_scores_what_a_checkpoint_scores(tmp_path, checkpoints, store, split, protocol):
    """The checkpoint's own images, written out under names that tell their captions."""
    module, folder = load_generator(checkpoints.generator), tmp_path / "generated"
    ids = torch.arange(split.n_captions)
    for caption in ids.tolist():
        tokens = torch.from_numpy(split.caption_tokens(caption))[None]
        noise = caption_noise(torch.tensor([caption]), module.generator.noise_dim, protocol.noise_seed)
        generated = module.synthesise(noise, tokens, torch.tensor([tokens.shape[1]])).images[-1]
        image = split.caption_image(caption)
        path = folder / f"{split.keys[image]}_c{caption - split.captions_of(image).start}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        to_pil(to_uint8(generated)[0]).save(path)
    specs = (*protocol.metrics, KID(flavour="classifier", subsets=3, subset_size=5))
    protocol = replace(protocol, images=split.n_captions, words=99, metrics=specs, bootstrap=20)
    damsms, classifier = (
        load_damsms([checkpoints.damsm], store),
        load_classifier(checkpoints.classifier, store),
    )
    renamed = rename(folder, tmp_path / "renamed", split)
    subjects = (
        ImageFolder(folder, split),
        ImageFolder(renamed, split, pattern="{sample}/{caption}/{key}"),
        load_checkpoint_subject(checkpoints.generator, "ema"),
    )
    found, again, wanted = (
        evaluate(one, protocol, store, damsms, classifier, NetworkOptions()) for one in subjects
    )
    # The same images under names of another order are the same images, to the last bit.
    assert again.metrics == found.metrics
    for name, value in wanted.metrics.items():
        # One trial of 160 may fall otherwise: generated one by one, a pixel now and then is a level off.
        limits = {"abs": 1 / 160} if "precision" in name else {"rel": 1e-3}
        assert found.metrics[name].value == pytest.approx(value.value, **limits), name
    assert found.subject.kind == "images"
    assert len(found.subject.sha256) == 64
    assert found.notes == ["16 images expected, 16 found in 160 files, 0 missing, 0 unexpected"]


def rename(folder, other, split):
    """The images of a folder again, under names of another order: by captions first, and backwards."""
    content = scan_folder(folder, split)
    for file, image, caption in zip(content.files, content.images, content.captions):
        number = caption - split.captions_of(image).start
        path = other / str(99 - number) / str(number) / f"{split.keys[image]}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.read_bytes())
    return other


def test_draws_of_a_caption_are_told_by_their_contents_alone(tmp_path, split, protocol):
    """Passes of a released sampler: 10 comes after 9, and folders leave no trace."""
    key, plans = split.keys[0].rpartition("/")[2], []
    for name in ("{key}_c2_s-1_{turn}.png", "x{turn}/{key}_c2_s-1_{turn}.png"):
        folder = tmp_path / str(len(plans))
        for turn in (10, 9, 0):
            path = folder / name.format(key=key, turn=turn)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (32, 32), (turn, 0, 0)).save(path)
        subject = ImageFolder(folder, split, coverage=0.0)
        plan = subject.plan(protocol, split)
        assert sorted(plan.draws.tolist()) == [0, 1, 2]
        images = torch.cat(
            [part.images for part in subject.images(protocol, None, plan, range(3), 2, torch.device("cpu"))]
        )
        plans.append(dict(zip(plan.draws.tolist(), images[:, 0, 0, 0].tolist())))
    assert plans == [{0: 0, 1: 9, 2: 10}] * 2


def test_without_captions_there_is_no_r_precision(tmp_path, checkpoints, store, split, protocol):
    folder = ImageFolder(fill(tmp_path / "generated", split, lambda key: f"{key}_s-1"), split)
    damsms, classifier = (
        load_damsms([checkpoints.damsm], store),
        load_classifier(checkpoints.classifier, store),
    )
    record = evaluate(folder, protocol, store, damsms, classifier)
    assert set(record.metrics) == {"fd-classifier", "is-classifier"}
    assert "do not tell the captions" in record.not_computed["r-precision"]
    assert any("the names tell images, not captions" in note for note in record.notes)


def test_wrong_size_and_broken_files_are_named_at_once(tmp_path, split, store, protocol):
    folder = fill(tmp_path / "generated", split, lambda key: key)
    for number in (3, 5):
        Image.new("RGB", (40, 30)).save(folder / f"{split.keys[number]}.png")
    (folder / f"{split.keys[7]}.png").write_bytes(b"no image")
    jpeg = folder / f"{split.keys[8]}_s1.jpg"
    Image.effect_noise((32, 32), 50).save(jpeg)
    jpeg.write_bytes(jpeg.read_bytes()[:-200])
    with pytest.raises(UserError, match="4 of 17 images are not 32x32 images, as p wants") as caught:
        ImageFolder(folder, split).check(protocol, store)
    names = [split.keys[number].rpartition("/")[2] for number in (3, 5, 7, 8)]
    for words in (f"{names[0]}.png is 40x30", f"{names[1]}.png is 40x30", f"{names[2]}.png is not a readable"):
        assert words in str(caught.value)
    assert f"{names[3]}_s1.jpg is not a readable image" in str(caught.value)


def test_many_faults_are_counted(tmp_path, split, store, protocol):
    folder = fill(tmp_path / "generated", split, lambda key: key, size=40)
    with pytest.raises(UserError, match=r"16 of 16 images .* and 6 more; generate them again"):
        ImageFolder(folder, split).check(protocol, store)


class Coco:
    """The names of a split of COCO, whose captions all images share alike."""

    name = "test"
    narrated = False

    def __init__(self, keys):
        self.keys = keys

    def __len__(self):
        return len(self.keys)

    def captions_of(self, image):
        return range(5 * image, 5 * image + 5)


class Narrated(Coco):
    """Two images with two and one narratives."""

    narrated = True
    annotators = ("7", "12", "7")

    def captions_of(self, image):
        return range(2) if image == 0 else range(2, 3)

    def narrative(self, number):
        return Narrative(self.keys[number // 2], self.annotators[number], ("a",))


KEYS_2014 = ["COCO_val2014_000000000042", "COCO_val2014_000000203564"]
KEYS_2017 = ["000000000042", "000000203564"]


def touch(folder, *names):
    for name in names:
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("keys", [KEYS_2014, KEYS_2017])
@pytest.mark.parametrize("pattern", [None, "{image_id}_{annotation_id}", "{image_id}_{annotator_id}.png"])
def test_cocos_numbers_find_their_images(tmp_path, keys, pattern):
    """With an annotation's id, as evaluation code for COCO names its files."""
    folder = touch(tmp_path, "42_641613.png", "203564_37.png", "7_1.png")
    subject = ImageFolder(folder, Coco(keys), pattern=pattern)
    assert [path.name for path in subject.content.files] == ["203564_37.png", "42_641613.png"]
    assert [path.name for path in subject.content.unexpected] == ["7_1.png"]
    assert subject.content.missing == []
    assert not subject.knows_captions
    assert "the store keeps no ids of annotations" in subject.notes[1]


NARRATIVES = "{image_id}_{annotator_id}"


@pytest.mark.parametrize("keys", [KEYS_2014, KEYS_2017])
def test_files_of_narratives_are_held_against_them(tmp_path, keys):
    """As TReCS's images are named; one is missing, one is of a narrator that the image has not."""
    folder, split = touch(tmp_path, "42_7.png", "203564_7.png", "203564_12.png"), Narrated(keys)
    content = scan_folder(folder, split, NARRATIVES)
    assert content.summary() == "3 narratives expected, 2 found in 2 files, 1 missing, 1 unexpected"
    assert content.missing == [f"{keys[0]}_12"]
    assert [path.name for path in content.unexpected] == ["203564_12.png"]
    assert sorted(content.captions) == [0, 2]
    with pytest.raises(
        UserError, match=r"3 narratives expected.* or lower --coverage from 1 \(the folder has 0\.6667\)"
    ):
        ImageFolder(folder, split, pattern=NARRATIVES)
    subject = ImageFolder(folder, split, coverage=0.6, pattern=NARRATIVES)
    assert subject.knows_captions
    assert not subject.content.annotated


def test_images_without_a_number_are_known_by_their_name(tmp_path):
    """As those of Open Images, whose names hold underscores too."""
    split = Narrated(["ab_c4", "0f_9"])
    content = scan_folder(touch(tmp_path, "ab_c4_7.png", "ab_c4_12.png", "0f_9_7.png"), split, NARRATIVES)
    assert (sorted(content.captions), content.missing, content.unexpected) == ([0, 1, 2], [], [])


@pytest.mark.parametrize(
    ("pattern", "names", "captions"),
    [
        ("{image_id}_{caption}", ["042_0.png", "203564_4.png"], [0, 9]),
        ("{image_id}", ["0000042.png", "203564.png"], [UNKNOWN, UNKNOWN]),
        ("val-{key}-{sample}.png", [f"val-{KEYS_2014[0]}--1.png", f"val-{KEYS_2014[1]}-3.png"], [UNKNOWN] * 2),
        ("{caption}/{key}", [f"2/{KEYS_2014[0]}.png", f"3/{KEYS_2014[1]}.png"], [2, 8]),
        (None, ["42.png", f"{KEYS_2014[1]}_s-1.png"], [UNKNOWN] * 2),
    ],
)
def test_patterns_of_names(tmp_path, pattern, names, captions):
    for number in range(4):
        (tmp_path / str(number)).mkdir()
    content = scan_folder(touch(tmp_path, *names), Coco(KEYS_2014), pattern)
    assert sorted(content.captions) == captions
    assert (len(content.files), content.missing, content.unexpected) == (2, [], [])
    assert not content.annotated


def test_a_pattern_decides_what_a_folder_is(tmp_path):
    folder, split = touch(tmp_path, "42_1.png", "203564_1.png"), Coco(KEYS_2014)
    ids = {
        ImageFolder(folder, split, pattern=f"{{image_id}}_{{{name}}}").card.sha256 for name in ("caption", "sample")
    }
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("{name}", "no field 'name'; its fields are key, image_id"),
        ("{}", "no field ''"),
        ("{key}_{key}", "a field comes twice"),
        ("{sample}.png", "needs either {key} or {image_id}"),
        ("{key}_{image_id}", "needs either {key} or {image_id}"),
        ("{key", "--pattern: '{key'"),
        ("{key}.s", r"--pattern '{key}.s' (the first: 203564_1.png; a key: COCO_val2014_000000000042)"),
    ],
)
def test_wrong_patterns_are_one_line(tmp_path, pattern, words):
    folder = touch(tmp_path, "42_1.png", "203564_1.png")
    with pytest.raises(UserError) as caught:
        ImageFolder(folder, Coco(KEYS_2014), pattern=pattern)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
