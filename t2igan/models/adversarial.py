"""The training loop that all text-to-image GANs of the suite share."""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import torch
from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor, nn

from t2igan.data.batch import CaptionedImages
from t2igan.errors import UserError
from t2igan.lightning_private import do_not_count_steps_of, has_trainer
from t2igan.losses.adversarial import Objective
from t2igan.losses.gradient_penalty import MAGP, leaves
from t2igan.losses.matching import damsm_loss
from t2igan.losses.mismatch import MismatchPolicy, mismatch_share, mismatched
from t2igan.models.gan_step import Chunk, deceiving_verdict, discriminate_pairs, verdicts, warn_of_range
from t2igan.models.generating import GeneratingModule
from t2igan.models.generator_losses import Discriminated, GeneratorLoss, GeneratorView
from t2igan.models.own_parts import check_parts, require_frozen, term_value
from t2igan.models.speed import prepare_networks
from t2igan.models.suite_module import content_sha256
from t2igan.models.text_conditioned import TextMode
from t2igan.networks.synthesis import (
    Conditions,
    Discriminator,
    Generator,
    check_sentence_dim,
)
from t2igan.nn.average import Statistics, WeightAverage
from t2igan.nn.images import to_signed
from t2igan.nn.modes import frozen
from t2igan.nn.modules import Modules, NamedModules
from t2igan.ranges import Count, Decay, Positive, Rate, Whole
from t2igan.text import TextEmbedding, TextEncoder


class AdversarialModule(GeneratingModule):
    """Trains any generator against any discriminators under any objective.

    One step: encode the captions, generate once, update the discriminators on detached images, apply the penalty,
    update the generator on the same images against the updated discriminators, update the average.

    The text encoder comes from a DAMSM checkpoint and is used in one of three modes: ``joint``, the generator's
    loss trains it end to end (SSA-GAN, abstract); ``frozen``; ``damsm-finetune``, only the DAMSM loss on real
    images trains it (SSA-GAN's ``main_finetune.py``). With ``none`` there is no text encoder: generator and
    discriminators get no text, only the other conditions that they require. Discriminators and DAMSM loss always
    get a detached sentence, so that no loss can be lowered by changing its own target.

    Args:
        generator: network that makes the images.
        discriminators: one for each image size that is discriminated.
        objective: adversarial losses.
        damsm: checkpoint of a DAMSM trained on the same vocabulary; None starts a text encoder from scratch.
        penalty: gradient penalty on real pairs, or None.
        generator_losses: further terms of the generator's loss.
        text_mode: see above.
        mismatch: which captions count as wrong for a real image.
        lr_generator: learning rate of the generator.
        lr_discriminator: learning rate of the discriminators.
        lr_text: learning rate of the text encoder in the modes that train it.
        betas: betas of Adam.
        ema_decay: decay of the average of generator and trained text encoder; None keeps none.
        ema_statistics: running statistics of batch norm beside averaged weights: copied from the trained ones, as
            released, or averaged, too, which fits better; docs/paper-and-code.md says by how much.
        accumulate: cut each batch into this many chunks and add up their gradients; saves memory.
        recompute: recompute the generator's blocks in the backward pass: less memory, more time, identical results.
        clip: largest norm of the gradients of generator and of discriminators; None does not clip.
        channels_last: use this memory layout for generator and discriminators, regardless of the levers;
            docs/speed.md lists the models that it makes faster.
        seed: seed of all random numbers; see :mod:`t2igan.nn.randomness`.
        vocabulary_size: number of words; None takes the data set's.
    """

    # (arguments, arguments without effect if all of the former are given): ``t2igan fit`` refuses the latter.
    VOID: ClassVar[tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]] = ()
    faster_channels_last: ClassVar[bool] = False

    @classmethod
    def void_arguments(cls, given: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
        """Arguments that have no effect beside those given: their names, with the arguments that replace them."""
        replaced = (each for each in cls.VOID if all(given.get(owner) is not None for owner in each[0]))
        return {key: owners for owners, keys in replaced for key in keys}

    def __init__(
        self,
        generator: Generator,
        discriminators: list[Discriminator],
        objective: Objective,
        damsm: str | None = None,
        penalty: MAGP | None = None,
        generator_losses: list[GeneratorLoss] | None = None,
        text_mode: TextMode = "frozen",
        mismatch: MismatchPolicy = "neighbour",
        lr_generator: Rate = 2e-4,
        lr_discriminator: Rate = 2e-4,
        lr_text: Rate = 4e-5,
        betas: tuple[Decay, Decay] = (0.5, 0.999),
        ema_decay: Decay | None = 0.999,
        ema_statistics: Statistics = "copied",
        accumulate: Count = 1,
        recompute: bool = False,
        clip: Positive | None = None,
        channels_last: bool = False,
        seed: Whole = 0,
        vocabulary_size: Count | None = None,
    ) -> None:
        super().__init__(damsm, text_mode, vocabulary_size)
        check_parts(generator, discriminators, objective, generator_losses or [])
        self.automatic_optimization = False
        self.generator = generator
        self.discriminators = Modules(discriminators)
        self.objective = objective
        self.penalty = penalty
        self.generator_losses = Modules(generator_losses or [])
        self.mismatch: MismatchPolicy = mismatch
        self.lr_generator, self.lr_discriminator, self.lr_text = lr_generator, lr_discriminator, lr_text
        self.betas: tuple[float, float] = (betas[0], betas[1])
        self.ema_decay, self.ema_statistics = ema_decay, ema_statistics
        self.accumulate, self.clip, self.seed = accumulate, clip, seed
        self.averages: NamedModules[WeightAverage] = NamedModules()
        self.requires = frozenset({"captions"}).union(*(each.requires for each in (generator, *discriminators)))
        if channels_last:
            self.generator.to(memory_format=torch.channels_last)
            self.discriminators.to(memory_format=torch.channels_last)
        self._check()
        self.generator.keep_activations(not recompute)

    def _check(self) -> None:
        if self.text_mode == "none":
            check_sentence_dim(0, "text_mode: none", self.generator, self.discriminators)
        scored = [loss.name for loss in self.generator_losses if loss.needs_scorer]
        if scored and self.damsm is None:
            raise UserError(f"the losses {scored} need a DAMSM checkpoint: set model.init_args.damsm")
        if self.damsm is None and self.text_mode not in ("joint", "none"):
            raise UserError(f"text_mode {self.text_mode} needs a DAMSM checkpoint: set model.init_args.damsm")

    # ------------------------------------------------------------------ set-up

    def configure_model(self) -> None:
        """Build the text encoder and, for training, the scorer: the DAMSM that scores generated images."""
        if hasattr(self, "text_encoder"):
            return
        if self.damsm is not None and has_trainer(self):
            self.scorer = self._load_scorer()
        self.text_encoder = self._new_text_encoder()
        if has_trainer(self):
            for loss in self.generator_losses:
                loss.prepare(self.vocabulary)
                require_frozen(loss)
                self.inputs |= loss.inputs
        if self.scorer is not None:
            self.inputs["damsm"] = content_sha256(self.scorer)
            if self.text_mode != "none":
                self.text_encoder.load_state_dict(self.scorer.text_encoder.state_dict())
            if self.text_mode == "damsm-finetune" and isinstance(self.text_encoder, TextEncoder):
                self.scorer.text_encoder = self.text_encoder
        if not self.trains_text:
            self.text_encoder.requires_grad_(False)
        prepare_networks(self)
        if self.ema_decay is not None:
            averaging = {"decay": self.ema_decay, "statistics": self.ema_statistics}
            self.averages["generator"] = WeightAverage(self.generator, **averaging)
            if self.trains_text:
                self.averages["text_encoder"] = WeightAverage(self.text_encoder, **averaging)

    def configure_optimizers(self) -> list[torch.optim.Adam]:
        """Adam for the generator (and jointly trained text), for all discriminators, for fine-tuned encoders.

        Raises:
            UserError: there is no discriminator, e.g. because none was released.
        """
        if not self.discriminators:
            raise UserError("no discriminator to train against: give model.init_args.discriminators one or more")
        adam = partial(torch.optim.Adam, betas=self.betas, fused=self.fused_adam(clips=self.clip is not None))
        groups: list[dict[str, Any]] = [{"params": list(self.generator.parameters()), "lr": self.lr_generator}]
        if self.text_mode == "joint":
            groups.append({"params": list(self.text_encoder.parameters()), "lr": self.lr_text})
        optimizers = [adam(groups), adam(self.discriminators.parameters(), lr=self.lr_discriminator)]
        if self.text_mode == "damsm-finetune":
            encoders = [*self.text_encoder.parameters(), *self.given_scorer.image_encoder.trainable()]
            optimizers.append(adam(encoders, lr=self.lr_text))
        return optimizers

    def networks(self) -> dict[str, nn.Module]:
        """The trained networks, by the names under which they are logged."""
        sizes = len(self.discriminators) > 1
        networks: dict[str, nn.Module] = {"generator": self.generator, "text_encoder": self.text_encoder}
        for discriminator in self.discriminators:
            networks[f"discriminator_{discriminator.label}" if sizes else "discriminator"] = discriminator
        if self.scorer is not None:
            networks["image_encoder"] = self.scorer.image_encoder
        return networks

    def _settle_modes(self) -> None:
        """Correct the modes that Lightning's ``train()`` sets; at every step, no hook runs after every resume."""
        self.generator_losses.eval()
        if self.text_mode == "damsm-finetune":
            # It was loaded in eval mode, and Lightning does not change modes.
            self.given_scorer.train()
        else:
            # The recurrent layer stays in train mode, which its backward pass on a GPU needs, but without dropout.
            if isinstance(self.text_encoder, TextEncoder):
                self.text_encoder.dropout.eval()
            if self.scorer is not None:
                self.scorer.eval()

    def borrowed(self) -> tuple[str, ...]:
        """Weights of scorer and losses, which come from their own files, except for a scorer that is trained."""
        if self.text_mode == "damsm-finetune" and self.scorer is not None:
            return ("generator_losses.",)
        return ("generator_losses.", "scorer.")

    # --------------------------------------------------------------- training

    def training_conditions(self, text: TextEmbedding, chunk: Chunk) -> Conditions:
        """Conditions in a training step; models may override it to use information that is missing at inference."""
        return self.conditions(text, chunk.batch.layouts)

    def training_step(self, batch: CaptionedImages, batch_idx: int) -> None:
        """Run one training step of all networks."""
        self._settle_modes()
        generator_optimizer, discriminator_optimizer, *others = self.every_optimizer()
        do_not_count_steps_of(discriminator_optimizer, *others)
        chunks = self._chunks(batch)
        if others:
            self._encoder_phase(chunks, others[0])
        self._discriminator_phase(chunks, discriminator_optimizer)
        self._generator_phase(chunks, generator_optimizer)
        for name, average in self.averages.items():
            average.update(getattr(self, name))

    def _chunks(self, batch: CaptionedImages) -> list[Chunk]:
        chunks, random = [], self.step_random(len(batch))
        for index in torch.arange(len(batch)).chunk(self.accumulate):
            part = batch.select(index) if self.accumulate > 1 else batch
            own = random.after(int(index[0]))
            noise = own.normal(len(part), self.generator.random_dim).to(self.device, non_blocking=True)
            chunks.append(Chunk(part, to_signed(part.images), noise, self._scored_text(part), random=own))
        return chunks

    def _draw(self, chunk: Chunk) -> None:
        """Generate the chunk's images, with the graph that the generator's loss needs."""
        if self.text_mode in ("joint", "none"):
            text = self.text_encoder(chunk.batch.captions, chunk.batch.lengths)
        else:
            text = chunk.scored_text
        told = self.training_conditions(text, chunk)
        chunk.synthesis = self.generator.from_random(chunk.noise, told)
        chunk.told = told.detach()
        if self.step_number == 0:
            warn_of_range(chunk.synthesis.images[-1], self.generator, 0)

    def _encoder_phase(self, chunks: list[Chunk], optimizer: LightningOptimizer) -> None:
        """``damsm-finetune``: train both encoders with the DAMSM loss on real images."""
        optimizer.zero_grad()
        for chunk in chunks:
            regions, codes = self.given_scorer.image_encoder(chunk.images)
            text = self.text_encoder(chunk.batch.captions, chunk.batch.lengths, chunk.random)
            chunk.scored_text = text.detach()
            loss = damsm_loss(regions, codes, text, chunk.batch.class_ids, self._scorer_gammas(), True).total
            self.manual_backward(loss / len(chunks))
            self._log(chunk, loss_encoders=loss)
        optimizer.step()

    def _discriminator_phase(self, chunks: list[Chunk], optimizer: LightningOptimizer) -> None:
        optimizer.zero_grad()
        for chunk in chunks:
            # Several chunks keep the graph of only one at a time; the generator's update generates images again.
            with torch.set_grad_enabled(len(chunks) == 1):
                self._draw(chunk)
            loss = self.discriminator_loss(chunk)
            self.manual_backward(loss / len(chunks))
            self._log(chunk, loss_d=loss)
        optimizer.step()
        if self.penalty is not None and self.penalty.separate:
            optimizer.zero_grad()
            for chunk in chunks:
                loss = self.penalty_loss(chunk)
                self.manual_backward(loss / len(chunks))
                self._log(chunk, penalty=loss)
            optimizer.step()

    def discriminator_loss(self, chunk: Chunk) -> Tensor:
        """Adversarial loss of all discriminators for a generated chunk, with the penalty if it is merged."""
        total = penalty = chunk.images.new_zeros(())
        merged = self.penalty if self.penalty is not None and not self.penalty.separate else None
        # In half precision the penalty needs a separate forward pass.
        shared = bool(merged and self.levers.shared_penalty) and not torch.is_autocast_enabled(self.device.type)
        for discriminator in self.discriminators:
            images, condition = chunk.real(discriminator.image_size), discriminator.condition(chunk.conditions)
            if shared:
                images, condition = leaves(images, condition)
            generated = chunk.generated.of_size(discriminator.image_size).detach()
            real, fake, wrong = discriminate_pairs(
                discriminator,
                images,
                generated,
                condition,
                partial(self._mismatched, chunk) if self.mismatch != "none" else None,
                jointly=bool(self.levers.joint_pass) and not shared,
            )
            share = mismatch_share(len(wrong), len(condition), self.mismatch)
            loss = discriminator.adversarial_weight * self.objective.discriminator_loss(real, fake, wrong, share)
            self._log_verdicts(chunk, discriminator, loss, verdicts(real, fake, wrong, share))
            total = total + loss
            if merged and shared and discriminator.penalised:
                penalty = penalty + merged(real.conditional, images, condition)
        if merged:
            penalty = penalty if shared else self.penalty_loss(chunk)
            self._log(chunk, penalty=penalty)
            total = total + penalty
        return total

    def _mismatched(self, chunk: Chunk, features: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        return mismatched(features, condition, chunk.batch.class_ids, self.mismatch, chunk.random)

    def _log_verdicts(
        self, chunk: Chunk, discriminator: Discriminator, loss: Tensor, values: dict[str, Tensor]
    ) -> None:
        if len(self.discriminators) > 1:
            values = {f"{name}_{discriminator.label}": value for name, value in (values | {"loss_d": loss}).items()}
        self._log(chunk, **values)

    def penalty_loss(self, chunk: Chunk) -> Tensor:
        """Gradient penalty of all discriminators on the chunk's real pairs, in float32 at any precision."""
        total, penalty = chunk.images.new_zeros(()), self.penalty
        if penalty is None:
            return total
        with torch.autocast(self.device.type, enabled=False):
            for discriminator in (each for each in self.discriminators if each.penalised):
                condition = discriminator.condition(chunk.conditions)
                images, condition = leaves(chunk.real(discriminator.image_size), condition)
                logits = discriminator.conditional(discriminator(images), condition)
                total = total + penalty(logits, images, condition)
        return total

    def _generator_phase(self, chunks: list[Chunk], optimizer: LightningOptimizer) -> None:
        optimizer.zero_grad()
        with frozen(self.discriminators):
            for chunk in chunks:
                if len(chunks) > 1:
                    self._draw(chunk)
                loss = self.generator_loss(chunk)
                self.manual_backward(loss / len(chunks))
                chunk.synthesis = None
                self._log(chunk, loss_g=loss)
        optimizer.step()

    def generator_loss(self, chunk: Chunk) -> Tensor:
        """Adversarial loss of a generated chunk against all discriminators, plus the further terms."""
        adversarial, seen = chunk.images.new_zeros(()), []
        for discriminator in self.discriminators:
            condition = discriminator.condition(chunk.conditions)
            verdict = deceiving_verdict(discriminator, chunk.generated.of_size(discriminator.image_size), condition)
            adversarial = adversarial + discriminator.adversarial_weight * self.objective.generator_loss(verdict)
            seen.append(Discriminated(discriminator, verdict, condition))
        self._log(chunk, loss_g_adversarial=adversarial)
        view = GeneratorView(chunk.generated, chunk.scored_text, chunk.batch, self.scorer, chunk.real, seen)
        total = adversarial
        for term in self.generator_losses:
            value = term_value(term, view)
            self._log(chunk, **{f"loss_g_{term.name}": value})
            total = total + value
        return total

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the (already unscaled) gradients of generator or discriminators, not those of encoders."""
        if self.clip is not None and any(optimizer is each.optimizer for each in self.every_optimizer()[:2]):
            self.clip_gradients(optimizer, gradient_clip_val=self.clip, gradient_clip_algorithm="norm")

    def _log(self, chunk: Chunk, **values: Tensor) -> None:
        named = {f"train/{name}": value for name, value in values.items()}
        self.log_step(named, len(chunk.batch), prog_bar="loss_d" in values or "loss_g" in values)
