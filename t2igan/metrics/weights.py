"""Find and verify published weights of evaluation networks."""

import hashlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from t2igan.errors import UserError
from t2igan.files import make_folder

DOWNLOAD_TIMEOUT = 10.0  # seconds without an answer


@dataclass(frozen=True)
class PublishedWeights:
    """A published file of weights.

    Attributes:
        files: common file names; the first one is used for downloads.
        url: download address.
        sha256_prefix: first digits of its SHA-256; empty for a file that has to be converted from the one at
            ``url``.
    """

    files: tuple[str, ...]
    url: str
    sha256_prefix: str


PUBLISHED = {
    # TensorFlow's graph of 2015-12-05, converted; pytorch-fid and torch-fidelity publish the same content.
    "inception-tf-2015": PublishedWeights(
        ("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth"),
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
        "pt_inception-2015-12-05-6726825d.pth",
        "6726825d",
    ),
    "inception-torchvision": PublishedWeights(
        ("inception_v3_google-0cc3c7bd.pth",),
        "https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth",
        "0cc3c7bd",
    ),
    # The same network as torchvision published it until 2021.
    "inception-torchvision-2017": PublishedWeights(
        ("inception_v3_google-1a9a5a14.pth",),
        "https://download.pytorch.org/models/inception_v3_google-1a9a5a14.pth",
        "1a9a5a14",
    ),
    # TF-slim, fine-tuned on the test birds of CUB: a TensorFlow checkpoint, to be converted to torchvision's names.
    "inception-slim-birds": PublishedWeights(
        ("inception-slim-birds.pth",), "https://github.com/hanzhanggit/StackGAN-inception-model", ""
    ),
    # The trunk of LPIPS.
    "alexnet-torchvision": PublishedWeights(
        ("alexnet-owt-7be5be79.pth",),
        "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        "7be5be79",
    ),
    # ImageNet, first version.
    "resnet152-torchvision": PublishedWeights(
        ("resnet152-394f9c45.pth",),
        "https://download.pytorch.org/models/resnet152-394f9c45.pth",
        "394f9c45",
    ),
}


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def resolve_weights(
    name: str,
    folder: Path = Path("checkpoints"),
    path: Path | None = None,
    download: bool = True,
    verify: bool = True,
) -> tuple[Path, str]:
    """Find a published file of weights.

    Uses ``path`` if it is given; otherwise searches ``folder``, the cache of torch.hub, and then downloads.

    Args:
        name: key of :data:`PUBLISHED`.
        folder: folder that is searched and downloaded to.
        path: path of the file, None to search.
        download: whether a missing file may be downloaded.
        verify: compare the SHA-256 with the published one; False accepts the user's own weights.

    Returns:
        The file and its SHA-256.

    Raises:
        UserError: the file is not found (names the file, its address and the folder), or is not the published one.
    """
    import torch  # not above: `t2igan doctor` reads the list of files and does not wait for torch

    published = PUBLISHED[name]
    if path is not None:
        path = Path(path)
        if not path.is_file():
            raise UserError(f"{path}: no such file of weights ({name}); get it from {published.url}")
        return path, _checked_sha256(path, published, verify)
    places = [Path(folder), Path(torch.hub.get_dir()) / "checkpoints"]
    for candidate in (place / file for place in places for file in published.files):
        if candidate.is_file():
            return candidate, _checked_sha256(candidate, published, verify)
    target = Path(folder) / published.files[0]
    if not published.sha256_prefix:
        reason, remedy = "and nobody publishes it in this form", f"convert the network of {published.url} to it"
    else:
        reason = "and downloads are off" if not download else _download(published, target)
        remedy = f"fetch {published.url} and put it into {Path(folder).resolve()}"
    if reason:
        raise UserError(
            f"{published.files[0]} ({name}) is neither in {places[0]} nor in {places[1]}, {reason}: {remedy}"
        )
    return target, _checked_sha256(target, published, verify)


def pretrained_weights(name: str, own_file: Path | None) -> tuple[Path, str]:
    """The file of a trunk's pre-trained weights: the published one, or the user's own without verification.

    Args:
        name: key of :data:`PUBLISHED`.
        own_file: path of the user's file, None for the published one.

    Returns:
        The file and its SHA-256.

    Raises:
        UserError: as in :func:`resolve_weights`, with an option that avoids the weights.
    """
    try:
        return resolve_weights(name, path=own_file, verify=own_file is None)
    except UserError as error:
        raise UserError(f"{error}; weights: random in the YAML tries the code without") from error


def _checked_sha256(path: Path, published: PublishedWeights, verify: bool) -> str:
    sha256 = file_sha256(path)
    if verify and not sha256.startswith(published.sha256_prefix):
        raise UserError(
            f"{path}: SHA-256 starts with {sha256[:8]}, published is {published.sha256_prefix}: "
            f"the file is truncated or another one; delete it and fetch {published.url}"
        )
    return sha256


def _download(published: PublishedWeights, target: Path) -> str:
    """Download the file to ``target``; returns the reason of a failure, or an empty string."""
    import torch

    try:
        make_folder(target.parent)
        with _socket_timeout(DOWNLOAD_TIMEOUT):
            torch.hub.download_url_to_file(published.url, str(target), hash_prefix=published.sha256_prefix)
    except (OSError, RuntimeError) as error:  # no route, timeout: OSError; wrong hash: RuntimeError
        return f"and the download failed ({error})"
    return ""


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    """Set a timeout for sockets opened within, because torch.hub sets none."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
