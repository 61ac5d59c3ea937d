"""Findings of ``t2igan doctor``, and those about packages. Imports nothing heavy."""

import importlib.metadata
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

State = Literal["present", "missing", "damaged", "too old", "not needed"]
OPTIONAL_PACKAGES = {
    "transformers": "CLIP scores",
    "ray": "benchmark plans on a Ray cluster",
    "submitit": "benchmark plans in SLURM",
}
_REQUIREMENT = re.compile(r"([A-Za-z0-9_.-]+)(?:\[.*\])?>=([0-9.]+)$")


@dataclass(frozen=True)
class Finding:
    """One line of the table.

    Attributes:
        name: name of the file or package.
        state: whether it is present, missing or damaged.
        where: path where it is, or where it is expected.
        size: size of the file in bytes, or None.
        check: result of the check of its content.
        remedy: what to do if it is missing or damaged.
    """

    name: str
    state: State
    where: str
    size: int | None = None
    check: str = ""
    remedy: str = ""


def package_findings() -> Iterator[Finding]:
    """Findings about required and optional packages."""
    try:
        requirements = importlib.metadata.requires("t2igan") or []
    except importlib.metadata.PackageNotFoundError:
        requirements = []
        yield Finding("t2igan", "missing", "site-packages", remedy="pip install -e . in the repository's root")
    for requirement in requirements:
        if match := _REQUIREMENT.match(requirement):
            yield _package(match[1], match[2])
    for name, purpose in OPTIONAL_PACKAGES.items():
        yield _package(name, purpose=purpose)


def _package(name: str, at_least: str = "0", purpose: str = "") -> Finding:
    wanted = f"{name}>={at_least}" if at_least != "0" else name
    remedy = f'pip install "{wanted}"'
    try:
        found = importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "missing", "site-packages", check=f"for {purpose}" if purpose else "", remedy=remedy)
    where, check = str(found.locate_file("")), found.version + (f", for {purpose}" if purpose else "")
    if _numbers(found.version) < _numbers(at_least):
        return Finding(name, "too old", where, check=check, remedy=remedy)
    return Finding(name, "present", where, check=check)


def _numbers(version: str) -> tuple[int, ...]:
    """Parse a version: (2, 15, 0) from "2.15.0+cpu"."""
    found = re.match(r"[0-9.]*[0-9]", version)
    return tuple(int(part) for part in found[0].split(".")) if found else ()
