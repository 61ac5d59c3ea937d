import pytest

from t2igan.data import prepare as module
from t2igan.data.prepare import UnusableFilesError, prepare
from t2igan.data.sources import RawImage, make_source
from t2igan.data.store import open_store
from t2igan.errors import UserError


def test_the_summary_counts_what_is_in_the_store(tiny_cub, tmp_path):
    seen = []
    summary = prepare(
        make_source("cub", tiny_cub), tmp_path / "s.h5", 32, workers=1, progress=lambda *now: seen.append(now)
    )
    assert (summary.images, summary.captions, summary.classes, summary.resumed) == (25, 250, 5, 0)
    assert {k: (v.images, v.captions, v.classes) for k, v in summary.splits.items()} == {
        "train": (15, 150, 3),
        "test": (10, 100, 2),
    }
    store = open_store(tmp_path / "s.h5")
    assert summary.words == len(store.vocabulary) and summary.fingerprint == store.fingerprint
    assert summary.bytes == (tmp_path / "s.h5").stat().st_size
    assert seen == [(number, 25) for number in range(26)]
    assert [path.name for path in tmp_path.glob("s.h5*")] == ["s.h5"], "nothing unfinished is left"


def test_the_vocabulary_is_built_over_train_then_test(tiny_cub, tmp_path):
    images, _ = make_source("cub", tiny_cub).scan()
    first, last = images[0], images[-1]
    (tiny_cub / "text" / f"{first.key}.txt").write_text("alpha beta\n")
    (tiny_cub / "text" / f"{last.key}.txt").write_text("omega\n")
    prepare(make_source("cub", tiny_cub), tmp_path / "s.h5", 32, workers=1)
    words = open_store(tmp_path / "s.h5").vocabulary.words
    assert words[1:3] == ["alpha", "beta"] and words[-1] == "omega", "test captions count too"


def test_several_processes_write_the_same_store(tiny_cub, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SERIAL_BELOW", 0)
    summaries = [prepare(make_source("cub", tiny_cub), tmp_path / f"{n}.h5", 32, workers=n) for n in (1, 2)]
    assert summaries[0].fingerprint == summaries[1].fingerprint
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


def test_a_small_data_set_starts_no_processes(tiny_cub, tmp_path, monkeypatch):
    def no_pool(*_, **__):
        raise AssertionError("a pool was started")

    monkeypatch.setattr(module, "ProcessPoolExecutor", no_pool)
    assert prepare(make_source("cub", tiny_cub), tmp_path / "s.h5", 32, workers=8).images == 25


def test_the_fingerprint_tells_contents_apart(tiny_cub, tmp_path):
    def fingerprint(split="zero-shot", size=32):
        return prepare(make_source("cub", tiny_cub, split), tmp_path / "s.h5", size, workers=1).fingerprint

    seen = {fingerprint(), fingerprint(size=40), fingerprint("image-level")}
    before = fingerprint()
    assert before in seen and len(seen) == 3
    key = open_store(tmp_path / "s.h5").split("test").keys[0]
    (tiny_cub / "text" / f"{key}.txt").write_text("another caption\n")
    assert fingerprint() != before


def damage(root):
    keys = open_keys(root)
    (root / "CUB_200_2011" / "images" / f"{keys[0]}.jpg").write_bytes(b"not an image")
    (root / "CUB_200_2011" / "images" / f"{keys[1]}.jpg").unlink()
    (root / "text" / f"{keys[2]}.txt").unlink()
    boxes = (root / "CUB_200_2011" / "bounding_boxes.txt").read_text().split("\n")
    boxes[-2] = boxes[-2].split()[0] + " 900.0 900.0 10.0 10.0"
    (root / "CUB_200_2011" / "bounding_boxes.txt").write_text("\n".join(boxes))
    return keys[:3]


def open_keys(root):
    return [image.key for image in make_source("cub", root).scan()[0]]


def test_everything_unusable_is_listed_and_nothing_is_left(tiny_cub, tmp_path):
    first, second, third = damage(tiny_cub)
    with pytest.raises(UnusableFilesError) as error:
        prepare(make_source("cub", tiny_cub), tmp_path / "s.h5", 32, workers=1)
    assert len(error.value.problems) == 4
    for part in (
        f"{first}.jpg: does not decode",
        f"{second}.jpg: image missing",
        f"{third}.txt: captions",
        "outside",
    ):
        assert sum(part in problem for problem in error.value.problems) == 1
        assert part in str(error.value)
    assert "--allow-missing" in str(error.value)
    assert not (tmp_path / "s.h5").exists()


def test_mended_files_are_all_that_is_done_again(tiny_cub, tmp_path):
    whole = prepare(make_source("cub", tiny_cub), tmp_path / "whole.h5", 32, workers=1)
    path = tiny_cub / "CUB_200_2011" / "images" / f"{open_keys(tiny_cub)[0]}.jpg"
    content = path.read_bytes()
    path.write_bytes(b"")
    with pytest.raises(UnusableFilesError):
        prepare(make_source("cub", tiny_cub), tmp_path / "s.h5", 32, workers=1)
    path.write_bytes(content)
    summary = prepare(make_source("cub", tiny_cub), tmp_path / "s.h5", 32, workers=1)
    assert summary.resumed == 24 and summary.fingerprint == whole.fingerprint


def test_a_raw_file_that_changed_is_rendered_again(tiny_cub, tmp_path):
    from PIL import Image

    keys = open_keys(tiny_cub)
    images = tiny_cub / "CUB_200_2011" / "images"
    (images / f"{keys[1]}.jpg").write_bytes(b"")
    with pytest.raises(UnusableFilesError):
        prepare(make_source("cub", tiny_cub), tmp_path / "s.h5", 32, workers=1)
    for key in keys[:2]:
        Image.new("RGB", (95, 95), (200, 30, 30)).save(images / f"{key}.jpg")
    prepare(make_source("cub", tiny_cub), tmp_path / "s.h5", 32, workers=1)
    split = open_store(tmp_path / "s.h5").split("train")
    assert split.keys[:2] == keys[:2]
    assert all(abs(int(split.image(index)[0].mean()) - 200) < 4 for index in range(2))


def test_allow_missing_leaves_out_and_says_so(tiny_cub, tmp_path):
    gone = damage(tiny_cub)
    summary = prepare(make_source("cub", tiny_cub), tmp_path / "s.h5", 32, workers=1, allow_missing=True)
    assert summary.images == 21 and len(summary.left_out) == 4
    store = open_store(tmp_path / "s.h5")
    keys = store.split("train").keys + store.split("test").keys
    assert len(keys) == 21 and not set(gone) & set(keys)


def test_a_finished_store_stays_until_the_new_one_is_complete(tiny_cub, tmp_path):
    before = prepare(make_source("cub", tiny_cub), tmp_path / "s.h5", 32, workers=1)
    damage(tiny_cub)
    with pytest.raises(UnusableFilesError):
        prepare(make_source("cub", tiny_cub), tmp_path / "s.h5", 32, workers=1)
    assert open_store(tmp_path / "s.h5").fingerprint == before.fingerprint


class Named:
    """A data set of images with given names."""

    name, split_scheme, crop_by_box, vocabulary, class_names = "folder", "given", False, None, {0: "bird"}

    def __init__(self, folder, keys):
        self.images = [
            RawImage(key, folder / f"{number}.png", 0, None, ["a bird"], "train") for number, key in enumerate(keys)
        ]

    def scan(self):
        return self.images, []


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (["a", "b", "a"], r"1 names stand for several images each: a; rename them"),
        (["a", ""], r"1 images have no name that a store can keep: '' \('.*1\.png'\); rename them"),
        (["a", "../b"], "no name that a store can keep"),
        (["a", "b\0"], "no name that a store can keep"),
        (["a", "\udcff"], "no name that a store can keep"),
    ],
)
def test_every_image_needs_a_name_of_its_own(tmp_path, keys, line):
    with pytest.raises(UserError, match=line) as refused:
        prepare(Named(tmp_path, keys), tmp_path / "out.h5", 32, workers=1)
    assert "\n" not in str(refused.value) and not (tmp_path / "out.h5").exists()
