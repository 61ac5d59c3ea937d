"""A small matrix of MirrorGANs: its configurations, its plan, its steps."""

from pathlib import Path

import yaml

from t2igan.benchmark.reading import read_plan

DAMSM = "model: {class_path: DAMSM}\n"
STREAM = "model: {class_path: STREAM, init_args: {damsm: runs/small/damsm/checkpoints/last.ckpt}}\n"
MIRROR = """
model:
  class_path: MirrorGAN
  init_args:
    damsm: runs/small/damsm/checkpoints/last.ckpt
    generator_losses:
      - {class_path: Redescription, init_args: {captioner: runs/small/stream/checkpoints/last.ckpt}}
data: {class_path: DrawnBirds, init_args: {store: somewhere.h5, image_size: 32}}
"""
PLAIN = MIRROR.replace("damsm: runs/small/damsm", "damsm: runs/bought/damsm")


def plan(**changes):
    data = {
        "store": "birds.h5",
        "models": ["experiments/small/mirrorgan.yaml"],
        "protocols": ["drawn-birds/quick"],
    }
    top = {"folder": "out", "seeds": [0, 1], "datasets": {"birds": data}}
    for key, value in changes.items():
        (top if key in ("seeds", "wandb", "evaluate", "launcher", "grid") else data)[key] = value
    Path("plan.yaml").write_text(yaml.safe_dump(top))
    return read_plan(Path("plan.yaml"))


def cells(**changes):
    return plan(**changes).phases[1]()


def option(step, name):
    return step.command[step.command.index(f"--{name}") + 1]


def address(step):
    return Path(option(step, "run")).parent.name
