"""R-precision, with a DAMSM or a CLIP."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from t2igan.evaluation.metrics.base import ScoredMetric, Shown, added, register
from t2igan.schema import at_least

if TYPE_CHECKING:
    from t2igan.evaluation.features.networks import Embedder, NetworkSource
    from t2igan.evaluation.protocol import Protocol
    from t2igan.evaluation.scorers.base import Scorer, Setting
    from t2igan.evaluation.subjects.base import Subject

NO_CAPTIONS = "the file names do not tell the captions; name files <key>_c<number of the caption>"


class CaptionMetric(ScoredMetric):
    """A metric of images with their captions."""

    def obstacle(self, subject: "Subject", protocol: "Protocol") -> str:
        """Requires known captions."""
        return super().obstacle(subject, protocol) if subject.knows_captions else NO_CAPTIONS


@dataclass(frozen=True)
class Matching(CaptionMetric):
    """R-precision and its control with any network that embeds images and captions.

    Attributes:
        candidates: captions per trial, the true one included.
        folds: number of folds over which mean and spread are computed.
        fold_mode: see :func:`t2igan.metrics.r_precision.fold_statistics`.
        negatives: which captions may be mismatching ones; ``fixed``: of other images, and the same for every
            image of a caption.
        seed: seed of mismatching captions, of the folds and of the control.
    """

    # 2: candidates depend on caption and draw; ties count with their chance of being first.
    rules: ClassVar[int] = 2
    candidates: int = at_least(2, 100)
    folds: int = at_least(1, 10)
    fold_mode: Literal["exact", "dmgan-2999"] = "exact"
    negatives: Literal["other-class", "other-image", "fixed"] = "other-class"
    seed: int = at_least(0, 0)

    def scorer(self, embedder: "Embedder", setting: "Setting") -> "Scorer":
        """Make the scorer that runs the trials."""
        from t2igan.evaluation.scorers.captions import MatchingScorer

        return MatchingScorer(self, embedder, setting)


@register
@dataclass(frozen=True)
class DAMSMRPrecision(Matching):
    """R-precision with each DAMSM given, and its control with shuffled captions.

    Attributes:
        source: whether the DAMSM sees the images as stored (8 bits) or as generated.
        resize: how images are resized to 299 pixels for a DAMSM's Inception: ``damsm``: as configured in its
            checkpoint; ``align-corners``: by the corner pixels, as AttnGAN, MirrorGAN, DM-GAN and TISE ran it;
            ``half-pixel``: as SSA-GAN and DF-GAN ran it.
    """

    name: ClassVar[str] = "r-precision"
    shown: ClassVar[dict[str, Shown]] = {
        "r-precision": Shown("higher"),
        "r-precision-shuffled": Shown("neither"),
    }
    source: Literal["uint8", "float"] = "uint8"
    resize: Literal["damsm", "align-corners", "half-pixel"] = added("damsm")

    def network(self) -> "NetworkSource":
        """All given DAMSMs."""
        from t2igan.evaluation.features.networks import DamsmSource

        return DamsmSource(self.source, self.resize)


@register
@dataclass(frozen=True)
class CLIPRPrecision(Matching):
    """R-precision with a CLIP, which has never seen the data set's training captions."""

    name: ClassVar[str] = "clip-r-precision"
    shown: ClassVar[dict[str, Shown]] = {
        "clip-r-precision": Shown("higher"),
        "clip-r-precision-shuffled": Shown("neither"),
    }

    def network(self) -> "NetworkSource":
        """The given CLIP."""
        from t2igan.evaluation.features.networks import ClipSource

        return ClipSource()
