"""A disk that is full or read-only: one line that names the file, exit code 2, and what was whole still is."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import h5py
import pytest
from bad_input import outcome_of
from harness import fit_words, last, run, same_end

from t2igan.cli.tag import write_tags
from t2igan.data.sources.drawn_birds.source import DrawnBirdsConfig, write_drawn_birds
from t2igan.evaluation.record import read_records
from t2igan.layout.narratives import Narrative
from t2igan.models.suite_module import read_checkpoint
from t2igan.profiling.showing import write_json

PREPARE = ("prepare", "cub", "--root", "cub", "--image_size", "64", "--workers", "1", "--out")
SAMPLE = ("sample", "--checkpoint", "ssagan.ckpt", "--caption", "a red bird", "--n", "2", "--out")
EXPORT = ("export", "ssagan.ckpt", "--out")
IMPORT = ("import", "released.pth", "--out")
SCORE = ("evaluate", "--checkpoint", "ssagan.ckpt", "--store", "store.h5", "--protocol", "protocol.yaml")
SCORE += ("--damsm", "damsm.ckpt", "--skip_missing", "true")
REMEDIES = ("make room", "choose another place", "give another", "free space")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 4 MB, which holds one checkpoint of these trainings and not two."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system takes root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # a traceback may hold a file of it


def remount(folder: Path, option: str) -> None:
    """Change how a file system is mounted: ``size=64m``, ``ro``, ``rw``."""
    subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)


def fill(folder: Path, free: int = 0) -> Path:
    """Write a file that leaves so many kB of the file system; give it."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4096)):
                pass
        except OSError:
            pass
        file.truncate(max(0, file.tell() - 1024 * free))
    return filler


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fault(folder: Path, words: tuple[object, ...]) -> str:
    """What is wrong with how a command fails that cannot write to a folder; empty: nothing."""
    before = content(folder)
    outcome = outcome_of(*words)
    after = content(folder)
    harmed = [name for name, data in before.items() if after.get(name) != data]
    problem = outcome.fault([str(folder)]) or (f"harmed {harmed}" if harmed else "")
    if not problem and not any(remedy in outcome.line for remedy in REMEDIES):
        problem = f"no remedy: {outcome.line}"
    return f"{' '.join(map(str, words))}: {problem}" if problem else ""


def test_fit_on_a_disk_that_fills_up(homes, whole, tally, small_disk):
    probe = tally("fit on a file system that fills up: one line, the checkpoint whole; with room the same end")
    words = fit_words(homes.ssagan, small_disk / "run")
    saves = ["--trainer.callbacks+=RunCheckpoints", "--trainer.callbacks.every_n_steps=4"]
    full = run(*words, *saves)
    told = "the disk is full" in full.stderr and "Traceback" not in full.stderr
    step = read_checkpoint(last(small_disk / "run"))["global_step"]
    probe.note(full.returncode == 2 and told and step == 4, f"{full.returncode}, step {step}: {full.stderr[-300:]}")
    remount(small_disk, "size=64m")
    done = run(*words)
    probe.note(done.returncode == 0 and same_end(small_disk / "run", whole), done.stderr[-300:])
    probe.check()


def room_until(stage: str, store: Path) -> int:
    """How many kB let `prepare` come as far as this stage, and no further."""
    with h5py.File(store) as file:
        pixels = sum(len(file[split]["pixels"]) for split in ("train", "test"))
    journal, rest = pixels + 12_000, store.stat().st_size - pixels  # the journal has a line for each image beside
    room = {
        "at once": 0,
        "in the journal": pixels // 2,
        "before the store": journal + pixels // 2,
        "in the store": journal + pixels + rest // 2,
    }
    return room[stage] // 1024


@pytest.mark.parametrize("stage", ["at once", "in the journal", "before the store", "in the store"])
def test_prepare_on_a_disk_that_fills_up(good_input, tally, small_disk, stage):
    probe = tally("prepare on a file system that fills up: one line, the old store whole; with room the new one")
    out = small_disk / "out.h5"
    assert outcome_of(*PREPARE, out).code == 0
    room, prepared = room_until(stage, out), out.read_bytes()
    out.write_bytes((good_input / "store.h5").read_bytes())  # an older one, which is to be replaced
    filler = fill(small_disk, room)
    problem = fault(small_disk, (*PREPARE, out, "--force", "true"))
    probe.note(not problem, f"{stage}: {problem}")
    filler.unlink()
    again = outcome_of(*PREPARE, out, "--force", "true")
    left = sorted(path.name for path in small_disk.iterdir())
    good = again.code == 0 and out.read_bytes() == prepared and left == ["out.card", "out.h5"]
    probe.note(good, f"{stage}: {again.line} {left}")
    probe.check()


def test_drawing_birds_on_a_disk_that_fills_up(tmp_path, tally, small_disk):
    probe = tally("drawing birds on a file system that fills up: the file named; with room the same birds")
    config = DrawnBirdsConfig(2, 2, 2, 2, image_pixels=64)
    write_drawn_birds(tmp_path / "whole", config, workers=1)
    for free in (0, 8, 40):
        filler, root = fill(small_disk, free), small_disk / f"birds{free}"
        with pytest.raises(OSError) as caught:
            write_drawn_birds(root, config, workers=1)
        named = str(root) in str(caught.value.filename)
        filler.unlink()
        write_drawn_birds(root, config, workers=1)
        same = content(root) == content(tmp_path / "whole")
        probe.note(named and same, f"{free} kB free: {caught.value!r}, {caught.value.filename}")
    probe.check()


def make_room_for_more(out: Path) -> None:
    """Let a command that writes there need more room than its older output takes."""
    for path in [*out.rglob("*.npz"), *out.rglob("content.json"), *out.rglob("*_s01.png")]:
        path.unlink()
    if out.is_file() and not out.read_bytes().startswith(b"{"):
        out.write_bytes(b"old")


REPORT = ("report", "records.jsonl", "--runs", '["runs/ssagan"]', "--out")
VERBS = {
    "prepare": (*PREPARE[:-1], "--force", "true", "--out"),
    "sample": SAMPLE,
    "export": EXPORT,
    "import": IMPORT,
    "report": REPORT,
    "caption": ("caption", "--checkpoint", "stream.ckpt", "--images", "own", "--out"),
    "evaluate (records)": (*SCORE, "--cache", "none", "--records"),
    "evaluate (features)": (*SCORE, "--records", "own.jsonl", "--cache"),
}


@pytest.mark.parametrize("state", ["full", "read-only"])
@pytest.mark.parametrize("verb", list(VERBS))
def test_a_verb_where_nothing_can_be_written(good_input, tally, small_disk, verb, state):
    probe = tally(f"{verb} on a {state} file system: one line, what was whole still is; then the same command")
    remount(small_disk, "size=32m")
    words, out = VERBS[verb], small_disk / "out"
    assert outcome_of(*words, out).code == 0
    make_room_for_more(out)
    filler = fill(small_disk)
    if state == "read-only":
        filler.unlink()
        remount(small_disk, "ro")
    problem = fault(small_disk, (*words, out))
    probe.note(not problem, problem)
    remount(small_disk, "rw")
    filler.unlink(missing_ok=True)
    again = outcome_of(*words, out)
    probe.note(again.code == 0, again.line)
    if verb == "evaluate (records)":
        probe.note(len(read_records(out)) == 2, "a record was lost")
    probe.note(not [*out.glob("*/*.partial"), *out.glob("*/content.json.*")], "left half a file of features")
    probe.check()


def test_evaluate_finds_out_before_it_measures(good_input, small_disk, generated):
    """Not after hours of it."""
    remount(small_disk, "ro")
    words = (*SCORE, "--cache", "none", "--records", small_disk / "new" / "records.jsonl")
    assert not fault(small_disk, words)
    assert not generated


@pytest.mark.parametrize(
    "words",
    [("fit", "--config", "ssagan.yaml", "--run"), ("prepare", "drawn-birds", "--image_size", "64", "--root")],
    ids=lambda words: words[0],
)
def test_a_folder_that_may_only_be_read(good_input, tally, small_disk, words):
    probe = tally(f"{words[0]} in a read-only folder: one line, exit code 2, nothing written")
    remount(small_disk, "ro")
    problem = fault(small_disk, (*words, small_disk / "new"))
    probe.note(not problem, problem)
    probe.check()


@pytest.mark.parametrize("writer", ["profile", "tags"])
def test_what_is_written_by_no_verb_of_its_own(small_disk, monkeypatch, writer):
    """What takes minutes to compute, written by hand: the error names the file, the old one stays."""
    path = small_disk / {"profile": "p.json", "tags": "t.jsonl"}[writer]

    def write() -> None:
        if writer == "profile":
            write_json({"seconds": 1.0}, path)
        else:
            tagger = SimpleNamespace(tag=lambda sentences: [["bird"] * len(words) for words in sentences])
            write_tags(path, [Narrative("1", "", ("a", "bird"))] * 300, tagger)

    write()
    before, filler = path.read_bytes(), fill(small_disk)
    with pytest.raises(OSError) as caught:
        write()
    assert str(path) in str(caught.value.filename)
    assert path.read_bytes() == before
    assert [each.name for each in small_disk.iterdir() if each != filler] == [path.name]
