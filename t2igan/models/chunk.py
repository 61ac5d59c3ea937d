"""What travels through a training step."""

from dataclasses import dataclass

from torch import Tensor

from t2igan.data.batch import CaptionedImages
from t2igan.models.synthesis import Synthesis
from t2igan.text import TextEmbedding


@dataclass
class Chunk:
    """A share of the batch on its way through one training step."""

    batch: CaptionedImages
    images: Tensor
    noise: Tensor
    judged: TextEmbedding
    synthesis: Synthesis | None = None
    sentence: Tensor | None = None
