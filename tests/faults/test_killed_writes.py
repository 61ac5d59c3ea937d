"""kill -9 in the midst of writes that are no checkpoints: nothing half-written passes for whole."""

import io
import os
import signal
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError

import h5py
import numpy as np
import pytest
import torch
from harness import times
from test_full_disk import EXPORT, IMPORT, PREPARE, SAMPLE
from test_full_disk import VERBS as WRITERS

from t2igan.callbacks.run_folder import read_curves
from t2igan.cli.main import main
from t2igan.data.verifying import verify_store
from t2igan.evaluation.record import read_records

VERBS = {
    "prepare (store, journal, card)": (*PREPARE[:-1], "--force", "true", "--out"),
    "sample": SAMPLE,
    "export": EXPORT,
    "import": IMPORT,
    "caption": ("caption", "--checkpoint", "stream.ckpt", "--images", "own", "--out"),
    "fit (metrics.csv, samples, config)": (
        *("fit", "--config", "ssagan.yaml", "--trainer.max_steps", "6", "--trainer.callbacks+=SampleGrid"),
        *("--trainer.callbacks.every_n_steps=1", "--run"),
    ),
    "report": WRITERS["report"],
    "evaluate (records)": WRITERS["evaluate (records)"],
    "evaluate (features)": WRITERS["evaluate (features)"],
}

SHORT_STRIDES = {"fit": 25, "evaluate": 6, "report": 20}
"""In CI a verb is killed before each so-and-so many write."""


def child(work: Callable[[], object]) -> int:
    """Do something in a process of its own; gives its exit status, negative for a signal."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            for number in (1, 2):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)
            work()
            code = 0
        except SystemExit as exit_:
            code = exit_.code or 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_at(write: int, words: tuple[object, ...]) -> int:
    """Run a verb that kills itself before its so-and-so many call of the system that changes a file or a name."""

    def work() -> None:
        left = [write]

        def deadly(call: Callable) -> Callable:
            def counting(*args: object, **kwargs: object) -> object:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return call(*args, **kwargs)

            return counting

        for name in ("replace", "rename", "fsync", "link", "unlink", "truncate", "ftruncate"):
            setattr(os, name, deadly(getattr(os, name)))
        main([str(word) for word in words])

    return child(work)


def content(folder: Path) -> dict[str, bytes]:
    """Files by place, without those that say of themselves that they are not finished, and parts of a cache.

    The names of parts are random: :func:`features` reads them.
    """
    files = [path for path in folder.rglob("*") if path.is_file()]
    finished = [path for path in files if path.suffix not in (".new", ".partial", ".lock", ".npz")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in finished}


def same_weights(data: bytes, whole: bytes) -> bool:
    """Whether both are whole files of the older of PyTorch's formats with the same tensors.

    Their lengths differ: what lies in them is named by where it lay in memory.
    """
    old = b"\x80\x02"
    if not (data.startswith(old) and whole.startswith(old)):
        return False
    try:
        read = torch.load(io.BytesIO(data), weights_only=True)
    except (RuntimeError, EOFError, UnpicklingError):
        return False
    expected = torch.load(io.BytesIO(whole), weights_only=True)
    return read.keys() == expected.keys() and all(torch.equal(read[name], expected[name]) for name in read)


def half_written(after: dict[str, bytes], whole: dict[str, bytes]) -> list[str]:
    """Names of files that are not as the finished ones are, nor whole lines of them."""
    bad = []
    for name, data in after.items():
        grown = name.endswith((".csv", ".jsonl")) and data.endswith(b"\n")
        if grown or name not in whole or same_weights(data, whole[name]):
            continue
        if abs(len(data) - len(whole[name])) > 64 or data[:4] != whole[name][:4] or data[-2:] != whole[name][-2:]:
            bad.append(name)
    return bad


@pytest.mark.parametrize("verb", list(VERBS))
def test_killed_before_each_change_of_a_file(good_input, tally, verb):
    probe = tally("kill -9 while writing store, journal, card, samples, weights, captions, metrics")
    words = VERBS[verb]
    Path("whole").mkdir()
    assert child(lambda: main([*words, "whole/out"])) == 0
    whole, read = content(Path("whole")), what_is_read(Path("whole/out"))
    assert read or not verb.startswith("evaluate")
    write, code = 0, -signal.SIGKILL
    while code == -signal.SIGKILL:
        folder = Path(f"at{write}")
        folder.mkdir()
        code = killed_at(write, (*words, folder / "out"))
        bad = half_written(content(folder), whole)
        probe.note(not bad, f"{verb}, write {write}: half-written {bad}")
        if code:
            again = child(lambda folder=folder: main([*words, f"{folder}/out"]))
            left = whole.keys() - content(folder).keys()
            left = [name for name in left if "events.out" not in name]
            probe.note(again == 0 and not left, f"{verb}, write {write}: then {again}, without {left}")
            same = is_readable(folder / "out") and what_is_read(folder / "out") == read
            probe.note(same, f"{verb}, write {write}: not what is read in the end")
        write += times(SHORT_STRIDES.get(verb.split()[0], 3), 1)
    assert code == 0
    probe.check()


def features(cache: Path) -> dict[tuple[str, ...], set[bytes]]:
    """The rows of a cache by its shelf and the image's id."""
    rows: dict[tuple[str, ...], set[bytes]] = {}
    for part in cache.rglob("*.npz"):
        with np.load(part) as file:
            for ids, *row in zip(*(file[name] for name in file.files)):
                image = (part.parent.name, *map(str, ids))
                rows.setdefault(image, set()).add(b"".join(each.tobytes() for each in row))
    return rows


def what_is_read(out: Path) -> object:
    """What of evaluate's output each call of the same command gives: numbers of the last record, features."""
    if out.is_dir():
        return features(out)
    if out.is_file() and out.read_bytes().startswith(b'{"subject"'):
        *_, record = read_records(out)
        return record.integrity, record.metrics, record.not_computed
    return None


def is_readable(out: Path) -> bool:
    """Whether what a verb wrote is what its readers take."""
    if out.is_file() and h5py.is_hdf5(out):
        return not verify_store(out)
    if (out / "metrics.csv").is_file():
        steps = [row["step"] for row in read_curves(out / "metrics.csv") if "train/loss_g" in row]
        return steps == sorted(set(steps))
    return True
