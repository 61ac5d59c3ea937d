"""Short help of ``fit``, and errors about unknown keys before torch and Lightning are imported.

Only what the sources' text shows to be wrong is refused here: keys of the Trainer, of the command and of classes of
the suite. Everything else, and all values, are for the real parser.
"""

import ast
import importlib.util
from collections.abc import Iterator, Mapping, Sequence, Set
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import t2igan
from t2igan.errors import UserError
from t2igan.plain_files import read_yaml
from t2igan.shipped import find_experiment
from t2igan.spelling import DASHES, nearest

PACKAGE = Path(t2igan.__file__).parent
VERBS = ("fit", "validate", "test", "predict")
ROOMS = ("models", "networks", "losses", "data", "callbacks")
# Options of LightningCLI, in addition to the Trainer's arguments of the verb.
OF_EVERY_VERB = {"config", "c", "help", "h", "print_config", "seed_everything", "trainer", "model", "data"}
CONFIGURED = ("model", "data", "trainer")
STRUCTURE = ("class_path", "init_args")
# Options that may be given without a value.
NEEDS_NO_FILE = ("--model", "--print_config", "--help", "-h")
ALONE = ("print_config", "help", "fresh")
SHORT_HELP = """usage: t2igan {verb} --config FILE [--KEY VALUE ...]

{does}

  --config FILE           experiments/cub/ssagan.yaml, or cub/ssagan; may be given several times, the last wins
  --run FOLDER            folder of the run (default: runs/<the configuration's name>)
  --fresh true            start anew in a folder that holds a run; else the command continues where it stopped
  --print_config          print the whole configuration, defaults included, and stop

Any key of the YAML can be changed:
  --trainer.max_steps N   how long; --trainer.devices 8, --trainer.precision bf16-mixed
  --trainer.logger WandbLogger
  --data.batch_size N     what is read; --data.store FILE
  --model.ema_decay X     what is trained; --seed_everything N
Going deeper:
  t2igan {verb} --model.help SSAGAN       what a model takes; --data.help CUB, --trainer.callbacks.help SampleGrid
  t2igan list models                   also generators, discriminators, losses, data, callbacks
  t2igan {verb} --help all                every key of the Trainer"""
DOES = {
    "fit": "Train what a YAML describes; the same command again continues where it stopped.",
    "validate": "Losses and retrieval on the test split, of the run's last checkpoint.",
    "test": "The same as validate.",
    "predict": "Generate images of the test captions for a writer of predictions; t2igan sample writes files.",
}


def answer(verb: str, argv: Sequence[str]) -> str | None:
    """The short help, if the command line asks for it.

    Raises:
        UserError: an unknown key, or a file that cannot be read.
    """
    if list(argv) in (["-h"], ["--help"]):
        return SHORT_HELP.format(verb=verb, does=DOES[verb])
    _refuse_options(verb, argv)
    classes: dict[str, str] = {}
    files = config_files(argv)
    for file in files:
        content = read_yaml(_there(file))
        if isinstance(content, dict):
            _refuse_other_files(verb, file, content)
            _refuse_keys(verb, content, f" [{file}]")
            classes |= {where: name for key in CONFIGURED for where, name, _ in _classes_in(content.get(key), key)}
    _refuse_arguments(argv, classes, f" [{', '.join(files)}]" if files else "")
    if not files and not any(word.startswith(NEEDS_NO_FILE) or ".help" in word for word in argv):
        raise UserError(f"--config is missing: a YAML file, or a name such as cub/ssagan; see t2igan {verb} --help")
    return None


def _refuse_other_files(verb: str, file: str, content: Mapping[str, Any]) -> None:
    """Refuse a plan or a protocol given as a configuration."""
    if "model" in content:
        return
    if {"steps", "datasets"} & {*content}:
        raise UserError(f"{file} is a plan, not a configuration; run it with `t2igan benchmark {file}`")
    if {"dataset", "metrics"} <= {*content}:
        raise UserError(
            f"{file} is a protocol, not a configuration; use it with `t2igan evaluate --protocol {file}`"
        )


def _there(file: str) -> str:
    """The path of an existing configuration file.

    Raises:
        UserError: the file does not exist; suggests the shipped experiment with the nearest name.
    """
    return file if Path(file).exists() else find_experiment(file)


def full_help(argv: Sequence[str]) -> list[str]:
    """Rewrite ``--help all`` for LightningCLI's parser."""
    return ["--help"] if list(argv) in (["-h", "all"], ["--help", "all"]) else list(argv)


@cache
def root_keys(verb: str) -> frozenset[str]:
    """Keys at the top of a configuration: LightningCLI's, the Trainer's for the verb, the suite's own."""
    tree = ast.parse((PACKAGE / "cli" / "fit.py").read_text())
    own = {
        word.value.removeprefix("--")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if node.func.attr in ("add_argument", "add_class_arguments")
        for word in node.args
        if isinstance(word, ast.Constant) and isinstance(word.value, str)
    }
    return frozenset(OF_EVERY_VERB | own | (set(_trainer_arguments(verb)) - {"self", "datamodule", "dataloaders"}))


def _refuse_options(verb: str, argv: Sequence[str]) -> None:
    for word, after in zip(argv, [*argv[1:], None]):
        if word[:1] in DASHES and word[:2] != "--" and word.lstrip(DASHES).partition(".")[0] in root_keys(verb):
            raise UserError(f"{word!r} is not an option (did you mean --{word.lstrip(DASHES)}?)")
        name, equals, _ = word.lstrip("-").partition("=")
        name = name.removesuffix("+")
        if word.startswith("--") and name:
            root, _, rest = name.partition(".")
            _refuse(root, root_keys(verb), "", "")
            if root == "trainer" and rest:
                _refuse(rest.partition(".")[0], [*_trainer_arguments("__init__"), "help"], "trainer.", "")
            if not equals and name.rpartition(".")[2] not in ALONE and (after is None or after.startswith("--")):
                raise UserError(f"--{name} has no value")


def _refuse_arguments(argv: Sequence[str], classes: dict[str, str], source: str) -> None:
    """Refuse keys of the command line that the configured classes do not take."""
    words = [part for word in argv for part in (word.split("=", 1) if word.startswith("--") else [word])]
    for word, value in zip(words, [*words[1:], ""]):
        path = [key for key in word.removeprefix("--").removesuffix("+").split(".") if key not in STRUCTURE]
        if not word.startswith("--") or path[0] not in CONFIGURED or {"help", "dict_kwargs"} & {*path}:
            continue
        for depth in range(1, len(path)):
            where, key = ".".join(path[:depth]), path[depth]
            known = _known(classes[where]) if where in classes else None
            if known is not None and key not in known:
                raise UserError(_not_an_option(where, classes[where], key, known) + source)
        if not word.endswith(".init_args"):
            classes[".".join(path)] = value


def _known(name: str) -> set[str] | None:
    """Argument names of a class; None for a class from outside the suite."""
    return _parameters(name.rpartition(".")[2]) if name.startswith("t2igan.") or "." not in name else None


def _not_an_option(where: str, name: str, argument: str, known: set[str]) -> str:
    what = f"{where} ({name.rpartition('.')[2]}): {argument!r} is not an option"
    return f"{what}{nearest(argument, known)}; its options are {', '.join(sorted(known))}"


def _refuse_keys(verb: str, content: Mapping[str, Any], source: str) -> None:
    for key in content:
        _refuse(key, root_keys(verb), "", _belongs(key, content) + source)
    trainer = {} if content.get("trainer") is None else content["trainer"]
    if not isinstance(trainer, Mapping):
        raise UserError(f"trainer is {trainer!r:.40}, but must be a mapping such as {{max_steps: 1000}}{source}")
    for key in trainer:
        _refuse(key, _trainer_arguments("__init__"), "trainer.", source)
    for key in CONFIGURED:
        for where, name, arguments in _classes_in(content.get(key), key):
            known = _known(name)
            for argument in arguments:
                if known is not None and argument not in known:
                    raise UserError(_not_an_option(where, name, argument, known) + source)


def _refuse(name: str, known: Sequence[str] | Set[str], prefix: str, source: str) -> None:
    if name not in known:
        near = nearest(prefix + str(name), [prefix + each for each in known])
        raise UserError(f"{prefix + str(name)!r} is not an option{near}{source}")


def _belongs(key: str, content: Mapping[str, Any]) -> str:
    """The section to which a misplaced top-level key belongs; empty if no class of the file takes it."""
    inside = [(where, name) for root in CONFIGURED for where, name, _ in _classes_in(content.get(root), root)]
    where = next((where for where, name in inside if key in (_known(name) or ())), None)
    return f"; it belongs under {where}.init_args" if where else ""


def _classes_in(value: Any, where: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """(key, class path, arguments) of every class that a configuration names, outer ones first."""
    if isinstance(value, list):
        for each in value:
            yield from _classes_in(each, where)
    elif isinstance(value, dict):
        arguments = value.get("init_args", {})
        if isinstance(value.get("class_path"), str) and isinstance(arguments, dict):
            yield where, value["class_path"], arguments
            value = arguments
        for key, inner in value.items():
            yield from _classes_in(inner, f"{where}.{key}")


def config_files(argv: Sequence[str]) -> list[str]:
    """The configuration files that a command line names; an equals sign may stand in a file's name."""
    words = [part for word in argv for part in (word.split("=", 1) if word.startswith("-") else [word])]
    return [after for word, after in pairwise(words) if word in ("--config", "-c")]


@cache
def _trainer_arguments(method: str) -> list[str]:
    """Names of the arguments of a method of Lightning's Trainer."""
    found = importlib.util.find_spec("pytorch_lightning")
    folder = Path(found.origin).parent if found and found.origin else Path()
    kinds = _class_definitions([folder / "trainer" / "trainer.py"])
    return [name for name in _own_arguments(kinds["Trainer"], method) or [] if name != "self"]


@cache
def _definition(name: str) -> ast.ClassDef | None:
    """The definition of a class of the suite; only its own file is parsed."""
    start = f"class {name}"
    for file in [file for room in ROOMS for file in sorted((PACKAGE / room).rglob("*.py"))]:
        if start in file.read_text(encoding="utf-8") and name in (found := _class_definitions([file])):
            return found[name]
    return None


def _class_definitions(files: Sequence[Path]) -> dict[str, ast.ClassDef]:
    nodes = [node for file in files for node in ast.parse(file.read_text()).body]
    return {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}


def _parameters(name: str) -> set[str] | None:
    """Argument names of a class of the suite; None if its source alone does not show them."""
    known: set[str] = set()
    waiting = [name]
    while waiting:
        node = _definition(waiting.pop(0))
        if node is None or node.decorator_list:
            return None  # defined in a library, or generated by a decorator such as dataclass
        own = _own_arguments(node, "__init__")
        if own is not None:
            known |= set(own)
        if own is None or _hands_on(node):
            waiting = [base.id for base in node.bases if isinstance(base, ast.Name)] + waiting
            if not waiting:
                return None
        else:
            return known - {"self"}
    return None


def _constructor(node: ast.ClassDef, method: str) -> ast.FunctionDef | None:
    return next((each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == method), None)


def _own_arguments(node: ast.ClassDef, method: str) -> list[str] | None:
    found = _constructor(node, method)
    return None if found is None else [each.arg for each in [*found.args.args, *found.args.kwonlyargs]]


def _hands_on(node: ast.ClassDef) -> bool:
    """Whether a class passes further keywords on to its bases."""
    constructor = _constructor(node, "__init__")
    return constructor is not None and constructor.args.kwarg is not None
