"""Text encoder of a GAN, and the DAMSM that provides it and scores images."""

from abc import ABC
from functools import partial
from typing import Literal

import torch
from torch import nn

from t2igan.data.batch import CaptionedImages
from t2igan.errors import UserError
from t2igan.lightning_private import has_trainer
from t2igan.losses.matching import Gammas
from t2igan.models.damsm import DAMSM
from t2igan.models.generator_losses import GeneratorLoss
from t2igan.models.suite_module import SuiteModule, load_module
from t2igan.networks.synthesis import Discriminator, Generator, check_sentence_dim
from t2igan.nn.modules import Modules
from t2igan.ranges import Count
from t2igan.text import NoText, TextEmbedding, TextEncoder

TextMode = Literal["joint", "frozen", "damsm-finetune", "none"]


class TextConditioned(SuiteModule, ABC):
    """Mixin with a text encoder in one of the modes of :class:`t2igan.models.adversarial.AdversarialModule`.

    Attributes:
        text_encoder: encoder of captions, built by :meth:`configure_model`.
        scorer: the pre-trained DAMSM, None without a DAMSM or outside of training.
        generator: generator that takes the embeddings.
        discriminators: discriminators that take the embeddings.
        generator_losses: losses that use the scorer.
    """

    text_encoder: TextEncoder | NoText
    generator: Generator
    discriminators: Modules[Discriminator]
    generator_losses: Modules[GeneratorLoss]

    def __init__(self, damsm: str | None, text_mode: TextMode, vocabulary_size: Count | None) -> None:
        super().__init__()
        self.damsm, self.vocabulary_size = damsm, vocabulary_size
        self.text_mode: TextMode = text_mode
        self.scorer: DAMSM | None = None

    def _new_text_encoder(self) -> TextEncoder | NoText:
        if self.scorer is not None:
            size, dim = self.scorer.text_encoder.vocabulary_size, self.scorer.image_encoder.dim
        else:
            size, dim = self.vocabulary_size or len(self.vocabulary), self.generator.sentence_dim
        known = size if self.scorer is not None else len(self.vocabulary) or size
        if has_trainer(self) and self.vocabulary_size not in (None, known):
            told = f"model.init_args.vocabulary_size is {self.vocabulary_size}, but the data have {known} words"
            raise UserError(f"{told}: remove the key")
        self.remember(vocabulary_size=size)
        if self.text_mode == "none":
            return NoText()
        check_sentence_dim(dim, f"model.init_args.damsm ({self.damsm})", self.generator, self.discriminators)
        make = partial(TextEncoder, size, dim)
        self.require_memory(make, f"model.init_args.generator: sentence_dim {dim}")
        return make()

    @property
    def given_scorer(self) -> DAMSM:
        """The scorer, which must exist.

        Raises:
            RuntimeError: there is no scorer.
        """
        if self.scorer is None:
            raise RuntimeError(f"{type(self).__name__} has no DAMSM that scores")
        return self.scorer

    def _load_scorer(self) -> DAMSM:
        path = str(self.damsm)
        scorer = load_module(path)
        if not isinstance(scorer, DAMSM):
            raise UserError(f"{path} holds a {type(scorer).__name__}, not a DAMSM")
        if self.vocabulary and scorer.vocabulary != self.vocabulary:
            raise UserError(
                f"the DAMSM {path} was trained on another vocabulary than this store's: "
                "train one on this store, or prepare the store with that DAMSM's captions.pickle"
            )
        if self.text_mode == "damsm-finetune":
            scorer.requires_grad_(True)
            if isinstance(trunk := getattr(scorer.image_encoder, "trunk", None), nn.Module):
                trunk.requires_grad_(False)
        return scorer

    @property
    def trains_text(self) -> bool:
        """Whether the text encoder is trained."""
        return self.text_mode not in ("frozen", "none")

    def _scored_text(self, batch: CaptionedImages) -> TextEmbedding:
        """Embedding of the captions by the scoring DAMSM."""
        encoder = self.text_encoder if self.scorer is None else self.scorer.text_encoder
        with torch.no_grad():
            return encoder(batch.captions, batch.lengths)

    def _scorer_gammas(self) -> Gammas:
        """Smoothing factors of the generator's DAMSM loss if it has one, otherwise the defaults."""
        for loss in self.generator_losses:
            if loss.needs_scorer:
                return loss.gammas
        return self.given_scorer.gammas
