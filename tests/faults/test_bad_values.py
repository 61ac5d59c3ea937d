"""The table of bad input in docs/bad-input.md: this test makes it, and fails where the table is not what happens.

``T2IGAN_WRITE_DOCS=1 python -m pytest tests/faults/test_bad_values.py`` writes it anew.
"""

import json
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from bad_input import outcome_of
from PIL import Image

from t2igan.models.digest import seal

PAGE = Path(__file__).parents[2] / "docs" / "bad-input.md"
HEAD = """# Bad input and its error messages

Look up the error message of a bad value or a damaged file, or see what the suite checks.

`tests/faults/test_bad_values.py` gives each input to the command, writes this page, and fails if the page is no
longer true. Each input ends with one line that names the file or key and with exit code 2, within 10 seconds and
1 GB. Long lines are cut.

`make fuzz` damages the input of every reader and command at random with hypothesis, in about 40 minutes on one
core. The long runs of 2026-11-22:

| run | cases | faults |
| --- | --- | --- |
| all 49 kinds of damage | 27,460 | 7, one each in 7 kinds |
| six of these seven kinds, with other cases | 3,570 | none |
| the YAML of `fit --config`, up to 480 cases at a time | | 5, see below |
| the YAML of `fit --config`, three more times | 1,440 | none |
| 33 of then 59 kinds of damage, then stopped | 27,467 | 1: a form feed in a file of captions, quoted as it was |

The 5 faults were no `image_sizes`, `trainer: true`, `store: null`, `data: '{}'` and `log_every_n_steps: 0`. All
faults are fixed.

| input | line |
| --- | --- |
"""
FIT = ("fit", "--config", "ssagan.yaml", "--run", "out")
DAMSM_FIT = ("fit", "--config", "damsm.yaml", "--run", "out")
STREAM_FIT = ("fit", "--config", "stream.yaml", "--run", "out")
DRAW = ("sample", "--checkpoint", "ssagan.ckpt", "--caption", "a red bird", "--out", "out")
SCORE = ("evaluate", "--checkpoint", "ssagan.ckpt", "--store", "store.h5", "--protocol")
CUB = ("prepare", "cub", "--root", "cub", "--image_size", "32", "--out", "out.h5")
COCO = ("prepare", "coco", "--root", "coco", "--image_size", "32", "--out", "out.h5")
OWN = (
    "prepare",
    "folder",
    "--images",
    "own",
    "--captions",
    "own/captions.csv",
    "--image_size",
    "32",
    "--out",
    "out.h5",
)


def value(words: tuple[str, ...], option: str, given: object, name: str | None = None) -> tuple:
    """A row of one option with a bad value."""
    verb = " ".join(words[: 1 + (words[0] in ("prepare", "profile"))])
    label = f"`{verb} {option} {given}`"
    pairs = zip((None, *words), words)
    others = [word for before, word in pairs if option not in (before, word)]  # an option may be given once
    return label, None, (*others, option, str(given)), (name or option.rpartition(".")[2].lstrip("-"),)


def text(file: str, content: str | bytes) -> Callable[[], None]:
    """Writes a file."""
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return lambda: Path(file).write_bytes(data)


def changed(file: str, pattern: str, by: str) -> Callable[[], None]:
    """Changes a file in one place."""

    def harm() -> None:
        before = Path(file).read_text()
        after = re.sub(pattern, by, before, count=1)
        assert after != before
        Path(file).write_text(after)

    return harm


def pickled(file: str, content: object) -> Callable[[], None]:
    """Writes a pickle."""
    return lambda: Path(file).write_bytes(pickle.dumps(content, protocol=2))


def metadata(name: str, change: Callable[[list], list]) -> Callable[[], None]:
    """Changes a pickle of the drawn birds' training images."""
    file = Path(f"cub/train/{name}.pickle")
    return lambda: file.write_bytes(pickle.dumps(change(pickle.loads(file.read_bytes())), protocol=2))


def hyperparameter(file: str, name: str, given: object) -> Callable[[], None]:
    """Changes what a checkpoint says of itself, and seals it again."""

    def harm() -> None:
        content = torch.load(file, weights_only=True)
        arguments = content["t2igan"]["config"]["init_args"]
        assert name in arguments
        arguments[name] = given
        seal(content)
        torch.save(content, file)

    return harm


def first_image(image: Image.Image) -> Callable[[], None]:
    """Puts another image in the place of the first of one's own."""
    return lambda: image.save("own/0.png", format="TIFF")


def checkpoint(change: Callable[[dict], object]) -> Callable[[], None]:
    """Changes a checkpoint and seals it again, as somebody would who wants it to be believed."""

    def harm() -> None:
        from t2igan.models.digest import seal

        content = torch.load("ssagan.ckpt", weights_only=True)
        change(content)
        if isinstance(content.get("t2igan"), dict):
            seal(content)
        torch.save(content, "ssagan.ckpt")

    return harm


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{this}: &{this} [{', '.join([f'*{before}'] * 9)}]\n" for before, this in zip("abcdefgh", "bcdefghi")
)
DATA, MODEL = "--data.init_args", "--model.init_args"
VALUES = [
    value(FIT, f"{DATA}.batch_size", 0),
    value(FIT, f"{MODEL}.discriminators", "[]"),
    value(FIT, f"{DATA}.batch_size", -4),
    value(FIT, f"{DATA}.eval_batch_size", 0),
    value(FIT, f"{DATA}.num_workers", -2),
    value(FIT, f"{DATA}.words", 0),
    value(FIT, f"{DATA}.eval_words", 0),
    value(FIT, f"{DATA}.image_size", 33),
    value(FIT, f"{DATA}.image_size", 0),
    value(FIT, f"{DATA}.seed", -1),
    value(FIT, f"{MODEL}.seed", -1),
    value(FIT, f"{MODEL}.accumulate", 0),
    value(FIT, f"{MODEL}.lr_generator", ".nan"),
    value(FIT, f"{MODEL}.lr_discriminator", -1),
    value(FIT, f"{MODEL}.ema_decay", 2.0),
    value(FIT, f"{MODEL}.generator.init_args.channels", 0),
    value(FIT, f"{MODEL}.generator.init_args.image_size", 33),
    value(FIT, f"{MODEL}.generator.init_args.sentence_dim", 17),
    value(FIT, f"{MODEL}.generator.init_args.noise_dim", 0),
    value(FIT, f"{MODEL}.generator.init_args.mask_channels", 0),
    value(FIT, f"{MODEL}.image_size", 33),
    value(FIT, f"{MODEL}.channels", 0),
    value(DAMSM_FIT, f"{MODEL}.image_encoder.init_args.dim", 0),
    value(DAMSM_FIT, f"{MODEL}.image_encoder.init_args.dim", 15),
    value(DAMSM_FIT, f"{MODEL}.image_encoder.init_args.channels", 0),
    value(DAMSM_FIT, f"{MODEL}.image_encoder.init_args.image_size", 7),
    value(FIT, "--trainer.max_steps", -5),
    value(FIT, "--trainer.max_epochs", -5),
    value(FIT, "--trainer.log_every_n_steps", 0),
    value(FIT, "--trainer.limit_val_batches", -1),
    value(FIT, "--trainer.devices", 0),
    value(FIT, "--trainer.precision", "17"),
    value(FIT, "--seed_everything", -1),
    value(FIT, "--ckpt_path", "ssagan.yaml", "ssagan.yaml"),
    value(FIT, "--nothing", 1),
    value(DRAW, "--n", 0),
    value(DRAW, "--seed", -1),
    value(DRAW, "--device", "nowhere"),
    value(DRAW, "--caption", "xyzzy", "caption"),
    value(DRAW, "--checkpoint", "a\0b", "--checkpoint"),
    value(OWN, "--images", "a\0b", "--images"),
    value((*SCORE, "protocol.yaml"), "--batch_size", 0),
    value((*SCORE, "protocol.yaml"), "--batch_size", -1),
    value((*SCORE, "protocol.yaml"), "--seed", -1),
    value(CUB, "--image_size", 0),
    value(CUB, "--image_size", -8),
    value(CUB, "--captions_per_image", 0),
    value(CUB, "--captions_per_image", -1),
    value(CUB, "--workers", -1),
    value(COCO, "--captions_per_image", 0),
    value(OWN, "--split", 1.5),
    value(("profile", "loader", "--store", "store.h5"), "--count", -1),
    value(("profile", "loader", "--store", "store.h5"), "--batch_size", 0),
    value(("profile", "loader", "--store", "store.h5"), "--workers", -1),
]
NEVER = "{class_path: SampleGrid, init_args: {every_n_steps: 0}}"
ABSURD = [
    value(FIT, f"{DATA}.batch_size", 10**9),
    value(FIT, f"{DATA}.batch_size", 10**30),
    value(FIT, f"{DATA}.num_workers", 10**5),
    value(FIT, f"{DATA}.image_size", 10**6),
    value(FIT, f"{DATA}.val_classes", -1),
    value(FIT, f"{DATA}.seed", 10**30),
    value(FIT, f"{MODEL}.seed", 10**30),
    value(FIT, f"{MODEL}.image_size", 10**6),
    value(FIT, f"{MODEL}.accumulate", 10**30),
    value(FIT, f"{MODEL}.generator.init_args.channels", 10**6),
    value(FIT, f"{MODEL}.generator.init_args.noise_dim", 10**9),
    value(FIT, f"{MODEL}.generator.init_args.image_size", 10**6),
    value(DAMSM_FIT, f"{MODEL}.image_encoder.init_args.dim", 10**6),
    value(DAMSM_FIT, f"{MODEL}.image_encoder.init_args.channels", 10**6),
    value(DAMSM_FIT, f"{MODEL}.dropout", 1.5),
    value(STREAM_FIT, f"{MODEL}.hidden_dim", 10**6),
    value(STREAM_FIT, f"{MODEL}.max_words", 0),
    value(FIT, "--trainer.max_steps", 10**30),
    value(FIT, "--trainer.max_epochs", 10**30),
    value(FIT, "--trainer.log_every_n_steps", 10**30),
    value(FIT, "--trainer.num_sanity_val_steps", -2),
    value(FIT, "--trainer.limit_val_batches", 10**30),
    value(FIT, "--trainer.devices", 10**5),
    value(FIT, "--trainer.num_nodes", 10**30),
    value(FIT, "--seed_everything", 10**30),
    (
        "a sample sheet every 0 steps",
        changed("ssagan.yaml", r"trainer: \{", f"trainer: {{callbacks: [{NEVER}], "),
        FIT,
        ("every_n_steps",),
    ),
    value(DRAW, "--n", 10**9),
    value(DRAW, "--seed", 10**30),
    value((*SCORE, "protocol.yaml"), "--seed", 10**30),
    value(CUB, "--image_size", 10**6),
    value(CUB, "--workers", 10**5),
    value(OWN, "--seed", 10**30),
    value(("export", "ssagan.ckpt", "--out", "out.onnx", "--to", "onnx"), "--words", 10**9),
    value(("profile", "loader", "--store", "store.h5"), "--workers", 10**5),
    value(("profile", "loader", "--store", "store.h5"), "--batch_size", 10**30),
]
FILES = [
    ("YAML in UTF-16", text("ssagan.yaml", "model: {}\n".encode("utf-16")), FIT, ("ssagan.yaml",)),
    ("YAML of aliases that stand for 400 million values", text("ssagan.yaml", BOMB), FIT, ("ssagan.yaml",)),
    ("the same as a plan", text("plan.yaml", BOMB), ("benchmark", "plan.yaml"), ("plan.yaml",)),
    ("the same as a protocol", text("p.yaml", BOMB), (*SCORE, "p.yaml"), ("p.yaml",)),
    (
        "a key twice in a YAML",
        changed("ssagan.yaml", "damsm:", "text_mode: frozen\n    damsm:"),
        FIT,
        ("text_mode",),
    ),
    (
        "a key twice in a plan",
        changed("plan.yaml", "seeds:", "folder: b\nseeds:"),
        ("benchmark", "plan.yaml"),
        ("folder",),
    ),
    (
        "a tag that makes an object",
        text("ssagan.yaml", "model: !!python/object/apply:os.system [ls]\n"),
        FIT,
        ("ssagan.yaml",),
    ),
    ("an empty YAML", text("ssagan.yaml", ""), FIT, ("ssagan.yaml", "model")),
    ("a YAML that is a list", text("ssagan.yaml", "- 1\n"), FIT, ("ssagan.yaml",)),
    (
        "a class that does nothing here",
        changed("ssagan.yaml", "class_path: SSAGAN", "class_path: os.system"),
        FIT,
        ("os.system",),
    ),
    (
        "a misspelt class",
        changed("ssagan.yaml", "OneWayDiscriminator", "OneWayDiscriminater"),
        FIT,
        ("OneWayDiscriminater",),
    ),
    (
        "a class in another class's place",
        changed("ssagan.yaml", "class_path: SSAGANGenerator", "class_path: OneWayDiscriminator"),
        FIT,
        ("OneWayDiscriminator",),
    ),
    (
        "`seeds: x` in a plan",
        changed("plan.yaml", r"seeds: \[0\]", "seeds: x"),
        ("benchmark", "plan.yaml"),
        ("seeds",),
    ),
    (
        "`seeds: [-1]` in a plan",
        changed("plan.yaml", r"seeds: \[0\]", "seeds: [-1]"),
        ("benchmark", "plan.yaml"),
        ("seeds",),
    ),
    (
        "`folder: 3` in a plan",
        changed("plan.yaml", "folder: out", "folder: 3"),
        ("benchmark", "plan.yaml"),
        ("folder",),
    ),
    (
        "`run: [a]` in a plan",
        changed("steps.yaml", "run: list models", "run: [a]"),
        ("benchmark", "steps.yaml"),
        ("run",),
    ),
    (
        "`run: ''` in a plan",
        changed("steps.yaml", "run: list models", "run: ''"),
        ("benchmark", "steps.yaml"),
        ("run of step 1",),
    ),
    (
        "`name: {}` in a plan",
        changed("steps.yaml", "name: one", "name: {}"),
        ("benchmark", "steps.yaml"),
        ("name",),
    ),
    (
        "`generator: '{}'`",
        changed("ssagan.yaml", "generator: .*", "generator: '{}'"),
        FIT,
        ("model.init_args.generator",),
    ),
    (
        "`data: '{}'`",
        changed("ssagan.yaml", "(?s)data:.*?trainer", "data: '{}'\ntrainer"),
        FIT,
        ("data names no class",),
    ),
    (
        "`store: null`",
        changed("ssagan.yaml", "store: [^,}]*", "store: null"),
        FIT,
        ("data.init_args.store is null",),
    ),
    (
        "`max_steps: null`",
        changed("ssagan.yaml", "max_steps: [^,}]*", "max_steps: null"),
        FIT,
        ("trainer.max_steps is null",),
    ),
    *(
        (f"`trainer: {given}`", changed("ssagan.yaml", "trainer: .*", f"trainer: {given}"), FIT, ("trainer is",))
        for given in ("true", "0", "[1]")
    ),
    (
        "a `folder` of 3,000 letters in a plan",
        changed("steps.yaml", "folder: planned", f"folder: {'x' * 3000}"),
        ("benchmark", "steps.yaml", "--dry_run", "true"),
        ("steps.yaml",),
    ),
    (
        "`folder` with NUL in a plan",
        changed("steps.yaml", "folder: planned", 'folder: "a\\\\0b"'),
        ("benchmark", "steps.yaml"),
        ("steps.yaml",),
    ),
    (
        "a key with a line break in a plan",
        changed("plan.yaml", "folder: out", '"a\\\\nb": out'),
        ("benchmark", "plan.yaml"),
        ("plan.yaml",),
    ),
    (
        "a quote that does not end in a plan",
        changed("steps.yaml", "run: list models", 'run: "list \'m"'),
        ("benchmark", "steps.yaml"),
        ("run", "one"),
    ),
    (
        "`models: [3]` in a plan",
        changed("plan.yaml", r"models: \[ssagan.yaml\]", "models: [3]"),
        ("benchmark", "plan.yaml"),
        ("models", "config"),
    ),
    (
        "`store: [a]` in a plan",
        changed("plan.yaml", "store: store.h5", "store: [a]"),
        ("benchmark", "plan.yaml"),
        ("store",),
    ),
    (
        "`protocols: [3]` in a plan",
        changed("plan.yaml", r"protocols: \[protocol.yaml\]", "protocols: [3]"),
        ("benchmark", "plan.yaml"),
        ("protocols",),
    ),
    (
        "`images: -1` in a protocol",
        changed("protocol.yaml", "images: 100", "images: -1"),
        (*SCORE, "protocol.yaml"),
        ("images",),
    ),
    (
        "`images: many` in a protocol",
        changed("protocol.yaml", "images: 100", "images: many"),
        (*SCORE, "protocol.yaml"),
        ("images",),
    ),
    (
        "`words: 0` in a protocol",
        changed("protocol.yaml", "words: 12", "words: 0"),
        (*SCORE, "protocol.yaml"),
        ("words",),
    ),
    (
        "`image_size: 33` in a protocol",
        changed("protocol.yaml", "image_size: 16", "image_size: 33"),
        (*SCORE, "protocol.yaml"),
        ("image_size", "33"),
    ),
    (
        "class_info.pickle with a list in it",
        metadata("class_info", lambda ids: [[1], *ids[1:]]),
        CUB,
        ("class_info.pickle",),
    ),
    (
        "class_info.pickle with NaN in it",
        metadata("class_info", lambda ids: [float("nan"), *ids[1:]]),
        CUB,
        ("class_info.pickle",),
    ),
    (
        "class_info.pickle that is too short",
        metadata("class_info", lambda ids: ids[1:]),
        CUB,
        ("class_info.pickle",),
    ),
    (
        "filenames.pickle with a name twice",
        metadata("filenames", lambda keys: [keys[1], *keys[1:]]),
        CUB,
        ("several images",),
    ),
    (
        "filenames.pickle with NUL in a name",
        pickled("cub/train/filenames.pickle", ["a\0b"] * 24),
        CUB,
        ("filenames.pickle",),
    ),
    (
        "filenames.pickle with names outside",
        pickled("cub/train/filenames.pickle", ["../../x"] * 24),
        CUB,
        ("filenames.pickle",),
    ),
    (
        "a pickle of eight bytes that takes gigabytes",
        text("cub/train/filenames.pickle", b"]r\xff\xff\xff\x7f."),
        CUB,
        ("filenames.pickle",),
    ),
    (
        "a pickle that runs something",
        text("cub/train/filenames.pickle", b"cos\nsystem\n(S'touch ran'\ntR."),
        CUB,
        ("filenames.pickle",),
    ),
    (
        "a box of NaN",
        changed("cub/CUB_200_2011/bounding_boxes.txt", r"1 [\d.]+", "1 nan"),
        CUB,
        ("bounding_boxes.txt",),
    ),
    (
        "images.txt in UTF-16",
        text("cub/CUB_200_2011/images.txt", "1 a/b.jpg\n".encode("utf-16")),
        CUB,
        ("images.txt",),
    ),
    (
        "half a character in COCO's JSON",
        changed("coco/annotations/captions_train2017.json", "a red bird", r"\\ud800"),
        COCO,
        ("captions_train2017.json",),
    ),
    (
        "COCO's JSON nested without end",
        text("coco/annotations/captions_train2017.json", "[" * 100_000),
        COCO,
        ("captions_train2017.json",),
    ),
    (
        "COCO's JSON with `id: NaN`",
        changed("coco/annotations/captions_train2017.json", '"id": 1,', '"id": NaN,'),
        COCO,
        ("captions_train2017.json",),
    ),
    (
        "two images of COCO with one name",
        changed("coco/annotations/captions_train2017.json", "000000000002.jpg", "000000000001.jpg"),
        COCO,
        ("000000000001",),
    ),
    (
        "an image of COCO without a name",
        changed("coco/annotations/captions_train2017.json", "000000000002.jpg", ""),
        COCO,
        ("''",),
    ),
    (
        "a TIFF of fractions",
        first_image(Image.fromarray(np.ones((40, 50), np.float32))),
        (*OWN, "--strict", "true"),
        ("0.png",),
    ),
    (
        "an image of 1 x 20,000 pixels",
        first_image(Image.new("RGB", (1, 20000))),
        (*OWN, "--strict", "true"),
        ("0.png",),
    ),
    (
        "a table of captions in UTF-16",
        text("own/captions.csv", "image,caption\n0.png,x\n".encode("utf-16")),
        OWN,
        ("captions.csv",),
    ),
    ("a table without its columns", text("own/captions.csv", "a,b\n1,2\n"), OWN, ("captions.csv",)),
    (
        "a checkpoint of another program",
        lambda: torch.save({"state_dict": {}}, "ssagan.ckpt"),
        DRAW,
        ("ssagan.ckpt",),
    ),
    (
        "a checkpoint with `max_words: null`",
        hyperparameter("stream.ckpt", "max_words", None),
        ("caption", "--checkpoint", "stream.ckpt", "--images", "own"),
        ("max_words",),
    ),
    (
        "a checkpoint cut in half",
        lambda: Path("ssagan.ckpt").write_bytes(Path("ssagan.ckpt").read_bytes()[:20000]),
        DRAW,
        ("ssagan.ckpt",),
    ),
    (
        "a pickle that runs something, as a checkpoint",
        text("ssagan.ckpt", b"cos\nsystem\n(S'touch ran'\ntR."),
        DRAW,
        ("ssagan.ckpt",),
    ),
    (
        "a checkpoint that names a class of another module",
        checkpoint(lambda c: c["t2igan"]["config"].update(class_path="evil.Evil")),
        DRAW,
        ("evil.Evil",),
    ),
    (
        "a checkpoint that names no network",
        checkpoint(lambda c: c["t2igan"]["config"].update(class_path="t2igan.cli.main.main")),
        DRAW,
        ("t2igan.cli.main.main",),
    ),
    (
        "a checkpoint that describes networks of 300 GB",
        checkpoint(lambda c: c["t2igan"]["config"]["init_args"].update(vocabulary_size=10**9)),
        DRAW,
        ("ssagan.ckpt",),
    ),
    ("a checkpoint without weights", checkpoint(lambda c: c["state_dict"].clear()), DRAW, ("ssagan.ckpt",)),
    (
        "a checkpoint with one weight of another shape",
        checkpoint(lambda c: c["state_dict"].update({next(iter(c["state_dict"])): torch.zeros(1)})),
        DRAW,
        ("ssagan.ckpt",),
    ),
    (
        "a checkpoint with another vocabulary",
        checkpoint(lambda c: c["t2igan"].update(vocabulary=["<end>", "a"])),
        DRAW,
        ("ssagan.ckpt",),
    ),
    (
        "a checkpoint whose vocabulary has numbers",
        checkpoint(lambda c: c["t2igan"].update(vocabulary=[1, 2])),
        DRAW,
        ("ssagan.ckpt",),
    ),
    (
        "a checkpoint whose vocabulary has half a character",
        checkpoint(lambda c: c["t2igan"].update(vocabulary=["<end>", "\ud800"])),
        DRAW,
        ("ssagan.ckpt",),
    ),
    ("a DAMSM where a generator is wanted", None, (*DRAW[:2], "damsm.ckpt", *DRAW[3:]), ("damsm.ckpt",)),
    ("a store where a checkpoint is wanted", None, (*DRAW[:2], "store.h5", *DRAW[3:]), ("store.h5",)),
    (
        "a checkpoint where a store is wanted",
        None,
        ("evaluate", "--checkpoint", "ssagan.ckpt", "--protocol", "protocol.yaml", "--store", "damsm.ckpt"),
        ("damsm.ckpt",),
    ),
    ("a folder where a checkpoint is wanted", None, (*DRAW[:2], "cub", *DRAW[3:]), ("cub",)),
    (
        "a record that is a list",
        text("records.jsonl", "[1, 2]\n"),
        ("report", "records.jsonl", "--out", "out"),
        ("records.jsonl",),
    ),
    (
        "a record of wrong types",
        lambda: Path("records.jsonl").write_text(
            json.dumps(
                json.loads(Path("records.jsonl").read_text().splitlines()[0]) | {"metrics": [], "subject": 3}
            )
            + "\n"
        ),
        ("report", "records.jsonl", "--out", "out"),
        ("records.jsonl",),
    ),
    (
        "records in UTF-16",
        text("records.jsonl", "{}\n".encode("utf-16")),
        ("report", "records.jsonl", "--out", "out"),
        ("records.jsonl",),
    ),
    (
        "captions to draw in Latin-1",
        text("captions.txt", b"caf\xe9\n"),
        ("sample", "--checkpoint", "ssagan.ckpt", "--captions", "captions.txt", "--out", "out"),
        ("captions.txt",),
    ),
    (
        "released weights that are none",
        text("released.pth", b"PK\x03\x04nothing"),
        ("import", "released.pth", "--out", "out.ckpt"),
        ("released.pth",),
    ),
    (
        "a truncated store",
        lambda: Path("store.h5").write_bytes(Path("store.h5").read_bytes()[:9000]),
        FIT,
        ("store.h5",),
    ),
    ("an empty store", text("store.h5", b""), FIT, ("store.h5",)),
]
ROWS = VALUES + ABSURD + FILES
SAID: dict[str, str] = {}


@pytest.mark.parametrize(("label", "harm", "words", "names"), ROWS, ids=[row[0] for row in ROWS])
def test_bad_input_is_one_line(good_input, label, harm, words, names):
    if harm:
        harm()
    outcome = outcome_of(*words)
    assert not outcome.fault(names)
    assert len(outcome.line.splitlines()) == 1
    assert not Path("ran").exists()
    SAID[label] = outcome.line


def test_the_page_says_so():
    assert len(SAID) == len(ROWS), "this test needs those before it"
    rows = "".join(f"| {_cell(label)} | {_cell(_cut(line))} |\n" for label, line in SAID.items())
    if os.environ.get("T2IGAN_WRITE_DOCS"):
        PAGE.write_text(HEAD + rows)
    assert _stable(PAGE.read_text()) == _stable(HEAD + rows), "docs/bad-input.md is not what is said: write it anew"


def _stable(page: str) -> str:
    """Without what stands in brackets: the reasons of libraries, which other versions word in other ways."""
    return re.sub(r"\(.*?\)( |;|$)", "", page, flags=re.MULTILINE)


def _cut(line: str) -> str:
    return line if len(line) < 300 else line[:300] + " ..."


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\0", "\\0").replace("<", "&lt;")
