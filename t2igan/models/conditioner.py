"""Conditions of SpaText's hosts: spatio-textual maps of segments (Avrahami et al., CVPR 2023)."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from t2igan.data.batch import CaptionedImages
from t2igan.errors import UserError
from t2igan.layout.labels import COCO_STUFF, VOID
from t2igan.layout.layout import Layouts, required
from t2igan.layout.segments import Segments, SpatioTextualMap, choose_segments, crop_segments, pick_segments
from t2igan.models.joint_encoder import load_joint_encoder
from t2igan.models.prior import load_prior
from t2igan.models.suite_module import SuiteModule
from t2igan.nn.bounded import unbounded
from t2igan.nn.randomness import Purpose, StepRandom

Told = Literal["images", "texts", "labels", "nothing"]
"""What the map of a training image holds: the embeddings of its segments (the paper), those of their texts, their
labels out of a closed set, or nothing at all."""


class Conditioner(nn.Module):
    """Makes spatio-textual maps from segments: by image embeddings in training, by texts and prior at inference.

    Args:
        told: embedding of the segments, see :data:`Told`.
        encoder: folder of a CLIP or checkpoint of a ``SegmentEncoder``; None if none is needed.
        prior: checkpoint of a ``SegmentPrior``, for ``images`` only; None uses text embeddings directly.

    Attributes:
        dim: width D of the map.
        inputs: sha256 of encoder and prior.

    Raises:
        UserError: a file is missing or does not fit.
    """

    def __init__(self, told: Told, encoder: str | None, prior: str | None) -> None:
        super().__init__()
        self.told, self.inputs = told, {}
        self.encoder = self.prior = None
        for name, given, serves in (("encoder", encoder, ("images", "texts")), ("prior", prior, ("images",))):
            if given is not None and told not in serves:
                raise UserError(f"model.init_args.{name} has no effect with told: {told}: set it to null")
        if told in ("images", "texts"):
            if encoder is None:
                raise UserError(f"told: {told} needs model.init_args.encoder: a CLIP's folder or a checkpoint")
            self.encoder = load_joint_encoder(encoder)
            self.inputs["encoder"] = self.encoder.sha256
            if prior is not None:
                self.prior = load_prior(prior, self.encoder.sha256)
                self.inputs["prior"] = self.prior.sha256
        self.dim = len(COCO_STUFF) if self.encoder is None else self.encoder.dim

    def of_images(self, images: Tensor, segments: Segments, layouts: Layouts) -> SpatioTextualMap:
        """The map of training images.

        Args:
            images: uint8 (B, 3, H, W).
            segments: chosen segments of the images.
            layouts: layouts of the images.
        """
        if self.told != "images" or self.encoder is None:
            return self.of_texts(segments, layouts)
        return segments.spread(self.encoder.image_vectors(crop_segments(images, segments, self.encoder.side)))

    @torch.no_grad()
    def of_texts(self, segments: Segments, layouts: Layouts) -> SpatioTextualMap:
        """The map of segments with free texts.

        Args:
            segments: segments with their texts.
            layouts: layouts with the labels, for ``labels`` conditions.
        """
        if self.encoder is None:
            vectors = F.one_hot(labels_of(segments, layouts), VOID + 1)[:, : self.dim].float()
            st_map = segments.spread(vectors.to(layouts.labels.device, non_blocking=True))
            return st_map if self.told == "labels" else st_map.nothing()
        vectors = self.encoder.caption_vectors(segments.flat_texts)
        if self.prior is not None:
            vectors = self.prior.network(vectors)
        return segments.spread(vectors)


def labels_of(segments: Segments, layouts: Layouts) -> Tensor:
    """Most frequent label of each segment's pixels, int64 (N,) in host memory; 255 without labels."""
    found, labels = [], layouts.on_host.labels
    for (image, _), mask in zip(segments.places, segments.masks):
        values = labels[image][mask]
        found.append(int(torch.bincount(values.long()).argmax()) if len(values) else VOID)
    return torch.tensor(found, dtype=torch.int64)


def all_segments(layouts: Layouts) -> Segments:
    """All segments of layouts that have pixels."""
    instances = layouts.on_host.instances
    numbers = [[k for k in each.unique().tolist() if k] for each in instances]
    return pick_segments(instances, layouts.texts, numbers)


def training_map(
    conditioner: Conditioner, batch: CaptionedImages, random: StepRandom, most: int, smallest: float
) -> SpatioTextualMap:
    """The map of random segments of training images.

    Args:
        conditioner: makes the map.
        batch: batch with layouts.
        random: random numbers for choosing segments.
        most: maximum number of segments per image.
        smallest: minimum area of a segment as a share of the image, if any segment is that large.
    """
    layouts = required(batch.layouts)
    instances = layouts.on_host.instances
    uniform = random.uniform(len(batch), 1 + int(instances.max()), Purpose.SEGMENTS)
    segments = choose_segments(instances, layouts.texts, uniform, most=most, smallest=smallest)
    return conditioner.of_images(batch.images, segments, layouts)


def load_conditioner(module: SuiteModule, told: Told, encoder: str | None, prior: str | None) -> Conditioner:
    """Load the conditioner of a module and record it among the module's inputs.

    Raises:
        UserError: encoder or prior differ from those that the module was trained with.
    """
    with unbounded():
        conditioner = Conditioner(told, encoder, prior)
    for name, sha256 in conditioner.inputs.items():
        if module.inputs.get(name, sha256) != sha256:
            path = {"encoder": encoder, "prior": prior}[name]
            raise UserError(f"{path} is not the {name} that the checkpoint was trained with: put the original back")
    module.inputs |= conditioner.inputs
    return conditioner.requires_grad_(False).eval()
