"""The released generator of MirrorGAN; its discriminators are AttnGAN's."""

from t2igan.interop.kind import Kind, Rules, cascade
from t2igan.interop.papers import attngan
from t2igan.models.mirrorgan import MirrorGAN
from t2igan.networks.mirrorgan import MirrorGANGenerator

NAMES: dict[str, Rules] = {
    "mirrorgan-generator": [
        (r"\.attention\.words\.", ".attention."),
        (r"\.attention\.sentence\.project\.", ".att.linear."),
        (r"\.attention\.sentence\.score\.", ".att.conv_sentence_vis."),
        (r"\.fuse\.", ".conv."),
        *attngan.GENERATOR,
    ],
}

KINDS = {
    "mirrorgan-generator": Kind(
        MirrorGANGenerator, cascade, "h_net2.att.conv_sentence_vis.weight", module=(MirrorGAN, {})
    ),
}
