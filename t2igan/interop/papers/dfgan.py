"""Released networks of DF-GAN, of the current code and of the paper's first version."""

from t2igan.interop.forms import PREFIX
from t2igan.interop.kind import Arguments, Kind, Rules, Shapes
from t2igan.interop.networks import DFGANNetworks
from t2igan.interop.papers import ssagan
from t2igan.models.dfgan import DFGAN
from t2igan.networks.dfgan import DFGANGenerator, DFGANLegacyGenerator, OneWayDiscriminator

FUSION: Rules = [
    (r"\.fuse([12])\.conv\.", r".c\1."),
    (r"\.shortcut\.", ".c_sc."),
    (r"\.(gamma|beta)\.0\.", r".fc_\1.linear1."),
    (r"\.(gamma|beta)\.2\.", r".fc_\1.linear2."),
]
NAMES: dict[str, Rules] = {
    "dfgan-generator": [
        (r"^blocks\.", "GBlocks."),
        (r"\.affine([12])\.", lambda match: f".affine{int(match[1]) - 1}."),
        *FUSION,
        (r"^to_image\.", "to_rgb."),
    ],
    # The container holds the trunk and the joint head as two networks, netD and netC.
    "dfgan-discriminator": [
        (r"^from_image\.", "netD.conv_img."),
        (r"^blocks\.", "netD.DBlocks."),
        (r"\.gain$", ".gamma"),
        (r"\.residual\.", ".conv_r."),
        (r"\.shortcut\.", ".conv_s."),
        (r"^joint\.", "netC.joint_conv."),
    ],
    "dfgan-legacy-generator": [
        (r"^blocks\.(\d+)\.", r"block\1."),
        (r"\.gain$", ".gamma"),
        # The four affines of a released block are numbered consecutively.
        (r"\.fuse([12])\.affine([12])\.", lambda match: f".affine{2 * int(match[1]) + int(match[2]) - 3}."),
        *FUSION,
        (r"^to_image\.", "conv_img."),
    ],
    "dfgan-legacy-discriminator": ssagan.DISCRIMINATOR,
}


def _dfgan(shapes: Shapes) -> Arguments:
    noise_dim = shapes.size("netG.fc.weight", 1, 100)
    condition = shapes.size("netG.GBlocks.0.fuse1.affine0.fc_gamma.linear1.weight", 1, noise_dim + 256)
    return {
        "generator": {
            "image_size": 4 * 2 ** (shapes.count(r"netG\.GBlocks\.(\d+)\.") or 6),
            "channels": shapes.size("netG.to_rgb.1.weight", 1, 32),
            "noise_dim": noise_dim,
            "sentence_dim": max(condition - noise_dim, 1),
        },
        "discriminator": ssagan.one_way(shapes, "netD.", "netD.DBlocks.", "netC.joint_conv"),
    }


KINDS = {
    "dfgan": Kind(
        DFGANNetworks,
        _dfgan,
        "netG.fc.weight",
        prefix=PREFIX,
        parts={"generator": DFGANGenerator, "discriminator": OneWayDiscriminator},
        module=(DFGAN, {}),
    ),
    "dfgan-legacy-generator": Kind(
        DFGANLegacyGenerator,
        ssagan.seven_blocks,
        "block0.affine1.fc_gamma.linear1.weight",
        module=(DFGAN, {"legacy": True}),
    ),
}
