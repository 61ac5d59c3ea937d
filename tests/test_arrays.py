import io
import zipfile

import numpy as np
import pytest

from t2igan.arrays import MOST_BYTES, read_arrays

MEAN, OTHER = np.arange(12.0).reshape(4, 3), np.arange(5, dtype=np.float32)


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, mean=MEAN, other=OTHER)
    return path


def test_arrays_come_back_in_the_order_asked_for(archive):
    other, mean = read_arrays(archive, ["other", "mean"])
    assert np.array_equal(mean, MEAN) and np.array_equal(other, OTHER)


def test_no_flipped_bit_becomes_an_array(archive):
    content, noticed = archive.read_bytes(), 0
    for bit in range(0, 8 * len(content), 5):
        harmed = bytearray(content)
        harmed[bit // 8] ^= 1 << bit % 8
        archive.write_bytes(harmed)
        try:
            mean, other = read_arrays(archive, ["mean", "other"])
        except (OSError, ValueError):
            noticed += 1
        else:  # what the bit belongs to, such as a date, is no array's
            assert np.array_equal(mean, MEAN) and np.array_equal(other, OTHER), bit
    assert noticed > len(content)


def test_a_small_file_does_not_fill_the_memory(tmp_path):
    path, header = tmp_path / "bomb.npz", io.BytesIO()
    shape = (MOST_BYTES + 2**20,)
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("mean.npy", "w") as file:
        file.write(header.getvalue())
        for _ in range(shape[0] // 2**20):
            file.write(bytes(2**20))
    assert path.stat().st_size < 2**20
    with pytest.raises(ValueError, match="unpacked it takes more than"):
        read_arrays(path, ["mean"])


@pytest.mark.parametrize("harm", ["pickled", "without", "one array", "text"])
def test_what_is_no_such_archive(tmp_path, harm):
    path = tmp_path / "a.npz"
    if harm == "pickled":
        np.savez(path, mean=np.array([{}], dtype=object))
    elif harm == "without":
        np.savez(path, other=MEAN)
    elif harm == "one array":
        with path.open("wb") as file:
            np.save(file, MEAN)
    else:
        path.write_text("no archive")
    with pytest.raises(ValueError):
        read_arrays(path, ["mean"])
