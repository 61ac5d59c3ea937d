"""The options of each metric that a protocol may ask for. Nothing heavy is imported here."""

from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Literal, get_args


def at_least(minimum: float, default: Any = MISSING) -> Any:
    """A field with a smallest value."""
    return field(default=default, metadata={"minimum": minimum})


def added(default: Any, minimum: float | None = None) -> Any:
    """A field that came after the first protocols; at its default it is no part of the hash, theirs stay so."""
    return field(default=default, metadata={"minimum": minimum, "added": True})


def hashed_fields(spec: Any) -> dict[str, Any]:
    """The fields of a dataclass that belong in a hash, by name."""
    found = {own.name: getattr(spec, own.name) for own in fields(spec)}
    optional = {own.name for own in fields(spec) if own.metadata.get("added") and found[own.name] == own.default}
    # Raised when the meaning of a metric changes though its words stay: such values do not compare.
    rules = {"rules": spec.rules} if hasattr(spec, "rules") else {}
    return {name: value for name, value in found.items() if name not in optional} | rules


InceptionFlavour = Literal["tf-2015", "torchvision-affine", "torchvision", "dfgan", "slim-birds"]
FeatureFlavour = Literal["tf-2015", "torchvision-affine", "torchvision", "dfgan", "slim-birds", "classifier"]


@dataclass(frozen=True)
class Inception:
    """What Inception sees.

    Attributes:
        flavour: see :class:`t2igan.metrics.backbones.InceptionBackbone`; values of two flavours do not compare.
        resize: ``flavour``: as the flavour does; or another one of that class.
        source: whether the network sees pictures as stored (8 bits) or as drawn.
    """

    flavour: InceptionFlavour = "torchvision-affine"
    resize: Literal["flavour", "pil", "pil-128", "tensor", "tf1", "clean"] = added("flavour")
    source: Literal["uint8", "float"] = added("uint8")


@dataclass(frozen=True)
class Features(Inception):
    """What the metrics of feature sets see: Inception, or the evaluation classifier.

    With ``classifier``, the names of the values end so, because they do not compare with those of Inception.
    """

    flavour: FeatureFlavour = "torchvision-affine"


@dataclass(frozen=True)
class FID(Inception):
    """Frechet distance of Inception features.

    Attributes:
        statistics: file of the reference's ``mu`` and ``sigma`` (.npz) in the folder of weights, instead of the
            protocol's reference images.
        loader_batch: pictures beyond the last whole batch of this size are not scored, as by the released scorers
            (DM-GAN, TISE: 50); 0 scores all.
    """

    name: ClassVar[str] = "fid"
    statistics: str = added("")
    loader_batch: int = added(0, minimum=0)


@dataclass(frozen=True)
class FIDInfinity(Features):
    """The Frechet distance that infinitely many pictures would have (Chong and Forsyth 2020, section 3.2).

    Attributes:
        points: subsets of growing size through which the line in 1 / N is fitted.
        smallest: pictures of the smallest subset.
        seed: of the subsets.
    """

    name: ClassVar[str] = "fid-infinity"
    points: int = at_least(2, 15)
    smallest: int = at_least(2, 5000)
    seed: int = at_least(0, 0)


@dataclass(frozen=True)
class KID(Features):
    """Kernel distance, over seeded subsets (``kid``) and over all pairs (``kid-full``).

    Attributes:
        subsets: how many.
        subset_size: samples of each side in a subset.
        degree: of the polynomial kernel.
        seed: of the subsets.
    """

    name: ClassVar[str] = "kid"
    subsets: int = at_least(1, 100)
    subset_size: int = at_least(2, 1000)
    degree: int = at_least(1, 3)
    seed: int = at_least(0, 0)


@dataclass(frozen=True)
class PRDC(Features):
    """Precision, recall, density and coverage.

    Attributes:
        neighbours: k of the nearest neighbours.
    """

    name: ClassVar[str] = "prdc"
    neighbours: int = at_least(1, 5)


@dataclass(frozen=True)
class FDClassifier:
    """Frechet distance of the evaluation classifier's features."""

    name: ClassVar[str] = "fd-classifier"


@dataclass(frozen=True)
class ISClassifier:
    """Inception score of the evaluation classifier's class probabilities.

    Attributes:
        splits: parts over which mean and spread are taken.
        drop_remainder: parts of exactly N // splits pictures.
        seed: of the order in which pictures are cut into parts.
        temperature: the logits are divided by it (IS* of TISE).
        order: ``shuffled``, or ``numbered``: as the pictures are numbered.
        loader_batch: pictures beyond the last whole batch of this size are not scored, 0 scores all.
    """

    name: ClassVar[str] = "is-classifier"
    splits: int = at_least(1, 10)
    drop_remainder: bool = False
    seed: int = at_least(0, 0)
    temperature: float = added(1.0, minimum=1e-6)
    order: Literal["shuffled", "numbered"] = added("shuffled")
    loader_batch: int = added(0, minimum=0)


@dataclass(frozen=True)
class IS(ISClassifier, Inception):
    """Inception score of Inception's class probabilities; IS* with a temperature.

    Options as of :class:`ISClassifier` and :class:`Inception`.
    """

    name: ClassVar[str] = "is"


@dataclass(frozen=True)
class RPrecision:
    """R-precision with each DAMSM given, and its control with shuffled captions.

    Attributes:
        candidates: captions per trial, the true one included.
        folds: over which mean and spread are taken.
        fold_mode: see :func:`t2igan.metrics.r_precision.fold_statistics`.
        negatives: which captions may be mismatching ones; ``fixed``: of other images, and the same for every
            picture of a caption.
        seed: of mismatching captions, of the folds and of the control.
        source: whether the DAMSM sees the pictures as stored (8 bits) or as drawn.
        resize: how an Inception of a DAMSM gets its 299 pixels: ``damsm``: as its checkpoint says;
            ``align-corners``: by the corner pixels, as AttnGAN, MirrorGAN, DM-GAN and TISE ran it; ``half-pixel``:
            as SSA-GAN and DF-GAN ran it.
    """

    name: ClassVar[str] = "r-precision"
    # 2: candidates belong to caption and draw, ties count as their chance to come first.
    rules: ClassVar[int] = 2
    candidates: int = at_least(2, 100)
    folds: int = at_least(1, 10)
    fold_mode: Literal["exact", "dmgan-2999"] = "exact"
    negatives: Literal["other-class", "other-image", "fixed"] = "other-class"
    seed: int = at_least(0, 0)
    source: Literal["uint8", "float"] = "uint8"
    resize: Literal["damsm", "align-corners", "half-pixel"] = added("damsm")


@dataclass(frozen=True)
class CLIPRPrecision:
    """R-precision with a CLIP, which has never seen the data set's training captions; options as of R-precision."""

    name: ClassVar[str] = "clip-r-precision"
    rules: ClassVar[int] = RPrecision.rules
    candidates: int = at_least(2, 100)
    folds: int = at_least(1, 10)
    fold_mode: Literal["exact", "dmgan-2999"] = "exact"
    negatives: Literal["other-class", "other-image", "fixed"] = "other-class"
    seed: int = at_least(0, 0)


@dataclass(frozen=True)
class CLIPScore:
    """100 max(cosine, 0) of picture and plain caption with a CLIP, mean over pictures.

    Not the CLIPScore of Hessel et al. (2021): 2.5 max(cosine, 0) with "A photo depicts" before the caption.
    """

    name: ClassVar[str] = "clip-score"


@dataclass(frozen=True)
class LPIPSDiversity:
    """Mean LPIPS distance between pictures of the same caption, over all pairs of its samples.

    Attributes:
        captions: how many captions, the first of the protocol's plan.
        samples: pictures of each.
    """

    name: ClassVar[str] = "lpips-diversity"
    captions: int = at_least(2, 500)
    samples: int = at_least(2, 5)


MetricSpec = (
    FID
    | FIDInfinity
    | KID
    | PRDC
    | IS
    | FDClassifier
    | ISClassifier
    | RPrecision
    | CLIPRPrecision
    | CLIPScore
    | LPIPSDiversity
)
METRICS: dict[str, type] = {kind.name: kind for kind in get_args(MetricSpec)}
