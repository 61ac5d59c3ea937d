"""Settings that one part of a GAN's YAML determines for another, such as widths and image sizes.

A generator is swapped without repeating numbers. What the YAML leaves out is filled in here, before anything is
built; what it says twice must agree; what nothing would read is refused.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from jsonargparse import Namespace

from t2igan.errors import UserError
from t2igan.models.adversarial import AdversarialModule
from t2igan.models.damsm import sentence_dim_of
from t2igan.models.own_parts import check_sizes
from t2igan.nn.config import build
from t2igan.zoo import is_there

MODEL, DATA = "model.init_args", "data.init_args"


def settle_seams(config: Namespace, given: Mapping[str, Any], kind: type[AdversarialModule]) -> None:
    """Fill in the values that follow from other keys.

    Args:
        config: the whole configuration, defaults included; filled in here.
        given: what the YAML files and the command line say, without defaults.
        kind: class of the model.

    Raises:
        UserError: two keys contradict each other, or one makes the other void.
    """
    said = (given.get("model") or {}).get("init_args") or {}
    model = config.model.init_args
    refuse_void(said, kind)
    for key in kind.void_arguments(model.as_dict()):
        del model[key]  # a default that nothing reads: config.yaml could not be given again, and would mislead
    networks = [*_networks(model, said)]
    if model.get("damsm") and is_there(model.damsm):
        dim = sentence_dim_of(model.damsm)
        for key, arguments, own in [(MODEL, model, said), *networks]:
            _settle(arguments, own, "sentence_dim", dim, key, f"the text encoder of {MODEL}.damsm")
    sizes, source = _image_sizes(model)
    discriminators = [each for each in networks if ".discriminators" in each[0]]
    # A single discriminator gets the finest image; several get the generator's sizes in order.
    wanted = sizes if len(discriminators) == len(sizes) else sizes[-1:] * len(discriminators)
    for (key, arguments, own), size in zip(discriminators, wanted):
        if own.get("image_size") not in sizes:
            _settle(arguments, own, "image_size", size, key, source)
    data = (given.get("data") or {}).get("init_args") or {}
    if "init_args" in config.data:  # the user's own class may have no arguments
        _settle(config.data.init_args, data, "image_size", sizes[-1], DATA, source)


def refuse_void(said: Mapping[str, Any], kind: type[AdversarialModule]) -> None:
    """Refuse arguments that nothing would read, because others stand in their place.

    Raises:
        UserError: names both.
    """
    for key, owners in kind.void_arguments(said).items():
        if key in said:
            where = " and ".join(f"{MODEL}.{owner}" for owner in owners)
            raise UserError(f"{MODEL}.{key} has no effect beside {where}: remove one of them")


def refuse_trainer_arguments(trainer: Namespace) -> None:
    """Refuse arguments of the trainer that a GAN, which optimises by itself, does not read.

    Raises:
        UserError: names the argument of the model to set instead.
    """
    if trainer.gradient_clip_val:
        raise UserError(f"trainer.gradient_clip_val has no effect on a GAN: set {MODEL}.clip instead")
    if trainer.accumulate_grad_batches != 1:
        raise UserError(f"trainer.accumulate_grad_batches has no effect on a GAN: set {MODEL}.accumulate instead")


def _networks(model: Namespace, said: Mapping[str, Any]) -> Iterator[tuple[str, Namespace, Mapping[str, Any]]]:
    """(key, arguments, those that were given) of the generator and of each discriminator that is named."""
    if model.get("generator") is not None:
        yield f"{MODEL}.generator.init_args", *_arguments(model.generator, said["generator"])
    for place, each in enumerate(model.get("discriminators") or []):
        yield f"{MODEL}.discriminators.{place}.init_args", *_arguments(each, said["discriminators"][place])


def _arguments(network: Namespace, said: Mapping[str, Any]) -> tuple[Namespace, Mapping[str, Any]]:
    return network.get("init_args") or Namespace(), said.get("init_args") or {}


def _settle(arguments: Namespace, said: Mapping[str, Any], name: str, value: int, key: str, source: str) -> None:
    """Set an argument, if the class has it; a value given by the user must be equal."""
    if name not in arguments:
        return
    if name in said and said[name] != value:
        raise UserError(f"{key}.{name} is {said[name]}, but {source} has {value}: remove {name}")
    arguments[name] = value


def _image_sizes(model: Namespace) -> tuple[list[int], str]:
    """Sides of the generator's images, coarse to fine, and the key that says so."""
    if model.get("generator") is None:
        return [model.image_size], f"{MODEL}.image_size"
    with torch.device("meta"):
        generator = build({"init_args": {}} | model.generator.as_dict())
    check_sizes(generator)
    return list(generator.image_sizes), f"{MODEL}.generator"
