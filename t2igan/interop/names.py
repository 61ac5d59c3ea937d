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
DAMSM_TEXT_ENCODER = [(r"^embedding\.", "encoder.")]
DAMSM_IMAGE_ENCODER = [(r"^trunk\.", "")]

RULES: dict[str, list[tuple[str, str | Callable[[re.Match], str]]]] = {
    "damsm-text-encoder": DAMSM_TEXT_ENCODER,
    "damsm-image-encoder": DAMSM_IMAGE_ENCODER,
    "ssagan-generator": SSAGAN_GENERATOR,
    "ssagan-discriminator": SSAGAN_DISCRIMINATOR,
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
