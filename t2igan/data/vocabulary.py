"""Convert captions to word ids: tokeniser, vocabulary and word limit."""

import functools
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from t2igan.data.pickles import load_plain_pickle
from t2igan.errors import UserError

if TYPE_CHECKING:
    from nltk.tokenize import RegexpTokenizer

END = "<end>"
"""The word with id 0. No caption holds it: 0 is padding."""

_LOST_SPACE = "\N{REPLACEMENT CHARACTER}" * 2


@functools.cache
def _tokenizer() -> "RegexpTokenizer":
    # imported late, because it takes a second and most processes only read tokens
    from nltk.tokenize import RegexpTokenizer

    return RegexpTokenizer(r"\w+")


def tokenize(caption: str) -> list[str]:
    """Split a caption into words, like the tokenisation of all released data sets.

    A doubled U+FFFD (which replaces a space in five text files of CUB) counts as a space, letters are lower-cased,
    runs of word characters are kept, non-ASCII characters are dropped, and then empty words.
    """
    tokens = _tokenizer().tokenize(caption.replace(_LOST_SPACE, " ").lower())
    ascii_only = (token.encode("ascii", "ignore").decode("ascii") for token in tokens)
    return [token for token in ascii_only if token]


def subsample_words(ids: Sequence[int] | np.ndarray, limit: int, generator: np.random.Generator) -> np.ndarray:
    """Sub-sample a caption to ``limit`` words at random positions, in their original order.

    Args:
        ids: the caption's word ids, any length.
        limit: the most words to keep, at least 1.
        generator: source of randomness; not used for a caption that is short enough.

    Returns:
        int64 (min(len(ids), limit),).
    """
    words = np.asarray(ids, dtype=np.int64)
    if len(words) <= limit:
        return words
    return words[np.sort(generator.permutation(len(words))[:limit])]


class Vocabulary:
    """Words and their ids. The order of the words is part of a trained text encoder.

    Attributes:
        words: the word of each id; ``words[0]`` is ``"<end>"``, which stands for padding.
        hash: sha256 (hex) of the ordered words; two vocabularies are interchangeable only if it is equal.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.words: list[str] = list(words)
        if not self.words or self.words[0] != END:
            raise ValueError(f"the first word of a vocabulary is {END!r}")
        self._ids = {word: index for index, word in enumerate(self.words)}
        if len(self._ids) != len(self.words):
            raise ValueError("a vocabulary lists each word once")
        self.hash: str = hashlib.sha256("\n".join(self.words).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.words)

    def __repr__(self) -> str:
        return f"Vocabulary({len(self)} words, {self.hash[:12]})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    @classmethod
    def build(cls, captions: Iterable[str]) -> "Vocabulary":
        """Build a vocabulary of all words of the captions, in the order of first appearance."""
        seen = dict.fromkeys(token for caption in captions for token in tokenize(caption))
        return cls([END, *seen])

    def encode(self, caption: str | Sequence[str]) -> list[int]:
        """Word ids of a caption or its tokens; unknown words are dropped, as in the released code."""
        tokens = tokenize(caption) if isinstance(caption, str) else caption
        return [self._ids[token] for token in tokens if self._ids.get(token, 0)]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """The words of ids; padding (0) is left out."""
        return [self.words[int(index)] for index in ids if int(index)]


def read_captions_pickle(path: str | Path) -> tuple[Vocabulary, dict[str, list[list[int]]]]:
    """A released ``captions.pickle``: its vocabulary and the word ids of its captions.

    Returns:
        The vocabulary, and ``{"train": captions, "test": captions}``, each caption a list of ids in 1..V-1.

    Raises:
        UserError: the file is missing, unsafe, or its content is inconsistent.
    """
    path = Path(path)
    content = load_plain_pickle(path)
    parts = [list, list, dict, dict]
    if not isinstance(content, list) or [type(part) for part in content] != parts:
        raise UserError(
            f"{path}: not a caption pickle ([train captions, test captions, ixtoword, wordtoix]); "
            "take captions.pickle of the AttnGAN metadata"
        )
    train, test, words, _ = content
    plain = all(type(number) is int and is_word(word) for number, word in words.items())
    complete = plain and sorted(words) == list(range(len(words))) and words.get(0) == END
    if not complete or len(words) < 2 or len(set(words.values())) != len(words):
        raise UserError(
            f"{path}: its word list is damaged ({len(words)} words; CUB has 5450); download the pickle again"
        )
    for split, captions in (("train", train), ("test", test)):
        _check_ids(path, split, captions, len(words))
    return Vocabulary(words[index] for index in range(len(words))), {"train": train, "test": test}


def is_word(word: object) -> bool:
    """Whether a value is a string without line breaks that UTF-8 can encode."""
    return isinstance(word, str) and "\n" not in word and not any("\ud800" <= each <= "\udfff" for each in word)


def _check_ids(path: Path, split: str, captions: list, size: int) -> None:
    for number, caption in enumerate(captions):
        good = isinstance(caption, list) and caption and all(type(i) is int and 0 < i < size for i in caption)
        if not good:
            raise UserError(
                f"{path}: {split} caption {number} is not a list of word ids in 1..{size - 1}; "
                "download the pickle again"
            )
