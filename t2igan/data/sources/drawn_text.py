"""What drawn birds and drawn scenes choose and word alike."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def one_of(rng: np.random.Generator, options: Sequence[T], shares: Sequence[float] | None = None) -> T:
    """Choose one of the options, with these probabilities or with equal ones."""
    return options[int(rng.integers(len(options)) if shares is None else rng.choice(len(options), p=shares))]


def with_article(words: str) -> str:
    """Put "a" or "an" before the words, according to their first sound."""
    return f"{'an' if words[0] in 'aeio' else 'a'} {words}"


def listed(items: Sequence[str]) -> str:
    """Join as in "one, two and three"."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def different_captions(count: int, write: Callable[[], str], rng: np.random.Generator) -> list[str]:
    """Write captions until ``count`` of them differ, six of ten with a full stop."""
    captions: list[str] = []
    while len(captions) < count:
        caption = write() + ("." if rng.random() < 0.6 else "")
        if caption not in captions:
            captions.append(caption)
    return captions
