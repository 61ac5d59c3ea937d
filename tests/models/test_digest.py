"""A checkpoint holds what was saved, or is refused; nothing that it names is run."""

import os
import pickle
import random
import sys
import warnings
import zipfile

import numpy as np
import pytest
import torch

from t2igan.errors import UserError
from t2igan.models.digest import content_digest, is_whole, seal
from t2igan.models.suite_module import load_module, read_checkpoint
from t2igan.nn import config

LONG = pytest.mark.skipif(os.environ.get("T2IGAN_FAULTS") != "long", reason="takes minutes: T2IGAN_FAULTS=long")


def content(path):
    """Everything that a checkpoint gives, and the weights of what is built of it."""
    built = {name: value.tolist() for name, value in load_module(path).state_dict().items()}
    return content_digest(torch.load(path, weights_only=True)), built


def test_the_digest_covers_all_that_is_saved(damsm_checkpoint):
    checkpoint = read_checkpoint(damsm_checkpoint)
    assert is_whole(checkpoint)
    leaves = 0
    for key in checkpoint:
        if key == "t2igan":
            changed = {**checkpoint, key: {**checkpoint[key], "version": "0"}}
        else:
            changed = {**checkpoint, key: None}
        assert not is_whole(changed), f"{key} is not covered"
        leaves += 1
    assert {"state_dict", "optimizer_states", "loops", "callbacks"} <= set(checkpoint) and leaves > 5


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1], [1.0]),
        ([1, 2], (1, 2)),
        ({"a": 1, "b": 2}, {"a": 2, "b": 1}),
        ([["a"], "b"], ["a", ["b"]]),
        (torch.zeros(2, 3), torch.zeros(3, 2)),
        (torch.zeros(4), torch.zeros(2, dtype=torch.float64)),
        (True, 1),
        (None, "None"),
    ],
)
def test_what_differs_has_another_digest(one, other):
    assert content_digest({"x": one, "t2igan": {}}) != content_digest({"x": other, "t2igan": {}})


def test_views_and_devices_do_not_change_the_digest():
    grid = torch.arange(12.0).view(3, 4)
    a, b = ({"x": value, "t2igan": {}} for value in (grid.t(), grid.t().contiguous()))
    assert content_digest(a) == content_digest(b)


@pytest.mark.parametrize("flips", [40, pytest.param(1500, marks=LONG)])
def test_no_flipped_bit_is_loaded(damsm_checkpoint, tmp_path, flips):
    with open(damsm_checkpoint, "rb") as file:
        whole = file.read()
    before, path, noticed = content(damsm_checkpoint), tmp_path / "flipped.ckpt", 0
    for bit in np.random.default_rng(flips).integers(8 * len(whole), size=flips):
        data = bytearray(whole)
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        try:
            assert content(path) == before, f"bit {bit} was loaded"
        except UserError as error:
            assert "\n" not in str(error) and "flipped.ckpt" in str(error)
            noticed += 1
    assert noticed > 0.8 * flips


def without_digest(path, out):
    checkpoint = torch.load(path, weights_only=True)
    del checkpoint["t2igan"]["digest"]
    torch.save(checkpoint, out)
    return out


def test_a_checkpoint_without_digest_is_read_with_a_note(damsm_checkpoint, tmp_path):
    path = without_digest(damsm_checkpoint, tmp_path / "older.ckpt")
    with pytest.warns(UserWarning, match=r"older\.ckpt: of an earlier version, without a digest"):
        load_module(path)
    with zipfile.ZipFile(path) as archive:
        weights = max(archive.infolist(), key=lambda part: part.file_size)
    data = bytearray(path.read_bytes())
    data[weights.header_offset + 200] ^= 4
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"older\.ckpt is damaged \(in .*data/"):
        load_module(path)


def test_a_compressed_archive_is_not_unpacked(damsm_checkpoint, tmp_path):
    with zipfile.ZipFile(damsm_checkpoint) as archive, zipfile.ZipFile(tmp_path / "bomb.ckpt", "w", 8) as bomb:
        for part in archive.infolist():
            bomb.writestr(part.filename, archive.read(part))
    with pytest.raises(UserError, match="compressed"):
        read_checkpoint(tmp_path / "bomb.ckpt")


def test_a_tensor_larger_than_its_file_is_refused(damsm_checkpoint, tmp_path):
    checkpoint = read_checkpoint(damsm_checkpoint)
    checkpoint["state_dict"]["more"] = torch.zeros(1).expand(2**40)
    torch.save(checkpoint, tmp_path / "large.ckpt")
    with pytest.raises(UserError, match="larger than what is saved of them"):
        read_checkpoint(tmp_path / "large.ckpt")


def test_tensors_that_share_one_storage_are_refused(damsm_checkpoint, tmp_path):
    """None of them is larger than it; read one after another, they would take a day."""
    checkpoint, shared = read_checkpoint(damsm_checkpoint), torch.zeros(2**20)
    checkpoint["state_dict"] |= {f"more{number}": shared.view(-1) for number in range(500)}
    torch.save(checkpoint, tmp_path / "large.ckpt")
    assert (tmp_path / "large.ckpt").stat().st_size < 2**23
    with pytest.raises(UserError, match="larger than what is saved of them"):
        read_checkpoint(tmp_path / "large.ckpt")


@pytest.mark.parametrize("endless", [False, True])
def test_values_that_stand_in_many_places_are_refused(damsm_checkpoint, tmp_path, endless):
    checkpoint, values = read_checkpoint(damsm_checkpoint), [1]
    for _ in range(50):
        values = [values, values]
    if endless:
        values.append(values)
    torch.save({**checkpoint, "more": values}, tmp_path / "many.ckpt")
    with pytest.raises(UserError, match=r"many\.ckpt .*stands for more than"):
        read_checkpoint(tmp_path / "many.ckpt")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("dataset", value) for value in ({"name": 3}, {"fingerprint": None})),
        *((key, value) for key in ("images_seen", "global_batch") for value in ("many", 0.5, True, 2**70)),
        *(("inputs", value) for value in (3, {"damsm": 3}, [])),
        ("imported", {"generator": "file"}),
    ],
)
def test_what_no_checkpoint_says_of_itself_is_refused(damsm_checkpoint, tmp_path, key, value):
    checkpoint = read_checkpoint(damsm_checkpoint)
    checkpoint["t2igan"][key] = value
    seal(checkpoint)
    torch.save(checkpoint, tmp_path / "lies.ckpt")
    with pytest.raises(UserError, match=rf"lies\.ckpt is not a complete checkpoint: {key} is "):
        read_checkpoint(tmp_path / "lies.ckpt")


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A module in the current folder that tells when it runs."""
    (tmp_path / "evilmod.py").write_text(
        "from pathlib import Path\nPath(__file__).with_name('ran').touch()\n"
        "class Evil:\n    def __init__(self, **arguments):\n        Path(__file__).with_name('ran').touch()\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "ran"


HOSTILE_PATHS = [
    "evilmod.Evil",
    "evilmod.nothing",
    "evilmod",
    ".Evil",
    "evilmod..Evil",
    "t2igan.__main__.main",
    "t2igan/../evilmod.Evil",
    "t2igan.evilmod.Evil",
    "t2igan_evilmod.Evil",
    "subprocess.Popen",
    "os.system",
    "builtins.eval",
    "builtins.exec",
    "posix.system",
    "torch.load",
    "torch.nn.Linear",
    "pickle.loads",
    "importlib.import_module",
    "runpy.run_path",
    "webbrowser.open",
    "antigravity.fly",
    "this.s",
    "t2igan.models.suite_module.load_module",
    "t2igan.cli.main.main",
    "t2igan.cli.doctor.Options",
    "t2igan.data.prepare.SplitCounts",
    "t2igan.models.damsm.Path",
    "t2igan.nn.config.importlib",
    "t2igan.nn.config.build",
    "__main__.x",
    "",
    None,
    3,
    ["evilmod", "Evil"],
    {"class_path": "evilmod.Evil", "init_args": {}},
]
PLACES = {
    "whole": lambda path, config: {"class_path": path, "init_args": {}},
    "argument": lambda path, config: {
        **config,
        "init_args": config["init_args"] | {"encoder": {"class_path": path, "init_args": {}}},
    },
    "deep": lambda path, config: {
        **config,
        "init_args": config["init_args"]
        | {"gammas": [{"a": [{"class_path": path, "init_args": {"args": "true"}}]}]},
    },
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("class_path", HOSTILE_PATHS, ids=str)
def test_nothing_foreign_is_built(damsm_checkpoint, tmp_path, evil, class_path, place):
    checkpoint = read_checkpoint(damsm_checkpoint)
    checkpoint["t2igan"]["config"] = PLACES[place](class_path, checkpoint["t2igan"]["config"])
    seal(checkpoint)
    torch.save(checkpoint, tmp_path / "hostile.ckpt")
    modules = set(sys.modules)
    with pytest.raises(UserError, match=r"hostile\.ckpt") as refused:
        load_module(tmp_path / "hostile.ckpt")
    assert "\n" not in str(refused.value)
    assert not evil.exists() and not {"evilmod", "antigravity", "this"} & (set(sys.modules) - modules)


class Run:
    """A pickle that runs something when it is loaded."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_nothing_in_a_pickle_is_run(damsm_checkpoint, tmp_path, evil):
    marker = str(tmp_path / "made")
    calls = [Run(open, marker, "w"), Run(exec, f"open({marker!r}, 'w')"), Run(__import__, "evilmod")]
    for number, call in enumerate(calls * 10):
        checkpoint = read_checkpoint(damsm_checkpoint)
        path = tmp_path / f"hostile{number}.ckpt"
        place = random.Random(number).choice(["state_dict", "loops", "callbacks", "t2igan"])
        checkpoint[place] = {**checkpoint[place], "more": call}
        if number % 2:
            torch.save(checkpoint, path)
        else:
            path.write_bytes(pickle.dumps(checkpoint))
        with pytest.raises(UserError, match=r"hostile\d+\.ckpt cannot be read as a checkpoint") as refused:
            load_module(path)
        assert "weights_only" not in str(refused.value)
    assert not evil.exists() and not (tmp_path / "made").exists()


def test_a_module_that_the_user_names_is_allowed(damsm_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(config, "_allowed", set())
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine_of_test.py").write_text(
        "from t2igan.models.damsm import SmallImageEncoder\nclass Mine(SmallImageEncoder):\n    pass\n"
    )
    checkpoint = read_checkpoint(damsm_checkpoint)
    arguments = checkpoint["t2igan"]["config"]["init_args"]
    arguments["image_encoder"]["class_path"] = "mine_of_test.Mine"
    seal(checkpoint)
    torch.save(checkpoint, tmp_path / "own.ckpt")
    with pytest.raises(UserError, match=r"mine_of_test\.Mine, which is not of the suite.*--allow mine_of_test"):
        load_module(tmp_path / "own.ckpt")
    assert "mine_of_test" not in sys.modules
    config.allow(["mine_of_test"])
    assert "mine_of_test" not in sys.modules, "allowing alone imports nothing"
    assert type(load_module(tmp_path / "own.ckpt").image_encoder).__module__ == "mine_of_test"
    with pytest.raises(UserError, match=r"no module 'nowhere_at_all': looked for nowhere_at_all\.py in .*"):
        config.allow(["nowhere_at_all"])


def test_weights_of_another_network_are_one_line(damsm_checkpoint, tmp_path):
    checkpoint = read_checkpoint(damsm_checkpoint)
    name, value = next(iter(checkpoint["state_dict"].items()))
    checkpoint["state_dict"][name] = value[:1]
    seal(checkpoint)
    torch.save(checkpoint, tmp_path / "other.ckpt")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserError, match=r"other\.ckpt: its weights do not fit its own config"):
            load_module(tmp_path / "other.ckpt")
