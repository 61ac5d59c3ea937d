"""Parsing of a verb's arguments, with errors of one line."""

import importlib
import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

import jsonargparse
from jsonargparse import ArgumentParser

from t2igan.cli.list import ROOTS
from t2igan.cli.quick import flags_spelt_out
from t2igan.errors import UserError
from t2igan.nn.config import allow
from t2igan.ranges import out_of_range
from t2igan.spelling import ALLOW_HELP, nearest

# Patterns in jsonargparse's errors, which are nested.
PARSER_KEY = re.compile(r'Parser key "([^"]+)"')
CLASS_PATH = re.compile(r"Problem with given class_path '([^']+)'")
WRONG_OPTION = re.compile(r"(?:[Oo]ption '([^']+)'|unrecognized arguments: --(\S+))")
WRONG_CLASS = re.compile(r"Expected a dot import path string: (\S+)")
EXPECTED = re.compile(r"Expected a <class '(int|float|bool|str|list|tuple|dict)'>\. Got value: (.*)")
KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text"}
KINDS |= {"list": "a list such as [1, 2]", "tuple": "a list such as [1, 2]", "dict": "a mapping such as {key: 1}"}
CHOICES = re.compile(r"Expected a typing\.Literal\[(.*?)\]")
GIVEN = re.compile(r"(?:Got|Given) value: (.*)")
NO_SUBCLASS = re.compile(r"Import path (\S+) does not correspond to a subclass of (\w+)")
SHOWN_BY = {"model": "models", "data": "data", "generator": "generators", "discriminators": "discriminators"}
SHOWN_BY |= {"objective": "objectives", "generator_losses": "losses", "callbacks": "callbacks"}
# torch's words about a parameter of a checkpoint.
WRONG_SHAPE = re.compile(r"size mismatch for (\S+): .*?Size\((.*?)\).*?Size\((.*?)\)")
OTHER_BRANCH = ("- Expected a <class 'NoneType'>", "Given value", "Subtypes:", "Does not validate", "Errors:")


def call(function: Callable, argv: Sequence[str], verb: str) -> Any:
    """Call ``function`` with arguments parsed from its signature and docstring.

    Raises:
        UserError: for arguments that do not fit.
    """
    return function(**parse(function, argv, verb))


def parse(function: Callable, argv: Sequence[str], verb: str) -> dict[str, Any]:
    """Parse the arguments of ``function`` from a command line.

    Raises:
        UserError: for arguments that do not fit.
    """
    parser = make_parser(function, verb)
    flags = {action.dest for action in parser._actions if getattr(action, "_typehint", None) in (bool, bool | None)}
    try:
        arguments = parser.parse_args(list(flags_spelt_out(argv, flags))).as_dict()
    except jsonargparse.ArgumentError as error:
        raise UserError(one_line(str(error), known_options(parser))) from error
    allow(arguments.pop("allow"))
    refuse_out_of_range(function, arguments)
    return arguments


def make_parser(function: Callable, verb: str) -> ArgumentParser:
    """Build the parser of a verb from the signature and docstring of its function."""
    parser = ArgumentParser(prog=f"t2igan {verb}", exit_on_error=False, allow_abbrev=False)
    # Arguments without default are positional, unless they are keyword-only.
    every = inspect.signature(function).parameters.values()
    by_keyword: set[str | int] = {each.name for each in every if each.kind is each.KEYWORD_ONLY}
    parser.add_function_arguments(function, as_group=False, as_positional=True, skip=by_keyword, fail_untyped=True)
    if by_keyword:
        others: set[str | int] = {each.name for each in every if each.name not in by_keyword}
        # Arguments that the function forwards are known by now.
        others |= {action.dest for action in parser._actions}
        parser.add_function_arguments(function, as_group=False, skip=others, fail_untyped=True)
    parser.add_argument("--allow", type=str, action="append", default=[], help=ALLOW_HELP)
    return parser


def refuse_out_of_range(function: Callable, arguments: Mapping[str, Any]) -> None:
    """Refuse options outside the ranges of a function's annotations.

    Raises:
        UserError: names the option and its range.
    """
    for name, value, numbers in out_of_range(function, arguments):
        raise UserError(f"--{name} is {value}, but must be {numbers}")


def known_options(parser: ArgumentParser) -> list[str]:
    """Names of all options of a parser, dotted."""
    return [action.dest for action in parser._actions]


def one_line(
    message: str, options: Iterable[str] = (), classes: Iterable[type] = (), files: Sequence[str] = ()
) -> str:
    """A parser's error as one line: the place, the problem, the nearest valid name, the files that were read.

    Args:
        message: message of the parser.
        options: options that the parser knows.
        classes: base classes of everything that a ``class_path`` may name.
        files: configuration files that were read.
    """
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    branch = list(_first_branch(lines))
    where = ".".join(PARSER_KEY.findall(" ".join(branch)))
    kinds = CLASS_PATH.findall(" ".join(branch))
    told = [line for line in branch if WRONG_CLASS.search(line)] or branch  # more specific than the alternatives
    what = PARSER_KEY.sub("", told[-1] if where else " ".join(branch)).lstrip(":- ")
    if kinds:
        where += f" ({kinds[-1].rpartition('.')[2]})"
    if found := WRONG_OPTION.search(what):
        wrong = (found[1] or found[2]).split("=")[0]
        known = parameters_of(kinds[-1]) if kinds else list(options)
        what = f"{wrong!r} is not an option{nearest(wrong, known)}"
        if kinds and known:
            what += f"; its options are {', '.join(sorted(known))}"
        elif kinds:
            what += f" of every {kinds[-1].rpartition('.')[2]}: set its class_path first"
    elif found := WRONG_CLASS.search(what):
        names = [kind.__name__ for base in classes for kind in subclasses(base)]
        if found[1] in names:
            what = f"{found[1]} is a class of another kind; {where.partition(' (')[0]} takes none of these"
        else:
            what = _no_class(found[1], where.partition(" (")[0], names)
    elif found := NO_SUBCLASS.search(what):
        what = f"{found[1]} is no {found[2]}: derive the class from it"
    if CHOICES.search(what) and (given := GIVEN.search(message)):
        choices = [each.strip(" '") for text in CHOICES.findall(message) for each in text.split(",")]
        what = f"takes one of {', '.join(dict.fromkeys(choices))}, not {given[1]}{nearest(given[1], choices)}"
    what = EXPECTED.sub(lambda found: f"takes {KINDS[found[1]]}, not {found[2]}", what)
    source = f" [{', '.join(files)}]" if files else ""
    return f"{where + ': ' if where else ''}{what}{source}"


def _no_class(wrong: str, key: str, names: Iterable[str]) -> str:
    """Says which class is unknown, with the nearest name that may be meant, or where all of them are shown."""
    near = nearest(wrong, set(names) - {root for roots in ROOTS.values() for root in roots})
    if near:
        return f"there is no class {wrong!r}{near}"
    kind = SHOWN_BY.get(key.rpartition(".")[2])
    shown = f"t2igan list {kind} has them all, " if kind else ""
    return f"there is no class {wrong!r}; {shown}one of your own is named with its file: mine.{wrong} of mine.py"


def told_within(error: BaseException) -> UserError | None:
    """The message of an error raised while a class was built, which the parser wraps into its own."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, UserError):
        cause = cause.__cause__
    return cause


def _first_branch(lines: Sequence[str]) -> Iterator[str]:
    """The informative sentences about the first alternative type that the parser tried."""
    for line in lines:
        if line.startswith(OTHER_BRANCH[0]):
            return
        if not line.startswith(OTHER_BRANCH):
            yield line.lstrip("- ")


def parameters_of(class_path: str) -> list[str]:
    """Names of the arguments of a class, including those that it passes on to its bases."""
    return sorted(_parameters(class_path))


def _parameters(class_path: str) -> dict[str, inspect.Parameter]:
    """Arguments by name; of arguments with the same name, that of the first class in the resolution order."""
    found: dict[str, inspect.Parameter] = {}
    module, _, name = class_path.rpartition(".")
    for kind in getattr(importlib.import_module(module), name).__mro__:
        if "__init__" not in kind.__dict__:
            continue
        _, *parameters = inspect.signature(kind.__init__).parameters.values()
        named = [each for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
        found = {each.name: each for each in named} | found
        if not any(each.kind is each.VAR_KEYWORD for each in parameters):
            break
    return found


def nulls(config: object, place: str) -> Iterator[str]:
    """Find null values for arguments that do not accept null, which the parser lets pass.

    Args:
        config: value of a key as plain data, with classes as ``class_path`` and ``init_args``.
        place: dotted name of the key.

    Yields:
        Dotted keys with such a value.
    """
    if isinstance(config, Mapping):
        if isinstance(config.get("class_path"), str):
            given = config.get("init_args") or {}
            for name, each in _parameters(config["class_path"]).items():
                optional = each.annotation is Any or type(None) in get_args(each.annotation)
                if given.get(name, "left out") is None and each.default is not None and not optional:
                    yield f"{place}.init_args.{name}"
        for key, value in config.items():
            yield from nulls(value, f"{place}.{key}")
    elif isinstance(config, list):
        for number, value in enumerate(config):
            yield from nulls(value, f"{place}.{number}")


def subclasses(base: type) -> Iterator[type]:
    """``base`` and all its imported subclasses."""
    yield base
    for child in base.__subclasses__():
        yield from subclasses(child)


def as_user_error(error: RuntimeError, checkpoint: str | None) -> UserError | None:
    """Turn torch's error about weights that do not fit into a UserError; None for any other error.

    Args:
        error: exception raised by the training.
        checkpoint: path of the checkpoint from which the training resumes, or None.
    """
    if "Error(s) in loading state_dict" not in str(error):
        return None
    told = str(error).splitlines()[1].strip()
    if shapes := WRONG_SHAPE.search(told):
        told = f"{shapes[1]}: {shapes[2]} in the checkpoint, {shapes[3]} in the model"
    elif names := re.findall(r'"([^"]+)"', told):
        others = f" and {len(names) - 1} others" if names[1:] else ""
        told = f"{'it lacks' if told.startswith('Missing') else 'the model has no'} {names[0]}{others}"
    return UserError(
        f"{checkpoint} does not fit this model ({told[:200]}): "
        "give another folder with --run, or start anew with --fresh true"
    )
