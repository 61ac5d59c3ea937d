"""The output folder of ``t2igan sample``, which holds the images of one call of one model."""

import json
import re
from pathlib import Path
from types import TracebackType

from t2igan.errors import UserError
from t2igan.files import write_whole
from t2igan.plain_files import parse_json, read_text

NAME = "sample.json"
IMAGE = r"c\d{3,}_s\d{2,}"
OURS = re.compile(rf"grid\.png|{IMAGE}(_masks|_attention)?\.png")


class SampleFolder:
    """Keeps the images of one call apart from those of others.

    Images of an earlier call of the same model are deleted once those of this call are written.

    Args:
        path: path of the folder; made when the first file is written.
        sha256: sha256 of the model.
        checkpoint: path or name of the checkpoint, noted for the reader.

    Attributes:
        images: number of images written.
        before: number of images of an earlier call, which this one replaces.

    Raises:
        UserError: the folder holds images of another or an unknown model.
    """

    def __init__(self, path: Path, sha256: str, checkpoint: str) -> None:
        self.path, self.images = path, 0
        self._own = {"sha256": sha256, "checkpoint": checkpoint}
        self._names: list[str] = []
        self._earlier = self._ours()
        self.before = sum(bool(re.fullmatch(rf"{IMAGE}\.png", name)) for name in self._earlier)
        if not self._earlier:
            return
        made_by = self._made_by()
        if made_by.get("sha256") != sha256:
            whose = made_by.get("checkpoint", "a model that is not known")
            raise UserError(f"--out: {path} holds images of {whose}; give another folder, or empty this one")

    def image(self, name: str) -> Path:
        """Path of an image to write."""
        self.images += 1
        return self.file(name)

    def file(self, name: str) -> Path:
        """Path of any other file to write."""
        # Before the first image, so that an interrupted call leaves no image of an unknown model.
        if not self._names:
            write_whole(self.path / NAME, json.dumps(self._own).encode())
        self._names.append(name)
        return self.path / name

    def __enter__(self) -> "SampleFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if kind is None:
            for name in set(self._earlier) - set(self._names):
                (self.path / name).unlink(missing_ok=True)

    def _ours(self) -> list[str]:
        return [file.name for file in self.path.glob("*.png") if OURS.fullmatch(file.name)]

    def _made_by(self) -> dict[str, str]:
        file = self.path / NAME
        content = parse_json(read_text(file), str(file)) if file.is_file() else {}
        return content if isinstance(content, dict) else {}
