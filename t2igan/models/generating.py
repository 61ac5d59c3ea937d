"""A GAN in use: images of captions, for sampling, validation and prediction."""

from abc import ABC
from typing import Literal

import torch
from torch import Tensor

from t2igan.data.batch import CaptionedImages
from t2igan.errors import UserError
from t2igan.layout.layout import Layouts
from t2igan.losses.matching import damsm_loss, sentence_logits
from t2igan.models.text_conditioned import TextConditioned
from t2igan.networks.synthesis import Conditions, Synthesis
from t2igan.nn.average import WeightAverage
from t2igan.nn.modes import evaluating
from t2igan.nn.modules import NamedModules
from t2igan.nn.noise import caption_noise
from t2igan.text import TextEmbedding

VALIDATION_SEED = 0


class GeneratingModule(TextConditioned, ABC):
    """A generator with its text encoder, raw and averaged; :class:`AdversarialModule` trains it.

    Attributes:
        averages: weight averages of ``generator`` and of a trained ``text_encoder``; empty without averaging.
    """

    averages: NamedModules[WeightAverage]

    def synthesise(
        self,
        noise: Tensor,
        captions: Tensor,
        lengths: Tensor,
        weights: Literal["ema", "raw"] = "ema",
        layouts: Layouts | None = None,
    ) -> Synthesis:
        """Generate images of captions, in eval mode.

        Args:
            noise: (B, Z + E), ``generator.random_dim`` wide.
            captions: int64 (B, T), 0 = padding.
            lengths: int64 (B,).
            weights: averaged weights (``ema``) or trained weights (``raw``), which are the same without an average.
            layouts: layouts of the images, at the generator's size; for generators that require them.
        """
        networks = {"generator": self.generator, "text_encoder": self.text_encoder}
        if weights == "ema":
            networks |= {name: average.module for name, average in self.averages.items()}
        with evaluating(*networks.values()):
            text = networks["text_encoder"](captions, lengths)
            return networks["generator"].from_random(noise, self.conditions(text, layouts))

    def conditions(self, text: TextEmbedding, layouts: Layouts | None) -> Conditions:
        """Conditions of generator and discriminators: captions and, if required, layouts.

        Args:
            text: the captions.
            layouts: layouts of the images; None if no network requires them.

        Raises:
            UserError: layouts are required but missing.
        """
        if layouts is None and "layouts" in self.requires:
            name = type(self.generator).__name__
            raise UserError(f"{name} generates images from layouts, not from captions: see docs/narratives.md")
        return Conditions(text.sentence, text.words, text.padding, layouts)

    def validation_step(self, batch: CaptionedImages, batch_idx: int) -> None:
        """Measure how well the scorer matches captions with images generated from them with averaged weights."""
        if self.scorer is None:
            return
        noise = caption_noise(batch.caption_ids, self.generator.random_dim, VALIDATION_SEED).to(self.device)
        generated = self.synthesise(noise, batch.captions, batch.lengths, layouts=batch.layouts).images[-1]
        text = self._scored_text(batch)
        regions, codes = self.scorer.image_encoder(generated)
        loss = damsm_loss(regions, codes, text, batch.class_ids, self._scorer_gammas()).total
        ranks = sentence_logits(codes, text.sentence, self._scorer_gammas()).argmax(dim=1)
        found = (ranks == torch.arange(len(batch), device=self.device)).float().mean()
        values = {"val/damsm": loss, "val/top1_of_batch": found}
        self.log_dict(values, prog_bar=True, batch_size=len(batch), sync_dist=True)

    def test_step(self, batch: CaptionedImages, batch_idx: int) -> None:
        """Same as validation; use ``t2igan evaluate`` for benchmark scores."""
        self.validation_step(batch, batch_idx)

    def predict_step(self, batch: CaptionedImages, batch_idx: int) -> Tensor:
        """Generate images (B, 3, S, S) in [-1, 1] of the batch's captions."""
        noise = caption_noise(batch.caption_ids, self.generator.random_dim, VALIDATION_SEED).to(self.device)
        return self.synthesise(noise, batch.captions, batch.lengths, layouts=batch.layouts).images[-1]
