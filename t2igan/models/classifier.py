"""The evaluation classifier of a data set's classes, which scores generated images.

Its features and class probabilities are used by ``fd-classifier`` and ``is-classifier``, in the role of StackGAN's
fine-tuned Inception for CUB. Like that network it is trained on the test classes too, and never on generated
images.
"""

import copy
import hashlib
import math
from functools import partial
from typing import Any, Literal

import torch
from pytorch_lightning.utilities import rank_zero_warn
from torch import Tensor, nn
from torch.nn import functional

from t2igan.data.batch import CaptionedImages
from t2igan.errors import UserError
from t2igan.lightning_private import has_trainer
from t2igan.metrics.backbones import Backbone
from t2igan.metrics.inception import FEATURE_DIM, inception_v3, pooled_features
from t2igan.models.frozen_trunk import load_published
from t2igan.models.suite_module import SuiteModule
from t2igan.nn.images import resize, to_signed
from t2igan.ranges import Count, Decay, Rate, Share, Side, Weight, Whole

Trunk = Literal["small", "inception-v3"]

IMAGENET_CLASSES = 1000


class SmallConvNet(nn.Module):
    """A small classifier for images of about 64 pixels.

    Args:
        num_classes: C.
        width: channels of the first block; features have four times as many.
    """

    def __init__(self, num_classes: int, width: int = 32) -> None:
        super().__init__()
        self.feature_dim = 4 * width
        self.trunk = nn.Sequential(
            _halve(3, width),
            _halve(width, 2 * width),
            _halve(2 * width, 4 * width),
            nn.Conv2d(4 * width, 4 * width, 3, padding=1, bias=False),
            nn.BatchNorm2d(4 * width),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(self.feature_dim, num_classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, 4 width) and logits (B, C) of images (B, 3, S, S) in [-1, 1]."""
        features = self.trunk(images).mean((2, 3))
        return features, self.classifier(features)


def _halve(channels: int, out_channels: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels, out_channels, 4, stride=2, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels), nn.ReLU())


class InceptionClassifier(nn.Module):
    """Inception-v3 with a new last layer.

    Args:
        num_classes: C.
    """

    feature_dim = FEATURE_DIM

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.network = inception_v3(num_classes, tf_pooling=False)

    def load_pretrained(self, weights: str) -> None:
        """Load torchvision's ImageNet weights, except for the last layer.

        Args:
            weights: ``imagenet`` (from ``checkpoints/`` or downloaded), ``random``, or a file.

        Raises:
            UserError: the file is not to be had, or holds another network.
        """
        if weights == "random":
            rank_zero_warn("the classifier's Inception trunk starts from random weights")
            return
        new_layer = self.network.fc
        self.network.fc = nn.Linear(FEATURE_DIM, IMAGENET_CLASSES)
        load_published(self.network, "inception-torchvision", weights, ("AuxLogits.",))
        self.network.fc = new_layer

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, 2048) and logits (B, C) of images (B, 3, 299, 299) in [-1, 1]."""
        features = pooled_features(self.network, images)
        return features, self.network.fc(features)


class ClassifierBackbone(Backbone):
    """A trained evaluation classifier, frozen, for the metrics.

    Args:
        network: trained network that returns features and logits of images in [-1, 1].
        image_size: side to which images are resized, bilinear with antialiasing.
        sha256: sha256 of the checkpoint, or of the weights.
    """

    name = "classifier"

    def __init__(self, network: SmallConvNet | InceptionClassifier, image_size: int, sha256: str) -> None:
        super().__init__()
        self.network = network
        self.image_size, self.sha256, self.feature_dim = image_size, sha256, network.feature_dim
        self.freeze()

    def _embed(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.network(resize(to_signed(images), self.image_size))


class EvaluationClassifier(SuiteModule):
    """Trains the evaluation classifier: AdamW, a short warm-up, then a cosine down to zero at the end of training.

    Data comes from :class:`t2igan.data.classification.ClassificationData`.

    Args:
        classes: class ids of the data set, in the order of the logits; None takes those of the data module.
        trunk: ``small`` (for 64-pixel work, from scratch) or ``inception-v3`` (fine-tuned).
        image_size: side to which images are resized (299 for Inception).
        width: channels of the first block of the small trunk.
        weights: weights of the Inception trunk: ``imagenet``, ``random`` or a file.
        lr: highest learning rate.
        weight_decay: decay of AdamW.
        warmup: share of the training steps over which the rate rises.
        label_smoothing: smoothing of the cross-entropy.

    Attributes:
        network: the network, built by :meth:`configure_model` together with the table.
        class_table: int64 (C,), the class id of each logit, in host memory like the classes of a batch.
    """

    requires = frozenset()
    network: SmallConvNet | InceptionClassifier
    class_table: Tensor

    def __init__(
        self,
        classes: list[Whole] | None = None,
        trunk: Trunk = "small",
        image_size: Side = 64,
        width: Count = 32,
        weights: str = "imagenet",
        lr: Rate = 3e-3,
        weight_decay: Weight = 1e-2,
        warmup: Share = 0.1,
        label_smoothing: Decay = 0.1,
    ) -> None:
        super().__init__()
        self.classes = classes
        self.trunk, self.image_size, self.width, self.weights = trunk, image_size, width, weights
        self.lr, self.weight_decay, self.warmup = lr, weight_decay, warmup
        self.label_smoothing = label_smoothing

    def setup(self, stage: str) -> None:
        """Take the classes from the datamodule.

        Raises:
            UserError: the datamodule does not list its classes, or lists others than those learnt.
        """
        super().setup(stage)
        data: Any = getattr(self.trainer, "datamodule", None)
        found = getattr(data, "classes", None)
        if self.classes is None:
            if found is None:
                raise UserError(
                    "the classifier needs the classes: use ClassificationData as data, or set model.classes"
                )
            self.classes = sorted(found)
        elif found is not None and not set(found) <= set(self.classes):
            raise UserError(f"{data.store_path}: has classes that this classifier was not built for")

    def configure_model(self) -> None:
        """Build the network once the classes are known, and fetch pre-trained weights before training."""
        if hasattr(self, "network"):
            return
        if self.classes is None:
            raise UserError("the classifier does not know its classes: set model.classes")
        self.remember(classes=list(self.classes))
        self.class_table = torch.tensor(sorted(self.classes), device="cpu")
        if self.trunk == "small":
            make = partial(SmallConvNet, len(self.classes), self.width)
            self.require_memory(make, f"model.init_args: width {self.width}")
            self.network = make()
            return
        self.network = InceptionClassifier(len(self.classes))
        if has_trainer(self) and self.trainer.training and self.trainer.ckpt_path is None:
            self.network.load_pretrained(self.weights)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, F) and logits (B, C) of uint8 images (B, 3, H, W); logits in ascending order of class id."""
        return self.network(resize(to_signed(images), self.image_size))

    def labels(self, class_ids: Tensor) -> Tensor:
        """Class ids (B,), in host memory, as indices of logits on the module's device.

        Raises:
            UserError: a class that the classifier does not know.
        """
        index = torch.searchsorted(self.class_table, class_ids).clamp(max=len(self.class_table) - 1)
        unknown = class_ids[self.class_table[index] != class_ids]
        if len(unknown):
            raise UserError(
                f"class {unknown[0].item()} of the data is unknown to the classifier: train it on this store"
            )
        return index.to(self.device, non_blocking=True)

    def training_step(self, batch: CaptionedImages, batch_idx: int) -> Tensor:
        """Cross-entropy of a batch."""
        _, logits = self(batch.images)
        loss = functional.cross_entropy(logits, self.labels(batch.class_ids), label_smoothing=self.label_smoothing)
        self.log_step({"train/loss": loss}, len(batch))
        return loss

    def validation_step(self, batch: CaptionedImages, batch_idx: int) -> None:
        """Loss and accuracy on held-out images."""
        _, logits = self(batch.images)
        labels = self.labels(batch.class_ids)
        hits = (logits.argmax(1) == labels).float().mean()
        options = {"prog_bar": True, "batch_size": len(batch), "sync_dist": True}
        self.log("val/loss", functional.cross_entropy(logits, labels), **options)
        self.log("val/accuracy", hits, **options)

    def on_train_batch_start(self, batch: CaptionedImages, batch_idx: int) -> None:
        """Set the learning rate of the step."""
        super().on_train_batch_start(batch, batch_idx)
        self.set_rate(self.lr * self.rate_factor(self.global_step, self.training_steps))

    def rate_factor(self, step: int, steps: int) -> float:
        """Learning rate at a step (from 0) of a training of ``steps``, as a share of the highest rate."""
        rise = max(1, int(self.warmup * steps))
        if step < rise:
            return (step + 1) / rise
        return 0.5 + 0.5 * math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise)))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; the rate ends at zero with the last step.

        Raises:
            UserError: the trainer has no limit of steps or epochs.
        """
        self.require_an_end("the classifier's learning rate")
        return torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=self.weight_decay)

    def backbone(self, sha256: str | None = None) -> ClassifierBackbone:
        """A frozen copy for the metrics.

        Args:
            sha256: sha256 of the module that the weights are from; None hashes the weights themselves.
        """
        network = copy.deepcopy(self.network)
        return ClassifierBackbone(network, self.image_size, sha256 or _weights_sha256(network))


def _weights_sha256(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        digest.update(key.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
