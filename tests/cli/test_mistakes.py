"""Mistakes of new users, and what is said to each: this test makes docs/mistakes.md and fails where it is not so.

``T2IGAN_WRITE_DOCS=1 python -m pytest tests/cli/test_mistakes.py`` writes the page anew.
"""

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from report_fixtures import make_record

from t2igan.cli.main import main
from t2igan.evaluation.record import append_record

PAGE = Path(__file__).parents[2] / "docs" / "mistakes.md"
HEAD = """# Mistakes and their error messages

Look up an error message that the command printed, or see which mistakes are checked.

`tests/cli/test_mistakes.py` types each of these commands, writes this page, and fails if the page is no longer
true. Each command prints one line and exits with code 2. Values out of range and damaged files are in
[bad input](bad-input.md). Long lines are cut.

| mistake | typed after `t2igan` | error message |
| --- | --- | --- |
"""
LONGEST = 300
ANY_YAML = "model:\n  class_path: SSAGAN\ndata:\n  class_path: DrawnBirds\n"
SSAGAN = """
model:
  class_path: SSAGAN
  init_args: {{damsm: "{damsm}", image_size: 16, channels: 4}}
data:
  class_path: DrawnBirds
  init_args: {{store: "{store}", image_size: 16, batch_size: 4, num_workers: 0}}
trainer: {{max_steps: 1, accelerator: cpu}}
"""
PREPARE = "prepare folder --images flowers --captions flowers.csv"
SAMPLE = "sample --checkpoint generator.ckpt --out drawn"
MATRIX = """folder: runs/plan
datasets:
  birds:
    store: birds.h5
    models: [mine.yaml]
    protocols: [drawn-birds/quick]
"""
SCORE = "evaluate --checkpoint generator.ckpt --store birds.h5"
MINE = "fit --config mine.yaml --run out"
Harm = Callable[[pytest.MonkeyPatch], Any]


@dataclass(frozen=True)
class Mistake:
    """A row of the table.

    Attributes:
        what: was done wrong.
        typed: behind ``t2igan``.
        says: must stand in the answer.
        harm: what is changed before, in a folder with everything in it.
    """

    what: str
    typed: str
    says: tuple[str, ...]
    harm: Harm | None = None


def not_installed(*names: str) -> Harm:
    """A package cannot be imported."""

    def hide(monkeypatch: pytest.MonkeyPatch) -> None:
        for name in names:
            for loaded in [*sys.modules]:
                if loaded == name or loaded.startswith(f"{name}."):
                    monkeypatch.setitem(sys.modules, loaded, None)
            monkeypatch.setitem(sys.modules, name, None)

    return hide


def written(file: str, text: str) -> Harm:
    """A file with this content."""
    return lambda _: Path(file).write_text(text)


def cuda_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first image does not fit."""
    from t2igan.evaluation.images.sampling import Sampler

    def sample(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total ...")

    monkeypatch.setattr(Sampler, "sample", sample)


def two_rows(_: pytest.MonkeyPatch) -> None:
    """A file of records."""
    for name in ("a", "b"):
        append_record("records.jsonl", make_record(name))


MISTAKES = [
    # words
    Mistake("a verb misspelt", "evalute --real", ("did you mean evaluate?",)),
    Mistake("an option misspelt", f"{SAMPLE} --captoin x", ("'captoin'", "did you mean caption?")),
    Mistake("a dash for an underscore", "prepare cub --image-size 64", ("did you mean image_size?",)),
    Mistake("an option without its value", "sample --checkpoint --out drawn", ("--checkpoint has no value",)),
    Mistake("a word for a number", f"{SAMPLE} --caption x --n two", ("--n takes a whole number, not 'two'",)),
    Mistake(
        "an option given twice", f"{SAMPLE} --caption x --caption y", ("--caption", "--captions takes several")
    ),
    Mistake("a choice misspelt", f"{SAMPLE} --caption x --overlay mask", ("did you mean masks?",)),
    Mistake("a caption without quotes", f"{SAMPLE} --caption a red bird", ("'red'", "in quotes")),
    Mistake("a required option forgotten", "evaluate --real", ("--protocol is missing", "--store is missing")),
    # data
    Mistake("a data set misspelt", "prepare cup", ("did you mean cub?",)),
    Mistake("CUB is not there", "prepare cub --root nowhere", ("nowhere", "unpack CUB_200_2011.tgz")),
    Mistake("COCO is not there", "prepare coco --root nowhere", ("nowhere",)),
    Mistake("captions forgotten", "prepare folder --images flowers", ("--captions is missing",)),
    Mistake("a folder misspelt", PREPARE.replace("flowers ", "flower "), ("flower",)),
    Mistake("a table misspelt", PREPARE.replace("flowers.csv", "flower.csv"), ("flower.csv",)),
    Mistake(
        "the table names other images",
        PREPARE,
        ("rose.png",),
        written("flowers.csv", "image,caption\nrose.png,a red rose\n"),
    ),
    Mistake(
        "the table has no first line",
        PREPARE,
        ("flowers.csv", "image"),
        written("flowers.csv", "0.png,a red rose\n"),
    ),
    Mistake("a raw data set for a store", f"{MINE} --data.store flowers.csv", ("flowers.csv",)),
    Mistake("nothing is prepared", "fit --config cub/ssagan", ("cub-256.h5 does not exist", "t2igan prepare")),
    # configuration
    Mistake("fit alone", "fit", ("--config is missing",)),
    Mistake("the configuration without --config", "fit cub/ssagan", ("--config is missing",)),
    Mistake("a configuration misspelt", "fit --config cub/ssagam", ("did you mean cub/ssagan?",)),
    Mistake(
        "wrong indentation",
        MINE,
        ("mine.yaml", "line 3"),
        written("mine.yaml", "model:\n  class_path: SSAGAN\n init_args:\n    channels: 4\n"),
    ),
    Mistake(
        "a tab in a YAML", MINE, ("mine.yaml", "line 2"), written("mine.yaml", "model:\n\tclass_path: SSAGAN\n")
    ),
    Mistake(
        "a key given twice",
        MINE,
        ("mine.yaml", "data"),
        written("mine.yaml", f"{ANY_YAML}data:\n  class_path: CUB\n"),
    ),
    Mistake(
        "a key at the wrong depth",
        MINE,
        ("'batch_size' is not an option", "under data.init_args"),
        written("mine.yaml", f"{ANY_YAML}batch_size: 4\n"),
    ),
    Mistake("a key of the trainer misspelt", f"{MINE} --trainer.max_step 9", ("did you mean trainer.max_steps?",)),
    Mistake("a key of the model misspelt", f"{MINE} --model.lr_genrator 1", ("did you mean lr_generator?",)),
    Mistake("a key of the data misspelt", f"{MINE} --data.batchsize 4", ("did you mean batch_size?",)),
    Mistake(
        "a key of a part that the YAML leaves out",
        f"{MINE} --model.generator.channels 4",
        ("model.generator", "set its class_path first"),
    ),
    Mistake("a class misspelt", f"{MINE} --model SSAGUN", ("did you mean SSAGAN?",)),
    Mistake(
        "a word for a number in a key", f"{MINE} --data.batch_size ten", ("batch_size", "a whole number, not ten")
    ),
    Mistake("a generator in the place of a DAMSM", f"{MINE} --model.damsm generator.ckpt", ("generator.ckpt",)),
    Mistake(
        "another model's checkpoint to go on from",
        f"{MINE} --ckpt_path damsm.ckpt",
        ("damsm.ckpt does not fit this model (it lacks generator.fc.weight and",),
    ),
    # machine
    Mistake(
        "a GPU that is not there", f"{SAMPLE} --caption bird --device cuda", ("--device: cuda is not available",)
    ),
    Mistake(
        "a GPU for training that is not there", f"{MINE} --trainer.accelerator gpu", ("no GPU", "remove the key")
    ),
    Mistake("the GPU's memory is full", f"{SAMPLE} --caption bird", ("memory", "smaller"), cuda_is_full),
    Mistake("Gradio is not installed", "demo", ("`pip install 't2igan[demo]'`",), not_installed("gradio")),
    Mistake(
        "wandb is not installed",
        f"{MINE} --trainer.logger WandbLogger",
        ("pip install wandb",),
        not_installed("wandb"),
    ),
    Mistake(
        "Ray is not installed", "benchmark plan.yaml --launcher ray", ("pip install", "ray"), not_installed("ray")
    ),
    # checkpoints
    Mistake(
        "a checkpoint misspelt", "sample --checkpoint last.ckpt --caption x --out y", ("no checkpoint at last",)
    ),
    Mistake(
        "a name of the zoo misspelt",
        "sample --checkpoint zoo:drawn-birds/ssagn --caption x --out y",
        ("did you mean zoo:drawn-birds/ssagan?",),
    ),
    Mistake(
        "a DAMSM to draw with", "sample --checkpoint damsm.ckpt --caption x --out y", ("DAMSM", "give a generator")
    ),
    Mistake("a folder that is no run", "sample --checkpoint flowers --caption x --out y", ("flowers",)),
    Mistake("a GAN to caption with", "caption --checkpoint generator.ckpt --images flowers", ("SSAGAN", "STREAM")),
    # use
    Mistake("no caption", SAMPLE, ("--caption",)),
    Mistake("a file of captions that is not there", f"{SAMPLE} --captions mine.txt", ("mine.txt", "one caption")),
    Mistake("a caption of unknown words", f"{SAMPLE} --caption xyzzy", ("xyzzy",)),
    Mistake("one caption to interpolate", f"{SAMPLE} --interpolate bird", ("--interpolate", "two captions")),
    Mistake("attention of a model without", f"{SAMPLE} --caption bird --overlay attention", ("no attention",)),
    Mistake("a file for a folder", SAMPLE.replace("drawn", "plan.yaml") + " --caption bird", ("plan.yaml",)),
    # scores
    Mistake("a protocol misspelt", f"{SCORE} --protocol cub/ssagn", ("did you mean cub/ssagan?",)),
    Mistake("another data set's protocol", f"{SCORE} --protocol cub/small", ("cub",)),
    Mistake("a store that is not there", "evaluate --real --protocol cub/small --store x.h5", ("t2igan prepare",)),
    Mistake("nothing to score", "evaluate --protocol drawn-birds/quick --store birds.h5", ("--checkpoint",)),
    Mistake(
        "a network forgotten", "evaluate --real --protocol drawn-birds/zoo --store birds.h5", ("--damsm", "missing")
    ),
    Mistake(
        "a GAN for a DAMSM",
        "evaluate --real --protocol drawn-birds/zoo --store birds.h5 --damsm generator.ckpt",
        ("generator.ckpt", "DAMSM"),
    ),
    Mistake("a model of another size", f"{SCORE} --protocol drawn-birds/zoo --skip_missing", ("64 px",)),
    Mistake(
        "images of other names",
        "evaluate --images flowers --protocol drawn-birds/zoo --store birds.h5 --skip_missing",
        ("flowers",),
    ),
    Mistake("a report of nothing", "report flowers", ("flowers",)),
    # plans, weights
    Mistake("a plan misspelt", "benchmark quikstart", ("did you mean quickstart?",)),
    Mistake("a launcher misspelt", "benchmark plan.yaml --launcher slrum", ("slrum", "slurm")),
    Mistake("a key of a plan misspelt", "benchmark plan.yaml", ("sede",), written("plan.yaml", "sede: 1\n")),
    Mistake("released weights that are not there", "import netG.pth --out a.ckpt", ("netG.pth",)),
    Mistake("no released weights", "import plan.yaml --out a.ckpt", ("plan.yaml",)),
    Mistake("to export onto itself", "export generator.ckpt --out generator.ckpt", ("overwritten",)),
    Mistake("something unknown to the doctor", "doctor cup", ("cup", "cub")),
    Mistake("something unknown to list", "list model", ("models",)),
    # more plans
    Mistake(
        "a plan's configuration that is not there",
        "benchmark plan.yaml",
        ("plan.yaml", "yours.yaml"),
        written("plan.yaml", MATRIX.replace("mine.yaml", "yours.yaml")),
    ),
    Mistake(
        "a plan's protocol misspelt",
        "benchmark plan.yaml",
        ("did you mean drawn-birds/quick?",),
        written("plan.yaml", MATRIX.replace("quick", "quik")),
    ),
    Mistake(
        "a key of a plan's data set misspelt",
        "benchmark plan.yaml",
        ("plan.yaml", "datasets.birds.protocol", "did you mean protocols?"),
        written("plan.yaml", MATRIX.replace("protocols", "protocol")),
    ),
    Mistake(
        "a key of a grid misspelt",
        "benchmark plan.yaml",
        ("plan.yaml", "did you mean lr_generator?"),
        written("plan.yaml", MATRIX + "grid: {model.lr_genrator: [0.1]}\n"),
    ),
    Mistake(
        "one value for a grid",
        "benchmark plan.yaml",
        ("grid.model.lr_generator", "not a list"),
        written("plan.yaml", MATRIX + "grid: {model.lr_generator: 0.1}\n"),
    ),
    Mistake(
        "one seed for a list of them",
        "benchmark plan.yaml",
        ("seeds: 3 is not a list",),
        written("plan.yaml", MATRIX + "seeds: 3\n"),
    ),
    Mistake(
        "an option of a plan's scores misspelt",
        "benchmark plan.yaml",
        ("plan.yaml", "did you mean skip_missing?"),
        written("plan.yaml", MATRIX + "evaluate: {skip_mising: true}\n"),
    ),
    Mistake(
        "a plan's data set misspelt",
        "benchmark plan.yaml",
        ("plan.yaml", "did you mean drawn-birds?"),
        written("plan.yaml", MATRIX + "    prepare: drawn-bird --image_size 32\n"),
    ),
    Mistake(
        "a given checkpoint that is not there",
        "benchmark plan.yaml",
        ("given: x.ckpt does not exist",),
        written("plan.yaml", MATRIX + "    given: [x.ckpt]\n"),
    ),
    Mistake(
        "a word for a plan's number of jobs",
        "benchmark plan.yaml",
        ("jobs is 'two'",),
        written("plan.yaml", MATRIX + "launcher: {jobs: two}\n"),
    ),
    Mistake(
        "a verb of a plan's step misspelt",
        "benchmark plan.yaml",
        ("plan.yaml", "did you mean list?"),
        written("plan.yaml", "folder: runs/plan\nsteps:\n  - {name: a, run: lst models}\n"),
    ),
    # the right thing in the wrong place
    Mistake("a configuration for a plan", "benchmark mine.yaml", ("t2igan fit --config mine.yaml",)),
    Mistake("a plan for a configuration", "fit --config plan.yaml", ("t2igan benchmark plan.yaml",)),
    Mistake("a plan to profile", "profile --config plan.yaml", ("t2igan benchmark plan.yaml",)),
    Mistake(
        "a protocol for a configuration",
        "fit --config plan.yaml",
        ("t2igan evaluate --protocol plan.yaml",),
        written("plan.yaml", "dataset: drawn-birds\nimage_size: 32\nimages: 9\nmetrics: [{name: r-precision}]\n"),
    ),
    Mistake("a configuration for a protocol", f"{SCORE} --protocol mine.yaml", ("mine.yaml describes a training",)),
    Mistake(
        "store and checkpoint swapped",
        "evaluate --checkpoint birds.h5 --store generator.ckpt --protocol drawn-birds/quick",
        ("generator.ckpt: not an HDF5 file",),
    ),
    Mistake(
        "store and DAMSM swapped",
        f"{MINE} --data.store damsm.ckpt --model.damsm birds.h5",
        ("birds.h5 cannot be read as a checkpoint",),
    ),
    Mistake(
        "images and captions swapped", "prepare folder --images flowers.csv --captions flowers", ("no such folder",)
    ),
    Mistake("a folder for the store to write", f"{PREPARE} --out flowers", ("is a folder", ".h5")),
    Mistake("a checkpoint for a configuration", "fit --config generator.ckpt", ("generator.ckpt", "too large")),
    Mistake("a folder for a DAMSM", f"{MINE} --model.damsm flowers", ("flowers is a folder",)),
    Mistake(
        "a folder for the records", f"{SCORE} --protocol drawn-birds/quick --records flowers", ("is a folder",)
    ),
    Mistake("a store to report", "report birds.h5", ("birds.h5: holds no records",)),
    Mistake("a folder to export to", "export generator.ckpt --out flowers", ("flowers is a folder",)),
    Mistake(
        "ONNX under another name",
        "export generator.ckpt --to onnx --out a.pth",
        ("a.pth must end in .onnx",),
    ),
    Mistake(
        "weights of the zoo to go on from",
        f"{MINE} --ckpt_path zoo:drawn-birds/ssagan",
        ("holds averaged weights",),
    ),
    Mistake(
        "a name of the zoo without zoo:",
        "sample --checkpoint drawn-birds/ssagan --caption x --out y",
        ("did you mean zoo:drawn-birds/ssagan?",),
    ),
    Mistake("nothing trained to validate", "validate --config mine.yaml --run out", ("holds no checkpoint",)),
    # words of the Trainer, and hyphens
    Mistake("a word for the devices", f"{MINE} --trainer.devices many", ("trainer.devices is 'many'",)),
    Mistake("an accelerator misspelt", f"{MINE} --trainer.accelerator gpuu", ("did you mean gpu?",)),
    Mistake("a strategy misspelt", f"{MINE} --trainer.strategy dpp", ("did you mean ddp?",)),
    Mistake("a precision misspelt", f"{MINE} --trainer.precision bf61", ("bf16-mixed", "not bf61")),
    Mistake("a logger misspelt", f"{MINE} --trainer.logger WanbLogger", ("did you mean WandbLogger?",)),
    Mistake("a preset of levers misspelt", f"{MINE} --speed fats", ("did you mean fast?",)),
    Mistake("one number for two", f"{MINE} --model.betas 3", ("a list such as [1, 2], not 3",)),
    Mistake("one hyphen for two", "fit -config mine.yaml", ("did you mean --config?",)),
    Mistake(
        "a dash that a text processor made",
        "sample \N{EM DASH}checkpoint generator.ckpt --caption x --out y",
        ("did you mean --checkpoint?",),
    ),
    # a protocol of one's own
    Mistake(
        "a metric of a protocol misspelt",
        f"{SCORE} --protocol plan.yaml",
        ("'r-precison' is not one of",),
        written("plan.yaml", "dataset: drawn-birds\nimage_size: 32\nimages: 9\nmetrics: [{name: r-precison}]\n"),
    ),
    Mistake(
        "an option of a protocol's metric misspelt",
        f"{SCORE} --protocol plan.yaml",
        ("did you mean candidates?",),
        written(
            "plan.yaml",
            "dataset: drawn-birds\nimage_size: 32\nimages: 9\nmetrics: [{name: r-precision, candidats: 5}]\n",
        ),
    ),
    Mistake("one row to compare", "report records.jsonl --compare a", ("names of two rows",), two_rows),
    Mistake(
        "a row to compare misspelt",
        "report records.jsonl --compare a c",
        ("no row 'c'; choose from a, b",),
        two_rows,
    ),
]


@pytest.fixture
def everything(checkpoints, tmp_path, monkeypatch):
    """A folder with a store, checkpoints, images, captions, a configuration and a plan, in which one types."""
    monkeypatch.chdir(tmp_path)
    Path("birds.h5").symlink_to(checkpoints.store)
    for name in ("generator", "damsm"):
        Path(f"{name}.ckpt").symlink_to(getattr(checkpoints, name))
    Path("flowers").mkdir()
    for number in range(3):
        Image.fromarray(np.full((90, 90, 3), 80 * number, np.uint8)).save(f"flowers/{number}.png")
    Path("flowers.csv").write_text("image,caption\n" + "".join(f"{n}.png,a red rose\n" for n in range(3)))
    Path("mine.yaml").write_text(SSAGAN.format(damsm="damsm.ckpt", store="birds.h5"))
    Path("plan.yaml").write_text("folder: runs/plan\nsteps:\n  - {name: a, run: list models}\n")


def answered(capsys: pytest.CaptureFixture, typed: str) -> str:
    """The one line that is answered."""
    with pytest.raises(SystemExit) as stop:
        main(shlex.split(typed))
    told = capsys.readouterr().err.replace("Seed set to 0\n", "")
    assert stop.value.code == 2, told
    assert len(told.strip().splitlines()) == 1, told
    return told.strip()


def row(mistake: Mistake, line: str) -> str:
    """Of the page; without what differs between machines."""
    line = line.replace(str(Path(__file__).parents[2]), "").replace(str(Path.cwd()), "").replace("|", r"\|")
    shown = line if len(line) <= LONGEST else line[:LONGEST].rsplit(" ", 1)[0] + " ..."
    return f"| {mistake.what} | `{mistake.typed}` | {shown} |"


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda each: each.what.replace(" ", "-"))
@pytest.mark.usefixtures("everything")
def test_a_mistake_is_answered_by_one_line(mistake, capsys, monkeypatch, pytestconfig):
    if "GPU" in mistake.what and "not there" in mistake.what and torch.cuda.is_available():
        pytest.skip("a GPU is there")
    if mistake.harm:
        mistake.harm(monkeypatch)
    line = answered(capsys, mistake.typed)
    assert all(part in line for part in mistake.says), line
    pytestconfig.stash.setdefault(ROWS, {})[mistake.what] = row(mistake, line)
    if not os.environ.get("T2IGAN_WRITE_DOCS"):
        assert row(mistake, line) in PAGE.read_text().splitlines()


ROWS: pytest.StashKey[dict[str, str]] = pytest.StashKey()


def test_the_page_holds_each_mistake_once(pytestconfig):
    rows = pytestconfig.stash.get(ROWS, {})
    if os.environ.get("T2IGAN_WRITE_DOCS") and len(rows) == len(MISTAKES):
        PAGE.write_text(HEAD + "".join(f"{rows[each.what]}\n" for each in MISTAKES))
    page = [line.split(" | ")[0] for line in PAGE.read_text().split("| --- |", 1)[1].splitlines()[1:]]
    assert page == [f"| {each.what}" for each in MISTAKES] and len(page) >= 100
