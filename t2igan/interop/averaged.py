"""Reduce a checkpoint to what generating or scoring needs, for distribution."""

from pathlib import Path
from typing import Any

from torch import nn

from t2igan.models.adversarial import AdversarialModule
from t2igan.models.digest import DIGEST, OWN
from t2igan.models.suite_module import SELECTED, SuiteModule, load_module, read_checkpoint
from t2igan.models.weights_file import STATE, halved
from t2igan.nn.config import config_of

# Keys of a GAN's config that only training needs.
WITHOUT_TRAINING = {"discriminators": [], "generator_losses": [], "penalty": None, "ema_decay": None}
KEPT = ("global_step", SELECTED)
# Written again: the digest, and the config, which earlier versions named recipe.
LEFT_OUT = (DIGEST, "config", "recipe")


def averaged_checkpoint(path: str | Path, half: bool = True) -> dict[str, Any]:
    """A checkpoint without training state, optionally in half precision.

    For a GAN it holds the generator and the text encoder, averaged if the training kept averages; for other modules
    all weights. Buffers keep their precision: a running variance may be too small for half precision.

    Args:
        path: path of a checkpoint of the suite.
        half: whether weights are stored in half precision.

    Returns:
        What :func:`t2igan.models.weights_file.write_weights` takes.

    Raises:
        UserError: the checkpoint cannot be read, or a weight is too large for half precision.
    """
    checkpoint, module = read_checkpoint(path), load_module(path)
    own = {key: value for key, value in checkpoint[OWN].items() if key not in LEFT_OUT}
    config, networks = config_of(module), _networks(module)
    if isinstance(module, AdversarialModule):
        config["init_args"] |= WITHOUT_TRAINING
        own["averaged"] = module.averaged or bool(module.averages)
    state, buffers = {}, set()
    for prefix, network in networks.items():
        state |= {f"{prefix}{name}": value for name, value in network.state_dict().items()}
        buffers |= {f"{prefix}{name}" for name, _ in network.named_buffers()}
    kept = {key: checkpoint[key] for key in KEPT if key in checkpoint}
    weights = halved(state, frozenset(buffers if half else state))
    return {STATE: weights, OWN: own | {"config": config}, **kept}


def _networks(module: SuiteModule) -> dict[str, nn.Module]:
    """Networks by the prefix of their weights' names."""
    if not isinstance(module, AdversarialModule):
        return {"": module}
    networks: dict[str, nn.Module] = {"generator": module.generator, "text_encoder": module.text_encoder}
    networks |= {name: average.module for name, average in module.averages.items()}
    return {f"{name}.": network for name, network in networks.items()}
