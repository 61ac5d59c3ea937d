"""``t2igan profile``: measure where the time of a training step, an evaluation or data loading goes."""

import json
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import yaml
from rich.console import Console

from t2igan.cli import quick_fit
from t2igan.cli.evaluate import NOTHING, evaluate_verb, repeatable
from t2igan.cli.fit import SuiteCLI, import_classes
from t2igan.cli.fit import run as run_fit
from t2igan.cli.parsing import call
from t2igan.cli.profile_inputs import stand_in
from t2igan.cli.profile_loader import profile_loader
from t2igan.errors import UserError
from t2igan.files import make_folder, write_whole
from t2igan.lightning_private import callbacks_of
from t2igan.models.suite_module import SuiteModule
from t2igan.nn.config import allowed_words
from t2igan.plain_files import read_yaml
from t2igan.profiling import showing
from t2igan.profiling.steps import ProfileSteps
from t2igan.ranges import Count
from t2igan.shipped import find_experiment

ROUNDS = 3
REPEATABLE = ("--set", "--options")
AS_IT_IS = "as it is"  # name of the empty set of options
# These callbacks are left out: they are not part of a step, or write files.
LEFT_OUT = (
    "ModelCheckpoint",
    "FinalCheckpoint",
    "SampleGrid",
    "Scores",
    "LineProgress",
    "StepBar",
    "ModelSummary",
    "RichModelSummary",
    "NetworkSummary",
)

console = Console()


def run(verb: str, argv: Sequence[str]) -> None:
    """Run ``t2igan profile``; a first word that is no option (evaluate, loader) selects what to measure."""
    if argv and argv[0] == "loader":
        call(profile_loader, argv[1:], f"{verb} loader")
    elif argv and argv[0] == "evaluate":
        call(profile_evaluation, list(repeatable(argv[1:])), f"{verb} evaluate")
    elif argv and not argv[0].startswith("-"):
        raise UserError(f"cannot measure {argv[0]!r}; give --config, or one of: evaluate, loader")
    else:
        call(profile_training, list(_repeatable(argv)), verb)


def _repeatable(argv: Sequence[str]) -> Iterator[str]:
    """``--set A --set B`` in the form in which the parser takes a list."""
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

    Missing checkpoints that the configuration names are replaced by untrained networks of the same kind, a missing
    store by random images and captions: both take the same time.

    `t2igan profile evaluate` measures an evaluation, `t2igan profile loader` the reading of a store; each has its
    own --help.

    Args:
        config: YAML file of a training, as `t2igan fit` takes it.
        set: a change, such as --set "--data.batch_size 8"; may be given several times.
        options: a set of changes to compare with others, such as --options "--speed plain" --options
            "--speed exact"; each is run in a process of its own, three rounds in turn; "" is the configuration
            as it is.
        steps: measured without the clock, and as many with it.
        synthetic: use random images and untrained networks even if the real ones exist.
        out: folder for profile.json and profile.png; default: runs/profile/<name of the configuration>.
    """
    file = Path(find_experiment(config))
    folder = Path(out) if out else Path("runs/profile") / f"{file.parent.name}-{file.stem}"
    if folder.is_file():
        raise UserError(f"--out: {folder} is a file: give a folder")
    if options:
        _compare(file, set, options, steps, synthetic, folder)
        return
    with tempfile.TemporaryDirectory() as scratch:
        profile = _measure(file, shlex.split(" ".join(set)), steps, synthetic, Path(scratch))
    make_folder(folder)  # only now, so that a refused command leaves no folder
    showing.write_json(profile.as_dict(), folder / "profile.json")
    showing.draw(profile, folder / "profile.png")
    console.print(showing.table(profile))
    for sentence in showing.sentences(profile):
        console.print(sentence, soft_wrap=True, highlight=False)
    console.print(f"wrote {folder}/profile.json and profile.png", soft_wrap=True)
    same = [*(f"--set={change}" for change in set), *(["--synthetic"] if synthetic else [])]
    words = ["--config", config, *same, "--options", "", "--options", "--speed plain", *allowed_words()]
    console.print(f"next: t2igan profile {shlex.join(words)}", soft_wrap=True, markup=False)


class ProfileCLI(SuiteCLI):
    """A training of a few steps that writes nothing but its profile."""

    measuring: ProfileSteps

    def instantiate_trainer(self, **kwargs: Any) -> pl.Trainer:
        """The Trainer with only the callbacks that belong to a step, and the measuring one."""
        trainer = super().instantiate_trainer(**kwargs)
        callbacks = callbacks_of(trainer)
        kept = [callback for callback in callbacks if type(callback).__name__ not in LEFT_OUT]
        callbacks[:] = [self.measuring, *kept]
        return trainer

    def fit(self, model: SuiteModule, **kwargs: Any) -> None:
        """Train the measured steps."""
        self._guarded(self.trainer.fit, model, **kwargs)


def _measure(file: Path, words: Sequence[str], steps: int, synthetic: bool, scratch: Path) -> Any:
    """Profile a configuration with changes; replacements of missing inputs are written to ``scratch``."""
    import_classes()
    quick_fit.answer("fit", ["--config", str(file), *words])  # errors then name the file itself
    content = read_yaml(file)
    if not {"model", "data"} <= {*content}:
        raise UserError(f"{file}: must hold model and data")
    content.get("trainer", {}).pop("callbacks", None)
    stand_in(content, file, words, synthetic, scratch)
    ready = scratch / f"{file.stem}.yaml"
    ready.write_text(yaml.safe_dump(content))
    measuring = ProfileSteps(f"{file.parent.name}/{file.stem}", steps)
    limits = {"max_steps": measuring.all_steps, "max_epochs": -1, "limit_val_batches": 0, "num_sanity_val_steps": 0}
    fixed = [word for key, value in limits.items() for word in (f"--trainer.{key}", str(value))]
    ProfileCLI.measuring = measuring
    run_fit("fit", ["--config", str(ready), *words, *fixed, "--run", str(scratch / "run")], ProfileCLI)
    return measuring.profile


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


def profile_evaluation(*, protocol: str, store: str, out: str = "runs/profile/evaluate", **options: Any) -> None:
    """Measure an evaluation: seconds of drawing, of each network, of each metric, of writing.

    It is that of `t2igan evaluate`, whose options it takes; neither record nor features are kept.

    Args:
        protocol: name of a protocol (`t2igan list protocols`), or a YAML file of your own.
        store: store of the data set (`t2igan prepare` writes it).
        out: folder for <subject>.json and <subject>.png.
        **options: see :func:`t2igan.cli.evaluate.evaluate_verb`.
    """
    evaluate_verb(
        protocol=protocol, store=store, timing=True, timing_folder=out, records=NOTHING, cache=NOTHING, **options
    )
