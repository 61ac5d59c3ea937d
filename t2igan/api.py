"""Python interface of the suite: ``t2igan.load``, ``t2igan.evaluate``, ``t2igan.datasets``.

This module is imported on first access of one of them, because its own imports take seconds.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import torch
from PIL import Image
from torch import Tensor

from t2igan.data.store import Store, open_store
from t2igan.errors import UserError
from t2igan.evaluation.evaluation import Evaluation, choose_device
from t2igan.evaluation.features.networks import NetworkOptions, load_classifier, load_damsms
from t2igan.evaluation.images.sampling import Sampler, Samples, understand
from t2igan.evaluation.protocol import load_protocol
from t2igan.evaluation.record import ResultRecord
from t2igan.evaluation.subjects.chosen import checkpoint_of
from t2igan.evaluation.subjects.generated import load_checkpoint_subject
from t2igan.models.adversarial import AdversarialModule
from t2igan.models.suite_module import SuiteModule, load_module
from t2igan.networks.synthesis import Generator
from t2igan.nn.config import allow as trust
from t2igan.plotting.grids import captioned_grid, to_pil


@dataclass(frozen=True)
class Sampled(Samples):
    """Generated images with their captions, fusion masks and attention maps.

    Attributes:
        captions: one for each image: text, the words that the model knows, and those that it does not.
        images: uint8 (B, 3, S, S).
        masks: float (B, 1, s, s) in [0, 1] each, coarse to fine; empty where the generator has none.
        attention: float (B, T, s, s) each, one map a word, coarse to fine; empty where the generator has none.
    """

    def to_pil(self) -> list[Image.Image]:
        """The generated images as PIL images."""
        return [to_pil(image) for image in self.images]

    def sheet(self, columns: int = 4) -> Image.Image:
        """One image with all generated images above their captions."""
        return captioned_grid(self.images, [caption.text for caption in self.captions], min(columns, len(self)))

    def _repr_png_(self) -> bytes:
        """PNG bytes of :meth:`sheet`, which a notebook displays."""
        written = io.BytesIO()
        self.sheet().save(written, "PNG")
        return written.getvalue()


class Model:
    """A trained network loaded from a checkpoint.

    Args:
        module: in eval mode.
        name: path or name of its checkpoint.

    Attributes:
        module: the LightningModule, for whatever is not offered here.
        name: path or name of its checkpoint.
    """

    def __init__(self, module: SuiteModule, name: str) -> None:
        self.module, self.name = module, name

    def __repr__(self) -> str:
        return f"<{type(self.module).__name__} of {self.name}>"

    @property
    def vocabulary(self) -> list[str]:
        """The vocabulary of the text encoder."""
        return self.module.vocabulary[1:]

    @cached_property
    def _sampler(self) -> Sampler:
        if not isinstance(self.module, AdversarialModule):
            raise UserError(
                f"{self.name} holds {type(self.module).__name__}, which generates no images; load a generator"
            )
        return Sampler(self.module, self.name)

    def sample(
        self, captions: str | Sequence[str], seed: int = 0, n: int = 1, noise: Tensor | None = None
    ) -> Sampled:
        """Generate images.

        Args:
            captions: one or several.
            seed: seed of the noise; an image depends on it, on its caption's place and on its number alone, as with
                `t2igan sample`.
            n: images of each caption, one behind the other.
            noise: float (captions times n, Z + E) in the place of what ``seed`` gives.

        Raises:
            UserError: it is no generator, no image is asked for, a caption has no word that it knows, or ``noise``
                has another shape.
        """
        texts = [captions] if isinstance(captions, str) else list(captions)
        if not texts or n < 1:
            raise UserError(f"{len(texts)} captions and n={n} make no image; give a caption, and n of at least 1")
        known = understand(texts, self._sampler.vocabulary)
        if noise is None:
            noise = torch.cat([self._sampler.noise(index, n, seed) for index in range(len(texts))])
        wanted = len(texts) * n, cast(Generator, self.module.generator).random_dim
        if tuple(noise.shape) != wanted:
            raise UserError(f"noise has the shape {tuple(noise.shape)}, but {wanted} is expected")
        made = self._sampler.sample([caption for caption in known for _ in range(n)], noise)
        return Sampled(made.captions, made.images, made.masks, made.attention)

    def interpolate(
        self, first: str, second: str, steps: int = 8, seed: int = 0, to_seed: int | None = None
    ) -> Sampled:
        """Images on the way from one caption to another, and from one noise to another where ``to_seed`` is given.

        Raises:
            UserError: as :meth:`sample`, or there are less than two steps.
        """
        if steps < 2:
            raise UserError(f"steps is {steps}, but an interpolation needs at least 2")
        start, end = understand([first, second], self._sampler.vocabulary)
        seeds = seed, seed if to_seed is None else to_seed
        noise = self._sampler.noise(0, 1, seeds[0]), self._sampler.noise(0, 1, seeds[1])
        made = self._sampler.interpolate(start, end, noise, steps)
        return Sampled(made.captions, made.images, made.masks, made.attention)


def load(checkpoint: str | Path, device: str = "auto", allow: Sequence[str] = ()) -> Model:
    """Load a checkpoint; no code stored in the file is executed.

    Args:
        checkpoint: path, folder of a run, or a name of the zoo such as ``zoo:drawn-birds/ssagan``.
        device: auto, cpu, cuda, cuda:1.
        allow: modules of your own whose classes the checkpoint may name, such as ``mine`` of mine.py; they are
            imported, and stay allowed.

    Raises:
        UserError: it is missing, damaged, of another version, or names a class of a module that is not allowed.
    """
    trust(allow)
    path = checkpoint_of(checkpoint)
    return Model(load_module(path).to(choose_device(device)), str(path))


def evaluate(
    checkpoint: str | Path,
    protocol: str | Path,
    store: str | Path | Store,
    damsms: Sequence[str | Path] = (),
    classifier: str | Path | None = None,
    batch_size: int = 64,
    device: str = "auto",
    skip_missing: bool = False,
    cache: str | Path | None = None,
    bootstrap: int = 200,
    allow: Sequence[str] = (),
) -> ResultRecord:
    """Score a generator as `t2igan evaluate` does.

    Args:
        checkpoint: as of :func:`load`.
        protocol: its name (`t2igan list protocols`) or a YAML file.
        store: store of the data set, opened or its path.
        damsms: checkpoints; the first is the one that the generator was trained against.
        classifier: checkpoint of the evaluation classifier.
        batch_size: images at a time; changes no number.
        device: auto, cpu, cuda, cuda:1.
        skip_missing: skip metrics whose networks are missing.
        cache: folder where features are kept; None keeps none.
        bootstrap: replicates of confidence intervals, where the protocol does not say how many; 0 for none.
        allow: as of :func:`load`.

    Returns:
        The record; ``record.metrics["fd-classifier"].value`` and so on.

    Raises:
        UserError: something is missing or does not fit together.
    """
    trust(allow)
    pinned = load_protocol(str(protocol))
    opened = store if isinstance(store, Store) else open_store(store)
    subject = load_checkpoint_subject(str(checkpoint_of(checkpoint)), pinned.weights)
    backbone = load_classifier(classifier, opened) if classifier else None
    folder = None if cache is None else Path(cache)
    options = NetworkOptions(
        batch_size, device, skip_missing=skip_missing, cache=folder, bootstrap=bootstrap, remedy="skip_missing=True"
    )
    return Evaluation(subject, pinned, opened, load_damsms(damsms, opened), backbone, options).run()
