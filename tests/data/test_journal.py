import pytest

from t2igan.data.journal import Journal
from t2igan.data.rendering import Rendered
from t2igan.errors import UserError


def image(key, payload):
    from hashlib import sha256

    return Rendered(key, (2, 3), payload, sha256(payload).hexdigest())


def filled(path, count=3):
    with Journal(path, {"size": 1}) as journal:
        for number in range(count):
            journal.append(image(f"k{number}", bytes([number]) * 50), [number])
    return path


def test_entries_survive_closing(tmp_path):
    with Journal(filled(tmp_path / "x.partial"), {"size": 1}) as journal:
        assert list(journal.entries) == ["k0", "k1", "k2"]
        assert journal.entries["k1"].stamp == [1] and journal.entries["k1"].shape == (2, 3)
        assert journal.payload("k2") == b"\2" * 50


@pytest.mark.parametrize("cut", [1, 40, 60])
def test_a_record_cut_off_is_dropped_and_written_again(tmp_path, cut):
    path = filled(tmp_path / "x.partial")
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal(path, {"size": 1}) as journal:
        assert list(journal.entries) == ["k0", "k1"]
        journal.append(image("k2", b"new"), [2])
    with Journal(path, {"size": 1}) as journal:
        assert journal.payload("k2") == b"new" and journal.payload("k1") == b"\1" * 50


def test_other_settings_begin_anew(tmp_path):
    with Journal(filled(tmp_path / "x.partial"), {"size": 2}) as journal:
        assert not journal.entries


def test_damage_is_noticed(tmp_path):
    path = filled(tmp_path / "x.partial")
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with Journal(path, {"size": 1}) as journal, pytest.raises(UserError, match="damaged at k2"):
        journal.payload("k2")


def test_two_writers_do_not_mix(tmp_path):
    with Journal(tmp_path / "x.partial", {}), pytest.raises(UserError, match="another process"):
        Journal(tmp_path / "x.partial", {})


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        Journal(tmp_path / "file" / "x.partial", {})
