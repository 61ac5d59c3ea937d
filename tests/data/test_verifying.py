import shutil

import h5py
import numpy as np
import pytest

from t2igan.data.prepare import prepare
from t2igan.data.sources import make_source
from t2igan.data.store import open_store
from t2igan.data.verifying import verify_store
from t2igan.errors import UserError


@pytest.fixture
def store(tiny_store, tmp_path):
    return shutil.copy(tiny_store, tmp_path / "store.h5")


@pytest.mark.parametrize("encoding", ["raw", "jpeg"])
def test_a_fresh_store_is_whole(tiny_cub, tmp_path, encoding):
    prepare(make_source("cub", tiny_cub), tmp_path / "s.h5", 32, encoding, workers=1)
    seen = []
    assert verify_store(tmp_path / "s.h5", lambda *now: seen.append(now)) == []
    assert seen == [(number, 25) for number in range(1, 26)]


def test_one_wrong_bit_is_found(store):
    with h5py.File(store, "r+") as file:
        offset = file["test/pixels"].id.get_offset() + int(file["test/offsets"][4]) + 33
    with open(store, "rb+") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 16]))
    assert open_store(store).fingerprint, "opening is quick and does not look"
    assert verify_store(store) == [f"{store}: test image 4 is damaged"]


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("train/tokens", lambda values: values[::-1]),
        ("test/texts", lambda values: values ^ 1),
        ("test/texts", lambda values: values | 128),
        ("train/class_ids", lambda values: 1 - values),
        ("train/boxes", lambda values: values + 1),
        ("train/offsets", lambda values: np.roll(values, 3)),
        ("train/sha256", lambda values: values[::-1]),
        ("class_names", lambda values: values[::-1]),
    ],
)
def test_damage_beside_the_images_is_found(store, part, change):
    with h5py.File(store, "r+") as file:
        file[part][:] = change(file[part][:])
    with pytest.raises(UserError, match="not what was written"):
        verify_store(store)
    with h5py.File(store, "r+") as file:  # as a store was before it kept checksums
        del file.attrs["description_xxh3"], file["train/xxh3"], file["test/xxh3"]
        file.attrs["schema_version"] = 2
    with pytest.warns(UserWarning, match="written before"):
        [line] = verify_store(store)
    assert "not those that were written" in line
