import os
import shutil
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from t2igan.callbacks.saving import RunCheckpoints, WholeFiles, last_checkpoint, newest_readable
from t2igan.errors import UserError
from t2igan.files import FolderLock, disk_problem, whole_file
from t2igan.models.damsm import DAMSM, SmallImageEncoder
from t2igan.models.digest import seal


def checkpoint(step, value=0.0):
    module = DAMSM(SmallImageEncoder(dim=8, channels=2, image_size=16), vocabulary_size=4)
    module.vocabulary = ["<end>", "a", "b", "c"]
    module.configure_model()
    content = {"state_dict": module.state_dict(), "loops": {"fit_loop": {}}, "global_step": step}
    content["optimizer_states"] = [{"state": {}, "param_groups": [{"lr": 0.1}]}]
    next(iter(content["state_dict"].values())).fill_(value)
    module.on_save_checkpoint(content)
    seal(content)
    return content


@pytest.fixture
def folder(tmp_path):
    for step in (1, 2):
        WholeFiles().save_checkpoint(checkpoint(step), last_checkpoint(tmp_path))
    return tmp_path


def test_the_one_before_the_last_is_kept(folder):
    names = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert names == ["last.ckpt", "previous.ckpt"]
    steps = [torch.load(folder / "checkpoints" / name, weights_only=True)["global_step"] for name in names]
    assert steps == [2, 1]


@pytest.mark.parametrize("harm", ["cut", "empty", "flipped", "gone", "nan"])
def test_the_newest_readable_is_taken_with_a_line(folder, harm):
    last, said = last_checkpoint(folder), []
    assert newest_readable(folder, said.append) == last and not said
    content = bytearray(last.read_bytes())
    if harm == "flipped":
        content[len(content) // 2] ^= 1
    pieces = {"cut": content[: len(content) // 3], "empty": b"", "flipped": content}
    if harm == "gone":
        last.unlink()
    elif harm == "nan":
        WholeFiles().save_checkpoint(checkpoint(3, float("nan")), last.with_name("x.ckpt"))
        last.with_name("x.ckpt").replace(last)
    else:
        last.write_bytes(pieces[harm])
    assert newest_readable(folder, said.append).name == "previous.ckpt"
    assert harm == "gone" or (len(said) == 1 and "previous.ckpt, step 1, instead" in said[0])


def test_nothing_readable_is_said_and_nothing_at_all_starts_anew(folder, tmp_path):
    for path in (folder / "checkpoints").iterdir():
        path.write_bytes(b"x")
    with pytest.raises(UserError, match="--fresh true"):
        newest_readable(folder, print)
    assert newest_readable(tmp_path / "new", print) is None


def test_a_full_disk_leaves_what_was_whole(folder, monkeypatch):
    """Killed or refused between any two steps of a write."""
    before = last_checkpoint(folder).read_bytes()
    for call in ("fsync", "replace"):

        def fail(*_, **__):
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            with pytest.raises(OSError, match="No space"):
                WholeFiles().save_checkpoint(checkpoint(3), last_checkpoint(folder))
        assert last_checkpoint(folder).read_bytes() == before
        assert newest_readable(folder, print) == last_checkpoint(folder)
    assert not list((folder / "checkpoints").glob("*.new"))


def test_a_draft_of_a_killed_writer_is_replaced(tmp_path):
    (tmp_path / "x.new").write_text("half")
    with whole_file(tmp_path / "x") as draft:
        draft.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_errors_of_the_disk_are_one_line():
    assert "the disk is full" in disk_problem(OSError(28, "No space left on device", "a/b"))
    assert disk_problem(FileNotFoundError(2, "No such file")) is None


HOLD = "import sys, time; from pathlib import Path; from t2igan.files import FolderLock\n"
HOLD += "lock = FolderLock(Path(sys.argv[1]), 't2igan fit'); lock.take(print)\n"
HOLD += "print('taken', flush=True); time.sleep(60)"


def test_one_process_at_a_time_and_a_killed_one_gives_it_up(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "taken\n"
    said, lock = [], FolderLock(tmp_path, "t2igan fit")
    with pytest.raises(UserError, match=rf"another `t2igan fit \(process {holder.pid} on .* is using this folder"):
        lock.take(said.append, seconds=0.3)
    assert len(said) == 1
    holder.kill()
    holder.wait()
    lock.take(said.append, seconds=0.3)
    lock.release()
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_goes_with_the_lock_if_it_was_made_for_it_and_is_empty(tmp_path, there):
    folder = tmp_path / "run"
    if there:
        folder.mkdir()
    lock = FolderLock(folder, "t2igan fit")
    lock.take(print)
    lock.release()
    assert folder.is_dir() == there
    lock.take(print)
    (folder / "config.yaml").touch()
    lock.release()
    assert (folder / "config.yaml").is_file()
    shutil.rmtree(folder)
    lock.take(print)
    shutil.rmtree(folder)
    lock.release()


def test_who_waits_for_a_lock_that_goes_with_its_folder_gets_one_that_is_there(tmp_path):
    first, second = FolderLock(tmp_path / "run", "t2igan fit"), FolderLock(tmp_path / "run", "t2igan fit")
    first.take(print)
    waiting = second._open()  # as it does before it waits
    first.release()
    assert not (tmp_path / "run").exists()
    assert not second._is_there(waiting)
    second.take(print)
    assert second.path.is_file()


def test_who_waited_in_vain_leaves_the_folder_to_its_holder(tmp_path):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "taken\n"
    lock = FolderLock(tmp_path / "run", "t2igan fit")
    lock._made = True  # both saw that there was no folder yet
    with pytest.raises(UserError, match="is using this folder"):
        lock.take(print, seconds=0.1)
    assert lock.path.is_file()
    holder.kill()
    holder.wait()


def saved_at(monkeypatch, folder, steps, seconds_a_step, processes=1, **options):
    """Steps and seconds at which a training saves whose every step takes so long by the clock."""
    clock, saved = SimpleNamespace(now=1000.0), []
    monkeypatch.setattr("t2igan.callbacks.saving.time", SimpleNamespace(monotonic=lambda: clock.now))
    trainer = SimpleNamespace(
        global_step=0,
        world_size=processes,
        is_global_zero=True,
        log_every_n_steps=5,
        default_root_dir=str(folder),
        strategy=SimpleNamespace(broadcast=lambda late: late),
        save_checkpoint=lambda path: saved.append((trainer.global_step, clock.now - 1000)),
    )
    saver = RunCheckpoints(**options)
    saver.on_train_start(trainer, None)
    for step in range(1, steps + 1):
        trainer.global_step, clock.now = step, 1000.0 + step * seconds_a_step
        saver.on_train_batch_end(trainer, None, None, None, 0)
    return saved


def test_slow_steps_are_saved_every_ten_minutes(monkeypatch, tmp_path):
    """Not after 500 of them, which would be an hour."""
    assert saved_at(monkeypatch, tmp_path, 200, 7.0) == [(86, 602), (172, 1204)]


def test_fast_steps_are_saved_every_500(monkeypatch, tmp_path):
    """Each save starts the ten minutes anew."""
    assert saved_at(monkeypatch, tmp_path, 1500, 1.0) == [(500, 500), (1000, 1000), (1500, 1500)]


def test_the_intervals_are_those_asked_for(monkeypatch, tmp_path):
    at = saved_at(monkeypatch, tmp_path, 100, 7.0, every_n_steps=0, every_minutes=5)
    assert at == [(43, 301), (86, 602)]


def test_several_processes_ask_each_other_when_they_log(monkeypatch, tmp_path):
    assert saved_at(monkeypatch, tmp_path, 200, 7.0, processes=2) == [(90, 630), (180, 1260)]


def test_a_step_of_accumulation_is_not_saved_within(monkeypatch, tmp_path):
    """The optimisers have not moved: the step's number is the one before."""
    saved = []
    trainer = SimpleNamespace(global_step=500, world_size=1, is_global_zero=True, save_checkpoint=saved.append)
    saver = RunCheckpoints()
    saver.on_train_start(trainer, None)
    saver.on_train_batch_end(trainer, None, None, None, 0)
    assert not saved
