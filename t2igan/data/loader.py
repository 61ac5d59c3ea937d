"""The resumable loader of training batches, and common arguments of all loaders."""

from typing import Any, cast

import torch
from pytorch_lightning.utilities import rank_zero_warn
from torch.utils.data import DataLoader

from t2igan.cpus import available_cpus
from t2igan.data.sampler import TrainingBatches
from t2igan.data.workers import leave_signals_to_the_parent

WORKERS = 2  # per device, if there are enough CPUs


def loading(devices: int, workers: int | None) -> dict[str, Any]:
    """Arguments of a DataLoader whose data set returns whole batches.

    Args:
        devices: devices that share the CPUs of this process; one CPU of each is kept for the training itself.
        workers: worker processes per device; None uses two, or fewer if there are too few CPUs.
    """
    if workers is None:
        workers = max(0, min(WORKERS, available_cpus() // devices - 1))
    return {
        "batch_size": None,
        "num_workers": workers,
        "persistent_workers": workers > 0,
        "pin_memory": torch.cuda.is_available(),
        "worker_init_fn": leave_signals_to_the_parent,
    }


class TrainingLoader(DataLoader):
    """A DataLoader of :class:`TrainingBatches` that Lightning can resume within an epoch.

    The position comes from the trainer's counters (:func:`~t2igan.lightning_private.training_position`); the state
    stored here only tells whether "batch 17 of epoch 3" still means the same images.
    """

    def state_dict(self) -> dict[str, Any]:
        """Settings that determine the order of the images."""
        sampler = cast(TrainingBatches, self.sampler)
        return {
            "images": sampler.images,
            "images per batch": sampler.batch_size * sampler.num_replicas,
            "seed": sampler.seed,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Warn if the settings have changed, so that the rest of the epoch has another order."""
        now = self.state_dict()
        changes = [f"{key} {state[key]} -> {now[key]}" for key in now if state.get(key) != now[key]]
        if changes:
            rank_zero_warn(
                f"resumed in the middle of an epoch with another {', '.join(changes)}: this epoch repeats or "
                "misses some images; the next one is whole"
            )
