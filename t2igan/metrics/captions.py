"""How well a captioner knows the captions of a data set, and how good its own are."""

from collections.abc import Sequence

from torch import Tensor, nn
from torchmetrics import MeanMetric
from torchmetrics.functional.text import rouge_score
from torchmetrics.text import BLEUScore


class CaptionQuality(nn.Module):
    """Token loss and perplexity of given captions, BLEU-4 and ROUGE-L of the captioner's own.

    BLEU-4 is of the whole set, without smoothing. ROUGE-L is the F-measure against the nearest reference, mean over
    captions. Words of captions and references are parted by spaces. Devices are put together exactly, also where
    one of them has no caption at all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.token_loss = MeanMetric()
        self.bleu_4 = BLEUScore(n_gram=4)
        # The class of torchmetrics gathers lists, which does not end where devices hold lists of unequal length.
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
            log_probabilities: (B, T), of the tokens of the given captions; zero where there is none.
            lengths: int64 (B,), tokens of each given caption.
            captions: the captioner's own, one an image.
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
        """Start anew."""
        for metric in (self.token_loss, self.bleu_4, self.rouge_l):
            metric.reset()
