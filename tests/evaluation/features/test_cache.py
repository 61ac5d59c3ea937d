import json

import numpy as np
import pytest

from t2igan.errors import UserError
from t2igan.evaluation.features.cache import PART_ROWS, PART_SECONDS, Shelf

CONTENT = {"images": ["checkpoint", "abc"], "network": ["inception", "def"]}


def ids(*captions, draw=0):
    return np.array([[caption, draw] for caption in captions], np.int64)


def rows(*values):
    return [np.array([[value, -value] for value in values], np.float32), np.array(values, np.float32)]


def test_rows_come_back_in_the_order_asked_for(tmp_path):
    shelf = Shelf(tmp_path, CONTENT)
    shelf.add(ids(5, 3), rows(50, 30))
    shelf.add(ids(5, draw=1), rows(51))
    shelf.flush()
    places, (first, second) = Shelf(tmp_path, CONTENT).load(np.concatenate([ids(3, 4), ids(5, draw=1), ids(5)]))
    assert places.tolist() == [0, 2, 3]
    assert second.tolist() == [30, 51, 50]
    assert first.tolist() == [[30, -30], [51, -51], [50, -50]]


def test_other_content_lies_elsewhere(tmp_path):
    shelf = Shelf(tmp_path, CONTENT)
    shelf.add(ids(1), rows(1))
    shelf.flush()
    for key in CONTENT:
        assert len(Shelf(tmp_path, CONTENT | {key: "other"}).load(ids(1))[0]) == 0
    assert json.loads((shelf.folder / "content.json").read_text()) == CONTENT


def test_full_parts_are_written_and_the_rest_waits(tmp_path):
    shelf, reader = Shelf(tmp_path, CONTENT), Shelf(tmp_path, CONTENT)
    shelf.add(ids(*range(PART_ROWS)), rows(*range(PART_ROWS)))
    shelf.add(ids(PART_ROWS), rows(1))
    assert len(reader.load(ids(*range(PART_ROWS + 1)))[0]) == PART_ROWS
    shelf.flush()
    assert len(reader.load(ids(*range(PART_ROWS + 1)))[0]) == PART_ROWS + 1
    shelf.flush()
    assert len(list(shelf.folder.glob("*.npz"))) == 2


def test_nothing_waits_for_long(tmp_path, monkeypatch):
    now = iter([0.0, PART_SECONDS - 1, PART_SECONDS + 1, 100.0])
    monkeypatch.setattr("t2igan.evaluation.features.cache.time.monotonic", lambda: next(now))
    shelf, there = Shelf(tmp_path, CONTENT), []
    for number in range(4):
        shelf.add(ids(number), rows(number))
        there.append(len(Shelf(tmp_path, CONTENT).load(ids(*range(4)))[0]))
    assert there == [0, 0, 3, 3]


def test_rows_written_twice_count_once(tmp_path):
    for _ in range(2):
        shelf = Shelf(tmp_path, CONTENT)
        shelf.add(ids(7), rows(7))
        shelf.flush()
    places, (_, second) = shelf.load(ids(7))
    assert (places.tolist(), second.tolist()) == ([0], [7])


def test_a_damaged_part_is_named_and_costs_its_own_rows_only(tmp_path):
    shelf = Shelf(tmp_path, CONTENT)
    shelf.add(ids(1), rows(1))
    shelf.flush()
    (part,) = shelf.folder.glob("*.npz")
    (shelf.folder / "0.npz").write_bytes(part.read_bytes()[:50])
    (shelf.folder / "1.partial").write_bytes(b"torn")
    with pytest.warns(UserWarning, match=r"0\.npz is damaged or of an earlier version"):
        assert shelf.load(ids(1))[0].tolist() == [0]


@pytest.mark.filterwarnings("ignore")
def test_no_flipped_bit_becomes_a_row(tmp_path):
    """A digit of a shape, say, which the archive's own sums miss: fewer bytes are read then than they cover."""
    shelf = Shelf(tmp_path, CONTENT)
    shelf.add(ids(5, 3), rows(50, 30))
    shelf.flush()
    (part,) = shelf.folder.glob("*.npz")
    content = part.read_bytes()
    for bit in range(0, 8 * len(content), 13):
        harmed = bytearray(content)
        harmed[bit // 8] ^= 1 << bit % 8
        part.write_bytes(harmed)
        assert len(shelf.load(ids(5, 3))[0]) == 0, bit


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="the cache cannot be written"):
        Shelf(tmp_path / "file", CONTENT)
