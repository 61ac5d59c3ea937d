"""The released captioner of MirrorGAN, STREAM."""

from t2igan.interop.kind import Arguments, Kind, Rules, Shapes
from t2igan.models.stream import ResNetCaptionEncoder
from t2igan.networks.stream import CaptionDecoder

NAMES: dict[str, Rules] = {
    # The released encoder is a sequence: convolution, norm, activation, pooling, then the four stages.
    "stream-cnn": [
        (r"^trunk\.conv1\.", "resnet.0."),
        (r"^trunk\.bn1\.", "resnet.1."),
        (r"^trunk\.layer(\d)\.", lambda match: f"resnet.{int(match[1]) + 3}."),
    ],
    "stream-rnn": [(r"^embedding\.", "embed.")],
}


def _caption_encoder(shapes: Shapes) -> Arguments:
    return {"dim": shapes.size("linear.weight", 0, 256)}


def _caption_decoder(shapes: Shapes) -> Arguments:
    return {
        "vocabulary_size": shapes.size("embed.weight", 0, 5450),
        "embedding_dim": shapes.size("embed.weight", 1, 256),
        "hidden_dim": shapes.size("lstm.weight_hh_l0", 1, 512),
    }


KINDS = {
    "stream-cnn": Kind(ResNetCaptionEncoder, _caption_encoder, "resnet.0.weight"),
    "stream-rnn": Kind(CaptionDecoder, _caption_decoder, "lstm.weight_ih_l0"),
}
