"""``t2igan list``: list models, data, metrics and so on, from the source text, without importing torch."""

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import t2igan
from t2igan.errors import UserError
from t2igan.evaluation.metrics import known_metrics
from t2igan.zoo import CARD, locate, zoo_names

PACKAGE = Path(t2igan.__file__).parent
# Base class of each kind; direct subclasses of ABC are abstract and not listed.
ROOTS = {
    "models": ("SuiteModule",),
    "generators": ("Generator",),
    "discriminators": ("Discriminator",),
    "objectives": ("Objective",),
    "losses": ("GeneratorLoss",),
    "encoders": ("ImageEncoder", "CaptionEncoder"),
    "data": ("LightningDataModule",),
    "callbacks": ("Callback",),
    "metrics": ("ScoredMetric",),
}
# Packages whose classes YAML finds by plain name; those of interop are only for `t2igan import`.
ROOMS = ("models", "networks", "losses", "data", "callbacks", "evaluation/metrics")
KINDS = (*ROOTS, "protocols", "zoo")


@dataclass(frozen=True)
class Listed:
    """A class, as read from its source file.

    Attributes:
        name: name to use in YAML: plain for the suite's classes, ``module.Class`` for the user's own.
        bases: names of the base classes, without their modules.
        text: first line of its documentation.
        own: the user's file that defines it, None for the suite's classes.
    """

    name: str
    bases: tuple[str, ...]
    text: str
    own: str | None = None


def run(verb: str, argv: Sequence[str]) -> None:
    """Print the entries of one kind with the first line of their docstring; the user's own are marked."""
    if list(argv) in (["-h"], ["--help"]):
        print(f"usage: t2igan list {'|'.join(KINDS)}")
        return
    if len(argv) != 1 or argv[0] not in KINDS:
        raise UserError(f"say what to list: {', '.join(KINDS)}")
    if told := {"protocols": protocols, "zoo": zoo}.get(argv[0]):
        rows = sorted(told())
        width = max(28, *(len(name) for name, _ in rows))
        for name, text in rows:
            print(f"{name:<{width}} {text}")
        return
    for each in metrics() if argv[0] == "metrics" else entries(argv[0]):
        yours = "" if each.own is None else f" [yours: {each.own}]"
        print(f"{each.name:<28} {each.text}{yours}")


def entries(kind: str) -> list[Listed]:
    """The classes of a kind: the suite's, and those in Python files of the current folder."""
    every = [*_own(), *_suite()]
    # Of two classes with the same name, the suite's counts.
    known = {each.name.rpartition(".")[2]: each for each in every}
    chosen = [each for each in every if _is_a(each, ROOTS[kind], known) and "ABC" not in each.bases]
    return sorted(chosen, key=lambda each: (each.own or "", each.name))


def _is_a(each: Listed, roots: tuple[str, ...], known: Mapping[str, Listed]) -> bool:
    """Whether a class derives from a root; a base of its own name is another class, and leads no further."""
    bases = [known[base] for base in each.bases if base in known and known[base] is not each]
    return any(base in roots for base in each.bases) or any(_is_a(base, roots, known) for base in bases)


def _suite() -> Iterator[Listed]:
    for room in ROOMS:
        for file in sorted((PACKAGE / room).glob("*.py")):
            yield from _classes(file.read_text(encoding="utf-8"), "", None)


def _own() -> Iterator[Listed]:
    for file in sorted(Path.cwd().glob("*.py")):
        try:
            yield from _classes(file.read_text(encoding="utf-8"), f"{file.stem}.", file.name)
        except (SyntaxError, ValueError, OSError) as error:
            print(f"{file.name} is left out: {error}", file=sys.stderr)


def _classes(source: str, prefix: str, own: str | None) -> Iterator[Listed]:
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            bases = tuple(
                base.id if isinstance(base, ast.Name) else getattr(base, "attr", "") for base in node.bases
            )
            text = (ast.get_docstring(node) or "").split("\n")[0]
            yield Listed(f"{prefix}{node.name}", bases, text, own)


def metrics() -> list[Listed]:
    """The registered metrics by their names in protocols, and the user's own by theirs, ``module.Class``."""
    known = [Listed(name, (), (kind.__doc__ or "").split("\n")[0]) for name, kind in known_metrics().items()]
    return sorted(known, key=lambda each: each.name) + [each for each in entries("metrics") if each.own]


def protocols() -> Iterator[tuple[str, str]]:
    """(name, first comment line) of the evaluation protocols."""
    folder = PACKAGE / "evaluation" / "protocols"
    for file in folder.rglob("*.yaml"):
        first = file.read_text().split("\n", 1)[0]
        yield str(file.relative_to(folder).with_suffix("")), first.lstrip("# ")


def zoo() -> Iterator[tuple[str, str]]:
    """(name, size and first line of the card) of the weights that come with the package."""
    for name in zoo_names():
        file = locate(name)
        card = file.with_name(CARD)
        title = card.read_text(encoding="utf-8").split("\n", 1)[0].lstrip("# ") if card.is_file() else ""
        yield name, f"{file.stat().st_size / 1e6:5.2f} MB  {title}"
