import hashlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

from t2igan.cli import doctor, doctor_findings
from t2igan.cli.main import main
from t2igan.metrics.weights import PUBLISHED, PublishedWeights

ROOT = Path(__file__).parents[2]


@pytest.fixture
def look(tmp_path, monkeypatch, capsys):
    """Run the verb on folders of its own; gives exit code and output."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))

    def run(*arguments):
        places = ["--datasets", str(tmp_path / "datasets"), "--checkpoints", str(tmp_path / "checkpoints")]
        try:
            main(["doctor", *arguments, *places])
        except SystemExit as exit_:
            return exit_.code, capsys.readouterr().out
        return 0, capsys.readouterr().out

    return run


def state_of(output, name):
    """The state in the row of the table that begins with the name."""
    return re.search(rf"^{re.escape(name)} +(present|missing|damaged|too old|not needed)  ", output, re.M)[1]


def test_nothing_there_is_told_with_the_way_out(look):
    code, output = look("cub", "coco", "drawn-birds")
    assert code == 1
    for name in ("cub images", "cub zero-shot split", "cub store", "coco captions", "drawn-birds store"):
        assert state_of(output, name) == "missing", name
    assert "data.caltech.edu" in output and "cocodataset.org" in output
    assert "cub store missing: t2igan prepare cub" in output


def test_a_store_is_enough(look, drawn_birds_store, tmp_path):
    folder = tmp_path / "datasets" / "drawn-birds"
    folder.mkdir(parents=True)
    shutil.copy(drawn_birds_store, folder / "any-name.h5")
    code, output = look("drawn-birds")
    assert code == 0 and "everything is there" in output
    assert state_of(output, "drawn-birds drawings") == "not needed"
    assert "drawn-birds, 64 px, raw, 24 train + 16 test" in output
    assert f"{drawn_birds_store.stat().st_size / 1e6:,.1f} MB" in output
    code, output = look("drawn-birds", "--verify")
    assert code == 0 and "checksums right" in output


def test_layouts_and_narratives_are_counted(look, scenes_store, tmp_path, monkeypatch):
    from PIL import Image

    from t2igan.data.card import card_folder, describe, write_card
    from t2igan.data.store import open_store

    monkeypatch.setattr(doctor, "_WIDTH_IN_FILES", 500)
    folder = tmp_path / "datasets" / "scenes"
    folder.mkdir(parents=True)
    path = shutil.copy(scenes_store, folder / "scenes.h5")
    _, output = look("scenes", "--verify")
    assert re.search(r"12 test, 36 layouts of [0-9]+ segments, [0-9]+ narratives, fing.*checksums right", output)
    write_card(describe(open_store(path)), card_folder(folder / "scenes.h5"), Image.new("RGB", (9, 9)))
    _, output = look("scenes")
    assert re.search(r"segments \([0-9]+ classes, 0\.0% void\), [0-9]+ narratives", output)
    (card_folder(folder / "scenes.h5") / "card.json").write_text("{}")
    assert "classes" not in look("scenes")[1]


def test_the_raw_files_alone_want_a_store(look, tmp_path):
    folder = tmp_path / "datasets" / "coco"
    for place in ("annotations", "images"):
        (folder / place).mkdir(parents=True)
    for part in ("train2017", "val2017"):
        (folder / "annotations" / f"captions_{part}.json").write_text("{}")
    (folder / "coco-256.h5.partial").write_text("")
    code, output = look("coco")
    assert code == 1
    assert state_of(output, "coco captions") == "present"
    assert state_of(output, "coco images") == "present"
    assert (
        "unfinished, the same command continues" in output and "coco store missing: t2igan prepare coco" in output
    )


def flip_a_bit(path):
    with h5py.File(path, "r") as file:
        offset = file["train/pixels"].id.get_offset()
    data = bytearray(path.read_bytes())
    data[offset + 7] ^= 1
    path.write_bytes(data)


def set_version(path):
    with h5py.File(path, "r+") as file:
        file.attrs["schema_version"] = 1


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(
    ("harm", "said", "options"),
    [
        (flip_a_bit, "train image 0 is damaged", ["--verify"]),
        (set_version, "schema version 1", []),
        (cut_off, "not a whole store", []),
        (lambda path: path.write_text("x"), "not a whole store", []),
    ],
)
def test_damaged_stores(look, drawn_birds_store, tmp_path, harm, said, options):
    folder = tmp_path / "datasets" / "drawn-birds"
    folder.mkdir(parents=True)
    path = Path(shutil.copy(drawn_birds_store, folder / "store.h5"))
    harm(path)
    code, output = look("drawn-birds", *options)
    assert code == 1 and said in output and state_of(output, "drawn-birds store") == "damaged"
    assert f"make {path} again" in output


def test_a_store_of_another_data_set_and_data_of_ones_own(look, drawn_birds_store, tmp_path):
    for name in ("cub", "flowers"):
        (tmp_path / "datasets" / name).mkdir(parents=True)
        shutil.copy(drawn_birds_store, tmp_path / "datasets" / name / "store.h5")
    code, output = look("cub")
    assert code == 1 and "holds drawn-birds, not cub" in output
    assert look("flowers")[0] == 0
    assert "flowers store" in look()[1]


def test_weights(look, tmp_path, monkeypatch):
    content = b"weights" * 100
    sha256 = hashlib.sha256(content).hexdigest()
    for name in list(PUBLISHED):
        monkeypatch.delitem(PUBLISHED, name)
    monkeypatch.setitem(PUBLISHED, "known", PublishedWeights(("a.pth", "b.pth"), "https://x.org/a.pth", sha256[:8]))
    monkeypatch.setitem(PUBLISHED, "converted", PublishedWeights(("c.pth",), "https://x.org/graph", ""))
    code, output = look("weights")
    assert code == 1 and f"sha256 {sha256[:8]}" in output and "fetch https://x.org/a.pth" in output
    assert "convert what lies at https://x.org/graph" in output
    cache = tmp_path / "hub" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    (cache / "b.pth").write_bytes(content)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "c.pth").write_bytes(content)
    code, output = look("weights")
    assert code == 0 and "as published" in output and "none published" in output
    assert str(cache / "b.pth") in output
    (tmp_path / "checkpoints" / "a.pth").write_bytes(content[:-1])
    code, output = look("weights")
    assert code == 1 and state_of(output, "known") == "damaged"
    assert f"published is {sha256[:8]}" in output


def test_packages(look, monkeypatch):
    installed = {"torch": "2.15.0+cpu", "rich": "9.1"}

    class Found:
        def __init__(self, version):
            self.version = version

        def locate_file(self, path):
            return "/packages"

    def distribution(name):
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return Found(installed[name])

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    requires = ["torch>=2.6", "rich>=13", "nltk[all]>=3.8", 'pytest>=8; extra == "test"']
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: requires)
    monkeypatch.setattr(doctor_findings, "OPTIONAL_PACKAGES", {"extra-thing": "a score"})
    code, output = look("packages")
    assert code == 1 and "pytest" not in output
    assert state_of(output, "torch") == "present" and "2.15.0+cpu" in output
    assert state_of(output, "rich") == "too old" and 'pip install "rich>=13"' in output
    assert state_of(output, "nltk") == "missing" and "for a score" in output
    assert 'extra-thing missing: pip install "extra-thing"' in output


def test_misuse_is_one_line(look, capsys):
    for arguments, said in ((["birds"], "birds: unknown; choose from cub"), (["--verfy"], "--verfy")):
        with pytest.raises(SystemExit) as exit_:
            main(["doctor", *arguments])
        assert exit_.value.code == 2
        error = capsys.readouterr().err
        assert said in error and len(error.strip().splitlines()) == 1


def test_it_answers_without_torch(drawn_birds_store, tmp_path):
    folder = tmp_path / "datasets" / "drawn-birds"
    folder.mkdir(parents=True)
    shutil.copy(drawn_birds_store, folder)
    code = (
        "import sys\n"
        "from t2igan.cli.main import main\n"
        "try:\n"
        f"    main(['doctor', '--datasets', {str(tmp_path / 'datasets')!r}])\n"
        "except SystemExit as exit_:\n"
        "    print('exit', exit_.code)\n"
        "assert not {'torch', 'nltk', 'scipy', 'pytorch_lightning'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "drawn-birds, 64 px" in done.stdout and "exit 1" in done.stdout


def test_checkpoints_are_compared_with_their_digest(look, checkpoints, tmp_path, monkeypatch):
    folder = tmp_path / "runs" / "small" / "checkpoints"
    folder.mkdir(parents=True)
    shutil.copy(checkpoints.generator, folder / "last.ckpt")
    data = bytearray(checkpoints.generator.read_bytes())
    data[len(data) // 2] ^= 1
    (folder / "damaged.ckpt").write_bytes(data)
    monkeypatch.chdir(tmp_path)
    code, output = look("checkpoints", "--verify")
    assert code == 1
    assert state_of(output, "small/last.ckpt") == "present" and re.search(
        r"SSAGAN, \d+ steps, digest right", output
    )
    assert state_of(output, "small/damaged.ckpt") == "damaged"
    assert look("checkpoints")[0] == 0, "without --verify they are not read"


def test_any_store_or_checkpoint_by_its_path(look, checkpoints, drawn_birds_store, tmp_path):
    code, output = look(str(drawn_birds_store), str(checkpoints.generator))
    assert code == 0 and "checksums" in output and "digest right" in output
    with h5py.File(shutil.copy(drawn_birds_store, tmp_path / "copy.h5"), "r+") as file:
        file["train/class_ids"][0] = 3
    code, output = look(str(tmp_path / "copy.h5"), str(tmp_path / "none.ckpt"))
    assert code == 1 and "not what was written" in output and state_of(output, "none.ckpt") == "missing"
