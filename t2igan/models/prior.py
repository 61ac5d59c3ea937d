"""SpaText's prior, which maps text embeddings to image embeddings (Avrahami et al., CVPR 2023, sec. 3.2).

Maps hold embeddings of image segments in training but of texts at inference, and a joint encoder separates the two.
The paper uses unCLIP's prior. Without a prior (``prior: null``) text embeddings are used directly.
"""

from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2igan.data.batch import CaptionedImages
from t2igan.errors import UserError
from t2igan.layout.layout import required
from t2igan.layout.segments import choose_segments, crop_segments
from t2igan.lightning_private import has_trainer
from t2igan.metrics.clip import Clip
from t2igan.models.joint_encoder import MOST_SEGMENTS, SegmentEncoder, load_joint_encoder
from t2igan.models.suite_module import SuiteModule, content_sha256, load_module
from t2igan.nn.config import Configured
from t2igan.nn.randomness import Purpose, StepRandom
from t2igan.optional import library
from t2igan.ranges import Count, Rate, Share, Times, Whole


class PriorNetwork(Configured, nn.Module):
    """Base class of networks from unit text vectors (N, D) to unit image vectors (N, D)."""

    def forward(self, texts: Tensor) -> Tensor:
        """Predict image vectors (N, D) from text vectors (N, D)."""
        raise NotImplementedError

    def loss(self, texts: Tensor, images: Tensor) -> Tensor:
        """Loss of pairs of text and image vectors (N, D), a scalar."""
        raise NotImplementedError


class MLPPrior(PriorNetwork):
    """Two-layer MLP, trained on the cosine.

    Args:
        dim: width D of the vectors.
        width: width of the hidden layer.
    """

    def __init__(self, dim: Count = 64, width: Count = 256) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(dim, width), nn.GELU(), nn.Linear(width, dim))

    def forward(self, texts: Tensor) -> Tensor:
        """Text vectors plus a predicted correction, normalised."""
        return F.normalize(texts + self.layers(texts), dim=1)

    def loss(self, texts: Tensor, images: Tensor) -> Tensor:
        """Mean of 1 - cosine."""
        return 1 - (self(texts) * images).sum(1).mean()


class DiffusionPrior(PriorNetwork):
    """unCLIP's prior, :class:`diffusers.PriorTransformer`, which denoises an image's vector beside the text's.

    Denoising starts from fixed noise, so that equal texts get equal vectors.

    Args:
        dim: width D of the vectors.
        layers: layers of the transformer.
        heads: heads of its attention.
        head_dim: width of each head.
        steps: denoising steps at inference.
        times: number of noise levels in training.

    Raises:
        UserError: ``diffusers`` is not installed.
    """

    start: Tensor

    def __init__(
        self,
        dim: Count = 64,
        layers: Count = 2,
        heads: Count = 4,
        head_dim: Count = 32,
        steps: Times = 10,
        times: Times = 1000,
    ) -> None:
        super().__init__()
        diffusers = library("diffusers", "priors of diffusion", "t2igan[diffusion]")
        self.dim, self.steps = dim, steps
        self.transformer = diffusers.PriorTransformer(
            num_attention_heads=heads,
            attention_head_dim=head_dim,
            num_layers=layers,
            embedding_dim=dim,
            num_embeddings=0,
            additional_embeddings=4,
            encoder_hid_proj_type=None,
        )
        self.scheduler = diffusers.UnCLIPScheduler(
            num_train_timesteps=times, prediction_type="sample", clip_sample=False
        )
        # Unit vectors have elements of 1 / sqrt(D), and the noise has elements of 1.
        self.scale = dim**0.5
        # A trainer builds networks with its device as the default.
        start = torch.randn(1, dim, generator=torch.Generator("cpu").manual_seed(0), device="cpu")
        self.register_buffer("start", start, persistent=False)

    def _predict(self, noisy: Tensor, time: Tensor | int, texts: Tensor) -> Tensor:
        return self.transformer(noisy, time, self.scale * texts).predicted_image_embedding

    def forward(self, texts: Tensor) -> Tensor:
        """Denoise by the mean of each step, without new noise."""
        if not len(texts):
            return texts
        self.scheduler.set_timesteps(self.steps)
        times = self.scheduler.timesteps.tolist()
        alphas = self.scheduler.alphas_cumprod.to(texts.device)
        vectors = self.start.expand(len(texts), -1)
        for time, after in pairwise(times):
            predicted = self._predict(vectors, time, texts)
            # A step of DDIM from the predicted sample.
            noise = (vectors - alphas[time].sqrt() * predicted) / (1 - alphas[time]).sqrt()
            vectors = alphas[after].sqrt() * predicted + (1 - alphas[after]).sqrt() * noise
        return F.normalize(self._predict(vectors, times[-1], texts), dim=1)

    def loss(self, texts: Tensor, images: Tensor) -> Tensor:
        """Squared error of the denoised vector, at random times (torch's generator, which a step's seed sets)."""
        clean = self.scale * images
        times = torch.randint(self.scheduler.config.num_train_timesteps, (len(clean),), device=clean.device)
        noisy = self.scheduler.add_noise(clean, torch.randn_like(clean), times)
        return F.mse_loss(self._predict(noisy, times, texts), clean)


class SegmentPrior(SuiteModule):
    """Trains a prior on a data set's segments, with a frozen joint encoder.

    Args:
        encoder: folder of a CLIP, or checkpoint of a ``SegmentEncoder``.
        network: the network to train.
        smallest: minimum area of a segment as a share of the image.
        lr: learning rate of Adam.
        seed: seed of the choice of segments.
    """

    requires = frozenset({"captions", "segments"})
    of_each_device = "the loss is a mean over each device's segments, of which not all have equally many"

    def __init__(
        self,
        encoder: str,
        network: PriorNetwork | None = None,
        smallest: Share = 0.02,
        lr: Rate = 1e-3,
        seed: Whole = 0,
    ) -> None:
        super().__init__()
        self.encoder_path, self.network = encoder, network or MLPPrior()
        self.smallest, self.lr, self.seed = smallest, lr, seed
        self.encoder: Clip | SegmentEncoder | None = None
        self.sha256 = ""

    def configure_model(self) -> None:
        """Load the encoder for training; inference does not need it."""
        if self.encoder is None and has_trainer(self):
            self.encoder = load_joint_encoder(self.encoder_path)
            self.inputs["encoder"] = self.encoder.sha256

    def borrowed(self) -> tuple[str, ...]:
        """Prefix of the encoder, whose weights have their own file."""
        return ("encoder.",)

    def _vectors(self, batch: CaptionedImages, random: StepRandom) -> tuple[Tensor, Tensor]:
        """Vectors (N, D) of the texts and of the crops of a batch's segments."""
        encoder, layouts = self.encoder, required(batch.layouts)
        assert encoder is not None  # configure_model loaded it: there is a trainer
        instances = layouts.on_host.instances
        uniform = random.uniform(len(batch), 1 + int(instances.max()), Purpose.SEGMENTS)
        chosen = choose_segments(instances, layouts.texts, uniform, MOST_SEGMENTS, MOST_SEGMENTS, self.smallest)
        crops = crop_segments(batch.images, chosen, encoder.side)
        return encoder.caption_vectors(chosen.flat_texts), encoder.image_vectors(crops)

    def training_step(self, batch: CaptionedImages, batch_idx: int) -> Tensor:
        """The network's loss on a batch's segments."""
        loss = self.network.loss(*self._vectors(batch, self.step_random(len(batch))))
        self.log_step({"train/loss": loss}, len(batch))
        return loss

    def validation_step(self, batch: CaptionedImages, batch_idx: int) -> None:
        """Log cosine and mean gap to the crops' vectors, for text vectors and for predictions."""
        texts, images = self._vectors(batch, StepRandom(self.seed, batch_idx))
        predicted = self.network(texts)
        values = {}
        for name, vectors in (("text", texts), ("prior", predicted)):
            values[f"val/cosine_{name}"] = (vectors * images).sum(1).mean()
            values[f"val/gap_{name}"] = (vectors.mean(0) - images.mean(0)).norm()
        self.log_dict(values, prog_bar=True, batch_size=len(texts), sync_dist=True)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam over the prior."""
        return torch.optim.Adam(self.network.parameters(), lr=self.lr)


def load_prior(path: str | Path, encoder_sha256: str) -> SegmentPrior:
    """Load the prior from a checkpoint.

    Args:
        path: path of the checkpoint.
        encoder_sha256: sha256 of the joint encoder whose vectors it will map.

    Raises:
        UserError: the checkpoint cannot be read, holds no prior, or was trained with another encoder.
    """
    module = load_module(path)
    if not isinstance(module, SegmentPrior):
        raise UserError(f"prior: {path} holds {type(module).__name__}, not a SegmentPrior")
    if module.inputs.get("encoder") != encoder_sha256:
        raise UserError(f"prior: {path} was trained for another encoder: train one for this encoder, or give null")
    module.sha256 = content_sha256(module)
    return module
