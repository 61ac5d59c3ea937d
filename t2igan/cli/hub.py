"""``t2igan push`` and ``t2igan pull``: send weights with their model card to a Hugging Face hub, and fetch them."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from t2igan.cli.export_zoo import export_to_zoo
from t2igan.cli.next_step import line_of, sampling
from t2igan.cli.parsing import call
from t2igan.errors import UserError
from t2igan.models.drawing import DrawingModule
from t2igan.models.suite_module import load_module
from t2igan.optional import library
from t2igan.zoo import CARD, RECORDS, WEIGHTS, is_zoo_name, locate

if TYPE_CHECKING:
    from huggingface_hub import HfApi

# Only these files are uploaded or downloaded.
FILES = [WEIGHTS, CARD, RECORDS, "config.yaml", "metrics.csv", "sheet.png"]
HEADER = """---
library_name: t2igan
pipeline_tag: text-to-image
license: mit
tags: [gan, text-to-image, t2igan]
---

"""

console = Console()


def run(verb: str, argv: Sequence[str]) -> None:
    """Run ``t2igan push`` or ``t2igan pull`` with the arguments that follow it."""
    call({"push": push, "pull": pull}[verb], argv, verb)


def push(checkpoint: str, repository: str, *, private: bool = False, endpoint: str | None = None) -> None:
    """Send weights to a Hugging Face hub: safetensors, configuration, curves, records, samples, model card.

    Log in with `hf auth login` first, or set HF_TOKEN.

    Args:
        checkpoint: checkpoint of the suite, the folder of its run, or a name of the zoo.
        repository: repository of the hub, such as me/ssagan-birds; created if it does not exist.
        private: create the repository as private; an existing one stays as it is.
        endpoint: address of the hub; default: HF_ENDPOINT, else https://huggingface.co.
    """
    hub, command = _hub(endpoint), f"t2igan pull {repository} --out {repository.rpartition('/')[2]}"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / repository.rpartition("/")[2]
        if is_zoo_name(checkpoint):
            shutil.copytree(locate(checkpoint).parent, folder)
        else:
            export_to_zoo(checkpoint, str(folder))
        card = folder / CARD
        card.write_text(f"{HEADER}{card.read_text(encoding='utf-8')}\n```bash\n{command}\n```\n", encoding="utf-8")
        with _told(repository):
            hub.create_repo(repository, private=private, exist_ok=True)
            hub.upload_folder(
                repo_id=repository, folder_path=folder, allow_patterns=FILES, commit_message="Weights of t2igan"
            )
    console.print(f"wrote {repository}: {', '.join(FILES)}, as far as they exist", soft_wrap=True, markup=False)
    console.print(f"next: {command}", soft_wrap=True, markup=False)


def pull(repository: str, *, out: str, revision: str | None = None, endpoint: str | None = None) -> None:
    """Fetch weights from a Hugging Face hub; nothing in their files is run.

    Args:
        repository: repository of the hub, such as me/ssagan-birds.
        out: folder to write to.
        revision: branch, tag or commit; default: the newest.
        endpoint: address of the hub; default: HF_ENDPOINT, else https://huggingface.co.
    """
    folder = Path(out)
    if folder.is_file():
        raise UserError(f"--out: {out} is a file: give a folder")
    hub = _hub(endpoint)
    with _told(repository):
        hub.snapshot_download(repository, revision=revision, local_dir=folder, allow_patterns=FILES)
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise UserError(f"{repository} holds no {WEIGHTS}, so it was not pushed by t2igan: give another repository")
    module = load_module(weights)
    console.print(f"wrote {weights}: {type(module).__name__}, complete", soft_wrap=True, markup=False)
    if isinstance(module, DrawingModule):
        console.print(line_of(sampling(str(weights), module, "drawn")), soft_wrap=True, markup=False)


def _hub(endpoint: str | None) -> "HfApi":
    client = library("huggingface_hub", "push and pull", "t2igan[hub]")
    return client.HfApi(endpoint=endpoint, library_name="t2igan")


@contextmanager
def _told(repository: str) -> Iterator[None]:
    """Turn errors of the hub into one-line user errors; :func:`_hub` has checked that the client is installed."""
    from huggingface_hub import errors
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    # The error class of the client's HTTP library, which differs between its major versions.
    http_error: type[Exception] = vars(errors)["HTTPError"]
    try:
        yield
    except (HfHubHTTPError, HFValidationError) as error:
        said = " ".join(str(error).split())[:300]
        raise UserError(f"{repository}: {said}; check the name, and log in with `hf auth login`") from error
    except (http_error, LocalEntryNotFoundError, ConnectionError) as error:
        said = " ".join(str(error.__cause__ or error).split())[:200]
        raise UserError(f"{repository}: the hub cannot be reached ({said}); --endpoint selects another") from error
