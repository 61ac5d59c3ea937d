"""Released networks of SSA-GAN."""

from t2igan.interop.forms import PREFIX
from t2igan.interop.kind import Arguments, Kind, Rules, Shapes
from t2igan.models.ssagan import SSAGAN
from t2igan.networks.dfgan import OneWayDiscriminator
from t2igan.networks.ssagan import SSAGANGenerator

DISCRIMINATOR: Rules = [
    (r"^from_image\.", "conv_img."),
    (r"^blocks\.(\d+)\.", r"block\1."),
    (r"\.gain$", ".gamma"),
    (r"\.residual\.", ".conv_r."),
    (r"\.shortcut\.", ".conv_s."),
    (r"^joint\.", "COND_DNET.joint_conv."),
]
NAMES: dict[str, Rules] = {
    "ssagan-generator": [
        (r"^masks\.0\.", "conv_mask."),
        # A block's released mask predictor serves the next block; here each block owns the one it uses.
        (r"^masks\.(\d+)\.", lambda match: f"block{int(match[1]) - 1}.conv_mask."),
        (r"^blocks\.(\d+)\.", r"block\1."),
        (r"\.gain$", ".gamma"),
        (r"\.conv([12])\.", r".c\1."),
        (r"\.shortcut\.", ".c_sc."),
        (r"\.affine1\.", ".affine0."),
        (r"\.norm\.", ".batch_norm2d."),
        (r"\.(gamma|beta)\.0\.", r".fc_\1.linear1."),
        (r"\.(gamma|beta)\.2\.", r".fc_\1.linear2."),
        (r"^to_image\.", "conv_img."),
    ],
    "ssagan-discriminator": DISCRIMINATOR,
}


def _ssagan_generator(shapes: Shapes) -> Arguments:
    return seven_blocks(shapes) | {"mask_channels": shapes.size("conv_mask.0.weight", 0, 100)}


def seven_blocks(shapes: Shapes) -> Arguments:
    """Arguments of SSA-GAN's and the first DF-GAN's generator: a block for each resolution from 4x4 on."""
    return {
        "image_size": 2 * 2 ** (shapes.count(r"block(\d+)\.") or 7),
        "channels": shapes.size("fc.weight", 0, 8192) // (8 * 4 * 4),
        "noise_dim": shapes.size("fc.weight", 1, 100),
        "sentence_dim": shapes.size("block0.affine0.fc_gamma.linear1.weight", 1, 256),
    }


def one_way(
    shapes: Shapes, image: str = "", block: str = "block", joint: str = "COND_DNET.joint_conv"
) -> Arguments:
    """Arguments of the one-way discriminator of SSA-GAN and DF-GAN, by the names of its parts."""
    blocks = shapes.count(rf"{block}(\d+)\.") or 6
    channels = shapes.size(f"{image}conv_img.weight", 0, 64)
    widest = shapes.size(f"{block}{blocks - 1}.conv_r.0.weight", 0, 16 * channels)
    return {
        "image_size": 4 * 2**blocks,
        "channels": channels,
        "sentence_dim": max(shapes.size(f"{joint}.0.weight", 1, widest + 256) - widest, 1),
        "widest": max(widest // max(channels, 1), 1),
    }


KINDS = {
    "ssagan-generator": Kind(
        SSAGANGenerator,
        _ssagan_generator,
        "block0.affine0.batch_norm2d.running_mean",
        prefix=PREFIX,
        module=(SSAGAN, {}),
    ),
    "ssagan-discriminator": Kind(OneWayDiscriminator, one_way, "COND_DNET.joint_conv.0.weight", prefix=PREFIX),
}
