"""What the parts of a GAN must have: looked at before training begins, for a user may have written them."""

import inspect
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from t2igan.errors import UserError
from t2igan.losses.adversarial import Objective, scalar
from t2igan.models.generator_losses import GeneratorLoss, GeneratorView
from t2igan.networks.synthesis import Discriminator, Generator, check_adversaries, require_gradient


def check_parts(
    generator: Generator,
    discriminators: Sequence[Discriminator],
    objective: Objective,
    generator_losses: Sequence[GeneratorLoss],
) -> None:
    """Whether these can be trained with each other.

    Raises:
        UserError: one lacks an attribute or a method, or takes other arguments than it is given; or the networks do
            not fit each other.
    """
    networks = [generator, *discriminators, *generator_losses]
    for network in networks:
        _require_registered(network)
    check_sizes(generator)
    _require_number(generator, "noise_dim")
    _require_method(generator, Generator, "forward", ["noise", "text", *(["eps"] if generator.eps_dim else [])])
    for discriminator in discriminators:
        _require_number(discriminator, "image_size")
        if type(discriminator).verdict is Discriminator.verdict:
            _require_method(discriminator, nn.Module, "forward", ["image"])
            _require_method(discriminator, Discriminator, "conditional", ["features", "condition"])
    check_adversaries(generator, discriminators)
    if type(objective).discriminator_loss is Objective.discriminator_loss:
        for name in ("real", "fake", "deceive"):
            _require_method(objective, Objective, name, ["logits"])
    names = ["adversarial"]
    for loss in generator_losses:
        if not isinstance(getattr(loss, "name", None), str):
            raise UserError(f'{_name(loss)} has no name, under which its curve is logged: add name = "..." to it')
        _require_method(loss, GeneratorLoss, "forward", ["view"])
        if loss.name in names:
            taken = "the objective's" if loss.name == "adversarial" else "another loss's"
            raise UserError(
                f"{_name(loss)}.name is {loss.name!r}, under which {taken} curve is logged: take another"
            )
        names.append(loss.name)


def check_sizes(generator: Generator) -> None:
    """Whether a generator says which images it returns.

    Raises:
        UserError: it does not, or not coarse to fine.
    """
    sizes: Any = getattr(generator, "image_sizes", None)
    whole = isinstance(sizes, list | tuple) and sizes and all(type(size) is int and size > 0 for size in sizes)
    if not whole or sorted(set(sizes)) != list(sizes):
        found = "has no image_sizes" if sizes is None else f"has the image_sizes {sizes}"
        raise UserError(
            f"model.init_args.generator: {_name(generator)} {found}: its __init__ sets a list of the sides of the "
            "images that it returns, coarse to fine, such as [32, 64]"
        )


def require_frozen(loss: GeneratorLoss) -> None:
    """Require that a loss has no weights to train, for no optimiser takes them and no checkpoint holds them.

    Raises:
        UserError: it has.
    """
    if any(each.requires_grad for each in loss.parameters()):
        told = f"{_name(loss)} has weights to train, which are neither trained nor saved"
        raise UserError(f"{told}: add requires_grad_(False), or make them part of a network")


def term_value(term: GeneratorLoss, view: GeneratorView) -> Tensor:
    """The value of a loss for the generator, with its graph.

    Raises:
        UserError: it is not one number, or a constant, which trains nothing; 0 is nothing to be told.
    """
    value = scalar(term(view), f"{_name(term)}.forward")
    if torch.is_grad_enabled() and not value.requires_grad and value.item() != 0:
        require_gradient(value, f"{_name(term)}.forward returned a loss", "the images")
    return value


def _name(part: object) -> str:
    return type(part).__name__


def _require_number(part: nn.Module, name: str) -> None:
    if type(getattr(part, name, None)) is not int:
        found = f"is {getattr(part, name)!r}, no whole number" if hasattr(part, name) else "is not set"
        raise UserError(f"{_name(part)}.{name} {found}: set self.{name} in its __init__")


def _require_method(part: object, base: type, name: str, given: Sequence[str]) -> None:
    """A method must be the class's own, and take what it is given."""
    told = f"{name}({', '.join(given)})"
    if getattr(type(part), name) is getattr(base, name):
        raise UserError(f"{_name(part)} has no method {told}: write it")
    signature = inspect.signature(getattr(part, name))
    try:
        signature.bind(*given)
    except TypeError as error:
        raise UserError(f"{_name(part)}.{name} takes {signature}, but is called as {told}") from error


def _require_registered(network: nn.Module) -> None:
    """Layers in a plain list or dictionary are neither trained nor saved."""
    if "_modules" not in vars(network):
        raise UserError(f"{_name(network)}.__init__ does not begin with super().__init__()")
    known = set(network.modules())
    for module in list(known):
        for key, value in vars(module).items():
            if key == "_modules" or not isinstance(value, list | tuple | dict):
                continue
            items: Iterable[Any] = value.values() if isinstance(value, dict) else value
            if any(isinstance(item, nn.Parameter | nn.Module) and _is_lost(item, known) for item in items):
                kind = "ModuleDict" if isinstance(value, dict) else "ModuleList"
                found = f"{_name(module)}.{key} holds layers in a {type(value).__name__}"
                raise UserError(f"{found}, where they are neither trained nor saved: make it an nn.{kind}")


def _is_lost(item: nn.Module | nn.Parameter, known: set[nn.Module]) -> bool:
    if isinstance(item, nn.Module):
        return item not in known and any(True for _ in item.parameters())
    return not any(item is own for module in known for own in module.parameters(recurse=False))
