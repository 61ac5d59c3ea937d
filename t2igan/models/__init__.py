"""LightningModules, one module per paper; the networks are in ``t2igan.networks``."""

from t2igan.networks.synthesis import Discriminator, Generator, Synthesis

__all__ = ["Discriminator", "Generator", "Synthesis"]
