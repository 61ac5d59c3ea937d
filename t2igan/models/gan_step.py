"""What travels through one training step of a GAN, and what is said of it."""

from dataclasses import dataclass

from pytorch_lightning.core.optimizer import LightningOptimizer
from torch import Tensor

from t2igan.data.batch import CaptionedImages
from t2igan.losses.adversarial import Logits
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


def do_not_count_steps_of(*optimizers: LightningOptimizer) -> None:
    """Let ``global_step`` count batches: under manual optimisation Lightning counts every optimiser's step.

    ``max_steps``, ``every_n_train_steps`` and the axis of every logger then mean what they say.
    """
    for optimizer in optimizers:
        optimizer._on_before_step = optimizer._on_after_step = _nothing


def _nothing() -> None:
    return None


def verdicts(real: Logits, fake: Logits, wrong: Tensor) -> dict[str, Tensor]:
    """Mean logits of pairs, and how far apart real and drawn pictures are.

    Args:
        real: of real pictures with their captions.
        fake: of drawn pictures with their captions.
        wrong: of real pictures with captions of others, (M,); M may be 0.

    Returns:
        Scalars ``logits_real``, ``logits_fake``, ``margin`` (real less fake) and, of M > 0, ``logits_wrong``.
    """
    values = {"logits_real": real.conditional.mean(), "logits_fake": fake.conditional.mean()}
    values["margin"] = values["logits_real"] - values["logits_fake"]
    if len(wrong):
        values["logits_wrong"] = wrong.mean()
    return values
