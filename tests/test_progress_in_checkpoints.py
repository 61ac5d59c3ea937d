"""What a checkpoint says of its training, without loading torch, and where a command writes."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from t2igan.progress import KEY, Progress, default_run_folder, progress_of, read_progress, trained_by

WHOLE = Progress(3, 1, 10, -1, False)


@pytest.fixture
def checkpoint(tmp_path):
    content = {"state_dict": {"w": torch.ones(3)}, "t2igan": {KEY: WHOLE.to_dict(), "device": torch.device("cpu")}}
    torch.save(content, tmp_path / "last.ckpt")
    return tmp_path / "last.ckpt"


def test_it_is_read_without_torch(checkpoint):
    assert read_progress(checkpoint) == WHOLE
    program = (
        f"import sys, pathlib, t2igan.progress as p; print(p.read_progress(pathlib.Path({str(checkpoint)!r})))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", f"{program}; print('torch' in sys.modules)"], capture_output=True, text=True
    )
    assert ended.stdout.splitlines() == ["step 3 of 10", "False"], ended.stderr


def test_what_says_nothing_is_none(checkpoint, tmp_path):
    assert read_progress(tmp_path / "none.ckpt") is None
    (tmp_path / "text.ckpt").write_text("text")
    assert read_progress(tmp_path / "text.ckpt") is None
    with (
        zipfile.ZipFile(checkpoint) as archive,
        zipfile.ZipFile(tmp_path / "z.ckpt", "w", zipfile.ZIP_DEFLATED) as z,
    ):
        for name in archive.namelist():
            z.writestr(name, archive.read(name))
    assert read_progress(tmp_path / "z.ckpt") is None


@pytest.mark.parametrize(
    "content",
    [None, {}, WHOLE.to_dict() | {"more": 1}, WHOLE.to_dict() | {"step": "3"}, WHOLE.to_dict() | {"finished": 1}],
)
def test_values_of_other_kinds_are_none(content):
    assert progress_of({"t2igan": {KEY: WHOLE.to_dict()}}) == WHOLE
    assert progress_of({"t2igan": {KEY: content}}) is None and progress_of({}) is None


def test_the_goal_is_said_in_steps_or_in_epochs():
    assert str(Progress(3, 1, -1, 5, False)) == "step 3, epoch 1 of 5"
    assert str(Progress(3, 1, -1, -1, True)) == "step 3, epoch 1"


@pytest.mark.parametrize(
    ("line", "folder"),
    [
        ("fit --config experiments/cub/ssagan.yaml", "runs/cub/ssagan"),
        ("fit --config a.yaml -c deep/experiments/b/c.yaml", "runs/b/c"),
        ("fit --config=own.yaml --run first --run=second", "second"),
        ("fit --config=first.yaml -c second.yaml", "runs/second"),
        ("fit", "runs/unnamed"),
    ],
)
def test_a_command_line_says_which_checkpoint_it_writes(line, folder):
    assert trained_by(line.split()) == Path(folder) / "checkpoints/last.ckpt"


def test_other_commands_write_none():
    assert trained_by(["sample", "--config", "x.yaml"]) is None and trained_by([]) is None
    assert default_run_folder([]) == Path("runs/unnamed")
