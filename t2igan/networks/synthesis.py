"""Interfaces between generators, discriminators and the training loop."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from t2igan.errors import UserError
from t2igan.layout.layout import Layouts
from t2igan.losses.adversarial import Logits
from t2igan.nn.config import Configured
from t2igan.nn.recomputing import recomputed
from t2igan.text import TextEmbedding


@dataclass
class Conditions(TextEmbedding):
    """Conditions of generator and discriminators: captions and, if the model requires them, layouts.

    Networks that take text only can use it as a plain :class:`TextEmbedding`.

    Attributes:
        layouts: layouts of the images, at the generator's size.
    """

    layouts: Layouts | None = None


@dataclass
class Synthesis:
    """Output of every generator.

    Attributes:
        images: list of (B, 3, S, S) in [-1, 1], coarse to fine.
        attention: list of (B, T, s, s), word attention per stage; empty without attention.
        masks: list of (B, 1, s, s) in (0, 1), fusion masks per stage; empty without masks.
        mu: (B, C), mean of the conditioning augmentation, or None.
        logvar: (B, C), log variance of the conditioning augmentation, or None.
    """

    images: list[Tensor]
    attention: list[Tensor] = field(default_factory=list)
    masks: list[Tensor] = field(default_factory=list)
    mu: Tensor | None = None
    logvar: Tensor | None = None

    def of_size(self, size: int) -> Tensor:
        """The images (B, 3, size, size).

        Raises:
            UserError: there is no image of that size.
        """
        for images in self.images:
            if images.shape[-1] == size:
                return images
        sides = [images.shape[-1] for images in self.images]
        raise UserError(f"the generator returned images of {sides} px, but {size} px are needed")

    def check(self, generator: "Generator", rows: int) -> None:
        """Check the output against the declarations of ``generator``, for ``rows`` captions.

        Raises:
            UserError: they differ; names what was returned and what was declared.
        """
        name = type(generator).__name__
        _require_maps(self.images, f"{name}.forward returned images", rows)
        _require_maps(self.masks, f"{name}.forward returned masks", rows, channels=1)
        _require_maps(self.attention, f"{name}.forward returned attention", rows)
        found = [tuple(images.shape) for images in self.images]
        declared = [(rows, 3, size, size) for size in generator.image_sizes]
        if found != declared:
            raise UserError(
                f"{name} returned images of shapes {found}, but its image_sizes "
                f"{list(generator.image_sizes)} declare {declared}: make the two agree"
            )


def _require_maps(maps: Any, what: str, rows: int, channels: int | None = None) -> None:
    wanted = f"a list of tensors ({rows}, {channels or 'C'}, S, S)"
    if not isinstance(maps, list | tuple) or not all(isinstance(each, Tensor) for each in maps):
        inner = f" of {type(maps[0]).__name__}" if isinstance(maps, list | tuple) else ""
        raise UserError(f"{what} as a {type(maps).__name__}{inner}: return {wanted}")
    for each in maps:
        if each.dim() != 4 or len(each) != rows or channels not in (None, each.shape[1]):
            raise UserError(f"{what} of shape {tuple(each.shape)}: return {wanted}")


def _require_precision(images: Sequence[Tensor], generator: "Generator") -> None:
    """Require images of the weights' precision, of autocast's or single: discriminators take no other."""
    known = {torch.float32, *(each.dtype for each in generator.parameters())}
    known |= {torch.get_autocast_dtype(kind) for kind in ("cpu", "cuda") if torch.is_autocast_enabled(kind)}
    for each in images:
        if each.is_floating_point() and each.dtype not in known:
            told = f"{type(generator).__name__}.forward returned images of {each.dtype}"
            raise UserError(f"{told}: leave them in the precision of its weights, or add .float()")


class Generator(Configured, nn.Module):
    """Base class of generators: noise and text -> images.

    A generator with conditioning augmentation sets ``eps_dim`` and takes that noise as a third argument of
    ``forward``; if it is omitted, the generator draws it, even in eval mode.

    Attributes:
        noise_dim: width Z of the noise.
        sentence_dim: width D of the sentence vectors it takes.
        image_sizes: side in pixels of each image returned, coarse to fine.
        eps_dim: width E of the conditioning augmentation's noise, 0 without one.
        requires: parts of a batch that it requires besides captions, see :attr:`SuiteModule.requires`.
        recomputes: whether it computes its blocks by :meth:`through`.
        recompute: whether activations within blocks are dropped after the forward pass.
    """

    requires: ClassVar[frozenset[str]] = frozenset()
    recomputes: ClassVar[bool] = False
    recompute = False
    noise_dim: int
    sentence_dim: int
    image_sizes: list[int]
    eps_dim: int = 0

    def forward(self, noise: Tensor, text: Any) -> Synthesis:
        """Generate one image for each row of ``noise`` (B, Z) and of ``text``."""
        raise NotImplementedError

    def keep_activations(self, kept: bool) -> None:
        """Choose whether activations within blocks are kept for the backward pass, or recomputed.

        Raises:
            UserError: the generator does not support recomputation.
        """
        if not (kept or self.recomputes):
            raise UserError(f"model.init_args.recompute: {type(self).__name__} does not support it: remove it")
        self.recompute = not kept

    def through(self, block: nn.Module, *inputs: Any) -> Any:
        """Apply a block to ``inputs``; with :attr:`recompute`, it is evaluated again in the backward pass."""
        again = self.recompute and self.training and torch.is_grad_enabled()
        return recomputed(block, *inputs) if again else block(*inputs)

    @property
    def random_dim(self) -> int:
        """Width Z + E of all random inputs of an image."""
        return self.noise_dim + self.eps_dim

    def from_random(self, random: Tensor, text: TextEmbedding) -> Synthesis:
        """Generate as a pure function of ``random`` (B, Z + E), standard normal, and ``text``.

        Raises:
            UserError: :meth:`forward` did not return a :class:`Synthesis` with the declared ``image_sizes``.
        """
        split = random.split([self.noise_dim, self.eps_dim], dim=1) if self.eps_dim else [random]
        synthesis = self(split[0], text, *split[1:])
        if not isinstance(synthesis, Synthesis):
            name = type(self).__name__
            raise UserError(f"{name}.forward returned a {type(synthesis).__name__}: return t2igan.models.Synthesis")
        synthesis.check(self, len(random))
        trains = self.training and torch.is_grad_enabled() and any(each.requires_grad for each in self.parameters())
        if trains:
            _require_precision(synthesis.images, self)
            require_gradient(synthesis.images[-1], f"{type(self).__name__}.forward returned images", "its weights")
        return synthesis


def require_gradient(values: Tensor, what: str, source: str) -> None:
    """Require that values carry the graph that a training needs.

    Args:
        values: result of a network or loss, computed with gradients enabled.
        what: the method that returned them, in words.
        source: what the gradient is to reach.

    Raises:
        UserError: they carry none.
    """
    if not values.requires_grad:
        raise UserError(
            f"{what} without a gradient to {source}: do not detach them, nor compute them under no_grad"
        )


def require_logits(
    discriminator: "Discriminator", logits: Any, rows: int, method: str = "conditional", source: str = ""
) -> None:
    """Require that these are logits of ``rows`` pairs.

    Args:
        discriminator: network that returned them.
        logits: its return value.
        rows: number of pairs.
        method: name of the called method, for the message.
        source: what their gradient must reach, for the message; empty if none is needed.

    Raises:
        UserError: they are something else, or have no gradient.
    """
    told = f"{type(discriminator).__name__}.{method} returned"
    if not (isinstance(logits, Tensor) and logits.dim() and len(logits) == rows):
        found = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else f"type {type(logits).__name__}"
        raise UserError(f"{told} {found}: return one logit a pair, shape ({rows},)")
    if source and torch.is_grad_enabled():
        require_gradient(logits, f"{told} logits", source)


class Discriminator(Configured, nn.Module):
    """Base class of discriminators of one image size; ``forward(image (B, 3, S, S))`` returns features.

    Attributes:
        image_size: side S of the images it judges.
        sentence_dim: width D of the sentence vectors it takes.
        probabilities: whether it returns probabilities instead of logits, like released ones; training requires
            logits.
        independent: whether each image is processed independently and without side effects of a pass; real and
            generated images may then share a pass. Batch norms of :mod:`t2igan.nn.in_turn` are allowed.
        adversarial_weight: weight of its adversarial loss relative to other discriminators.
        penalised: whether it gets the gradient penalty, if there is one.
        requires: what it takes of a batch beside captions, see :attr:`SuiteModule.requires`.
    """

    requires: ClassVar[frozenset[str]] = frozenset()
    adversarial_weight: float = 1.0
    penalised: bool = True
    image_size: int
    sentence_dim: int
    probabilities: bool = False
    independent: bool = False

    @property
    def label(self) -> str:
        """Name in the logs."""
        return str(self.image_size)

    def condition(self, told: Any) -> Tensor:
        """The condition that it uses, (B, ...), out of the generator's; default: the sentence vectors."""
        return told.sentence

    def conditional(self, features: Tensor, condition: Tensor) -> Tensor:
        """Logits (B,) of "real and matching", from features and the result of :meth:`condition`."""
        raise NotImplementedError

    def unconditional(self, features: Tensor) -> Tensor | None:
        """Logits (B,) of "real", or None for a discriminator that judges pairs only."""
        return None

    def verdict(self, images: Tensor, condition: Tensor) -> Logits:
        """All outputs for images (B, 3, S, S) and the result of :meth:`condition`."""
        features = self(images)
        return Logits(self.conditional(features, condition), self.unconditional(features))


def check_adversaries(generator: Generator, discriminators: Iterable[Discriminator]) -> None:
    """Check that these networks can be trained against each other.

    Raises:
        UserError: no image has a discriminator's size, a discriminator returns probabilities, or a network has no
            weights.
    """
    discriminators = list(discriminators)
    for network in (generator, *discriminators):
        if not any(True for _ in network.parameters()):
            raise UserError(f"{type(network).__name__} has no weights to train: create its layers in __init__")
        if not any(each.requires_grad for each in network.parameters()):
            raise UserError(f"{type(network).__name__} has frozen weights only: remove requires_grad_(False)")
    for discriminator in discriminators:
        if discriminator.image_size not in generator.image_sizes:
            raise UserError(
                f"a discriminator takes images of {discriminator.image_size} px, but the generator returns "
                f"{generator.image_sizes} px: set model.init_args.discriminators to the generator's sizes"
            )
        if discriminator.probabilities:
            raise UserError(
                "a discriminator gives probabilities, and training needs logits: "
                "remove model.init_args.discriminators.init_args.probabilities"
            )


def check_sentence_dim(
    dim: int, source: str, generator: Generator, discriminators: Iterable[Discriminator]
) -> None:
    """Check that the networks accept the text encoder's width; networks that declare none are skipped.

    Args:
        dim: width of the text encoder's vectors.
        source: origin of the width, for the error message.
        generator: checked for its ``sentence_dim``.
        discriminators: checked likewise.

    Raises:
        UserError: a network takes another width.
    """
    networks = {"generator": generator}
    networks |= {f"discriminators.{place}": each for place, each in enumerate(discriminators)}
    for name, network in networks.items():
        own = getattr(network, "sentence_dim", dim)
        if own != dim:
            raise UserError(
                f"model.init_args.{name}: sentence_dim is {own}, but the text encoder of {source} gives {dim}: "
                f"set it to {dim}"
            )
