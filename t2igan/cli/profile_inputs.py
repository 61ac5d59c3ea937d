"""Replacements of missing stores and trained networks for ``t2igan profile``."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from t2igan.benchmark.trainings import CHECKPOINT
from t2igan.cli.fit import SuiteCLI
from t2igan.cli.fit import run as run_fit
from t2igan.cli.parsing import subclasses
from t2igan.data.datamodule import COCO, CaptionedImagesModule, Scenes
from t2igan.errors import UserError
from t2igan.models.suite_module import SuiteModule, content_sha256, load_module, read_checkpoint
from t2igan.nn.config import Configured
from t2igan.profiling.synthetic import save_untrained, write_scenes_store, write_synthetic_store

INPUTS = ("damsm", "captioner", "encoder", "prior")  # keys of a model that name checkpoints
FEWEST_IMAGES = 64


class UntrainedCLI(SuiteCLI):
    """Builds a model and saves it untrained."""

    target: Path
    inputs: Mapping[str, str]

    def fit(self, model: SuiteModule, **kwargs: Any) -> None:
        """Save the model without training it."""
        model.inputs |= self.inputs
        save_untrained(model, list(self.datamodule.vocabulary.words), self.target)


def stand_in(content: dict[str, Any], file: Path, words: Sequence[str], synthetic: bool, scratch: Path) -> None:
    """Replace the missing inputs of a configuration, or all of them.

    Args:
        content: content of the configuration; changed in place.
        file: path of the configuration file.
        words: changes to the configuration, as words of a command line.
        synthetic: replace existing inputs, too.
        scratch: folder for the replacements.

    Raises:
        UserError: nothing says what a missing checkpoint would hold.
    """
    name = content["data"]["class_path"].rpartition(".")[2]
    kind = next((each for each in subclasses(CaptionedImagesModule) if each.__name__ == name), None)
    if kind is None:
        return  # no class with a store: `fit` reports what is missing
    data = content["data"].setdefault("init_args", {})
    inputs = list(_inputs(content["model"]))
    replaced = [each for each in inputs if synthetic or not Path(each[0][each[1]]).exists()]
    store = Path(_changed(words, "store") or data.get("store") or f"{file.stem}.h5")
    if synthetic or not store.is_file():
        known = next((owner[key] for owner, key in inputs if (owner, key) not in replaced), None)
        size = int(_changed(words, "image_size") or data.get("image_size", 256))
        images = max(2 * int(_changed(words, "batch_size") or data.get("batch_size", 32)), FEWEST_IMAGES)
        store = scratch / "store.h5"
        vocabulary = read_checkpoint(known)["t2igan"]["vocabulary"] if known else None
        if issubclass(kind, (COCO, Scenes)) and vocabulary is None:
            write_scenes_store(store, str(kind.expected_name), size, images)
        else:
            write_synthetic_store(store, kind.expected_name or "synthetic", size, images, vocabulary)
        data["store"] = str(store)
    for owner, key in replaced:
        owner[key] = str(_untrained(owner[key], file, store, scratch))
    content["model"] = without_downloads(content["model"])


def _inputs(value: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """(mapping, key) of every checkpoint that the parts of a model are built on."""
    for inner in value if isinstance(value, list) else value.values() if isinstance(value, dict) else ():
        yield from _inputs(inner)
    if isinstance(value, dict):
        yield from ((value, key) for key in INPUTS if isinstance(value.get(key), str))


def _changed(words: Sequence[str], key: str) -> str | None:
    """The value that the command line gives to an argument of the data, or None."""
    names = (f"--data.{key}", f"--data.init_args.{key}")
    return next((after for word, after in pairwise(words) if word in names), None)


def _untrained(checkpoint: str, file: Path, store: Path, scratch: Path) -> Path:
    """An untrained checkpoint of the network that a training would save at a path; the same at every call."""
    source = _source(checkpoint, file)
    target = scratch / source.stem / "last.ckpt"
    if target.is_file():
        return target
    content = without_downloads(yaml.safe_load(source.read_text()))
    # The store may have a lower resolution; nothing is trained here.
    content["data"]["init_args"] |= {"store": str(store), "allow_upsampling": True}
    content.get("trainer", {}).pop("callbacks", None)
    inputs = {}
    for owner, key in _inputs(content["model"]):
        owner[key] = str(_untrained(owner[key], source, store, scratch))
        inputs[key] = content_sha256(load_module(owner[key]))
    ready = scratch / f"untrained-{source.stem}.yaml"
    ready.write_text(yaml.safe_dump(content))
    UntrainedCLI.target, UntrainedCLI.inputs = target, inputs
    run_fit("fit", ["--config", str(ready), "--run", str(scratch / "untrained")], UntrainedCLI)
    return target


def _source(checkpoint: str, file: Path) -> Path:
    """The configuration, beside ``file``, of the training that would write a checkpoint.

    ``runs/cub/damsm/...`` is that of damsm.yaml, ``runs/spatext/prior/...`` that of spatext-prior.yaml.
    """
    match = CHECKPOINT.fullmatch(checkpoint)
    parts = Path(match["name"]).parts if match else ()
    tried = [file.parent / f"{'-'.join(parts[first:])}.yaml" for first in reversed(range(len(parts)))]
    found = next((each for each in tried if each.is_file()), None)
    if found is None:
        named = f"no {' or '.join(map(str, tried))} says" if tried else "nothing says"
        raise UserError(f"{checkpoint} does not exist, and {named} which network it holds: train it first")
    return found


def without_downloads(content: Any) -> Any:
    """A configuration whose networks start from random weights instead of ImageNet weights."""
    if isinstance(content, list):
        return [without_downloads(each) for each in content]
    if not isinstance(content, Mapping):
        return content
    made = {key: without_downloads(value) for key, value in content.items()}
    if made.get("weights") == "imagenet":
        made["weights"] = "random"
    if _begins_with_imagenet(str(made.get("class_path"))) and "weights" not in made.get("init_args", {}):
        made["init_args"] = made.get("init_args", {}) | {"weights": "random"}
    return made


def _begins_with_imagenet(class_path: str) -> bool:
    """Whether a network class starts from ImageNet weights by default."""
    name = class_path.rpartition(".")[2]
    kinds = [each for each in subclasses(Configured) if each.__name__ == name]
    parameters = [inspect.signature(each.__init__).parameters.get("weights") for each in kinds]
    return any(each is not None and each.default == "imagenet" for each in parameters)
