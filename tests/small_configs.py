"""Configurations of a DAMSM and of an SSA-GAN that train in a second; the braces name their store and DAMSM."""

from pathlib import Path
from typing import Any

import yaml

from t2igan.cli.main import main

DAMSM = """
model:
  class_path: DAMSM
  init_args:
    image_encoder: {{class_path: SmallImageEncoder, init_args: {{dim: 16, channels: 2, image_size: 16}}}}
data:
  class_path: DrawnBirds
  init_args: {{store: {store}, image_size: 16, batch_size: 8, num_workers: 0}}
trainer: {{max_steps: 2, limit_val_batches: 1, accelerator: cpu, enable_progress_bar: false, log_every_n_steps: 1}}
"""
SSAGAN = """
model:
  class_path: SSAGAN
  init_args:
    damsm: {damsm}
    generator: {{class_path: SSAGANGenerator, init_args: {{image_size: 16, channels: 2, sentence_dim: 16}}}}
    discriminators:
      - {{class_path: OneWayDiscriminator, init_args: {{image_size: 16, channels: 2, sentence_dim: 16}}}}
    text_mode: joint
data:
  class_path: DrawnBirds
  init_args: {{store: {store}, image_size: 16, batch_size: 4, num_workers: 0}}
trainer: {{max_steps: 14, limit_val_batches: 1, accelerator: cpu, enable_progress_bar: false, log_every_n_steps: 1}}
"""


def ssagan_on_trained_damsm(folder: Path, store: str | Path) -> dict[str, Any]:
    """Train the DAMSM in a folder, from its damsm.yaml; the configuration of the SSA-GAN on it."""
    (folder / "damsm.yaml").write_text(DAMSM.format(store=store))
    main(["fit", "--config", str(folder / "damsm.yaml"), "--run", str(folder / "damsm")])
    return yaml.safe_load(SSAGAN.format(store=store, damsm=folder / "damsm" / "checkpoints" / "last.ckpt"))
