"""MirrorGAN's redescription loss: a captioner must recover the caption (Qiao et al., CVPR 2019, sec. 3.3)."""

from typing import Literal

from torch import Tensor

from t2igan.errors import UserError
from t2igan.models.generator_losses import GeneratorLoss, GeneratorView
from t2igan.models.stream import STREAM
from t2igan.models.suite_module import content_sha256, load_module
from t2igan.networks.stream import with_end
from t2igan.nn import across
from t2igan.ranges import Weight


class RedescriptionLoss(GeneratorLoss):
    """Negative log-probability of the caption under a frozen STREAM that sees the finest image.

    Args:
        captioner: checkpoint of a STREAM trained on the same vocabulary.
        weight: lambda (10 released for birds, 20 in the paper).
        reduction: ``mean`` over all tokens of the batch, as released; ``sum`` over the tokens of an image and then
            mean over images, as in the paper's L_stream.
        end_token: include ``<end>`` in the loss, unlike the released code. A captioner trained with ``<end>`` can
            be used either way.
    """

    name = "redescription"

    def __init__(
        self,
        captioner: str,
        weight: Weight = 10.0,
        reduction: Literal["mean", "sum"] = "mean",
        end_token: bool = False,
    ) -> None:
        super().__init__()
        self.captioner = captioner
        self.weight = weight
        self.reduction = reduction
        self.end_token = end_token

    def prepare(self, vocabulary: list[str]) -> None:
        """Load the frozen captioner.

        Raises:
            UserError: the checkpoint cannot be read, holds no STREAM, or one of another vocabulary.
        """
        stream = load_module(self.captioner)
        if not isinstance(stream, STREAM):
            raise UserError(f"captioner: {self.captioner} holds a {type(stream).__name__}, not a STREAM")
        if stream.vocabulary != vocabulary:
            raise UserError(_mismatch(self.captioner, stream.vocabulary, vocabulary))
        self.stream, self.inputs = stream, {"captioner": content_sha256(stream)}
        self.eval()

    def train(self, mode: bool = True) -> "RedescriptionLoss":
        """Stay in eval mode except for the LSTM (no dropout), whose backward on a GPU requires train mode."""
        super().train(False)
        if hasattr(self, "stream"):
            self.stream.decoder.lstm.train()
        return self

    def forward(self, view: GeneratorView) -> Tensor:
        """The weighted loss, a scalar."""
        captions, lengths = view.batch.captions, view.batch.lengths
        if self.end_token:
            captions, lengths = with_end(captions, lengths)
        features = self.stream.encoder(view.synthesis.images[-1])
        total = -self.stream.decoder.log_probabilities(features, captions, lengths).sum()
        if self.reduction == "sum":
            return self.weight * total / len(lengths)
        return self.weight * total / across.mean(lengths.sum().to(total, non_blocking=True))


def _mismatch(path: str, own: list[str], wanted: list[str]) -> str:
    """Error message for a captioner of another vocabulary."""
    line = f"captioner: {path} knows {len(own)} words, the data set has {len(wanted)}"
    if len(own) == len(wanted):
        line += ", but other ones or in another order"
    elif len(own) == len(wanted) + 3:
        line += ": three more, as in MirrorGAN's bird_captions.pickle, which adds padding, start and unknown"
    return f"{line}; train a STREAM on this store, or prepare the store with the captioner's captions.pickle"
