"""STREAM, MirrorGAN's image captioner (Qiao et al., CVPR 2019, sec. 3.3).

A convolutional encoder maps an image to one vector, and a recurrent decoder generates the words. Trained on real
images, it measures how well the caption can be recovered from a generated one (:mod:`t2igan.models.redescription`).
"""

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import resnet152
from torchvision.transforms.v2.functional import normalize

from t2igan.data.batch import CaptionedImages
from t2igan.data.selection import ImageSplit
from t2igan.data.vocabulary import Vocabulary, tokenize
from t2igan.errors import UserError
from t2igan.lightning_private import datamodule_of, has_trainer
from t2igan.metrics.backbones import IMAGENET_MEAN, IMAGENET_STD
from t2igan.metrics.captions import CaptionQuality
from t2igan.models.damsm import ImageEncoder
from t2igan.models.frozen_trunk import BatchNormMode, FrozenTrunk
from t2igan.models.suite_module import SuiteModule, load_module
from t2igan.networks.stream import CaptionDecoder, CaptionEncoder, SmallCaptionEncoder, with_end
from t2igan.nn import across
from t2igan.nn.images import to_signed
from t2igan.nn.levers import lay_out, pull
from t2igan.ranges import Count, Finite, Rate

# Checkpoints and configurations name the networks by this module.
__all__ = ["STREAM", "CaptionDecoder", "DAMSMCaptionEncoder", "ResNetCaptionEncoder", "SmallCaptionEncoder"]


class ResNetCaptionEncoder(FrozenTrunk, CaptionEncoder):
    """ResNet-152 with a frozen trunk, then a linear layer and batch norm.

    Args:
        dim: width of the features.
        weights: ``imagenet`` (torchvision's, from ``checkpoints/`` or downloaded), ``random``, or a file.
        align_corners: alignment of corners in the resize to 224 pixels; True as in the PyTorch version of the
            released code.
        renormalise: apply ImageNet normalisation to the trunk's input. The released GAN training omits it, although
            its captioner was trained with it.
        bn_mode: ``train``: the trunk's batch statistics are those of the batch while pre-training, and its
            running statistics drift, as in the released code; ``eval``: they stay ImageNet's.
    """

    faster_channels_last = True
    image_size = 224
    TRUNK, PUBLISHED, UNUSED, PURPOSE = "ResNet", "resnet152-torchvision", ("fc.",), "a captioner"

    def __init__(
        self,
        dim: Count = 256,
        weights: str = "imagenet",
        align_corners: bool = False,
        renormalise: bool = False,
        bn_mode: BatchNormMode = "train",
    ) -> None:
        super().__init__()
        self.dim = dim
        self.align_corners = align_corners
        self.renormalise = renormalise
        self.set_trunk(resnet152(weights=None), weights, bn_mode)
        self.linear = nn.Linear(2048, dim)
        self.bn = nn.BatchNorm1d(dim, momentum=0.01)

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, E)."""
        size = (self.image_size, self.image_size)
        images = F.interpolate(images, size=size, mode="bilinear", align_corners=self.align_corners)
        if self.renormalise:
            images = normalize((images + 1) / 2, list(IMAGENET_MEAN), list(IMAGENET_STD))
        return self.bn(self.linear(self.trunk(images)))


class DAMSMCaptionEncoder(CaptionEncoder):
    """The image encoder of a trained DAMSM, frozen, then a linear layer and batch norm.

    Replaces the ImageNet trunk of :class:`ResNetCaptionEncoder` for data sets unlike ImageNet.

    Args:
        image_encoder: image encoder as configured in the DAMSM's YAML.
        damsm: checkpoint of the DAMSM, read when training starts.
        dim: width of the features.
    """

    def __init__(self, image_encoder: ImageEncoder, damsm: str, dim: Count = 256) -> None:
        super().__init__()
        self.dim = dim
        self.damsm = damsm
        self.image_size: int = getattr(image_encoder, "image_size", None) or image_encoder.INPUT_SIZE
        self.trunk = image_encoder.requires_grad_(False).eval()
        self.linear = nn.Linear(image_encoder.dim, dim)
        self.bn = nn.BatchNorm1d(dim)

    def load_pretrained(self) -> None:
        """Load the trunk's weights.

        Raises:
            UserError: the checkpoint holds no DAMSM, or one with another image encoder.
        """
        module = load_module(self.damsm)
        try:
            self.trunk.load_state_dict(module.get_submodule("image_encoder").state_dict())
        except (AttributeError, RuntimeError) as error:
            raise UserError(
                f"{self.damsm} has no image encoder like this {type(self.trunk).__name__}: "
                "give the DAMSM's own image_encoder in model.init_args.encoder"
            ) from error

    def train(self, mode: bool = True) -> "DAMSMCaptionEncoder":
        """Set train mode; the trunk stays in eval mode."""
        super().train(mode)
        self.trunk.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, E)."""
        _, code = self.trunk(images)
        return self.bn(self.linear(code))


def reference_captions(split: ImageSplit, captions: Sequence[int]) -> list[list[str]]:
    """All tokenised captions of the image of each caption id, independent of the captioner's vocabulary."""
    images = [split.caption_image(caption) for caption in captions]
    return [[" ".join(tokenize(split.caption_text(own))) for own in split.captions_of(image)] for image in images]


class STREAM(SuiteModule):
    """Pre-training of the captioner with word-level cross-entropy and Adam at 1e-3 (as the release advises).

    Args:
        encoder: image encoder, whose width is also the word embedding's.
        vocabulary_size: None takes the data set's.
        hidden_dim: width of the LSTM's state.
        end_token: append ``<end>`` to training captions, so that the captioner learns when to stop. False trains on
            the words only, like MirrorGAN, and always generates ``max_words`` words.
        max_words: maximum length of generated captions.
        lr: learning rate.
        lr_final: final learning rate of a linear decay over the run; None keeps ``lr``.
        forget_bias: initial forget-gate bias, see :class:`~t2igan.networks.stream.CaptionDecoder`.

    Attributes:
        decoder: the decoder, built by :meth:`configure_model`.
    """

    decoder: CaptionDecoder

    def __init__(
        self,
        encoder: CaptionEncoder,
        vocabulary_size: Count | None = None,
        hidden_dim: Count = 512,
        end_token: bool = True,
        max_words: Count = 20,
        lr: Rate = 1e-3,
        lr_final: Rate | None = None,
        forget_bias: Finite = 0.0,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.vocabulary_size = vocabulary_size
        self.hidden_dim = hidden_dim
        self.end_token = end_token
        self.max_words = max_words
        self.lr, self.lr_final = lr, lr_final
        self.forget_bias = forget_bias
        self.quality = CaptionQuality()

    def configure_model(self) -> None:
        """Build the decoder once the vocabulary is known, and fetch pre-trained weights before training."""
        if hasattr(self, "decoder"):
            return
        size = self.vocabulary_size or len(self.vocabulary)
        self.remember(vocabulary_size=size)
        make = partial(CaptionDecoder, size, self.encoder.dim, self.hidden_dim, self.forget_bias)
        self.require_memory(make, f"model.init_args: hidden_dim {self.hidden_dim}")
        self.decoder = make()
        if has_trainer(self) and self.trainer.training and self.trainer.ckpt_path is None:
            self.encoder.load_pretrained()
        pull(self, self.levers)
        lay_out(self, self.levers)

    def targets(self, captions: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Target captions (B, T or T + 1) and lengths (B,), with ``<end>`` if ``end_token`` is set."""
        return with_end(captions, lengths) if self.end_token else (captions, lengths)

    def say(self, features: Tensor) -> tuple[list[str], Tensor]:
        """Caption images.

        Args:
            features: (B, E), features of the encoder.

        Returns:
            The captions, and the logarithm of the probability of each (B,), its ``<end>`` included.
        """
        words = self.decoder.greedy(features, self.max_words, stop=self.end_token)
        lengths = torch.full((len(words),), self.max_words)
        if self.end_token:
            lengths = ((words != 0).sum(dim=1) + 1).clamp(max=self.max_words)
        probabilities = self.decoder.log_probabilities(features, words, lengths).sum(dim=1)
        vocabulary = Vocabulary(self.vocabulary)
        return [" ".join(vocabulary.decode(row)) for row in words.tolist()], probabilities

    def measure(
        self,
        quality: CaptionQuality,
        images: Tensor,
        captions: Tensor,
        lengths: Tensor,
        references: Sequence[Sequence[str]],
    ) -> None:
        """Update ``quality`` with some images.

        Args:
            quality: metric to update.
            images: (B, 3, S, S) in [-1, 1].
            captions: int64 (B, T), 0 = padding; their token loss is measured.
            lengths: int64 (B,).
            references: true captions of each image, which the captioner's own are compared with.
        """
        features = self.encoder(images)
        captions, lengths = self.targets(captions, lengths)
        probabilities = self.decoder.log_probabilities(features, captions, lengths)
        quality.update(probabilities, lengths, self.say(features)[0], references)

    def training_step(self, batch: CaptionedImages, batch_idx: int) -> Tensor:
        """Mean loss over the tokens of all devices."""
        captions, lengths = self.targets(batch.captions, batch.lengths)
        features = self.encoder(to_signed(batch.images))
        total = -self.decoder.log_probabilities(features, captions, lengths).sum()
        loss = total / across.mean(lengths.sum().to(total, non_blocking=True))
        self.log_step({"train/loss": loss}, len(batch))
        return loss

    def validation_step(self, batch: CaptionedImages, batch_idx: int) -> None:
        """Update the quality; all captions of an image are its references."""
        self._take_account(batch, datamodule_of(self.trainer).val_split)

    def on_validation_epoch_end(self) -> None:
        """Log loss and perplexity per token, BLEU-4 and ROUGE-L."""
        self.log_dict({f"val/{name}": value for name, value in self.quality.compute().items()}, prog_bar=True)
        self.quality.reset()

    def test_step(self, batch: CaptionedImages, batch_idx: int) -> None:
        """Same as validation, on the test images."""
        self._take_account(batch, datamodule_of(self.trainer).test_split)

    def _take_account(self, batch: CaptionedImages, split: ImageSplit) -> None:
        references = reference_captions(split, batch.caption_ids.tolist())
        self.measure(self.quality, to_signed(batch.images), batch.captions, batch.lengths, references)

    def on_test_epoch_end(self) -> None:
        """Same as at the end of validation."""
        self.on_validation_epoch_end()

    def on_train_batch_start(self, batch: CaptionedImages, batch_idx: int) -> None:
        """Set the learning rate of the step."""
        super().on_train_batch_start(batch, batch_idx)
        if self.lr_final is not None:
            done = min(1.0, self.global_step / self.training_steps)
            self.set_rate(self.lr + (self.lr_final - self.lr) * done)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam over the decoder and the trainable part of the encoder.

        Raises:
            UserError: ``lr_final`` is set, but the trainer has no limit of steps or epochs.
        """
        if self.lr_final is not None:
            self.require_an_end("lr_final")
        parameters = [*self.decoder.parameters(), *self.encoder.trainable()]
        return torch.optim.Adam(parameters, lr=self.lr, fused=self.fused_adam())
