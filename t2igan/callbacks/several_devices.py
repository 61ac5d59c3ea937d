"""Training on several devices as on one: batch norm over all of them, and a warning where it is not the same.

docs/several-devices.md says what is equal and why.
"""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.plugins.layer_sync import LayerSync
from pytorch_lightning.utilities import rank_zero_warn
from torch import nn

from t2igan.models.adversarial import AdversarialModule
from t2igan.nn.synced_norm import separate, synchronise, unsynchronised


class BatchNormOfAllDevices(LayerSync):
    """A plugin of the Trainer: batch statistics are those of all devices, on CPUs too; one device is left alone.

    ``t2igan fit`` sets it unless ``trainer.sync_batchnorm`` is false.
    """

    def apply(self, model: nn.Module) -> nn.Module:
        """Synchronise; discriminators under a gradient penalty so that they can be differentiated twice."""
        if isinstance(model, AdversarialModule) and model.penalty is not None:
            synchronise(model.discriminators, by_formula=True)
        synchronise(model)
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        """Leave the model as it was."""
        separate(model)
        return model


class NotAsOneDevice(Callback):
    """Warns, on several devices, of what makes them train otherwise than one device with all their images."""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Say it once."""
        if trainer.world_size == 1:
            return
        reasons = not_as_one_device(pl_module)
        if reasons:
            images = "one device with as many images as all together"
            rank_zero_warn(
                f"{trainer.world_size} devices will not train as {images} (docs/several-devices.md): "
                f"{'; '.join(reasons)}"
            )


def not_as_one_device(module: pl.LightningModule) -> list[str]:
    """What in a module depends on which images lie on the same device."""
    reasons = []
    if getattr(module, "accumulate", 1) > 1:
        reasons.append("accumulate cuts each device's images, so a chunk of all devices holds other images")
    if unsynchronised(module):
        reasons.append("batch norm sees each device's images alone (trainer.sync_batchnorm)")
    if any(getattr(part, "legacy_mask", False) for part in module.modules()):
        reasons.append("legacy_mask takes masks by the place in a device's batch")
    if (own := getattr(module, "of_each_device", None)) is not None:
        reasons.append(own)
    return reasons
