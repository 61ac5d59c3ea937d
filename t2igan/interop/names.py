"""Names of the released checkpoints' tensors, as functions of the suite's own names."""

import re
from collections.abc import Callable

SSAGAN_GENERATOR = [
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
]
SSAGAN_DISCRIMINATOR = [
    (r"^from_image\.", "conv_img."),
    (r"^blocks\.(\d+)\.", r"block\1."),
    (r"\.gain$", ".gamma"),
    (r"\.residual\.", ".conv_r."),
    (r"\.shortcut\.", ".conv_s."),
    (r"^joint\.", "COND_DNET.joint_conv."),
]
# DF-GAN's container holds the trunk and the joint head as two networks, netD and netC.
DFGAN_DISCRIMINATOR = [
    (r"^from_image\.", "netD.conv_img."),
    (r"^blocks\.", "netD.DBlocks."),
    (r"\.gain$", ".gamma"),
    (r"\.residual\.", ".conv_r."),
    (r"\.shortcut\.", ".conv_s."),
    (r"^joint\.", "netC.joint_conv."),
]
_DFGAN_FUSION = [
    (r"\.fuse([12])\.conv\.", r".c\1."),
    (r"\.shortcut\.", ".c_sc."),
    (r"\.(gamma|beta)\.0\.", r".fc_\1.linear1."),
    (r"\.(gamma|beta)\.2\.", r".fc_\1.linear2."),
]
DFGAN_GENERATOR = [
    (r"^blocks\.", "GBlocks."),
    (r"\.affine([12])\.", lambda match: f".affine{int(match[1]) - 1}."),
    *_DFGAN_FUSION,
    (r"^to_image\.", "to_rgb."),
]
DFGAN_LEGACY_GENERATOR = [
    (r"^blocks\.(\d+)\.", r"block\1."),
    (r"\.gain$", ".gamma"),
    # The four affines of a released block are numbered through.
    (r"\.fuse([12])\.affine([12])\.", lambda match: f".affine{2 * int(match[1]) + int(match[2]) - 3}."),
    *_DFGAN_FUSION,
    (r"^to_image\.", "conv_img."),
]
CASCADED_GENERATOR = [
    (r"^augmentation\.", "ca_net."),
    (r"^initial\.fc\.", "h_net1.fc."),
    (r"^initial\.upsample\.(\d+)\.", lambda match: f"h_net1.upsample{int(match[1]) + 1}."),
    (r"^stages\.(\d+)\.", lambda match: f"h_net{int(match[1]) + 2}."),
    (r"\.attention\.project\.", ".att.conv_context."),
    (r"^to_image\.(\d+)\.", lambda match: f"img_net{int(match[1]) + 1}.img."),
]
ATTNDCGAN_GENERATOR = [(r"^to_image\.0\.", "img_net.img."), *CASCADED_GENERATOR]
# What follows the 4x4 map of the 64-pixel trunk is called by its depth, in the discriminators of both sizes.
NARROWING_128 = [(r"^down\.4\.", "img_code_s32."), (r"^narrow\.0\.", "img_code_s32_1.")]
NARROWING_256 = [
    (r"^down\.4\.", "img_code_s32."),
    (r"^down\.5\.", "img_code_s64."),
    (r"^narrow\.(\d)\.", lambda match: f"img_code_s64_{int(match[1]) + 1}."),
]
ATTNGAN_DISCRIMINATOR = [
    (r"^down\.0\.", "img_code_s16."),
    (r"^down\.([123])\.(\d)\.", lambda match: f"img_code_s16.{3 * int(match[1]) - 1 + int(match[2])}."),
    (r"^joint\.", "COND_DNET.jointConv."),
    (r"^pair_head\.", "COND_DNET.outlogits.0."),
    (r"^picture_head\.", "UNCOND_DNET.outlogits.0."),
]
MIRRORGAN_GENERATOR = [
    (r"\.attention\.words\.", ".attention."),
    (r"\.attention\.sentence\.project\.", ".att.linear."),
    (r"\.attention\.sentence\.score\.", ".att.conv_sentence_vis."),
    (r"\.fuse\.", ".conv."),
    *CASCADED_GENERATOR,
]
DMGAN_GENERATOR = [
    (r"\.gate_from_word\.", ".A."),
    (r"\.gate_from_image\.", ".B."),
    (r"\.memory_from_word\.", ".M_w."),
    (r"\.memory_from_image\.", ".M_r."),
    *CASCADED_GENERATOR,
]
DMGAN_DISCRIMINATOR = [
    (r"^down\.([0123])\.0\.", lambda match: f"img_code_s16.{2 * int(match[1])}."),
    *ATTNGAN_DISCRIMINATOR,
    # The released spectral norm is a module around the convolution; the heads have none.
    (r"^(img_code\w*\.\d|COND_DNET\.jointConv\.0)\.", r"\1.module."),
]
DAMSM_TEXT_ENCODER = [(r"^embedding\.", "encoder.")]
DAMSM_IMAGE_ENCODER = [(r"^trunk\.", "")]
# The released encoder is a sequence: convolution, norm, activation, pooling, then the four stages.
STREAM_CNN = [
    (r"^trunk\.conv1\.", "resnet.0."),
    (r"^trunk\.bn1\.", "resnet.1."),
    (r"^trunk\.layer(\d)\.", lambda match: f"resnet.{int(match[1]) + 3}."),
]
STREAM_RNN = [(r"^embedding\.", "embed.")]

RULES: dict[str, list[tuple[str, str | Callable[[re.Match], str]]]] = {
    "damsm-text-encoder": DAMSM_TEXT_ENCODER,
    "damsm-image-encoder": DAMSM_IMAGE_ENCODER,
    "stream-cnn": STREAM_CNN,
    "stream-rnn": STREAM_RNN,
    "attngan-generator": CASCADED_GENERATOR,
    "attndcgan-generator": ATTNDCGAN_GENERATOR,
    "attngan-discriminator-64": ATTNGAN_DISCRIMINATOR,
    "attngan-discriminator-128": [*NARROWING_128, *ATTNGAN_DISCRIMINATOR],
    "attngan-discriminator-256": [*NARROWING_256, *ATTNGAN_DISCRIMINATOR],
    "mirrorgan-generator": MIRRORGAN_GENERATOR,
    "dmgan-generator": DMGAN_GENERATOR,
    "dmgan-discriminator-64": DMGAN_DISCRIMINATOR,
    "dmgan-discriminator-128": [*NARROWING_128, *DMGAN_DISCRIMINATOR],
    "dmgan-discriminator-256": [*NARROWING_256, *DMGAN_DISCRIMINATOR],
    "ssagan-generator": SSAGAN_GENERATOR,
    "ssagan-discriminator": SSAGAN_DISCRIMINATOR,
    "dfgan-generator": DFGAN_GENERATOR,
    "dfgan-discriminator": DFGAN_DISCRIMINATOR,
    "dfgan-legacy-generator": DFGAN_LEGACY_GENERATOR,
    "dfgan-legacy-discriminator": SSAGAN_DISCRIMINATOR,
}


def official_name(kind: str, own_name: str) -> str:
    """The released name of a tensor.

    Args:
        kind: which released network, a key of ``RULES``.
        own_name: the tensor's name in the suite's module.
    """
    for pattern, replacement in RULES[kind]:
        own_name = re.sub(pattern, replacement, own_name)
    return own_name
