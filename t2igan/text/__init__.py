"""Text encoders and word labelling."""

from t2igan.text.embedding import TextEmbedding
from t2igan.text.encoder import NoText, TextEncoder

__all__ = ["NoText", "TextEmbedding", "TextEncoder"]
