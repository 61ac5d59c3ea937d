"""No docstring repeats the name that it describes and says nothing else."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "t2igan"
# Words that describe nothing: articles, prepositions, and what every argument is.
EMPTY = "a an the of for from in to by with and or is are be it its this that which as one given used verb path"
SECTION = re.compile(r"^(?:Args|Attributes):\n((?:    .*\n?|\n)+)", re.M)
ENTRY = re.compile(r"^    \*{0,2}(\w+): (.+(?:\n {5,}.+)*)", re.M)


def stems(text: str) -> set[str]:
    """Words of a text or a name, in lower case and without their endings."""
    found = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", text)
    return {re.sub(r"(?<=..[a-z])(?:ings?|ed|e?rs?|ors?|e?s|e)$", "", word.lower()) for word in found}


def says_nothing(description: str, name: str) -> bool:
    """Whether all words of a description are those of the name, or mean nothing."""
    return stems(description) <= stems(name) | stems(EMPTY)


def described(file: Path):
    """(line, name, description) of every docstring's first sentence and of every argument."""
    for node in ast.walk(ast.parse(file.read_text())):
        if not isinstance(node, (ast.ClassDef, ast.FunctionDef)) or not ast.get_docstring(node):
            continue
        text = ast.get_docstring(node)
        yield node.lineno, node.name, text.partition("\n\n")[0]
        for section in SECTION.findall(text):
            for name, description in ENTRY.findall(section):
                yield node.lineno, name, description


def test_docstrings_say_more_than_names():
    files = sorted(PACKAGE.rglob("*.py"))
    found = [
        f"{file.relative_to(PACKAGE)}:{line}: {name}: {description}"
        for file in files
        for line, name, description in described(file)
        if says_nothing(description, name)
    ]
    assert len(files) > 300 and not found, "\n".join(found)


@pytest.mark.parametrize(
    ("name", "description", "nothing"),
    [
        ("run", "Run the verb.", True),
        ("path", "the path.", True),
        ("load_checkpoint", "Loads checkpoints.", True),
        ("ImagePlan", "The plan of an image.", True),
        ("seed", "seed of the noise.", False),
        ("num_classes", "number of classes C.", False),
    ],
)
def test_the_check_notices(name, description, nothing):
    assert says_nothing(description, name) == nothing


def test_arguments_are_found(tmp_path):
    file = tmp_path / "module.py"
    entries = "    Args:\n        x: the\n            x.\n        **kwargs: passed on.\n"
    file.write_text(f'def f(x):\n    """Do it.\n\n{entries}    """\n')
    found = [("f", "Do it."), ("x", "the\n        x."), ("kwargs", "passed on.")]
    assert [each[1:] for each in described(file)] == found
