"""Released networks of AttnGAN and its DCGAN variant."""

from t2igan.interop.kind import Arguments, Kind, Rules, Shapes, cascade
from t2igan.models.attngan import AttnGAN
from t2igan.networks.attngan import AttnDCGANGenerator, AttnGANDiscriminator, AttnGANGenerator

GENERATOR: Rules = [
    (r"^augmentation\.", "ca_net."),
    (r"^initial\.fc\.", "h_net1.fc."),
    (r"^initial\.upsample\.(\d+)\.", lambda match: f"h_net1.upsample{int(match[1]) + 1}."),
    (r"^stages\.(\d+)\.", lambda match: f"h_net{int(match[1]) + 2}."),
    (r"\.attention\.project\.", ".att.conv_context."),
    (r"^to_image\.(\d+)\.", lambda match: f"img_net{int(match[1]) + 1}.img."),
]
# Layers after the 4x4 map of the 64-pixel trunk are named by their depth, in the discriminators of both sizes.
NARROWING_128: Rules = [(r"^down\.4\.", "img_code_s32."), (r"^narrow\.0\.", "img_code_s32_1.")]
NARROWING_256: Rules = [
    (r"^down\.4\.", "img_code_s32."),
    (r"^down\.5\.", "img_code_s64."),
    (r"^narrow\.(\d)\.", lambda match: f"img_code_s64_{int(match[1]) + 1}."),
]
DISCRIMINATOR: Rules = [
    (r"^down\.0\.", "img_code_s16."),
    (r"^down\.([123])\.(\d)\.", lambda match: f"img_code_s16.{3 * int(match[1]) - 1 + int(match[2])}."),
    (r"^joint\.", "COND_DNET.jointConv."),
    (r"^pair_head\.", "COND_DNET.outlogits.0."),
    (r"^picture_head\.", "UNCOND_DNET.outlogits.0."),
]
NAMES: dict[str, Rules] = {
    "attngan-generator": GENERATOR,
    "attndcgan-generator": [(r"^to_image\.0\.", "img_net.img."), *GENERATOR],
    "attngan-discriminator-64": DISCRIMINATOR,
    "attngan-discriminator-128": [*NARROWING_128, *DISCRIMINATOR],
    "attngan-discriminator-256": [*NARROWING_256, *DISCRIMINATOR],
}


def cascade_discriminator(shapes: Shapes, spectral: str = "", weight: str = "weight") -> Arguments:
    """Arguments of a discriminator of the cascade; spectral norm puts a module around each convolution."""
    image_size = 64
    for deeper, size in (("img_code_s32.", 128), ("img_code_s64.", 256)):
        if any(name.startswith(deeper) for name in shapes):
            image_size = size
    channels = shapes.size(f"img_code_s16.0.{spectral}{weight}", 0, 64)
    joint = shapes.size(f"COND_DNET.jointConv.0.{spectral}{weight}", 1, 8 * channels + 256)
    return {
        "image_size": image_size,
        "channels": channels,
        "sentence_dim": max(joint - 8 * channels, 1),
        "conditional_only": not any(name.startswith("UNCOND_DNET.") for name in shapes),
    }


KINDS = {
    "attndcgan-generator": Kind(AttnDCGANGenerator, cascade, "img_net.img.0.weight", module=(AttnGAN, {})),
    "attngan-generator": Kind(AttnGANGenerator, cascade, "ca_net.fc.weight", module=(AttnGAN, {})),
    "attngan-discriminator": Kind(
        AttnGANDiscriminator, cascade_discriminator, "img_code_s16.0.weight", {"probabilities": True}
    ),
}
