"""Quality of a captioner: likelihood of given captions, and BLEU and ROUGE of generated ones."""

from collections.abc import Sequence

from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.functional.text import rouge_score
from torchmetrics.text import BLEUScore


class CaptionQuality(nn.Module):
    """Token loss and perplexity of given captions, BLEU-4 and ROUGE-L of the captioner's own.

    BLEU-4 is of the whole set, without smoothing. ROUGE-L is the F-measure against the nearest reference, mean over
    captions. Words of captions and references are separated by spaces. Results of several devices are combined
    exactly, even if one of them has no captions.
    """

    def __init__(self) -> None:
        super().__init__()
        self.token_loss = MeanMetric()
        self.bleu_4 = BLEUScore(n_gram=4)
        # The class of torchmetrics gathers lists, which hangs if devices hold lists of unequal length.
        self.rouge_l = MeanMetric()

    def update(
        self,
        log_probabilities: Tensor,
        lengths: Tensor,
        captions: Sequence[str],
        references: Sequence[Sequence[str]],
    ) -> None:
        """Add some images.

        Args:
            log_probabilities: (B, T), log-probability of each token of the given captions; zero for padding.
            lengths: int64 (B,), tokens of each given caption.
            captions: generated captions, one per image.
            references: true captions of each image, at least one.
        """
        tokens = lengths.sum()
        self.token_loss.update(-log_probabilities.sum() / tokens, tokens)
        self.bleu_4.update(captions, references)
        scores = rouge_score(captions, references, rouge_keys="rougeL", accumulate="best")
        self.rouge_l.update(scores["rougeL_fmeasure"], len(captions))

    def compute(self) -> dict[str, Tensor]:
        """``loss`` (nats a token), ``perplexity``, and ``bleu_4`` and ``rouge_l``, both in 0..1."""
        loss = self.token_loss.compute()
        scores = {"bleu_4": self.bleu_4.compute(), "rouge_l": self.rouge_l.compute()}
        return {"loss": loss, "perplexity": loss.exp()} | scores

    def reset(self) -> None:
        """Reset all states."""
        for metric in (self.token_loss, self.bleu_4, self.rouge_l):
            metric.reset()
