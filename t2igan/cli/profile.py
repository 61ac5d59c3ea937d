"""``t2igan profile``: where the time of a training step goes; of an evaluation; of loading."""

import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import yaml
from rich.console import Console

from t2igan.benchmark.trainings import CHECKPOINT
from t2igan.cli.evaluate import evaluate_verb, repeatable
from t2igan.cli.fit import SuiteCLI, import_classes
from t2igan.cli.fit import run as run_fit
from t2igan.cli.parsing import call, subclasses
from t2igan.cli.profile_loader import profile_loader
from t2igan.data.datamodule import CaptionedImagesModule
from t2igan.data.store import open_store
from t2igan.errors import UserError
from t2igan.files import write_whole
from t2igan.lightning_private import callbacks_of
from t2igan.models.suite_module import SuiteModule, read_checkpoint
from t2igan.profiling import showing
from t2igan.profiling.steps import ProfileSteps
from t2igan.profiling.synthetic import save_untrained, without_downloads, write_synthetic_store
from t2igan.ranges import Count
from t2igan.shipped import find_experiment

INPUTS = ("damsm", "captioner")  # keys of a model that name checkpoints
ROUNDS = 3
REPEATABLE = ("--set", "--options")
AS_IT_IS = "as it is"  # the set of options that changes nothing
# Callbacks of these names are no part of a step, or write what nobody asked for.
LEFT_OUT = (
    "ModelCheckpoint",
    "FinalCheckpoint",
    "SampleGrid",
    "Scores",
    "LineProgress",
    "StepBar",
    "ModelSummary",
    "RichModelSummary",
)

console = Console()


def run(verb: str, argv: Sequence[str]) -> None:
    """Run the verb: a first word that is no option says what else to measure."""
    if argv and argv[0] == "loader":
        call(profile_loader, argv[1:], f"{verb} loader")
    elif argv and argv[0] == "evaluate":
        _profile_evaluation(argv[1:])
    elif argv and not argv[0].startswith("-"):
        raise UserError(f"cannot measure {argv[0]!r}; give --config, or one of: evaluate, loader")
    else:
        call(profile_training, list(_repeatable(argv)), verb)


def _repeatable(argv: Sequence[str]) -> Iterator[str]:
    """``--set A --set B`` as the parser wants a list to be given."""
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if name in REPEATABLE:
            value = value if equals else next(words, "")
            yield f"{name}+={value or AS_IT_IS}"
        else:
            yield word


def profile_training(
    *,
    config: str,
    set: list[str] = [],  # noqa: B006 (its name on the command line; the parser copies it)
    options: list[str] = [],  # noqa: B006
    steps: Count = 5,
    synthetic: bool = False,
    out: str | None = None,
) -> None:
    """Measure steps of a training: seconds by part, images/s, memory, arithmetic, the share of the device's peak.

    Checkpoints that the configuration names and that are not there are replaced by untrained networks of the same
    kind, a store that is not there by random images and captions: both take the same time.

    Args:
        config: YAML file of a training, as `t2igan fit` takes it.
        set: a change, such as --set "--data.batch_size 8"; may be given several times.
        options: a set of changes to compare with others, such as --options "--speed plain" --options
            "--speed exact"; each is run in a process of its own, three rounds in turn; "" is the configuration
            as it is.
        steps: measured without the clock, and as many with it.
        synthetic: take random images and untrained networks though the real ones are there.
        out: folder for profile.json and profile.png; default: runs/profile/<name of the configuration>.
    """
    file = Path(find_experiment(config))
    folder = Path(out) if out else Path("runs/profile") / f"{file.parent.name}-{file.stem}"
    folder.mkdir(parents=True, exist_ok=True)
    if options:
        _compare(file, set, options, steps, synthetic, folder)
        return
    with tempfile.TemporaryDirectory() as scratch:
        profile = _measure(file, shlex.split(" ".join(set)), steps, synthetic, Path(scratch))
    showing.write_json(profile, folder / "profile.json")
    showing.draw(profile, folder / "profile.png")
    console.print(showing.table(profile))
    for sentence in showing.sentences(profile):
        console.print(sentence, soft_wrap=True, highlight=False)
    console.print(f"wrote {folder}/profile.json and profile.png", soft_wrap=True)
    console.print(f'next: t2igan profile --config {config} --options "" --options "--speed plain"', soft_wrap=True)


class ProfileCLI(SuiteCLI):
    """A training of a few steps that leaves nothing behind but its profile."""

    measuring: ProfileSteps

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """The Trainer with what belongs to a step, and the measuring."""
        trainer = super().instantiate_trainer(**kwargs)
        callbacks = callbacks_of(trainer)
        kept = [callback for callback in callbacks if type(callback).__name__ not in LEFT_OUT]
        callbacks[:] = [self.measuring, *kept]
        return trainer

    def fit(self, model: SuiteModule, **kwargs: Any) -> None:
        """Measure."""
        self._guarded(self.trainer.fit, model, **kwargs)


class UntrainedCLI(SuiteCLI):
    """Builds a model and saves it as it is."""

    words_of_data: list[str]
    target: Path

    def fit(self, model: SuiteModule, **kwargs: Any) -> None:
        """Save in place of training."""
        save_untrained(model, self.words_of_data, self.target)


def _measure(file: Path, words: Sequence[str], steps: int, synthetic: bool, scratch: Path) -> Any:
    """The profile of a configuration with changes; ``scratch`` is for what stands in for missing inputs."""
    import_classes()
    content = yaml.safe_load(file.read_text())
    content.get("trainer", {}).pop("callbacks", None)
    _stand_in(content, file, words, synthetic, scratch)
    ready = scratch / f"{file.stem}.yaml"
    ready.write_text(yaml.safe_dump(content))
    measuring = ProfileSteps(f"{file.parent.name}/{file.stem}", steps)
    limits = {"max_steps": measuring.all_steps, "max_epochs": -1, "limit_val_batches": 0, "num_sanity_val_steps": 0}
    fixed = [word for key, value in limits.items() for word in (f"--trainer.{key}", str(value))]
    ProfileCLI.measuring = measuring
    run_fit("fit", ["--config", str(ready), *words, *fixed, "--run", str(scratch / "run")], ProfileCLI)
    return measuring.profile


def _stand_in(content: dict[str, Any], file: Path, words: Sequence[str], synthetic: bool, scratch: Path) -> None:
    """Replace what a configuration reads and what is not there, or all of it."""
    data = content["data"].setdefault("init_args", {})
    inputs = list(_inputs(content["model"]))
    replaced = [each for each in inputs if synthetic or not Path(each[0][each[1]]).is_file()]
    kind = next(
        each for each in subclasses(CaptionedImagesModule) if each.__name__ == content["data"]["class_path"]
    )
    store = Path(_changed(words, "store") or data.get("store") or f"{file.stem}.h5")
    if synthetic or not store.is_file():
        known = next((owner[key] for owner, key in inputs if (owner, key) not in replaced), None)
        size = int(_changed(words, "image_size") or data.get("image_size", 256))
        images = 2 * int(_changed(words, "batch_size") or data.get("batch_size", 32))
        store = scratch / "store.h5"
        vocabulary = read_checkpoint(known)["t2igan"]["vocabulary"] if known else None
        write_synthetic_store(store, kind.expected_name or "synthetic", size, max(images, 64), vocabulary)
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
    """What a change of the command line says of an argument of the data."""
    names = (f"--data.{key}", f"--data.init_args.{key}")
    return next((after for word, after in pairwise(words) if word in names), None)


def _untrained(checkpoint: str, file: Path, store: Path, scratch: Path) -> Path:
    """A checkpoint of the network that a training would leave at a path, untrained."""
    match = CHECKPOINT.fullmatch(checkpoint)
    source = file.parent / f"{Path(match['name']).name}.yaml" if match else Path()
    if not source.is_file():
        raise UserError(f"{checkpoint} is not there, and no {source} says what it would hold: train it first")
    content = without_downloads(yaml.safe_load(source.read_text()))
    content["data"]["init_args"]["store"] = str(store)
    content.get("trainer", {}).pop("callbacks", None)
    ready, target = scratch / f"untrained-{source.stem}.yaml", scratch / source.stem / "last.ckpt"
    for owner, key in _inputs(content["model"]):
        owner[key] = str(_untrained(owner[key], file, store, scratch))
    ready.write_text(yaml.safe_dump(content))
    UntrainedCLI.words_of_data, UntrainedCLI.target = list(open_store(store).vocabulary.words), target
    run_fit("fit", ["--config", str(ready), "--run", str(scratch / "untrained")], UntrainedCLI)
    return target


def _compare(
    file: Path, changes: Sequence[str], options: Sequence[str], steps: int, synthetic: bool, folder: Path
) -> None:
    """Run each set of options in processes of its own, in turn."""
    rounds: dict[str, list[Mapping[str, Any]]] = {each: [] for each in options}
    base = [f"--set={change}" for change in changes]
    for number in range(ROUNDS):
        for place, each in enumerate(rounds):
            console.print(f"round {number + 1} of {ROUNDS}: {each}", soft_wrap=True, highlight=False)
            out = folder / f"options-{place}"
            words = ["--config", str(file), "--steps", str(steps), "--synthetic", str(synthetic).lower()]
            given = [*base, *([] if each == AS_IT_IS else [f"--set={each}"])]
            command = [sys.executable, "-m", "t2igan", "profile", *words, *given, "--out", str(out)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise UserError(f"with {each}: {(done.stderr.strip() or 'it failed').splitlines()[-1]}")
            rounds[each].append(json.loads((out / "profile.json").read_text()))
    write_whole(folder / "comparison.json", f"{json.dumps(rounds, indent=1)}\n".encode())
    console.print(showing.comparison(rounds))
    console.print(f"wrote {folder}/comparison.json, and a profile of each under options-<number>", soft_wrap=True)


def _profile_evaluation(argv: Sequence[str]) -> None:
    """``t2igan evaluate`` with its timing, keeping neither record nor features."""
    with tempfile.TemporaryDirectory() as scratch:
        own = ["--timing", "true", "--cache", "none", "--records", str(Path(scratch) / "records.jsonl")]
        call(evaluate_verb, [*repeatable(argv), *own], "profile evaluate")
