"""Captions -> embeddings."""

from t2igan.text.embedding import TextEmbedding
from t2igan.text.encoder import TextEncoder

__all__ = ["TextEmbedding", "TextEncoder"]
