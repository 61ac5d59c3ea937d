"""Read files of released weights without executing code in them."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from t2igan.errors import UserError
from t2igan.interop.forms import OfficialForm, form_of
from t2igan.interop.kinds import KINDS, kind_of
from t2igan.interop.official import from_official
from t2igan.metrics.weights import file_sha256
from t2igan.models.digest import archive_problem, refuse_inflated

# How torch.load names a class that it refuses to load.
REFUSED = re.compile(r"GLOBAL (\S+)")


@dataclass(frozen=True)
class ReleasedNetwork:
    """A network from a released file.

    Attributes:
        kind: which released network it is.
        network: the suite's network with the released weights.
        path: path of the file.
        sha256: sha256 of the file, hex.
    """

    kind: str
    network: nn.Module
    path: Path
    sha256: str

    @property
    def form(self) -> OfficialForm:
        """The form in which the original code saved it.

        Raises:
            RuntimeError: :func:`t2igan.interop.from_official` did not make it.
        """
        form = form_of(self.network)
        if form is None:
            raise RuntimeError(f"{self.path}: a network without the form of its file")
        return form

    @property
    def tensors(self) -> int:
        """Number of tensors in the file."""
        return len(self.form.names)

    @property
    def parameters(self) -> int:
        """Number of parameters, as the papers count them: without running statistics."""
        return sum(parameter.numel() for parameter in self.network.parameters())


def read_weights(path: str | Path) -> dict[str, Any]:
    """Read a file of weights in PyTorch's new or old format, also of Python 2.

    Raises:
        UserError: the file is missing, damaged, a checkpoint of the suite, or asks for anything but tensors and
            plain containers; that is refused by name, and nothing of it runs.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no file {path}")
    try:
        problem = archive_problem(path)
        with warnings.catch_warnings():
            # Strings of Python 2 have no encoding, and torch accepts one only for its unsafe reader.
            warnings.simplefilter("ignore")
            content = torch.load(path, map_location="cpu", weights_only=True, encoding="latin1")
        refuse_inflated(content)
    except UnpicklingError as error:
        if found := REFUSED.search(str(error)):
            asked = found[1].rstrip(".")
            raise UserError(
                f"{path}: refused, it asks for {asked}; a file of weights holds tensors only"
            ) from error
        raise UserError(f"{path}: refused, not a plain file of weights ({_first_line(error)})") from error
    except Exception as error:  # a damaged file raises almost anything
        raise UserError(f"{path} cannot be read as weights ({_first_line(error)}); download it again") from error
    if problem:
        raise UserError(f"{path} is damaged ({problem}); download it again")
    if not isinstance(content, dict):
        raise UserError(f"{path} holds a {type(content).__name__}, not a state dict")
    if "t2igan" in content:
        raise UserError(
            f"{path} is already a checkpoint of the suite; t2igan export converts it to released weights"
        )
    return content


def _first_line(error: Exception) -> str:
    """The first sentence of a message; torch appends advice."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].partition(". ")[0] if lines else type(error).__name__


def read_networks(paths: Sequence[str | Path], kind: str = "auto", **config: Any) -> list[ReleasedNetwork]:
    """Read the networks in released files.

    Args:
        paths: paths of the files.
        kind: kind of the first file, one of :data:`t2igan.interop.kinds.KINDS`; ``auto`` tells it by its tensors,
            as the kinds of the others are told.
        config: as of :func:`t2igan.interop.from_official`; each option goes to the networks that have it.

    Raises:
        UserError: as of :func:`read_weights`, :func:`t2igan.interop.kind_of` and
            :func:`t2igan.interop.from_official`, with the file's name; no network has an option.
    """
    found = []
    for number, path in enumerate(map(Path, paths)):
        content = read_weights(path)
        try:
            told = kind_of(content) if kind == "auto" or number else kind
            options = KINDS[told].options if told in KINDS else []
            own = {key: value for key, value in config.items() if key in options}
            network = from_official(told, content, **own)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
        found.append(ReleasedNetwork(told, network, path, file_sha256(path)))
    idle = [name for name in config if not any(name in KINDS[each.kind].options for each in found)]
    if idle:
        kinds = ", ".join(each.kind for each in found)
        raise UserError(f"no network here has the option {', '.join(idle)} (the files hold {kinds}): remove it")
    return found
