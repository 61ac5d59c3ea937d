"""Files that are written whole or not at all, a lock for a folder, and what a disk's error is called."""

import errno
import multiprocessing
import os
from pathlib import Path

import pytest

from t2igan.errors import UserError
from t2igan.files import FolderLock, disk_problem, make_folder, naming, whole_file, write_whole


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "new" / "values.json"
    write_whole(path, b"before")
    with pytest.raises(ValueError), whole_file(path) as draft:
        draft.write_bytes(b"half")
        raise ValueError
    assert path.read_bytes() == b"before" and os.listdir(path.parent) == [path.name]
    write_whole(path, b"after")
    assert path.read_bytes() == b"after" and os.listdir(path.parent) == [path.name]


def test_a_folder_that_the_system_does_not_allow_is_named(tmp_path):
    make_folder(tmp_path / "a" / "b")
    make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    with pytest.raises(NotADirectoryError, match="no folder can be made here") as caught:
        make_folder(Path("/proc/nowhere/below"))
    assert caught.value.filename == "/proc/nowhere/below"


def test_what_must_last_is_synced_before_it_has_its_name(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("t2igan.files.sync", lambda path: seen.append((path, (tmp_path / "x").exists())))
    with whole_file(tmp_path / "x") as draft:
        draft.touch()
    assert seen == [(draft, False), (tmp_path, True)]
    with whole_file(tmp_path / "y", wait=False) as draft:
        draft.touch()
    assert len(seen) == 2


def test_errors_of_a_disk_are_one_line_with_the_file(tmp_path):
    with pytest.raises(OSError) as caught, naming(tmp_path / "x"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert disk_problem(caught.value).startswith(f"{tmp_path / 'x'}: the disk is full: make room, then give")
    with pytest.raises(OSError) as caught, naming(tmp_path / "x"):
        raise OSError(errno.EACCES, "Permission denied", "other")
    assert caught.value.filename == "other"
    assert disk_problem(OSError(errno.EACCES, "")).startswith("it may not be read or written")
    assert disk_problem(OSError(errno.EBADF, "")) is None


def hold(folder, taken, ended):
    lock = FolderLock(folder, "t2igan fit")
    lock.take(print)
    taken.set()
    ended.wait(60)
    lock.release()


def test_one_process_at_a_time_works_in_a_folder(tmp_path):
    context = multiprocessing.get_context("spawn")
    taken, ended = context.Event(), context.Event()
    folder, said = tmp_path / "run", []
    other = context.Process(target=hold, args=(folder, taken, ended))
    other.start()
    assert taken.wait(60)
    lock = FolderLock(folder, "t2igan evaluate")
    with pytest.raises(UserError, match=rf"another `t2igan fit \(process {other.pid} on .*` is using this folder"):
        lock.take(said.append, seconds=0)
    assert folder.is_dir() and said == []
    ended.set()
    lock.take(said.append)  # the other's empty folder went with its lock: this is made anew
    other.join(60)
    assert other.exitcode == 0 and f"process {os.getpid()} on" in (folder / FolderLock.NAME).read_text()
    lock.release()
    assert not folder.exists()


def test_a_folder_that_was_there_or_holds_something_stays(tmp_path):
    lock = FolderLock(tmp_path, "t2igan fit")
    lock.take(print)
    lock.release()
    assert tmp_path.is_dir()
    lock = FolderLock(tmp_path / "run", "t2igan fit")
    lock.take(print)
    (tmp_path / "run" / "config.yaml").touch()
    lock.release()
    assert (tmp_path / "run" / "config.yaml").is_file()


def test_a_lock_whose_file_was_taken_away_is_taken_anew(tmp_path, monkeypatch):
    """Between opening and locking, the holder may have removed the file with its folder."""
    lock, tries = FolderLock(tmp_path / "run", "t2igan fit"), []

    def locked_after_the_holder_left(self, file, say):
        tries.append(file)
        if len(tries) == 1:
            self.path.unlink()
            self.path.parent.rmdir()
        return True

    monkeypatch.setattr(FolderLock, "_try", locked_after_the_holder_left)
    lock.take(lambda said: None)
    assert len(tries) == 2 and lock.path.is_file()
    lock.release()
    assert not lock.path.parent.exists()
