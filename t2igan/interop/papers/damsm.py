"""Released DAMSM encoders (AttnGAN's repository; DM-GAN's and SSA-GAN's are the same)."""

from t2igan.interop.kind import Arguments, Kind, Rules, Shapes
from t2igan.models.damsm import InceptionImageEncoder
from t2igan.text import TextEncoder

NAMES: dict[str, Rules] = {
    "damsm-text-encoder": [(r"^embedding\.", "encoder.")],
    "damsm-image-encoder": [(r"^trunk\.", "")],
}


def _text_encoder(shapes: Shapes) -> Arguments:
    hidden = shapes.size("rnn.weight_hh_l0", 1, 128)
    gates = shapes.size("rnn.weight_hh_l0", 0, 4 * hidden)
    return {
        "vocabulary_size": shapes.size("encoder.weight", 0, 5450),
        "dim": 2 * hidden,
        "embedding_dim": shapes.size("encoder.weight", 1, 300),
        "cell": "gru" if gates == 3 * hidden else "lstm",
    }


def _image_encoder(shapes: Shapes) -> Arguments:
    return {"dim": shapes.size("emb_features.weight", 0, 256)}


KINDS = {
    "damsm-text-encoder": Kind(TextEncoder, _text_encoder, "rnn.weight_ih_l0"),
    "damsm-image-encoder": Kind(InceptionImageEncoder, _image_encoder, "emb_features.weight"),
}
