"""Model cards of exported weights: description, training, scores and limitations."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from t2igan.evaluation.history import read_config
from t2igan.evaluation.record import ResultRecord
from t2igan.evaluation.subjects.chosen import choice_in
from t2igan.models.adversarial import AdversarialModule
from t2igan.models.suite_module import SuiteModule
from t2igan.reporting.names import SYSTEMS, listed_losses, metric_name
from t2igan.reporting.numbers import format_number

LIMITS = {
    "drawn-birds": "It knows the words and the birds of a painter in this package and nothing else; its scores "
    "compare with no score on photographs."
}


@dataclass(frozen=True)
class Exported:
    """Exported weights and their records.

    Attributes:
        name: name under which they are loaded: a name of the zoo, or a path.
        file: file of the weights.
        module: module loaded from that file.
        sheet: whether a sample sheet lies beside the file.
        records: records of this module.
    """

    name: str
    file: Path
    module: SuiteModule
    sheet: bool
    records: Sequence[ResultRecord]


def model_card(exported: Exported) -> str:
    """The card in Markdown, whose first line is a short description."""
    parts = [_head(exported), _training(exported), _scores(exported.records), _use(exported)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(exported: Exported) -> str:
    module, kind = exported.module, type(exported.module).__name__
    size = _size(module)
    data = module.dataset.get("name", "unknown data")
    sheet = "\n\n![samples of the averaged weights](sheet.png)" if exported.sheet else ""
    return f"# {SYSTEMS.get(kind, kind)}, {data}{f', {size} px' if size else ''}{sheet}"


def _size(module: SuiteModule) -> int | None:
    if isinstance(module, AdversarialModule):
        return module.generator.image_sizes[-1]
    return getattr(module, "image_size", None)


def _training(exported: Exported) -> str:
    module = exported.module
    numbers = sum(tensor.numel() for tensor in module.state_dict().values())
    averaged = ", averaged over its training" if module.averaged else ""
    facts = {
        "weights": f"{exported.file.stat().st_size / 1e6:.2f} MB, {numbers:,} numbers in half precision{averaged}",
        "trained": None if module.trained is None else str(module.trained),
        "chosen by a score": choice_in(exported.file, module.selected).rule if module.selected else None,
        "losses of the generator": listed_losses(read_config(exported.file)),
        "images seen": f"{module.images_seen:,}" if module.images_seen else None,
        "images a step": str(module.global_batch) if module.global_batch else None,
        "vocabulary": f"{len(module.vocabulary):,} words",
        "store": module.dataset.get("fingerprint", "")[:12] or None,
        "configuration": "config.yaml",
        "curves": "metrics.csv",
    }
    rows = [f"| {name} | {value} |" for name, value in facts.items() if value]
    return "\n".join(["| | |", "| --- | --- |", *rows])


def _scores(records: Sequence[ResultRecord]) -> str:
    parts = []
    for record in records:
        rows = [
            f"| {metric_name(name)} | {format_number(name, one.value, one.spread, one.chance is not None)} |"
            for name, one in record.metrics.items()
        ]
        head = f"{record.n_generated:,} images, protocol {record.protocol} ({record.protocol_hash[:8]})"
        parts.append("\n".join([f"| {head} | |", "| --- | ---: |", *rows]))
    return "\n\n".join(parts)


def _use(exported: Exported) -> str:
    name, limits = exported.name, LIMITS.get(exported.module.dataset.get("name", ""), "")
    if isinstance(exported.module, AdversarialModule):
        command = f't2igan sample --checkpoint {name} --caption "a small red bird" --out drawn'
    else:
        command = f'python -c "import t2igan; print(t2igan.load({name!r}).module)"'
    return f"```bash\n{command}\n```\n\n{limits} MIT licence, as the package.".replace("\n\n ", "\n\n")
