"""Rules of the house that a reader relies on."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "t2igan"

# The rooms from the ground up: a room imports from rooms above itself in this list, never from those below.
ROOMS = [
    "nn",
    "layout",
    "text",
    "losses",
    "networks",
    "data",
    "plotting",
    "metrics",
    "models",
    "interop",
    "evaluation",
    "reporting",
    "callbacks",
    "profiling",
    "benchmark",
    "demo",
    "cli",
]
# What a room leaves alone although it stands on it.
ALONE = {
    "data": {"nn", "text", "losses", "networks"},
    "plotting": {"text", "losses", "networks"},
    "metrics": {"networks", "data", "plotting"},
    "models": {"plotting"},
    "interop": {"plotting"},
    "benchmark": {"models", "networks", "metrics", "plotting", "losses", "text", "nn"},
}
FORBIDDEN = {room: {*ROOMS[place + 1 :], *ALONE.get(room, ())} for place, room in enumerate(ROOMS)}


def imported_folders(file):
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        for name in names:
            if name.startswith("t2igan."):
                yield name.split(".")[1]


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_imports_point_one_way(folder):
    files = list((PACKAGE / folder).rglob("*.py"))
    assert files
    wrong = {
        f"{file.relative_to(ROOT)} -> {name}"
        for file in files
        for name in imported_folders(file)
        if name in FORBIDDEN[folder]
    }
    assert not wrong


# What a user imports from the package itself; every other file beside the rooms is below all of them.
FACES = {"__init__.py", "__main__.py", "api.py", "datasets.py"}


def test_files_beside_the_rooms_import_none():
    files = [file for file in PACKAGE.glob("*.py") if file.name not in FACES]
    assert not {(file.name, room) for file in files for room in imported_folders(file) if room in ROOMS}


def for_types_alone(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def at_import(nodes):
    """What the statements of a module import when it is imported itself: not within functions, not for types."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (node.module, *(f"{node.module}.{alias.name}" for alias in node.names))
        elif not isinstance(node, ast.FunctionDef) and not for_types_alone(node):
            yield from at_import(ast.iter_child_nodes(node))


def test_no_modules_import_each_other_in_a_circle():
    files = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in PACKAGE.rglob("*.py")}
    files = {name.removesuffix(".__init__"): file for name, file in files.items()}
    graph = {
        name: {*at_import(ast.parse(file.read_text()).body)} & {*files} - {name} for name, file in files.items()
    }
    assert len([*TopologicalSorter(graph).static_order()]) == len(files)


def test_requirements_and_setup_agree():
    requirement = re.compile(r'^\s*"?([a-z0-9-]+(?:\[[a-z]+\])?>=[0-9.]+)', re.M)
    listed = set(requirement.findall((ROOT / "requirements.txt").read_text()))
    asked = set(requirement.findall((ROOT / "setup.py").read_text()))
    in_one_line = set(re.findall(r'"([a-z0-9-]+>=[0-9.]+)"', (ROOT / "setup.py").read_text()))
    assert listed <= asked | in_one_line
    assert asked <= listed


def test_networks_are_plain_torch():
    """A user of one network alone waits for torch, and for nothing else."""
    names = [f"t2igan.networks.{file.stem}" for file in (PACKAGE / "networks").glob("*.py")]
    heavy = ["pytorch_lightning", "torchmetrics", "torchvision", "transformers", "h5py", "jsonargparse"]
    program = f"import sys; [__import__(name) for name in {names}]; print(*set({heavy}) & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.split()) == (0, []), ended.stderr


@pytest.mark.parametrize("folder", ["datasets", "experiments", "checkpoints"])
def test_folders_of_files_hold_no_python(folder):
    assert not list((ROOT / folder).rglob("*.py"))


def test_modules_stay_readable():
    long = [file for file in PACKAGE.rglob("*.py") if len(file.read_text().splitlines()) > 400]
    assert not long


def test_no_two_classes_have_one_name():
    files = [ast.parse(file.read_text()) for file in PACKAGE.rglob("*.py")]
    names = [node.name for tree in files for node in tree.body if isinstance(node, ast.ClassDef)]
    assert not {name for name in names if names.count(name) > 1}


def test_test_files_have_names_of_their_own():
    names = [file.name for file in (ROOT / "tests").rglob("test_*.py")]
    assert not {name for name in names if names.count(name) > 1}
