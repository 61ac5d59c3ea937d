"""Display names of systems and metrics; records and files keep the short names."""

import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from t2igan.evaluation.record import ResultRecord

SYSTEMS = {
    "AttnDCGAN": "AttnDCGAN",
    "AttnGAN": "AttnGAN",
    "DFGAN": "DF-GAN",
    "DMGAN": "DM-GAN",
    "MirrorGAN": "MirrorGAN",
    "SSAGAN": "SSA-GAN",
    "DAMSM": "DAMSM",
    "STREAM": "STREAM",
    "EvaluationClassifier": "evaluation classifier",
    "SPADE": "SPADE",
    "SPADEGAN": "SPADE",
}
METRICS = {
    "fid": "FID",
    "fid-infinity": "FID∞",
    "fd-classifier": "FD, classifier",
    "fd-classifier-infinity": "FD∞, classifier",
    "is": "IS",
    "is-classifier": "IS, classifier",
    "kid": "KID",
    "kid-full": "KID, all",
    "clip-score": "CLIP score",
    "r-precision": "R-precision",
    "r-precision-shuffled": "R-precision of shuffled captions",
    "clip-r-precision": "R-precision, CLIP",
    "clip-r-precision-shuffled": "R-precision of shuffled captions, CLIP",
    "lpips-diversity": "diversity, LPIPS",
    "layout-iou": "layout IoU",
    "layout-accuracy": "layout accuracy",
    "global-distance": "global distance",
    "global-distance-shuffled": "global distance of shuffled captions",
    **{
        f"{name}{ending}": f"{shown}{of}"
        for name, shown in (("local-iou", "local IoU"), ("local-distance", "local distance"))
        for ending, of in (
            ("", ""),
            ("-seen", ", seen pairs"),
            ("-unseen", ", unseen pairs"),
            ("-shuffled", " of shuffled segments"),
            ("-exact", " with exact masks"),
        )
    },
}
INDEPENDENT = "independent"
_BY_LETTERS = {name.lower(): shown for name, shown in SYSTEMS.items()}
_LABEL = re.compile(r"(?P<system>[a-z]+)(?:[-_](?P<variant>[^ ,]+))?(?P<rest>[ ,].*)?")
_DAMSM_OF = re.compile(rf"(?P<of>[a-z0-9_-]*[a-z0-9])[-_](?P<damsm>damsm(?:[-_]{INDEPENDENT})?)(?P<rest>[ ,].*)?")


def system_name(label: str) -> str:
    """Display name of a run's label, with the system's proper name if the label starts with one.

    ``ssagan`` is SSA-GAN, ``ssagan-lr2 (zoo)`` is SSA-GAN lr2 (zoo), ``damsm-independent`` is independent DAMSM,
    ``narratives-damsm`` is DAMSM (narratives).
    """
    if named := _DAMSM_OF.fullmatch(label):
        return f"{system_name(named['damsm'])} ({named['of']}){named['rest'] or ''}"
    match = _LABEL.fullmatch(label)
    if match is None or match["system"] not in _BY_LETTERS:
        return label
    name, variant = _BY_LETTERS[match["system"]], match["variant"]
    if variant and variant.startswith(INDEPENDENT):
        name, variant = f"{INDEPENDENT} {name}", variant.removeprefix(INDEPENDENT).lstrip("-_")
    if variant:
        name = f"{name} {variant}"
    return name + (match["rest"] or "")


def metric_name(key: str) -> str:
    """Display name of a metric: ``r-precision@damsm-independent`` is R-precision, independent DAMSM."""
    metric, _, network = key.partition("@")
    shown = METRICS.get(metric, metric)
    return f"{shown}, {system_name(network)}" if network else shown


def curve_name(key: str) -> str:
    """Display name of a curve: ``val/r-precision-independent@250`` is R-precision, independent (250 images)."""
    metric, _, images = key.removeprefix("val/").partition("@")
    plain = metric.removesuffix(f"-{INDEPENDENT}")
    shown = METRICS.get(plain, plain) + (f", {INDEPENDENT}" if plain != metric else "")
    return f"{shown} ({int(images):,} images)" if images.isdigit() else shown


def listed_losses(config: Mapping[str, Any] | None) -> str | None:
    """The generator's losses if a configuration lists them, None for those that its system has by itself.

    Args:
        config: configuration of a training, None if unknown.
    """
    terms = _terms(config)
    if not terms:
        return None
    weighted = [f"{name} of weight {weight:g}" if weight is not None else name for name, weight in terms]
    return f"adversarial, {', '.join(weighted)} (listed in its configuration)"


def _terms(config: Any) -> list[tuple[str, float | None]]:
    """(class, weight) of each listed loss; none of a configuration in another form, as a damaged record has it."""
    for key in ("model", "init_args", "generator_losses"):
        config = config.get(key) if isinstance(config, Mapping) else None
    found = []
    for each in config if isinstance(config, list) else []:
        if isinstance(each, Mapping):
            own = each.get("init_args")
            weight = own.get("weight") if isinstance(own, Mapping) else None
            name = str(each.get("class_path")).rpartition(".")[2]
            found.append((name, weight if isinstance(weight, int | float) else None))
    return found


def shared_name(records: Sequence[ResultRecord]) -> str:
    """Common prefix of the names of all runs, without the seed's suffix."""
    names = [record.subject.name for record in records]
    if len(set(names)) == 1:
        return names[0]
    common = takewhile(lambda letters: len(set(letters)) == 1, zip(*names))
    shared = "".join(letters[0] for letters in common).rstrip("-_. 0123456789")
    for mark in ("seed", "-s", "_s"):
        shared = shared.removesuffix(mark)
    return shared.rstrip("-_. ") or names[0]


def told_apart(record: ResultRecord) -> str:
    """A subject's name, extended to distinguish it from another of the same name."""
    subject = record.subject
    parts = [str(part) for part in (subject.path, subject.weights, subject.seed) if part is not None]
    return f"{subject.name} ({', '.join(parts)})" if parts else subject.name
