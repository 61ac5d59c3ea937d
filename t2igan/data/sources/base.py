"""What a reader of a raw data set gives."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from t2igan.data.rendering import Box
from t2igan.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class RawImage:
    """One image of a raw data set with its captions.

    Attributes:
        key: the data set's own name of the image, without extension.
        path: the image file.
        class_id: the data set's own class number.
        box: x, y, width, height in pixels, or None where the data set has none.
        captions: the captions that are used, as written, each with at least one word.
        split: ``"train"`` or ``"test"``.
        tokens: word ids of the captions where the data set brings its own vocabulary, else None.
    """

    key: str
    path: Path
    class_id: int
    box: Box | None
    captions: list[str]
    split: str
    tokens: list[list[int]] | None = None


class Source(Protocol):
    """A raw data set on disk.

    Attributes:
        name: the data set's name in the store.
        split_scheme: how train and test are told apart, e.g. ``"zero-shot"``.
        crop_by_box: whether images are cut to the surroundings of their box.
        vocabulary: the vocabulary that the data set brings (``tokens`` refer to it), or None.
        class_names: the name of each class number.
    """

    name: str
    split_scheme: str
    crop_by_box: bool
    vocabulary: Vocabulary | None
    class_names: dict[int, str]

    def scan(self) -> tuple[list[RawImage], list[str]]:
        """Every usable image in reading order (train, then test), and one line per missing or bad file.

        Raises:
            UserError: the files that describe the data set are missing, so that nothing can be listed.
        """
        ...
