"""One file per paper, and the LightningModule that trains them all."""

from t2igan.models.synthesis import Discriminator, Generator, Synthesis

__all__ = ["Discriminator", "Generator", "Synthesis"]
