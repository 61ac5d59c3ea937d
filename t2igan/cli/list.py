"""``t2igan list``: what there is to choose from. Reads the sources' text, so that nothing heavy is imported."""

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

import t2igan
from t2igan.errors import UserError

PACKAGE = Path(t2igan.__file__).parent
FOLDERS = {"models": "models", "data": "data", "metrics": "metrics"}
BASES = {
    "models": ("SuiteModule", "AdversarialModule", "Generator", "Discriminator", "LightningModule"),
    "data": ("CaptionedImagesModule", "LightningDataModule"),
    "metrics": ("Metric", "Backbone", "Indexed", "IndexedMetric", "FeatureSetMetric"),
}
KINDS = (*FOLDERS, "protocols")


def run(verb: str, argv: Sequence[str]) -> None:
    """Print the entries of one kind with the first line of their documentation."""
    if list(argv) in (["-h"], ["--help"]):
        print(f"usage: t2igan list {'|'.join(KINDS)}")
        return
    if len(argv) != 1 or argv[0] not in KINDS:
        raise UserError(f"say what to list: {', '.join(KINDS)}")
    entries = protocols() if argv[0] == "protocols" else classes(argv[0])
    for name, text in sorted(entries):
        print(f"{name:<28} {text}")


def classes(kind: str) -> Iterator[tuple[str, str]]:
    """(name, first line of the docstring) of the public classes of a kind that derive from its bases."""
    for file in sorted((PACKAGE / FOLDERS[kind]).glob("*.py")):
        for node in ast.parse(file.read_text()).body:
            if not isinstance(node, ast.ClassDef) or node.name.startswith("_"):
                continue
            bases = {base.id if isinstance(base, ast.Name) else getattr(base, "attr", "") for base in node.bases}
            if bases & set(BASES[kind]):
                yield node.name, (ast.get_docstring(node) or "").split("\n")[0]


def protocols() -> Iterator[tuple[str, str]]:
    """(name, first comment line) of the evaluation protocols."""
    folder = PACKAGE / "evaluation" / "protocols"
    for file in folder.rglob("*.yaml"):
        first = file.read_text().split("\n", 1)[0]
        yield str(file.relative_to(folder).with_suffix("")), first.lstrip("# ")
