"""What every LightningModule of the suite shares: a checkpoint that says what it is, and how to read one."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

import t2igan
from t2igan.data.batch import CaptionedImages
from t2igan.errors import UserError
from t2igan.nn.recipe import Recipe, build, recipe_of


class SuiteModule(Recipe, pl.LightningModule):
    """A LightningModule whose checkpoint alone is enough to build it again.

    Beside the weights a checkpoint holds the recipe of the module, the vocabulary of the data set it was
    trained on and that data set's fingerprint.

    Attributes:
        vocabulary: the words of the data set, index 0 = ``<end>``; empty before training.
        dataset: name and fingerprint of the data set trained on, for the record.
        steps: optimiser steps behind a checkpoint that was read, None for one that does not say.
        images_seen: training images so far, on all devices together, each as often as it was seen; None where the
            training went on from a checkpoint that does not say.
        global_batch: training images of the last step on all devices together, None before the first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.vocabulary: list[str] = []
        self.dataset: dict[str, str] = {}
        self.steps: int | None = None
        self.images_seen: int | None = 0
        self.global_batch: int | None = None

    def setup(self, stage: str) -> None:
        """Take the vocabulary from the datamodule.

        Raises:
            UserError: if this module was trained on another vocabulary.
        """
        data = getattr(self.trainer, "datamodule", None)
        if data is None or not hasattr(data, "vocabulary"):
            return
        words = list(data.vocabulary.words)
        if self.vocabulary and self.vocabulary != words:
            raise UserError(
                f"the store {data.store_path} has another vocabulary ({len(words)} words) than this checkpoint "
                f"({len(self.vocabulary)} words): use the store it was trained on"
            )
        self.vocabulary = words
        self.dataset = {"name": data.store.name, "fingerprint": data.fingerprint}

    def on_train_batch_start(self, batch: CaptionedImages, batch_idx: int) -> None:
        """Count the images; not at the batch's end, where callbacks save before this module is told."""
        together = len(batch) * self.trainer.world_size
        self.global_batch = together * self.trainer.accumulate_grad_batches
        if self.images_seen is not None:
            self.images_seen += together

    def borrowed(self) -> tuple[str, ...]:
        """Prefixes of weights that come from files of their own and are therefore not saved again."""
        return ()

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """All weights but the borrowed ones."""
        state = super().state_dict(*args, **kwargs)
        if self.borrowed():
            for key in [key for key in state if key.startswith(self.borrowed())]:
                del state[key]
        return state

    def load_state_dict(self, state_dict: dict[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Load what :meth:`state_dict` gave; borrowed weights stay as they are."""
        own = super().state_dict()
        kept = {key: value for key, value in own.items() if key.startswith(self.borrowed())}
        given = {key: value for key, value in state_dict.items() if not key.startswith(self.borrowed())}
        return super().load_state_dict(kept | given, strict=strict, assign=assign)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add recipe, vocabulary and data set."""
        checkpoint["t2igan"] = {
            "version": t2igan.__version__,
            "recipe": recipe_of(self),
            "vocabulary": self.vocabulary,
            "dataset": self.dataset,
            "images_seen": self.images_seen,
            "global_batch": self.global_batch,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Bring back what :meth:`on_save_checkpoint` added."""
        own = checkpoint["t2igan"]
        if self.vocabulary and own["vocabulary"] and self.vocabulary != own["vocabulary"]:
            raise UserError("the checkpoint was trained on another vocabulary than this store's")
        self.vocabulary = own["vocabulary"]
        self.dataset = own["dataset"]
        self.steps = checkpoint.get("global_step")
        self.images_seen, self.global_batch = own.get("images_seen"), own.get("global_batch")


def content_sha256(module: SuiteModule) -> str:
    """sha256 (hex) of what a module is: recipe, vocabulary and weights.

    Two files of it may differ, as those of a run that was interrupted and of one that was not do.
    """
    told = {"recipe": recipe_of(module), "vocabulary": module.vocabulary}
    digest = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode())
    for name, tensor in module.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint of the suite; nothing in the file is executed.

    Raises:
        UserError: if the file is missing, damaged or not written by the suite.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no checkpoint at {path}")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"{path} cannot be read as a checkpoint: {str(error).splitlines()[0]}") from error
    if not isinstance(checkpoint, dict) or "t2igan" not in checkpoint:
        raise UserError(f"{path} was not written by this suite (it holds no recipe)")
    return checkpoint


def load_module(path: str | Path) -> SuiteModule:
    """Build the module that a checkpoint describes, with its weights, in eval mode on the CPU.

    Raises:
        UserError: if the file is missing, damaged or not written by the suite.
    """
    checkpoint = read_checkpoint(path)
    module = build(checkpoint["t2igan"]["recipe"])
    module.on_load_checkpoint(checkpoint)
    module.configure_model()
    module.load_state_dict(checkpoint["state_dict"])
    return module.eval().requires_grad_(False)
