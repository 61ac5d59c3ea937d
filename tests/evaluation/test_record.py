import errno
import fcntl
import io
import json
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillWaiting
from dataclasses import replace

import pytest

from t2igan.errors import UserError
from t2igan.evaluation.record import (
    MetricValue,
    Resampled,
    ResultRecord,
    SubjectCard,
    TrainingCard,
    _append_whole,
    append_record,
    digest_of,
    read_records,
    require_writable,
)

WRITER = """
import sys
import tempfile
from t2igan.evaluation.record import *
path, name = sys.argv[1:]
record = ResultRecord(SubjectCard("real", name, path="x" * 20_000), {}, {}, "p", "h", "d", "f", 1, 1, {}, {}, 0,
    "cpu", 1.0)
for _ in range(100):
    append_record(path, record)
"""


@pytest.fixture
def record():
    return ResultRecord(
        subject=SubjectCard("checkpoint", "ssagan", "runs/x.ckpt", "ab" * 32, "t2igan.models.SSAGAN", "ema"),
        metrics={
            "r-precision@damsm": MetricValue(0.34, 0.012, 1000, "cd" * 32, 0.01),
            "is": MetricValue(4.5, None, 1000, "ef" * 32, resampled=Resampled("78" * 32, [-0.25, 0.25])),
        },
        not_computed={"fid": "no weights"},
        protocol="drawn-birds/quick",
        protocol_hash="12" * 32,
        dataset="drawn-birds",
        fingerprint="34" * 32,
        n_real=400,
        n_generated=1000,
        backbones={"classifier": "56" * 32},
        damsm={"damsm": "cd" * 32},
        seed=100,
        device="cpu",
        seconds=1.5,
        notes=["größer"],
    )


def test_a_record_comes_back_as_it_was(tmp_path, record):
    path = tmp_path / "new" / "records.jsonl"
    append_record(path, record)
    append_record(path, replace(record, seed=1))
    assert read_records(path) == [record, replace(record, seed=1)]
    assert record.versions["torch"] != "not installed"


def test_a_record_says_what_it_was_measured_with(record):
    named = {"torch", "Pillow", "h5py", "transformers", "numpy", "torchmetrics"}
    assert named <= record.versions.keys()
    assert "not installed" not in [record.versions[name] for name in named]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"value": 0.34', '"value": 0.43'),
        ('"notes": ["', '"notes": ["not '),
        ("cpu", "tpu"),
    ],
)
def test_an_edited_record_is_known(tmp_path, record, old, new):
    path = tmp_path / "records.jsonl"
    append_record(path, record)
    (read,) = read_records(path)
    assert read.integrity == "intact" and len(read.digest) == 64
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    (read,) = read_records(path)
    assert read.integrity == "edited"
    # Written again, it does not become whole.
    append_record(path, replace(read, seed=5))
    assert [one.integrity for one in read_records(path)] == ["edited", "edited"]


def test_a_record_without_its_digest_is_edited_and_keys_of_later_versions_are_not(record):
    content = json.loads(record.to_json())
    del content["digest"]
    assert ResultRecord.from_json(json.dumps(content)).integrity == "edited"
    edited = ResultRecord.from_json(json.dumps(content))
    assert ResultRecord.from_json(edited.to_json()).integrity == "edited"  # written again, it gets no new one
    content["of_next_year"] = 1
    content["digest"] = digest_of(content)
    read = ResultRecord.from_json(json.dumps(content, indent=1))
    assert read == record and read.integrity == "intact"


def with_old_names(record):
    """A record as it was written while the network's sha256 was called ``judge``."""
    content = json.loads(record.to_json())
    for value in content["metrics"].values():
        value["judge"] = value.pop("network_sha256")
    del content["digest"]
    return content | {"digest": digest_of(content)}


def test_records_of_another_name_of_the_network_are_read_with_their_digest(record):
    old = with_old_names(record)
    read = ResultRecord.from_json(json.dumps(old))
    assert read == record and read.integrity == "intact"
    assert ResultRecord.from_json(read.to_json()).integrity == "intact"
    next(iter(old["metrics"].values()))["judge"] = "00" * 32
    assert ResultRecord.from_json(json.dumps(old)).integrity == "edited"
    del next(iter(old["metrics"].values()))["judge"]
    with pytest.raises(ValueError, match="network_sha256"):
        ResultRecord.from_json(json.dumps(old))


def test_records_of_the_first_schema_are_read_and_say_nothing_of_a_digest(record):
    content = json.loads(record.to_json()) | {"schema": 1}
    for key in ("digest", "protocol_content", "environment"):
        del content[key]
    for key in ("training", "selection", "n_distinct"):
        del content["subject"][key]
    content["subject"] |= {"experiment": "ab" * 32, "training_seed": 0}
    read = ResultRecord.from_json(json.dumps(content))
    # What was called one experiment then left out precision and devices: it is no sign of a repetition.
    subject = replace(record.subject, experiment=None, training_seed=0)
    assert read == replace(record, schema=1, subject=subject) and read.integrity == "without digest"
    assert ResultRecord.from_json(read.to_json()).integrity == "without digest"


def test_the_training_comes_back(record):
    card = TrainingCard({"seed_everything": 3, "trainer": {"devices": 2}}, 500, 8000, 16, "ab")
    whole = replace(record, subject=replace(record.subject, training=card, selection="fid on the test split"))
    assert ResultRecord.from_json(whole.to_json()) == whole


def test_two_processes_append_at_once(tmp_path):
    path = tmp_path / "records.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in ("a", "b")]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    names = [record.subject.name for record in read_records(path)]
    assert (names.count("a"), names.count("b")) == (100, 100)


def test_a_writer_waits_for_the_lock(tmp_path, record):
    path = tmp_path / "records.jsonl"
    with path.open("ab") as held, ThreadPoolExecutor() as pool:
        fcntl.flock(held, fcntl.LOCK_EX)
        writing = pool.submit(append_record, path, record)
        with pytest.raises(StillWaiting):
            writing.result(timeout=0.3)
        assert path.stat().st_size == 0
        fcntl.flock(held, fcntl.LOCK_UN)
        writing.result(timeout=30)
    assert read_records(path) == [record]


def test_a_torn_last_line_is_named_and_costs_no_other(tmp_path, record):
    path = tmp_path / "records.jsonl"
    append_record(path, record)
    path.write_text(path.read_text() + record.to_json()[:50])
    with pytest.warns(UserWarning, match=r"records\.jsonl, line 2 left out"):
        assert read_records(path) == [record]
    append_record(path, record)
    with pytest.warns(UserWarning, match="line 2 left out"):
        assert read_records(path) == [record, record]


class Full(io.FileIO):
    """A file on a disk that takes six bytes more and is full then."""

    def write(self, content):
        if self.tell() % 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(content[:6])


def test_a_write_that_a_full_disk_cuts_off_leaves_the_records_as_they_were(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_bytes(b"a record.\n")
    with Full(path, "ab+") as file, pytest.raises(OSError):
        _append_whole(file, b"another record\n")
    assert path.read_bytes() == b"a record.\n"


@pytest.mark.parametrize("line", ["[]", "{}", '{"schema": 99}', '{"schema": 1}', "null"])
def test_a_line_that_is_no_record_is_left_out(tmp_path, record, line):
    path = tmp_path / "records.jsonl"
    path.write_text(line + "\n" + record.to_json() + "\n")
    with pytest.warns(UserWarning, match="line 1 left out"):
        assert read_records(path) == [record]


def test_not_a_number_is_no_result(tmp_path, record):
    value = MetricValue(float("nan"), None, 1, "x")
    with pytest.raises(ValueError):
        append_record(tmp_path / "records.jsonl", replace(record, metrics={"fid": value}))


def test_missing_and_unwritable_files_are_one_line(tmp_path, record):
    with pytest.raises(UserError, match=r"none\.jsonl: no records there"):
        read_records(tmp_path / "none.jsonl")


def test_a_record_that_cannot_be_written_is_kept_elsewhere(tmp_path, record, monkeypatch):
    (tmp_path / "file").write_text("")
    refused = tmp_path / "file" / "records.jsonl"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(UserError, match=r"record not written .*; the record is kept in ") as caught:
        append_record(refused, record)
    assert read_records(str(caught.value).rpartition(" in ")[2]) == [record]
    monkeypatch.setattr(tempfile, "tempdir", str(refused))
    with pytest.raises(UserError) as caught:
        append_record(refused, record)
    assert str(caught.value).endswith(f"; the record: {record.to_json()}")


@pytest.mark.parametrize("place", ["/proc/none/records.jsonl", "file/records.jsonl", "."])
def test_a_place_for_no_record_is_refused_before_anything_is_measured(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"give another --records|give a file, such as --records"):
        require_writable(tmp_path / place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_looking_whether_a_place_can_be_written_leaves_nothing(tmp_path):
    (tmp_path / "old.jsonl").write_text("line\n")
    for name in ("old.jsonl", "new.jsonl", "new/folder/records.jsonl"):
        require_writable(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["old.jsonl"]
    assert (tmp_path / "old.jsonl").read_text() == "line\n"


VALUE = {"value": 1.0, "spread": None, "n": 1, "network_sha256": ""}


@pytest.mark.parametrize(
    "change",
    [
        {"seed": "0"},
        {"seed": True},
        {"seconds": None},
        {"n_generated": 10**30},
        {"notes": "a"},
        {"metrics": []},
        {"metrics": {"fid": VALUE | {"value": None}}},
        *(
            {"metrics": {"r": {"value": 1.0, "spread": None, "n": 1, "network_sha256": "", "chance": chance}}}
            for chance in (0, -0.5, 1.5)
        ),
        {"subject": 3},
        {"subject": {"kind": "checkpoint", "name": ["a"]}},
        {"protocol": "\ud800"},
    ],
    ids=str,
)
def test_a_record_of_wrong_types_or_no_chance_is_none(record, change):
    content = json.loads(record.to_json()) | change
    with pytest.raises(ValueError, match=r"not a whole record|half a character"):
        ResultRecord.from_json(json.dumps(content))
