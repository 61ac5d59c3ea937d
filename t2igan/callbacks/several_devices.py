"""Training on several devices: synchronised batch norm, and a warning where results differ from one device.

See docs/several-devices.md.
"""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.plugins.layer_sync import LayerSync
from pytorch_lightning.utilities import rank_zero_warn
from torch import nn

from t2igan.models.adversarial import AdversarialModule
from t2igan.nn.synced_norm import separate, synchronise, unsynchronised


class BatchNormOfAllDevices(LayerSync):
    """Trainer plugin that computes batch statistics over all devices, CPUs included; no effect on one device.

    ``t2igan fit`` sets it unless ``trainer.sync_batchnorm`` is false.
    """

    def apply(self, model: nn.Module) -> nn.Module:
        """Synchronise batch norm layers, twice differentiably in discriminators with a gradient penalty."""
        if isinstance(model, AdversarialModule) and model.penalty is not None:
            synchronise(model.discriminators, by_formula=True)
        synchronise(model)
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        """Restore the plain batch norm layers."""
        separate(model)
        return model


class NotAsOneDevice(Callback):
    """Warns of modules whose result depends on how a batch is divided among several devices."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the warnings once."""
        if trainer.world_size == 1:
            return
        reasons = not_as_one_device(pl_module)
        if reasons:
            images = "one device with as many images as all together"
            rank_zero_warn(
                f"{trainer.world_size} devices will train differently from {images} (docs/several-devices.md): "
                f"{'; '.join(reasons)}"
            )


def not_as_one_device(module: pl.LightningModule) -> list[str]:
    """One line for each part of a module whose result depends on which images share a device."""
    reasons = []
    if getattr(module, "accumulate", 1) > 1:
        reasons.append("accumulate cuts each device's images, so the chunks hold other images than on one device")
    if unsynchronised(module):
        reasons.append("batch norm sees each device's images alone (trainer.sync_batchnorm)")
    if any(getattr(part, "legacy_mask", False) for part in module.modules()):
        reasons.append("legacy_mask selects masks by the position in a device's batch")
    if (own := getattr(module, "of_each_device", None)) is not None:
        reasons.append(own)
    return reasons
