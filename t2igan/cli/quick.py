"""Help texts and errors about options, produced from the source text before torch is imported.

Importing them takes seconds. A verb's help is its function's signature and docstring; names of options are compared
with that signature. What is accepted here is checked again, types included, by the parser that calls the function.
"""

import ast
import re
import shutil
import textwrap
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import t2igan
from t2igan.earlier import OPTIONS
from t2igan.errors import UserError
from t2igan.spelling import ALLOW_HELP, DASHES, nearest

HELP = ("-h", "--help")
# (module, function) that a command line calls, by verb, by verb and first word, or by verb and one of its options.
FUNCTIONS = {
    ("sample", "--pipeline"): ("sample_narratives", "sample_narratives"),
    ("sample",): ("sample", "sample_verb"),
    ("caption",): ("caption", "caption_verb"),
    ("evaluate",): ("evaluate", "evaluate_verb"),
    ("import",): ("import_", "import_verb"),
    ("export",): ("export", "export_verb"),
    ("tag",): ("tag", "tag_verb"),
    ("refine",): ("refine", "refine_verb"),
    ("retrieve",): ("retrieve", "retrieve_verb"),
    ("compose",): ("compose", "compose_verb"),
    ("benchmark",): ("benchmark", "benchmark"),
    ("prepare", "cub"): ("prepare", "prepare_cub"),
    ("prepare", "drawn-birds"): ("prepare", "prepare_drawn_birds"),
    ("prepare", "scenes"): ("prepare", "prepare_scenes"),
    ("prepare", "coco"): ("prepare", "prepare_coco"),
    ("prepare", "folder"): ("prepare", "prepare_folder"),
    ("push",): ("hub", "push"),
    ("pull",): ("hub", "pull"),
    ("demo",): ("demo", "demo"),
    ("init",): ("init", "init"),
    ("report",): ("report", "report"),
    ("profile", "loader"): ("profile_loader", "profile_loader"),
    ("profile", "evaluate"): ("profile", "profile_evaluation"),
    ("profile",): ("profile", "profile_training"),
}
SPELLINGS = {"import": ["as", "with"]}  # options that are keywords of Python
WORDS = {
    **dict.fromkeys(("str", "list[str]"), "TEXT"),
    **dict.fromkeys(("int", "Count", "Few", "Whole", "Side", "Workers", "Processes"), "N"),
    **dict.fromkeys(("float", "Share", "Positive"), "X"),
    "bool": "true|false",
}
PAIRS = ("interpolate", "compare")  # options that take two words
# Type aliases that are defined in other modules.
ALIASES = {"Mode": "online|offline|disabled", "Scale": "kept|fitted"}
NUMBERS: dict[str, tuple[Callable[[str], float], str]] = {"N": (int, "a whole number"), "X": (float, "a number")}
INDENT, LEFT = 2, 26


@dataclass(frozen=True)
class Option:
    """An argument of a verb.

    Attributes:
        name: name of the option without dashes.
        kind: type annotation as written in the source.
        default: default value as written in the source; None without default.
        positional: whether it is a positional argument.
        text: description from the docstring.
        several: whether it takes several values.
    """

    name: str
    kind: str
    default: str | None
    positional: bool
    text: str
    several: bool = False

    @property
    def head(self) -> str:
        """First column of the help: name and kind of value."""
        return self.name.upper() if self.positional else f"--{self.name} {self.kind}"

    @property
    def whole_text(self) -> str:
        """Second column of the help: description and default."""
        if self.default in (None, "None", "[]", "False") or "default:" in self.text:
            return self.text
        return f"{self.text} (default: {self.default.strip(chr(39)).replace('True', 'true')})"


def answer(verb: str, argv: Sequence[str]) -> str | None:
    """The help text, if the command line asks for it; None if the verb itself has to run.

    Raises:
        UserError: an unknown option, or a required option that is missing.
    """
    given = [word.partition("=")[0] for word in argv]
    words = next((words for words in FUNCTIONS if _calls(words, verb, given)), None)
    command = [word for word in words or () if not word.startswith("-")]
    rest = argv[len(command) - 1 :] if words else []
    if words is None and verb == "prepare":
        return _data_sets(argv)
    if words is None or (verb == "profile" and rest and not rest[0].startswith("-")):
        return None
    summary, options = read_signature(*FUNCTIONS[words])
    options.append(Option("allow", "MODULE", "[]", False, ALLOW_HELP))
    if any(word in HELP for word in rest):
        return _help(" ".join(command), summary, options)
    _refuse(rest, options, SPELLINGS.get(verb, []))
    return None


def allow_spelt(argv: Sequence[str]) -> Iterator[str]:
    """Rewrite repeated ``--allow MODULE`` in the form in which the parser takes a list."""
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        yield word if name != "--allow" else f"--allow+={value if equals else next(words, '')}"


def flags_spelt_out(argv: Sequence[str], flags: Collection[str]) -> Iterator[str]:
    """Rewrite a flag such as ``--real`` without a value as ``--real true``.

    Args:
        argv: the command line.
        flags: names of the options that take true or false.
    """
    words = [*argv]
    for word, after in zip(words, [*words[1:], None]):
        yield word
        if word.startswith("--") and word[2:] in flags and (after is None or after.startswith("--")):
            yield "true"


def _data_sets(argv: Sequence[str]) -> str:
    """Usage text of ``prepare``, whose first word is a data set.

    Raises:
        UserError: the first word is no data set.
    """
    names = [words[1] for words in FUNCTIONS if words[0] == "prepare"]
    if argv and argv[0] not in HELP:
        raise UserError(f"no data set {argv[0]!r}{nearest(argv[0], names)}; choose one of {', '.join(names)}")
    firsts = {name: read_signature(*FUNCTIONS["prepare", name])[0].partition("\n")[0] for name in names}
    return "\n".join(
        [
            "usage: t2igan prepare DATASET [--help] [options]",
            "",
            "Raw files -> one HDF5 store that everything else reads, and a card that shows what is in it.",
            "",
            *(f"  {name:<12} {first}" for name, first in firsts.items()),
        ]
    )


def _calls(words: Sequence[str], verb: str, given: Sequence[str]) -> bool:
    """Whether a command line calls the function that ``FUNCTIONS`` lists under ``words``."""
    if words[0] != verb:
        return False
    return all(word in given if word.startswith("-") else [word] == given[:1] for word in words[1:])


def read_signature(module: str, function: str) -> tuple[str, list[Option]]:
    """Summary and arguments of a function of this package, read from its source."""
    tree = _source_of(module)
    node = next(each for each in tree.body if isinstance(each, ast.FunctionDef) and each.name == function)
    assigned = [each for each in tree.body if isinstance(each, ast.Assign)]
    aliases = {each.targets[0].id: each.value for each in assigned if isinstance(each.targets[0], ast.Name)}
    summary, texts = _read_docstring(ast.get_docstring(node) or "")
    usual, strict = node.args.args, node.args.kwonlyargs
    defaults = [None] * (len(usual) - len(node.args.defaults)) + node.args.defaults + node.args.kw_defaults
    options = [
        Option(
            name=each.arg,
            kind=_kind(each.annotation, aliases),
            default=None if default is None else ast.unparse(default),
            positional=each in usual and default is None,
            text=texts[each.arg],
            several=each.annotation is not None and "list[" in ast.unparse(each.annotation),
        )
        for each, default in zip([*usual, *strict], defaults)
    ]
    return summary, options + _handed_on(module, node, texts)


@cache
def _source_of(module: str) -> ast.Module:
    """The parsed source of a module of this package."""
    return ast.parse((Path(t2igan.__file__).parent / "cli" / f"{module}.py").read_text())


def _handed_on(module: str, node: ast.FunctionDef, texts: Mapping[str, str]) -> list[Option]:
    """Options of the function that ``**options: see :func:`name` `` points to, except those given by its caller."""
    pointer = next((text for name, text in texts.items() if name.startswith("**")), "")
    told = re.search(r":func:`([\w.]+)`", pointer)
    if told is None:
        return []
    place, _, function = told[1].rpartition(".")
    calls = [each for each in ast.walk(node) if isinstance(each, ast.Call) and ast.unparse(each.func) == function]
    given = {keyword.arg for each in calls for keyword in each.keywords}
    there = read_signature(place.rpartition(".")[2] or module, function)[1]
    return [option for option in there if option.name not in given]


def _kind(annotation: ast.expr | None, aliases: dict[str, ast.expr]) -> str:
    """A type as the help shows it: choices as ``a|b``, aliases of the module resolved."""
    if annotation is None:
        return ""
    if isinstance(annotation, ast.Name) and annotation.id in aliases:
        annotation = aliases[annotation.id]
    text = ast.unparse(annotation).removesuffix(" | None")
    if text.startswith("Literal["):
        return "|".join(
            str(each.value) for each in ast.walk(annotation) if isinstance(each, ast.Constant) and each.value
        )
    return ALIASES.get(text) or WORDS.get(text, text)


def _read_docstring(docstring: str) -> tuple[str, dict[str, str]]:
    """Summary and argument descriptions of a docstring in Google style."""
    summary, _, rest = docstring.partition("\nArgs:\n")
    texts: dict[str, list[str]] = {}
    for line in rest.split("\n\n")[0].splitlines():
        if line.startswith("    ") and not line.startswith("     "):
            name, _, text = line.strip().partition(": ")
            texts[name] = [text]
        elif texts:
            texts[[*texts][-1]].append(line.strip())
    return summary.strip(), {name: " ".join(lines) for name, lines in texts.items()}


def _help(command: str, summary: str, options: Sequence[Option]) -> str:
    required = [option for option in options if option.default is None]
    heads = [option.head for option in required]
    optional = [option for option in options if option.default is not None]
    parts = [" ".join(["usage: t2igan", command, *heads, "[options]"]), "", *_wrapped(summary)]
    for title, group in (("required", required), ("options", optional)):
        if group:
            parts += ["", f"{title}:", *(line for option in group for line in _row(option))]
    return "\n".join(parts)


def _row(option: Option) -> list[str]:
    head = " " * INDENT + option.head
    lines = textwrap.wrap(option.whole_text, _width() - LEFT)
    if len(head) >= LEFT:
        return [head, *(" " * LEFT + line for line in lines)]
    return [f"{head:<{LEFT}}{lines[0] if lines else ''}", *(" " * LEFT + line for line in lines[1:])]


def _wrapped(text: str) -> list[str]:
    return [line for part in text.split("\n\n") for line in [*textwrap.wrap(part, _width()), ""]][:-1]


def _width() -> int:
    return min(shutil.get_terminal_size((100, 24)).columns, 110)


def _refuse(argv: Sequence[str], options: Sequence[Option], spellings: Sequence[str]) -> None:
    """Refuse unknown options, invalid values, and missing required options."""
    named = {option.name: option for option in options}
    flags = [option.name for option in options if option.kind == WORDS["bool"]]
    alone: list[str] = []
    given: set[str] = set()
    for name, values in _read(list(flags_spelt_out(argv, flags)), named):
        if name is None:
            alone += values
            continue
        if name not in named and OPTIONS.get(name) in named:
            raise UserError(f"--{name} is called --{OPTIONS[name]} now")
        if name not in named and name not in spellings:
            raise UserError(f"{name!r} is not an option{nearest(name, [*named, *spellings])}; see --help")
        # The parser would take the last one, except for lists that are empty by default: it adds to these.
        if name in given and name in named and named[name].default != "[]":
            plural = f"; --{name}s takes several" if f"{name}s" in named else ""
            raise UserError(f"--{name} is given twice: give it once{plural}")
        given.add(name)
        for value in values if name in named else []:
            _refuse_value(named[name], value)
    positional = [option for option in options if option.positional]
    missing = [option.name.upper() for option in positional[len(alone) :]]
    if len(alone) > len(positional) and not any(option.several for option in positional):
        word = alone[len(positional)]
        meant = word.lstrip(DASHES).partition("=")[0]
        if word[0] in DASHES and meant in named:
            raise UserError(f"{word!r} is not an option (did you mean --{meant}?)")
        raise UserError(f"{word!r} belongs to no option (put a caption of several words in quotes)")
    required = [option for option in options if option.default is None and not option.positional]
    missing += [f"--{option.name}" for option in required if option.name not in given]
    if missing:
        texts = {option.head.partition(" ")[0]: option.text.rstrip(".") for option in options}
        raise UserError("; ".join(f"{name} is missing: {texts[name]}" for name in missing))


def _refuse_value(option: Option, value: str) -> None:
    """Refuse a value that is not among the choices, or is no number."""
    if option.several or (option.default == "None" and value in ("null", "None")):
        return
    if "|" in option.kind:
        choices = option.kind.split("|")
        if value not in choices and not (option.kind == WORDS["bool"] and value.lower() in (*choices, "yes", "no")):
            raise UserError(f"--{option.name} takes {option.kind}, not {value!r}{nearest(value, choices)}")
    elif option.kind in NUMBERS:
        read, what = NUMBERS[option.kind]
        try:
            read(value)
        except ValueError as error:
            raise UserError(f"--{option.name} takes {what}, not {value!r}") from error


def _read(argv: Sequence[str], named: Mapping[str, Option]) -> Iterator[tuple[str | None, list[str]]]:
    """Options of a command line with their values, and positional words (under None)."""
    words = [*argv]
    while words:
        word = words.pop(0)
        if not word.startswith("--"):
            yield None, [word]
            continue
        name, equals, value = word[2:].partition("=")
        name = name.removesuffix("+")
        several = name in named and named[name].several
        if not equals and (not words or (words[0].startswith("--") and not several and name in named)):
            raise UserError(f"--{name} has no value; see --help")
        values = [value] if equals else [words.pop(0)]
        if not equals and name in PAIRS and words and not words[0].startswith("--"):
            values.append(words.pop(0))
        yield name, values
