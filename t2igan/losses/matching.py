"""Text-image matching: the word and sentence losses of DAMSM (AttnGAN, sec. 3.2, Eqs. 7 to 13).

As in the released code, the log-sum-exp over words (Eq. 10) has no factor 1/gamma2; ``paper_eq10`` adds it.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from t2igan.nn import across
from t2igan.nn.config import part_of_configs
from t2igan.ranges import Positive, check_ranges
from t2igan.text import TextEmbedding

# Below this product of norms a cosine is damped rather than divided by zero, as in the released code.
SMALLEST_NORM_PRODUCT = 1e-8


@part_of_configs
@dataclass(frozen=True)
class Gammas:
    """Smoothing factors of DAMSM.

    Attributes:
        gamma1: sharpness of the attention over regions.
        gamma2: weight of the best matching words.
        gamma3: scale of the logits over the batch.
        paper_eq10: divide the log-sum-exp over words by gamma2, as in the paper but in no released code.
    """

    gamma1: Positive = 4.0
    gamma2: Positive = 5.0
    gamma3: Positive = 10.0
    paper_eq10: bool = False

    def __post_init__(self) -> None:
        check_ranges(type(self), vars(self))


@dataclass
class MatchingLoss:
    """The four scalar parts of the DAMSM loss: retrieval of captions by images, and of images by captions."""

    words_to_text: Tensor
    words_to_image: Tensor
    sentence_to_text: Tensor
    sentence_to_image: Tensor

    @property
    def total(self) -> Tensor:
        """Sum of the four (Eq. 13)."""
        return self.words_to_text + self.words_to_image + self.sentence_to_text + self.sentence_to_image


def same_class(class_ids: Tensor) -> Tensor:
    """Mask (B, B), True for different samples of the same class, which do not count as negatives."""
    equal = class_ids[:, None] == class_ids[None, :]
    return equal & ~torch.eye(len(class_ids), dtype=torch.bool, device=class_ids.device)


def word_logits(regions: Tensor, text: TextEmbedding, gammas: Gammas) -> tuple[Tensor, Tensor]:
    """Word-level matching logits of all pairs of images and captions (Eqs. 7 to 10).

    Args:
        regions: (B, D, H, W), local features of the images.
        text: embeddings of B captions.
        gammas: smoothing factors.

    Returns:
        Logits (B images, B captions), and the word attention of the matching pairs (B, T, H, W). With more captions
        than images only the logits are meaningful.
    """
    batch, dim, height, width = regions.shape
    captions, _, steps = text.words.shape
    flat = regions.flatten(2)
    words = text.words.permute(1, 0, 2).reshape(dim, captions * steps)
    scores = (flat.transpose(1, 2) @ words).view(batch, -1, captions, steps)

    over_words = scores.masked_fill(text.padding, -torch.inf).softmax(dim=3)
    attention = (gammas.gamma1 * over_words).softmax(dim=1)
    context = flat @ attention.flatten(2)

    # <context, word> is the attention-weighted mean of the scores, without a second product with the words.
    dot = (attention * scores).sum(dim=1)
    norms = context.norm(dim=1).view(batch, captions, steps) * text.words.norm(dim=1)
    cosine = dot / norms.clamp(min=SMALLEST_NORM_PRODUCT)
    relevance = (gammas.gamma2 * cosine).masked_fill(text.padding, -torch.inf).logsumexp(dim=2)
    if gammas.paper_eq10:
        relevance = relevance / gammas.gamma2
    matching = attention.diagonal(dim1=0, dim2=2)  # (H * W, T, B)
    maps = matching.permute(2, 1, 0).reshape(batch, steps, height, width)
    return gammas.gamma3 * relevance, maps


def sentence_logits(codes: Tensor, sentences: Tensor, gammas: Gammas) -> Tensor:
    """Scaled cosine (B images, B captions) of global image codes (B, D) and sentence vectors (B, D)."""
    norms = codes.norm(dim=1)[:, None] * sentences.norm(dim=1)[None, :]
    return gammas.gamma3 * (codes @ sentences.T) / norms.clamp(min=SMALLEST_NORM_PRODUCT)


def pair_cross_entropy(logits: Tensor, masked: Tensor | None) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the diagonal along rows (image -> text) and along columns (text -> image).

    Args:
        logits: (B, B), rows are images.
        masked: bool (B, B), pairs to ignore, or None.
    """
    if masked is not None:
        logits = logits.masked_fill(masked, -torch.inf)
    target = torch.arange(len(logits), device=logits.device)
    return F.cross_entropy(logits, target), F.cross_entropy(logits.T, target)


def damsm_loss(
    regions: Tensor,
    codes: Tensor,
    text: TextEmbedding,
    class_ids: Tensor | None,
    gammas: Gammas,
    everywhere: bool = False,
) -> MatchingLoss:
    """The DAMSM loss of a batch (Eqs. 11 to 13), in float32 at least.

    Args:
        regions: (B, D, H, W), local features of the images.
        codes: (B, D), global features of the images.
        text: the captions of the images.
        class_ids: int64 (B,), on any device; pairs of equal class are ignored. None ignores no pair.
        gammas: smoothing factors.
        everywhere: compute the loss over the batch of all devices, which have B pairs each; it is the same on all
            of them.
    """
    gather = across.gather if everywhere else _as_it_is
    masked = None
    if class_ids is not None:
        masked = same_class(gather(class_ids.to(regions.device, non_blocking=True)))
    with torch.autocast(regions.device.type, enabled=False):
        wide = torch.promote_types(regions.dtype, torch.float32)
        text = TextEmbedding(text.sentence.to(wide), text.words.to(wide), text.padding)
        text = text.gathered() if everywhere else text
        # Each device compares its own images with the captions of all devices.
        by_words = gather(word_logits(regions.to(wide), text, gammas)[0])
        by_sentence = gather(sentence_logits(codes.to(wide), text.sentence, gammas))
        return MatchingLoss(*pair_cross_entropy(by_words, masked), *pair_cross_entropy(by_sentence, masked))


def _as_it_is(rows: Tensor) -> Tensor:
    return rows
