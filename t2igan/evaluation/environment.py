"""Where a number was measured: the code's commit, the libraries of the GPU, the threads."""

import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

import t2igan

PACKAGE = Path(t2igan.__file__).parent
GIT_SECONDS = 20


@dataclass(frozen=True)
class Environment:
    """What a record says of its surroundings.

    Attributes:
        git_commit: commit of the suite's code, None where it does not run from a git repository.
        git_clean: whether the code was as committed, None likewise.
        cuda: version that PyTorch was built for, None without.
        cudnn: version that is loaded, None without.
        threads: threads of PyTorch on the CPU, in each process.
    """

    git_commit: str | None = None
    git_clean: bool | None = None
    cuda: str | None = None
    cudnn: int | None = None
    threads: int | None = None


def environment() -> Environment:
    """The surroundings of this process."""
    cudnn = torch.backends.cudnn.version() if torch.cuda.is_available() else None
    return Environment(*git_state(PACKAGE), torch.version.cuda, cudnn, torch.get_num_threads())


@cache
def git_state(package: Path) -> tuple[str | None, bool | None]:
    """Commit of a package and whether its files are as committed; asked once, when code has just been loaded.

    Args:
        package: folder with ``__init__.py``; a repository that does not hold that file says nothing of it.
    """
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None, None
    changes = _git(package, "status", "--porcelain", "--", ".")
    return _git(package, "rev-parse", "HEAD"), None if changes is None else changes == ""


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints, None where it fails or is not there."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=GIT_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
