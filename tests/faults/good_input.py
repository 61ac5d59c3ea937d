"""A folder of small good input of every kind, which the tests of bad input harm."""

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
from evaluation_fixtures import write_protocol
from harness import DAMSM, STREAM
from PIL import Image
from report_fixtures import make_record
from small_configs import SSAGAN

from t2igan.benchmark.ledger import Ledger, LedgerEntry
from t2igan.cli.main import main

PLAN = """
folder: out
seeds: [0]
datasets:
  birds:
    store: store.h5
    models: [ssagan.yaml]
    protocols: [protocol.yaml]
    given: [damsm.ckpt]
"""
STEPS = """
folder: planned
steps:
  - {name: one, run: list models}
  - {name: two, run: list data, after: [one]}
"""


def write_good_input(folder: Path, birds: Path, store: Path) -> None:
    """Fill a folder; names in it are relative, so that it can be copied, and is the current folder when it is used.

    Args:
        folder: to write to, which is the current folder.
        birds: drawn birds in CUB's layout.
        store: of them.
    """
    shutil.copytree(birds, folder / "cub")
    shutil.copy(store, folder / "store.h5")
    (folder / "damsm.yaml").write_text(DAMSM.format(store="store.h5"))
    (folder / "ssagan.yaml").write_text(SSAGAN.format(store="store.h5", damsm="damsm.ckpt"))
    (folder / "stream.yaml").write_text(STREAM.format(store="store.h5"))
    for name in ("damsm", "ssagan", "stream"):
        main(["fit", "--config", f"{name}.yaml", "--run", f"runs/{name}", "--trainer.max_steps", "2"])
        shutil.copy(folder / "runs" / name / "checkpoints" / "last.ckpt", folder / f"{name}.ckpt")
    main(["export", "ssagan.ckpt", "--out", "released.pth"])
    main(["export", "ssagan.ckpt", "--to", "safetensors", "--out", "ssagan.safetensors"])
    (folder / "plan.yaml").write_text(PLAN)
    (folder / "steps.yaml").write_text(STEPS)
    (folder / "planned").mkdir()
    Ledger(folder / "planned").write("one", LedgerEntry("of its command", seconds=1.0))
    write_protocol(folder / "protocol.yaml", image_size=16)
    (folder / "records.jsonl").write_text("".join(f"{make_record(f'run{seed}').to_json()}\n" for seed in range(2)))
    _write_coco(folder / "coco")
    _write_own(folder / "own")
    (folder / "captions.txt").write_text("a red bird\na small bird\n")
    names, words = ["a/b", "c/d"], {0: "<end>", 1: "red", 2: "bird"}
    pickles = {"filenames": names, "class_info": [1, np.int64(2)]}
    pickles["captions"] = [[[1, 2]] * 20, [[2]] * 20, words, {word: number for number, word in words.items()}]
    for name, content in pickles.items():
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(content, protocol=2))


def _write_coco(root: Path) -> None:
    for part, numbers in (("train", (1, 2, 3)), ("val", (4, 5))):
        images = [{"id": number, "file_name": f"{number:012d}.jpg"} for number in numbers]
        captions = [
            {"id": 10 * number + place, "image_id": number, "caption": f"a red bird number {place}"}
            for number in numbers
            for place in range(5)
        ]
        (root / "annotations").mkdir(parents=True, exist_ok=True)
        content = {"images": images, "annotations": captions}
        (root / "annotations" / f"captions_{part}2017.json").write_text(json.dumps(content))
        (root / f"{part}2017").mkdir()
        for number in numbers:
            Image.new("RGB", (40, 50), (10 * number, 90, 90)).save(root / f"{part}2017" / f"{number:012d}.jpg")


def _write_own(folder: Path) -> None:
    folder.mkdir()
    rows, lines = ["image,caption,split"], []
    for number, split in enumerate(("train", "train", "test")):
        Image.new("RGB", (40, 50), (40 * number, 90, 90)).save(folder / f"{number}.png")
        rows.append(f"{number}.png,a red bird,{split}")
        lines.append(json.dumps({"image": f"{number}.png", "captions": ["a red bird"], "split": split}))
    (folder / "captions.csv").write_text("\n".join(rows) + "\n")
    (folder / "captions.jsonl").write_text("\n".join(lines) + "\n")
