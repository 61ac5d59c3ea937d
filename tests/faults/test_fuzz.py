"""Every reader and every verb on input that hypothesis harmed: one line, exit code 2, soon, in little memory.

About 1,600 cases in CI; ``make fuzz`` tries twenty times as many, other ones each time, in 40 minutes on one core.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from bad_input import outcome_of
from harming import BYTES, VALUES, Harm, bytes_of, json_of, lines_of, pickle_of, yaml_of
from harness import LONG, times
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from t2igan.models.digest import seal

PREPARE = ("--image_size", "32", "--out", "out/out.h5", "--workers", "1")
CUB = ("prepare", "cub", "--root", "cub", *PREPARE)
COCO = ("prepare", "coco", "--root", "coco", *PREPARE)
OWN = ("prepare", "folder", "--images", "own", *PREPARE, "--captions")
DRAW = ("sample", "--caption", "a red bird", "--n", "1", "--out", "out", "--checkpoint")
SCORE = ("evaluate", "--checkpoint", "none.ckpt", "--store", "store.h5", "--protocol", "protocol.yaml")
CAPTION = ("caption", "--checkpoint", "stream.ckpt", "--images", "own", "--out", "out/captions.jsonl")
FOLDER = ("evaluate", "--images", "own", *SCORE[3:], "--damsm", "damsm.ckpt", "--skip_missing", "true")
FOLDER += ("--coverage", "0", "--cache", "none", "--records", "out/records.jsonl")
DRY = ("benchmark", "steps.yaml", "--dry_run", "true")
AGAIN = ("fit", "--config", "ssagan.yaml", "--run", "runs/ssagan", "--trainer.max_steps", "2")
LIGHTNING = ("--config", "ssagan.yaml", "--run", "out", "--ckpt_path", "ssagan.ckpt")


@dataclass(frozen=True)
class Target:
    """A file that is harmed, and the command that reads it.

    Attributes:
        file: the file.
        harmer: makes harmed bytes of it.
        words: the command.
        cases: in CI.
        harms: how it is harmed.
        names: what the line may name beside the file.
    """

    file: str
    harmer: Callable[[str], Callable[[Harm], bytes]]
    words: tuple[str, ...]
    cases: int
    harms: st.SearchStrategy[Harm] = BYTES
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{' '.join(self.words[:2])}: {self.harmer.__name__.replace('_', ' ')} {self.file}"


def checkpoint_of(file: str) -> Callable[[Harm], bytes]:
    """Harms what a checkpoint says of itself and seals it again, as somebody would who wants it to be believed."""
    content = torch.load(file, weights_only=True)
    del content["optimizer_states"]  # half of the tensors, and half of the time; what draws does not need them

    def harmed(harm: Harm) -> bytes:
        own = harm.to_value({key: value for key, value in content["t2igan"].items() if key != "digest"})
        whole = {**content, "t2igan": own}
        if isinstance(own, dict):
            seal(whole)
        torch.save(whole, "harmed.tmp")
        return Path("harmed.tmp").read_bytes()

    return harmed


TARGETS = [
    Target("ssagan.ckpt", bytes_of, (*DRAW, "ssagan.ckpt"), 60),
    Target("ssagan.ckpt", checkpoint_of, (*DRAW, "ssagan.ckpt"), 100, VALUES),
    Target("ssagan.safetensors", bytes_of, (*DRAW, "ssagan.safetensors"), 60),
    Target("ssagan.ckpt", bytes_of, ("export", "ssagan.ckpt", "--out", "out/g.pth"), 20),
    Target("released.pth", bytes_of, ("import", "released.pth", "--out", "out/i.ckpt"), 60),
    Target(
        "captions.pickle",
        bytes_of,
        ("import", "released.pth", "--captions_pickle", "captions.pickle", "--out", "out/i"),
        60,
    ),
    Target(
        "captions.pickle",
        pickle_of,
        ("import", "released.pth", "--captions_pickle", "captions.pickle", "--out", "out/i"),
        40,
        VALUES,
    ),
    Target(
        "captions.txt",
        bytes_of,
        ("sample", "--checkpoint", "ssagan.safetensors", "--out", "out", "--n", "1", "--captions", "captions.txt"),
        25,
        names=("caption",),
    ),
    Target(
        "store.h5",
        bytes_of,
        (*SCORE[:2], "ssagan.ckpt", "--store", "store.h5", "--protocol", "none.yaml"),
        20,
        names=("none.yaml",),
    ),
    Target(
        "store.h5", bytes_of, ("profile", "loader", "--store", "store.h5", "--count", "8", "--batch_size", "4"), 80
    ),
    Target("protocol.yaml", bytes_of, SCORE, 60, names=("none.ckpt",)),
    Target("protocol.yaml", yaml_of, SCORE, 100, VALUES, names=("none.ckpt",)),
    Target(
        "plan.yaml",
        bytes_of,
        ("benchmark", "plan.yaml", "--dry_run", "true"),
        50,
        names=("store", "protocol", "needs", "does not exist", "no such file"),
    ),
    Target(
        "plan.yaml",
        yaml_of,
        ("benchmark", "plan.yaml", "--dry_run", "true"),
        100,
        VALUES,
        names=("store", "protocol", "needs", "does not exist", "no such file"),
    ),
    Target("steps.yaml", yaml_of, DRY, 60, VALUES),
    *(Target("planned/plan.json", each, DRY, 30, harms) for each, harms in ((bytes_of, BYTES), (json_of, VALUES))),
    Target("runs/ssagan/metrics.csv", bytes_of, AGAIN, 4),
    Target("runs/ssagan/config.yaml", yaml_of, AGAIN, 6, VALUES),
    Target("records.jsonl", lines_of, ("report", "records.jsonl", "--out", "out", "--html", "false"), 60, VALUES),
    Target("records.jsonl", bytes_of, ("report", "records.jsonl", "--out", "out", "--html", "false"), 30),
    Target("records.jsonl", lines_of, ("report", "records.jsonl", "--out", "out"), 30, VALUES),
    Target("stream.ckpt", bytes_of, CAPTION, 15),
    Target("stream.ckpt", checkpoint_of, CAPTION, 25, VALUES),
    Target("own/0.png", bytes_of, CAPTION, 20),
    Target("own/0.png", bytes_of, FOLDER, 15, names=("own",)),
    *(Target("ssagan.ckpt", bytes_of, (verb, *LIGHTNING), 2) for verb in ("validate", "test", "predict")),
    Target("coco/annotations/captions_train2017.json", json_of, COCO, 80, VALUES, names=("coco", "out.h5")),
    Target("coco/annotations/captions_train2017.json", bytes_of, COCO, 30, names=("coco", "out.h5")),
    Target("coco/train2017/000000000002.jpg", bytes_of, (*COCO, "--strict", "true"), 20),
    Target("own/captions.csv", bytes_of, (*OWN, "own/captions.csv"), 40, names=("own",)),
    Target("own/captions.jsonl", lines_of, (*OWN, "own/captions.jsonl"), 50, VALUES, names=("own",)),
    Target("cub/train/filenames.pickle", pickle_of, CUB, 25, VALUES, names=("cub", "out.h5")),
    Target("cub/train/class_info.pickle", pickle_of, CUB, 25, VALUES, names=("cub", "out.h5")),
    Target("cub/train/class_info.pickle", bytes_of, CUB, 20, names=("cub", "out.h5")),
    Target("cub/CUB_200_2011/bounding_boxes.txt", bytes_of, CUB, 20, names=("cub",)),
    Target(
        "ssagan.yaml",
        yaml_of,
        ("fit", "--config", "ssagan.yaml", "--run", "out", "--trainer.max_steps", "2"),
        24,
        VALUES,
        names=("init_args", "model", "data", "trainer", "class", ":"),
    ),
]


@pytest.fixture(scope="module")
def workshop(all_good: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the good input, the current folder; whoever harms a file brings it back."""
    before, folder = Path.cwd(), tmp_path_factory.mktemp("fuzz") / "good"
    shutil.copytree(all_good, folder)
    os.chdir(folder)
    yield folder
    os.chdir(before)


def fuzz(cases: int, strategy: st.SearchStrategy, attempt: Callable[[Any], str], probe: Any) -> None:
    """Try cases, the same ones each time in CI; a fault is shown by the smallest input that has it."""

    @settings(
        max_examples=times(cases, 20 * cases),
        derandomize=not LONG,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def one(given_: Any) -> None:
        fault = attempt(given_)
        probe.note(not fault, f"{given_}: {fault}")
        assert not fault, fault

    one()


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_a_harmed_file_is_one_line(target: Target, workshop: Path, tally: Callable):
    whole, harmer = Path(target.file).read_bytes(), target.harmer(target.file)

    def attempt(harm: Harm) -> str:
        shutil.rmtree("out", ignore_errors=True)
        Path("out").mkdir()
        Path(target.file).write_bytes(harmer(harm))
        try:
            return outcome_of(*target.words).fault(
                (target.file, Path(target.file).name, *target.names), may_work=True
            )
        finally:
            Path(target.file).write_bytes(whole)

    fuzz(target.cases, target.harms, attempt, tally("harmed files: one line, exit 2, under 10 s, under 1 GB"))


OPTIONS = [
    (
        ("sample", "--checkpoint", "ssagan.safetensors", "--caption", "a red bird", "--out", "out"),
        ("n", "seed", "overlay", "weights", "device", "caption", "captions", "checkpoint", "allow"),
    ),
    (
        SCORE,
        (
            "batch_size",
            "seed",
            "device",
            "weights",
            "protocol",
            "store",
            "damsm",
            "classifier",
            "images",
            "pattern",
        ),
    ),
    (
        CUB,
        ("split", "image_size", "captions_per_image", "captions_pickle", "encoding", "workers", "strict", "root"),
    ),
    (COCO, ("year", "classes", "karpathy", "split", "captions_per_image", "root")),
    ((*OWN, "own/captions.csv"), ("split", "seed", "classes", "captions_per_image", "captions", "images")),
    (("export", "ssagan.ckpt", "--out", "out/x"), ("part", "weights")),
    (("import", "released.pth", "--out", "out/x"), ("kind", "beside", "captions_pickle", "legacy_mask")),
    (
        ("profile", "loader", "--store", "store.h5", "--count", "4", "--batch_size", "4"),
        ("images", "device", "store"),
    ),
    (("doctor", "packages"), ("datasets", "checkpoints")),
    (("report", "records.jsonl", "--out", "out", "--html", "false"), ("runs",)),
]
GIVEN = st.sampled_from(
    [
        "",
        "-1",
        "0",
        "nan",
        "1e99",
        "x",
        "[]",
        "{}",
        "null",
        "true",
        "a\0b",
        "\udcff",
        "../x",
        "é",
        ".",
        "[1,2]",
        "a: b: c",
        "9" * 400,
    ]
)


@pytest.mark.parametrize(("words", "options"), OPTIONS, ids=lambda each: " ".join(each[:2]) if each else "")
def test_a_strange_option_is_one_line(words, options, workshop: Path, tally: Callable):
    def attempt(option: tuple[str, str]) -> str:
        shutil.rmtree("out", ignore_errors=True)
        Path("out").mkdir()
        return outcome_of(*words, f"--{option[0]}", option[1]).fault(may_work=True, missing=words[0] == "doctor")

    probe = tally("strange options: one line, exit 2, under 10 s, under 1 GB")
    fuzz(14, st.tuples(st.sampled_from(options), GIVEN), attempt, probe)
