"""Tiny trained checkpoints on the drawn birds, for the tests of evaluation and of the command."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytorch_lightning as pl
import torch
import yaml

from t2igan.data.classification import ClassificationData
from t2igan.data.datamodule import CaptionedImagesModule
from t2igan.evaluation.evaluation import Evaluation
from t2igan.evaluation.features.networks import NetworkOptions, load_classifier, load_damsms
from t2igan.evaluation.record import ResultRecord
from t2igan.evaluation.subjects.generated import load_checkpoint_subject
from t2igan.models.classifier import EvaluationClassifier
from t2igan.models.damsm import DAMSM, SmallImageEncoder
from t2igan.models.ssagan import SSAGAN
from t2igan.networks.dfgan import OneWayDiscriminator
from t2igan.networks.ssagan import SSAGANGenerator

SIZE = 32
STEPS = 150


@dataclass(frozen=True)
class Checkpoints:
    """Paths of what a few steps of training left."""

    store: Path
    damsm: Path
    other_damsm: Path
    classifier: Path
    generator: Path


@cache
def train_checkpoints(store: Path, folder: Path) -> Checkpoints:
    """Train two DAMSMs, a classifier and an SSA-GAN for a few steps each, once a session."""
    captioned = {"store": str(store), "image_size": SIZE, "batch_size": 8, "num_workers": 0}
    paths = Checkpoints(
        store,
        folder / "first" / "checkpoints" / "last.ckpt",
        folder / "second.ckpt",
        folder / "classifier.ckpt",
        folder / "ssagan" / "checkpoints" / "last.ckpt",
    )
    for seed, path in enumerate((paths.damsm, paths.other_damsm)):
        torch.manual_seed(seed)
        module = DAMSM(SmallImageEncoder(dim=32, channels=8, image_size=SIZE))
        fit_briefly(module, CaptionedImagesModule(**captioned), path, steps=STEPS)
    torch.manual_seed(2)
    classifier = EvaluationClassifier(image_size=SIZE, width=8)
    fit_briefly(classifier, ClassificationData(**captioned, holdout=0.5), paths.classifier, steps=STEPS)
    generator = SSAGANGenerator(SIZE, channels=4, noise_dim=8, sentence_dim=32)
    discriminator = OneWayDiscriminator(SIZE, channels=4, sentence_dim=32)
    with torch.no_grad():
        # At the start captions hardly matter; moved weights let them show without long training.
        for parameter in generator.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    module = SSAGAN(
        str(paths.damsm), generator=generator, discriminators=[discriminator], ema_decay=0.5, lr_generator=1e-2
    )
    fit_briefly(module, CaptionedImagesModule(**captioned), paths.generator, steps=2)
    return paths


def write_protocol(path: Path, **changes: object) -> Path:
    """A small protocol for these checkpoints, with some keys changed."""
    content = {
        "dataset": "drawn-birds",
        "image_size": SIZE,
        "images": 100,
        "words": 12,
        "reference": "halves",
        "metrics": [
            {"name": "fd-classifier"},
            {"name": "is-classifier", "splits": 4},
            {"name": "r-precision", "candidates": 10, "folds": 5},
        ],
    }
    path.write_text(yaml.safe_dump(content | changes))
    return path


def fit_briefly(module: pl.LightningModule, data: pl.LightningDataModule, path: Path, steps: int) -> None:
    trainer = pl.Trainer(
        max_epochs=-1 if not isinstance(module, EvaluationClassifier) else 7,
        max_steps=steps,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    trainer.fit(module, datamodule=data)
    trainer.save_checkpoint(path)


def evaluate(*arguments, **options) -> ResultRecord:
    """Make an evaluation and run it."""
    return Evaluation(*arguments, **options).run()


def json_lines(path: Path) -> list[dict]:
    """The records of a file, as plain data."""
    return [json.loads(line) for line in path.read_text().splitlines()]


OFFLINE = NetworkOptions(weights_folder=Path("no-such-folder"), download=False)


def score(checkpoints, store, protocol, subject=None, options=OFFLINE, with_damsms=True):
    damsms = load_damsms([checkpoints.damsm, checkpoints.other_damsm], store) if with_damsms else ()
    classifier = load_classifier(checkpoints.classifier, store)
    subject = subject or load_checkpoint_subject(checkpoints.generator, protocol.weights)
    return evaluate(subject, protocol, store, damsms, classifier, options)
