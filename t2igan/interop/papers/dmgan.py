"""Released networks of DM-GAN."""

from t2igan.interop.kind import Arguments, Kind, Rules, Shapes, cascade
from t2igan.interop.papers import attngan
from t2igan.models.dmgan import DMGAN
from t2igan.networks.dmgan import DMGANDiscriminator, DMGANGenerator

DISCRIMINATOR: Rules = [
    (r"^down\.([0123])\.0\.", lambda match: f"img_code_s16.{2 * int(match[1])}."),
    *attngan.DISCRIMINATOR,
    # The released spectral norm is a module around the convolution; the heads have none.
    (r"^(img_code\w*\.\d|COND_DNET\.jointConv\.0)\.", r"\1.module."),
]
NAMES: dict[str, Rules] = {
    "dmgan-generator": [
        (r"\.gate_from_word\.", ".A."),
        (r"\.gate_from_image\.", ".B."),
        (r"\.memory_from_word\.", ".M_w."),
        (r"\.memory_from_image\.", ".M_r."),
        *attngan.GENERATOR,
    ],
    "dmgan-discriminator-64": DISCRIMINATOR,
    "dmgan-discriminator-128": [*attngan.NARROWING_128, *DISCRIMINATOR],
    "dmgan-discriminator-256": [*attngan.NARROWING_256, *DISCRIMINATOR],
}


def _spectral_discriminator(shapes: Shapes) -> Arguments:
    return attngan.cascade_discriminator(shapes, "module.", "weight_bar")


KINDS = {
    "dmgan-generator": Kind(DMGANGenerator, cascade, "h_net2.A.weight", module=(DMGAN, {})),
    "dmgan-discriminator": Kind(
        DMGANDiscriminator,
        _spectral_discriminator,
        "img_code_s16.0.module.weight_bar",
        {"probabilities": True, "legacy_power_iteration": True},
    ),
}
