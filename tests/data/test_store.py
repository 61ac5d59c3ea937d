import os
import pickle
import resource
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from t2igan.data.prepare import prepare
from t2igan.data.rendering import RenderJob
from t2igan.data.sources import make_source
from t2igan.data.store import open_store
from t2igan.data.verifying import verify_store
from t2igan.errors import UserError

LONG = pytest.mark.skipif(os.environ.get("T2IGAN_FAULTS") != "long", reason="takes minutes: T2IGAN_FAULTS=long")


def test_what_went_in_comes_out(tiny_store):
    store = open_store(tiny_store)
    images, _ = make_source("cub", tiny_store.parent / "raw").scan()
    assert (store.name, store.image_size, store.short_side, store.encoding) == ("cub", 32, 38, "raw")
    assert store.crop_by_box and store.split_scheme == "zero-shot"
    assert store.class_names == [
        "001.Red_bird",
        "002.Green_bird",
        "003.Blue_bird",
        "004.Grey_bird",
        "005.Brown_bird",
    ]
    for name in ("train", "test"):
        split, raw = store.split(name), [image for image in images if image.split == name]
        assert split.keys == [image.key for image in raw] and len(split) == len(raw)
        assert split.n_captions == 10 * len(raw)
        assert split.class_ids.dtype == np.int64
        for index, image in enumerate(raw):
            assert store.class_names[split.class_ids[index]] == image.key.split("/")[0]
            assert tuple(split.boxes[index]) == image.box
            expected = RenderJob(image.key, image.path, image.box, 38, "raw").render()
            pixels = np.frombuffer(expected.payload, np.uint8).reshape(*expected.shape, 3)
            assert split.shape(index) == expected.shape and min(expected.shape) == 38
            assert (split.image(index) == pixels.transpose(2, 0, 1)).all()
            for caption, text in zip(split.captions_of(index), image.captions):
                assert split.caption_text(caption) == text
                assert split.caption_image(caption) == index
                tokens = split.caption_tokens(caption)
                assert tokens.dtype == np.int64 and tokens.tolist() == store.vocabulary.encode(text)


@pytest.mark.parametrize("encoding", ["raw", "jpeg"])
def test_a_crop_is_a_window_of_the_image(tiny_store, tmp_path, encoding):
    path = tmp_path / "store.h5"
    prepare(make_source("cub", tiny_store.parent / "raw"), path, 32, encoding, workers=1)
    split = open_store(path).split("test")
    image = split.image(3)
    height, width = split.shape(3)
    assert image.shape == (3, height, width)
    crop = split.crop(3, height - 20, 2, 20)
    assert crop.shape == (3, 20, 20) and crop.flags.c_contiguous and crop.flags.writeable
    assert (crop == image[:, height - 20 :, 2:22]).all()
    for top, left in ((-1, 0), (height - 19, 0), (0, width - 19)):
        with pytest.raises(IndexError):
            split.crop(3, top, left, 20)


@pytest.mark.parametrize("encoding", ["raw", "jpeg"])
def test_a_window_is_read_into_a_buffer(tiny_store, tmp_path, encoding):
    prepare(make_source("cub", tiny_store.parent / "raw"), tmp_path / "s.h5", 32, encoding, workers=1)
    split = open_store(tmp_path / "s.h5").split("train")
    buffer = np.zeros((3, 7, 9, 3), np.uint8)
    assert split.read_window(2, 5, 4, buffer[1]) is not None
    assert (buffer[1].transpose(2, 0, 1) == split.image(2)[:, 5:12, 4:13]).all()
    assert not buffer[0].any() and not buffer[2].any()


def test_nothing_of_the_file_is_mapped_into_memory(tiny_store):
    split = open_store(tiny_store).split("train")
    assert [split.image(image).any() for image in range(len(split))] == [True] * len(split)
    assert str(tiny_store) not in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("encoding", ["raw", "jpeg"])
def test_damage_that_reading_meets_is_one_line(tiny_store, tmp_path, encoding):
    prepare(make_source("cub", tiny_store.parent / "raw"), tmp_path / "s.h5", 32, encoding, workers=1)
    with h5py.File(tmp_path / "s.h5", "r+") as file:
        start = int(file["train/offsets"][3])
        file["train/pixels"][start] ^= 1
    split = open_store(tmp_path / "s.h5").split("train")
    assert split.image(2).any()
    for read in (split.image, split.stored, lambda image: split.crop(image, 2, 2, 20)):
        with pytest.raises(
            UserError, match=rf"s\.h5: damaged, train image {split.keys[3]} is not what was written"
        ):
            read(3)
    (tmp_path / "s.h5").write_bytes((tmp_path / "s.h5").read_bytes()[:2000])
    with pytest.raises(UserError, match="truncated"):
        split.image(14)


def as_version_2(path):
    """Turn a store into one that was written before checksums were kept."""
    with h5py.File(path, "r+") as file:
        del file.attrs["description_xxh3"], file["train/xxh3"], file["test/xxh3"]
        file.attrs["schema_version"] = 2
    return path


def test_a_store_without_checksums_is_read_with_a_note(tiny_store, tmp_path):
    path = as_version_2(copied(tiny_store, tmp_path))
    with pytest.warns(UserWarning, match=r"copy\.h5: written before stores kept checksums"):
        older = open_store(path)
    store = open_store(tiny_store)
    assert older.fingerprint == store.fingerprint
    assert (older.split("test").image(3) == store.split("test").image(3)).all()
    assert verify_store(path) == []
    with h5py.File(path, "r+") as file:
        file["train/pixels"][7] ^= 1
    assert verify_store(path) == [f"{path}: train image 0 is damaged"]


@pytest.mark.parametrize("flips", [60, pytest.param(2000, marks=LONG)])
def test_no_flipped_bit_is_read(tiny_store, tmp_path, flips):
    """A bit anywhere in the file is refused, or changes nothing that can be read."""
    whole, path = tiny_store.read_bytes(), tmp_path / "flipped.h5"
    before, noticed = everything_in(tiny_store), 0
    for bit in np.random.default_rng(flips).integers(8 * len(whole), size=flips):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        try:
            assert everything_in(path) == before, f"bit {bit} was read"
        except UserError as error:
            assert "\n" not in str(error) and "flipped.h5" in str(error)
            noticed += 1
    assert noticed > 0.8 * flips


def test_no_flipped_bit_beside_the_images_is_read(tiny_store, tmp_path):
    """The same where a store describes itself: attributes, tables, words, and what holds the file together."""
    whole, path = tiny_store.read_bytes(), tmp_path / "flipped.h5"
    with h5py.File(tiny_store) as file:
        pixels = [(file[name]["pixels"].id.get_offset(), file[name]["pixels"].size) for name in ("train", "test")]
    apart = [byte for byte in range(len(whole)) if not any(start <= byte < start + size for start, size in pixels)]
    before = everything_in(tiny_store)
    for byte in np.random.default_rng(5).choice(apart, 140):
        data = bytearray(whole)
        data[byte] ^= 1 << byte % 8
        path.write_bytes(data)
        try:
            assert everything_in(path) == before, f"byte {byte} was read"
        except UserError as error:
            assert "\n" not in str(error) and "flipped.h5" in str(error)


def everything_in(path):
    """What a store gives to those who read it."""
    store = open_store(path)
    header = store.name, store.image_size, store.short_side, store.encoding, store.crop_by_box, store.split_scheme
    told = [header, store.fingerprint, store.vocabulary.words, store.class_names]
    for split in map(store.split, ("train", "test")):
        told += [split.keys, split.class_ids.tolist(), split.boxes.tolist(), split.caption_images.tolist()]
        told += [(split.shape(image), split.image(image).tobytes()) for image in range(len(split))]
        captions = range(split.n_captions)
        told += [(split.caption_text(each), split.caption_tokens(each).tolist()) for each in captions]
    store.close()
    return told


def test_threads_that_open_the_file_at_once_read_it(tiny_store):
    split = open_store(tiny_store).split("train")
    expected = [split.stored(image).tobytes() for image in range(len(split))]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(300):
            split.close()
            assert list(pool.map(lambda image: split.stored(image).tobytes(), range(len(split)))) == expected


def test_jpeg_is_smaller_and_close(tiny_store, tmp_path):
    source = make_source("cub", tiny_store.parent / "raw")
    prepare(source, tmp_path / "jpeg.h5", 128, "jpeg", workers=1)
    prepare(source, tmp_path / "raw.h5", 128, workers=1)
    assert (tmp_path / "jpeg.h5").stat().st_size < 0.3 * (tmp_path / "raw.h5").stat().st_size
    jpeg, raw = (
        open_store(tmp_path / f"{name}.h5").split("train").image(0).astype(int) for name in ("jpeg", "raw")
    )
    assert np.abs(jpeg - raw).mean() < 2


def test_captions_may_differ_in_number(tiny_cub, tmp_path):
    images, _ = make_source("cub", tiny_cub).scan()
    (tiny_cub / "text" / f"{images[1].key}.txt").write_text("one small bird\n")
    prepare(make_source("cub", tiny_cub), tmp_path / "store.h5", 32, workers=1)
    split = open_store(tmp_path / "store.h5").split("train")
    assert split.captions_of(0) == range(0, 10)
    assert split.captions_of(1) == range(10, 11)
    assert split.captions_of(2) == range(11, 21)
    assert split.caption_text(10) == "one small bird" and split.caption_image(10) == 1
    assert split.caption_images.tolist() == np.repeat(range(15), [10, 1] + [10] * 13).tolist()


class Images(Dataset):
    def __init__(self, split):
        self.split = split

    def __len__(self):
        return len(self.split)

    def __getitem__(self, index):
        return self.split.image(index).copy(), self.split.caption_tokens(10 * index)


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_a_handle_in_use_survives_worker_processes(tiny_store, context):
    split = open_store(tiny_store).split("train")
    here = [(split.image(index), split.caption_tokens(10 * index)) for index in range(len(split))]  # opens it here
    loader = DataLoader(Images(split), batch_size=None, num_workers=2, multiprocessing_context=context)
    there = list(loader)
    assert len(there) == len(here)
    for (image, tokens), (expected_image, expected_tokens) in zip(there, here):
        assert (image.numpy() == expected_image).all() and (tokens.numpy() == expected_tokens).all()
    assert (split.image(0) == here[0][0]).all()


def test_stores_and_splits_are_pickled_as_paths(tiny_store):
    store = open_store(tiny_store)
    split = store.split("test")
    split.image(0)
    assert len(pickle.dumps(store)) < 1000 and len(pickle.dumps(split)) < 1000
    assert pickle.loads(pickle.dumps(store)).fingerprint == store.fingerprint
    assert (pickle.loads(pickle.dumps(split)).image(1) == split.image(1)).all()


def test_closing_lets_go_and_reading_opens_again(tiny_store):
    store = open_store(tiny_store)
    before = store.split("train").image(0)
    store.close()
    assert (store.split("train").image(0) == before).all()


def copied(tiny_store, tmp_path):
    return shutil.copy(tiny_store, tmp_path / "copy.h5")


def refused(path):
    with pytest.raises(UserError) as error:
        open_store(path)
    message = str(error.value)
    assert str(path) in message and "\n" not in message and "t2igan prepare" in message
    return message


@pytest.mark.parametrize("keep", [0.5, 0.95])
def test_a_truncated_store_is_refused(tiny_store, tmp_path, keep):
    path = copied(tiny_store, tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: int(keep * len(data))])
    assert "truncated" in refused(path)


def test_other_files_are_refused(tmp_path):
    assert "no such store" in refused(tmp_path / "none.h5")
    (tmp_path / "text.h5").write_text("not a store")
    assert "not an HDF5 file" in refused(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    assert "not a t2igan store" in refused(tmp_path / "other.h5")


def test_an_unfinished_store_says_so(tmp_path):
    (tmp_path / "s.h5.partial").write_bytes(b"")
    assert "unfinished" in refused(tmp_path / "s.h5")


def test_another_schema_version_is_refused(tiny_store, tmp_path):
    path = copied(tiny_store, tmp_path)
    with h5py.File(path, "r+") as file:
        file.attrs["schema_version"] = 99
    assert "schema version 99" in refused(path)


def test_a_missing_part_or_a_changed_vocabulary_is_refused(tiny_store, tmp_path):
    path = copied(tiny_store, tmp_path)
    with h5py.File(path, "r+") as file:
        words = file["vocabulary"].asstr()[:]
        file["vocabulary"][1], file["vocabulary"][2] = words[2], words[1]
    assert "not what was written" in refused(path)
    with h5py.File(path, "r+") as file:
        del file["test/tokens"]
    assert "not what was written" in refused(path)
    path = as_version_2(copied(tiny_store, tmp_path))
    with h5py.File(path, "r+") as file:
        del file["test"]
    assert "not a complete store" in refused(path)


def test_a_repacked_store_is_refused(tiny_store, tmp_path):
    path = copied(tiny_store, tmp_path)
    with h5py.File(path, "r+") as file:
        pixels = file["train/pixels"][:]
        del file["train/pixels"]
        file.create_dataset("train/pixels", data=pixels, compression="gzip")
    assert "compressed or chunked" in refused(path)


@pytest.mark.parametrize("how", ["compressed", "never written", "of another file", "of another store", "a link"])
def test_what_does_not_lie_in_the_file_is_refused(tiny_store, tmp_path, how):
    """A few kB could stand for gigabytes, or for any file of this machine."""
    secret, path = tmp_path / "secret.txt", as_version_2(copied(tiny_store, tmp_path))
    secret.write_text("what nobody should see" * 100)
    before = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with h5py.File(path, "r+") as file:
        group = file["train"]
        del group["texts"]
        if how == "compressed":
            group.create_dataset("texts", (2**31,), "u1", chunks=(2**24,), compression="gzip")[: 2**24] = 0
        elif how == "never written":
            group.create_dataset("texts", (2**31,), "u1")
        elif how == "of another file":
            group.create_dataset("texts", (1000,), "u1", external=[(str(secret), 0, 1000)])
        elif how == "of another store":
            layout = h5py.VirtualLayout((1000,), "u1")
            layout[:] = h5py.VirtualSource(str(tiny_store), "train/texts", (1000,))
            group.create_virtual_dataset("texts", layout)
        else:
            group["texts"] = h5py.ExternalLink(str(tiny_store), "train/texts")
    line = refused(path)
    assert "texts lies outside of it" in line or ("not a complete store" in line and how == "a link")
    assert 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**29


def test_another_vocabulary_is_refused_by_name(tiny_store):
    store = open_store(tiny_store)
    store.require_vocabulary(store.vocabulary.hash, "encoder.ckpt")
    with pytest.raises(
        UserError, match=r"encoder\.ckpt was trained with vocabulary abcdefabcdef.*captions\.pickle"
    ):
        store.require_vocabulary("abcdef" * 10, "encoder.ckpt")


def test_an_unknown_split_is_refused(tiny_store):
    with pytest.raises(UserError, match="no split 'val'; choose train or test"):
        open_store(tiny_store).split("val")


def test_the_real_sample(cub10_root, tmp_path):
    source = make_source("cub", cub10_root)
    summary = prepare(source, tmp_path / "cub10.h5", 64)
    assert (summary.images, summary.captions, summary.classes) == (543, 5430, 10)
    assert {name: count.images for name, count in summary.splits.items()} == {"train": 275, "test": 268}
    store = open_store(summary.path)
    train, test = store.split("train"), store.split("test")
    assert not set(train.class_ids) & set(test.class_ids)
    grey = test.keys.index("009.Brewer_Blackbird/Brewer_Blackbird_0028_2682")
    pixels = test.image(grey)
    assert (pixels[0] == pixels[1]).all() and (pixels[0] == pixels[2]).all() and pixels.std() > 10
    assert all(min(split.shape(i)) == 76 for split in (train, test) for i in range(len(split)))
    texts = [split.caption_text(i) for split in (train, test) for i in range(split.n_captions)]
    assert sum("\ufffd\ufffd" in text for text in texts) > 0, "the lost spaces are in the texts as written"
    assert all(word.isascii() and word == word.lower() for word in store.vocabulary.words)
    lengths = np.array([len(split.caption_tokens(i)) for split in (train, test) for i in range(split.n_captions)])
    # The whole of CUB has 15.3 words a caption and 18.7 % above 18 words; ten classes come near it.
    assert 14 < lengths.mean() < 17 and 0.12 < (lengths > 18).mean() < 0.26 and lengths.min() >= 1
    key = train.keys[0]
    with Image.open(cub10_root / "CUB_200_2011" / "images" / f"{key}.jpg") as image:
        assert train.boxes[0][0] + train.boxes[0][2] <= image.width


def test_the_real_samples_own_split(cub10_root):
    images, problems = make_source("cub", cub10_root, "image-level").scan()
    assert problems == []
    for split in ("train", "test"):
        listed = (cub10_root / "splits" / f"image_level_{split}.txt").read_text().split()
        mine = {image.key for image in images if image.split == split}
        assert mine == {name.removesuffix(".jpg") for name in listed}
