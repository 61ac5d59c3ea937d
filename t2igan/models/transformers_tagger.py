"""Tagger based on a token classifier of ``transformers``, e.g. BERT, which TReCS fine-tunes."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from t2igan.errors import UserError
from t2igan.models.tagger import TokenClassifier
from t2igan.optional import library, reading


class TransformersTagger(TokenClassifier):
    """Fine-tunes the user's network with a new linear layer on the first token of each word.

    A word without tokens (dropped by the tokenizer, or beyond the network's maximum length) gets the logits of the
    previous word.

    Args:
        folder: folder with config.json, weights and tokenizer, as written by ``save_pretrained``; read when
            training starts, never downloaded.
        config: config of the network as JSON; filled in, so that a checkpoint needs no folder.
        tokenizer: tokenizer as JSON; filled in likewise.
    """

    def __init__(self, folder: str, config: str | None = None, tokenizer: str | None = None) -> None:
        super().__init__()
        self.folder, self.config, self.tokenizer = folder, config, tokenizer

    def build(self, vocabulary_size: int, labels: int) -> None:
        """Build the layers, with the folder's weights if it is given.

        Raises:
            UserError: a package is not installed, or the folder holds no such network.
        """
        transformers, tokenizers = _package("transformers"), _package("tokenizers")
        if self.config is None or self.tokenizer is None:
            self.model, self.config, self.tokenizer = _read(Path(self.folder), labels)
            self.remember(config=self.config, tokenizer=self.tokenizer)
        else:
            known = json.loads(self.config)
            config = transformers.AutoConfig.for_model(known.pop("model_type"), **known)
            self.model = transformers.AutoModelForTokenClassification.from_config(config)
        self._tokens = tokenizers.Tokenizer.from_str(self.tokenizer)
        settings = json.loads(self.config)
        self._tokens.enable_truncation(settings["max_position_embeddings"])
        pad = settings.get("pad_token_id") or 0
        self._tokens.enable_padding(pad_id=pad, pad_token=self._tokens.id_to_token(pad))

    def forward(self, words: Tensor, lengths: Tensor, texts: Sequence[Sequence[str]]) -> Tensor:
        """Logits (B, T, labels) of words, split by the network's own tokenizer."""
        read = self._tokens.encode_batch([list(text) for text in texts], is_pretokenized=True)
        first = [_first_tokens(each.word_ids, words.shape[1]) for each in read]
        columns = ([each.ids for each in read], [each.attention_mask for each in read], first)
        ids, seen, places = (torch.tensor(each).to(words.device, non_blocking=True) for each in columns)
        logits = self.model(input_ids=ids, attention_mask=seen).logits
        return logits.gather(1, places[:, :, None].expand(-1, -1, logits.shape[2]))


def _package(name: str) -> Any:
    return library(name, "taggers of transformers", "transformers")


def _read(folder: Path, labels: int) -> tuple[torch.nn.Module, str, str]:
    """The network in a folder, its configuration and its tokenizer."""
    transformers = _package("transformers")
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: no network of transformers here; put config.json, weights and tokenizer there")
    with reading(folder, "network"):
        model = transformers.AutoModelForTokenClassification.from_pretrained(
            folder, local_files_only=True, num_labels=labels, ignore_mismatched_sizes=True
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True, add_prefix_space=True)
    if not tokenizer.is_fast:
        raise UserError(f"{folder}: has no fast tokenizer, which maps tokens to words; add its tokenizer.json")
    return model, model.config.to_json_string(use_diff=False), tokenizer.backend_tokenizer.to_str()


def _first_tokens(owners: Sequence[int | None], words: int) -> list[int]:
    """Index of each word's first token, or that of the previous word."""
    first: dict[int, int] = {}
    for place, word in enumerate(owners):
        if word is not None:
            first.setdefault(word, place)
    places, before = [], 0
    for word in range(words):
        before = first.get(word, before)
        places.append(before)
    return places
