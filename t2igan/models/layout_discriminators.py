"""The discriminators of layouts, by the names under which checkpoints and configurations hold them."""

from t2igan.networks.layout_discriminators import FPSEDiscriminator, PatchDiscriminator

__all__ = ["FPSEDiscriminator", "PatchDiscriminator"]
