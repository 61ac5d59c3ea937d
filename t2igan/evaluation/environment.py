"""Environment of a measurement: git commit, CUDA libraries and threads."""

import subprocess
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import torch

import t2igan
from t2igan.evaluation.protocol import Protocol
from t2igan.user_modules import code_of

PACKAGE = Path(t2igan.__file__).parent
GIT_SECONDS = 20


@dataclass(frozen=True)
class Environment:
    """Environment that a record stores.

    Attributes:
        git_commit: commit of the suite's code, None outside of a git repository.
        git_clean: whether the working tree had no changes, None outside of a git repository.
        cuda: CUDA version that PyTorch was built for, None without CUDA.
        cudnn: version of the loaded cuDNN, None without it.
        threads: threads of PyTorch on the CPU, in each process.
        own_code: sha256 of the code of metrics of the user's own, by the file; empty without such.
    """

    git_commit: str | None = None
    git_clean: bool | None = None
    cuda: str | None = None
    cudnn: int | None = None
    threads: int | None = None
    own_code: dict[str, str] = field(default_factory=dict)


def environment(protocol: Protocol | None = None) -> Environment:
    """The environment of this process; with the code of a protocol's metrics that are the user's own."""
    cudnn = torch.backends.cudnn.version() if torch.cuda.is_available() else None
    metrics = () if protocol is None else protocol.metrics
    own = {file: sha256 for spec in metrics for file, sha256 in code_of(type(spec)).items()}
    return Environment(*git_state(PACKAGE), torch.version.cuda, cudnn, torch.get_num_threads(), own)


@cache
def git_state(package: Path) -> tuple[str | None, bool | None]:
    """Commit of a package and whether its files are unmodified; computed once per process.

    Args:
        package: folder with ``__init__.py``; a repository that does not track that file is ignored.
    """
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None, None
    changes = _git(package, "status", "--porcelain", "--", ".")
    return _git(package, "rev-parse", "HEAD"), None if changes is None else changes == ""


def _git(folder: Path, *arguments: str) -> str | None:
    """Output of a git command, None if it fails or git is missing."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=GIT_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
