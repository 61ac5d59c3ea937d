"""SpaText: spatio-textual representation for controllable image generation (Avrahami et al., CVPR 2023).

Training, guidance and sampling of its diffusion models; the denoising networks, on pixels or on the latents of a
Stable Diffusion, are the hosts of :mod:`t2igan.models.spatext_hosts`.
"""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2igan.data.batch import CaptionedImages
from t2igan.data.datasets import resize_images
from t2igan.errors import UserError
from t2igan.layout.layout import Layouts
from t2igan.layout.segments import MOST, SMALLEST, SpatioTextualMap
from t2igan.models.conditioner import (
    Conditioner,
    Told,
    all_segments,
    load_conditioner,
    training_map,
)
from t2igan.models.guidance import Fast, Guidance, GuidedConditions
from t2igan.models.joint_encoder import captions_of
from t2igan.models.spatext_hosts import DiffusionHost, PixelHost, diffusers
from t2igan.models.suite_module import SuiteModule
from t2igan.networks.synthesis import Synthesis
from t2igan.nn.average import WeightAverage
from t2igan.nn.images import to_signed
from t2igan.nn.modules import NamedModules
from t2igan.nn.noise import caption_noise
from t2igan.nn.randomness import Purpose, StepRandom
from t2igan.ranges import Count, Decay, Rate, Share, Times, Whole

Sampler = Literal["ddim", "dpm-solver++"]
VALIDATION_SEED = 0


class Denoiser(nn.Module):
    """A host as a generator: noise and conditions -> images, by several denoising steps.

    Args:
        host: network that predicts the noise.
        sampler: deterministic DDIM, or second-order DPM-Solver++.
        steps: number of denoising steps.
        times: number of noise levels in training.
        guidance: see :mod:`t2igan.models.guidance`.

    Attributes:
        noise_dim: C s s, the number of random values of an image.
    """

    eps_dim = 0

    def __init__(self, host: DiffusionHost, sampler: Sampler, steps: int, times: int, guidance: Guidance) -> None:
        super().__init__()
        self.host, self.sampler, self.steps, self.times, self.guidance = host, sampler, steps, times, guidance
        channels, side, _ = host.shape
        self.noise_dim = self.random_dim = channels * side * side
        self.image_sizes = [host.image_size]

    def scheduler(self) -> Any:
        """A new scheduler of the sampler's kind."""
        common = {"num_train_timesteps": self.times, "beta_schedule": "squaredcos_cap_v2"}
        common |= {"timestep_spacing": "trailing"}
        if self.sampler == "ddim":
            return diffusers().DDIMScheduler(**common, clip_sample=isinstance(self.host, PixelHost))
        return diffusers().DPMSolverMultistepScheduler(**common)

    def forward(self, noise: Tensor, wanted: GuidedConditions) -> Synthesis:
        """Denoise ``noise`` (B, C s s)."""
        scheduler = self.scheduler()
        scheduler.set_timesteps(self.steps, device=noise.device)
        noisy = noise.view(-1, *self.host.shape)
        for time in scheduler.timesteps:

            def predict(many: Tensor, texts: Tensor, maps: SpatioTextualMap, now: Tensor = time) -> Tensor:
                return self.host.predict(many, now.expand(len(many)), texts, maps)

            noisy = scheduler.step(self.guidance(predict, noisy, wanted), time, noisy).prev_sample
        return Synthesis(images=[self.host.decode(noisy)])


class SpaTextDiffusion(SuiteModule):
    """Trains a host to predict noise, with randomly dropped captions and maps, and samples with guidance.

    Args:
        host: the denoising network.
        encoder: joint encoder of the segments: folder of a CLIP or checkpoint of a ``SegmentEncoder``.
        prior: checkpoint of a ``SegmentPrior``, from texts to images; null is the ablation without prior.
        told: see :data:`t2igan.models.conditioner.Told`.
        most: maximum number of segments per training image.
        smallest: minimum area of a segment as a share of the image.
        dropped: share of the training images without caption, and independently of those without map.
        both_dropped: additional share without both (our addition, to train the unconditional branch well).
        times: number of noise levels.
        sampler: ``ddim`` or ``dpm-solver++``.
        steps: number of sampling steps.
        guidance: guidance of sampling; None is ``Fast`` with a scale of 3.
        lr: learning rate of AdamW.
        ema_decay: decay of the averaged weights.
        seed: seed of all random numbers.

    Attributes:
        conditioner: makes the spatio-textual maps; loaded by :meth:`configure_model`.
    """

    conditioner: Conditioner
    requires = frozenset({"captions", "layouts", "segments"})

    def __init__(
        self,
        host: DiffusionHost | None = None,
        encoder: str | None = None,
        prior: str | None = None,
        told: Told = "images",
        most: Count = MOST,
        smallest: Share = SMALLEST,
        dropped: Share = 0.1,
        both_dropped: Share = 0.1,
        times: Times = 1000,
        sampler: Sampler = "ddim",
        steps: Times = 25,
        guidance: Guidance | None = None,
        lr: Rate = 2e-4,
        ema_decay: Decay = 0.999,
        seed: Whole = 0,
    ) -> None:
        super().__init__()
        self.generator = Denoiser(host or PixelHost(), sampler, steps, times, guidance or Fast())
        self.encoder, self.prior = encoder, prior
        self.told: Told = told
        self.most, self.smallest = most, smallest
        self.dropped, self.both_dropped = dropped, both_dropped
        self.lr, self.ema_decay, self.seed = lr, ema_decay, seed
        self.averages: NamedModules[WeightAverage[Denoiser]] = NamedModules()
        self._training_scheduler: Any = None

    @property
    def host(self) -> DiffusionHost:
        """The trained network."""
        return self.generator.host

    def configure_model(self) -> None:
        """Load encoder and prior, and start the weight average.

        Raises:
            UserError: the host takes maps of another width.
        """
        if hasattr(self, "conditioner"):
            return
        self.conditioner = load_conditioner(self, self.told, self.encoder, self.prior)
        if self.host.segment_dim != self.conditioner.dim:
            raise UserError(
                f"model.init_args.host: segment_dim is {self.host.segment_dim}, but segment conditions have "
                f"width {self.conditioner.dim}: set it to {self.conditioner.dim}"
            )
        self.averages["generator"] = WeightAverage(self.generator, self.ema_decay)

    def borrowed(self) -> tuple[str, ...]:
        """Prefixes of encoder, prior and the host's frozen parts, whose weights have their own files."""
        places = ("generator.host", "averages.generator.module.host")
        return ("conditioner.", *(f"{place}.{part}." for place in places for part in self.host.lent))

    # --------------------------------------------------------------- training

    def training_step(self, batch: CaptionedImages, batch_idx: int) -> Tensor:
        """Squared error of the predicted noise."""
        loss = self._loss(batch, self.step_random(len(batch)), self.host)
        self.log_step({"train/loss": loss}, len(batch))
        return loss

    def validation_step(self, batch: CaptionedImages, batch_idx: int) -> None:
        """Squared error with averaged weights on test images, with the same noise in every validation."""
        host = self.averages["generator"].module.host
        loss = self._loss(batch, StepRandom(VALIDATION_SEED, batch_idx), host)
        self.log("val/loss", loss, prog_bar=True, batch_size=len(batch), sync_dist=True)

    def _loss(self, batch: CaptionedImages, random: StepRandom, host: DiffusionHost) -> Tensor:
        clean = host.encode(to_signed(resize_images(batch.images, host.image_size)))
        noise = random.normal(len(batch), self.generator.noise_dim, Purpose.DIFFUSION_NOISE)
        noise = noise.view(-1, *host.shape).to(clean, non_blocking=True)
        times = (random.uniform(len(batch), 1, Purpose.DIFFUSION_TIMES)[:, 0] * self.generator.times).long()
        times = times.to(clean.device, non_blocking=True)
        drawn = random.uniform(len(batch), 3, Purpose.DROPPED_CONDITIONS)
        both = drawn[:, 2] < self.both_dropped
        silent, nowhere = (drawn[:, :2] < self.dropped).T | both
        captions = captions_of(batch, self.vocabulary)
        text = host.tell(["" if dropped else each for dropped, each in zip(silent, captions)], self.conditioner)
        st_map = training_map(self.conditioner, batch, random, self.most, self.smallest)
        st_map = st_map.without(nowhere.to(clean.device, non_blocking=True))
        # One for all steps: it moves its table to the device at the first.
        self._training_scheduler = self._training_scheduler or self.generator.scheduler()
        noisy = self._training_scheduler.add_noise(clean, noise, times)
        return F.mse_loss(host.predict(noisy, times, text, st_map), noise)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Update the weight average right after the weights, before a checkpoint can be saved."""
        super().optimizer_step(*args, **kwargs)
        self.averages["generator"].update(self.generator)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW over the host's trainable parameters."""
        moved = [parameter for parameter in self.host.parameters() if parameter.requires_grad]
        return torch.optim.AdamW(moved, lr=self.lr)

    # ---------------------------------------------------------------- drawing

    @torch.no_grad()
    def synthesise(
        self,
        noise: Tensor,
        captions: Tensor,
        lengths: Tensor,
        weights: Literal["ema", "raw"] = "ema",
        layouts: Layouts | None = None,
    ) -> Synthesis:
        """Generate images of captions and segments.

        Args:
            noise: (B, C s s), ``generator.random_dim`` wide.
            captions: int64 (B, T), 0 = padding.
            lengths: int64 (B,).
            weights: averaged weights (``ema``) or trained weights (``raw``).
            layouts: layouts whose segments are all used; None uses captions only.
        """
        averaged = weights == "ema" and "generator" in self.averages
        generator = self.averages["generator"].module if averaged else self.generator
        texts = [" ".join(self.vocabulary[word] for word in row if word) for row in captions.tolist()]
        if layouts is None:
            index = torch.zeros(len(noise), *generator.host.shape[1:], dtype=torch.int64, device=noise.device)
            st_map = SpatioTextualMap(noise.new_zeros(len(noise), 1, self.conditioner.dim), index)
        else:
            st_map = self.conditioner.of_texts(all_segments(layouts), layouts)
        told, silence = (generator.host.tell(each, self.conditioner) for each in (texts, [""] * len(texts)))
        return generator(noise, GuidedConditions(told, silence, st_map))

    def predict_step(self, batch: CaptionedImages, batch_idx: int) -> Tensor:
        """Images (B, 3, S, S) in [-1, 1] of the batch's captions and segments."""
        noise = caption_noise(batch.caption_ids, self.generator.random_dim, VALIDATION_SEED).to(self.device)
        return self.synthesise(noise, batch.captions, batch.lengths, layouts=batch.layouts).images[-1]
