"""The caption-image store: one HDF5 file that holds everything training and scoring need of a data set.

Layout (``SCHEMA_VERSION`` 1). Attributes of the file: ``schema_version``, ``name``, ``split_scheme``,
``image_size`` (the training resolution S), ``short_side`` (int(S * 76 / 64)), ``encoding`` (``raw`` or ``jpeg``),
``crop_by_box``, ``vocabulary_hash``, ``fingerprint``. Data sets ``vocabulary`` and ``class_names``. In each of the
groups ``train`` and ``test``, for N images and M captions:

======================  ==================  =====================================================================
``pixels``              uint8 (bytes,)      all images one after another: (h, w, 3) row by row, or JPEG files
``offsets``             int64 (N + 1,)      where each image begins in ``pixels``
``shapes``              int32 (N, 2)        height and width
``keys``                str (N,)
``class_ids``           int64 (N,)          0-based, rows of ``class_names``
``boxes``               float64 (N, 4)      x, y, width, height in the raw file (already applied); NaN without one
``caption_offsets``     int64 (N + 1,)      the captions of image i are [i] ... [i + 1] - 1
``tokens``              int32 (words,)      word ids of all captions
``token_offsets``       int64 (M + 1,)
``texts``               uint8 (bytes,)      the captions as written, UTF-8
``text_offsets``        int64 (M + 1,)
======================  ==================  =====================================================================

``pixels`` lies in one uncompressed piece, so a reader maps it into memory instead of going through HDF5: a crop
touches its own rows only, and no HDF5 handle, lock or file position is shared with a forked worker.
"""

import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from t2igan.data.rendering import decode_jpeg
from t2igan.data.vocabulary import Vocabulary
from t2igan.errors import UserError

SCHEMA_VERSION = 1
SPLITS = ("train", "test")
_AGAIN = "make it again with `t2igan prepare`"


class StoreSplit:
    """The train or test images of a store with their captions. Images are read on demand.

    Safe in forked and in spawned workers: each process maps the file for itself.

    Attributes:
        name: ``"train"`` or ``"test"``.
        keys: list of N names.
        class_ids: int64 (N,), 0-based over the whole store.
        boxes: float64 (N, 4), NaN where an image has no box.
    """

    def __init__(self, path: Path, name: str, group: h5py.Group, encoding: str) -> None:
        self.name = name
        self.keys: list[str] = group["keys"].asstr()[:].tolist()
        self.class_ids: np.ndarray = group["class_ids"][:]
        self.boxes: np.ndarray = group["boxes"][:]
        self._path, self._encoding = path, encoding
        self._offsets, self._shapes = group["offsets"][:], group["shapes"][:]
        self._captions = group["caption_offsets"][:]
        self._tokens, self._token_offsets = group["tokens"][:], group["token_offsets"][:]
        self._texts, self._text_offsets = group["texts"][:], group["text_offsets"][:]
        self._images_of_captions = np.repeat(np.arange(len(self.keys)), np.diff(self._captions))
        self._start = group["pixels"].id.get_offset()
        self._bytes: np.ndarray | None = None
        self._owner = 0
        if len(self.keys) and self._start is None:
            raise UserError(f"{path}: {name}/pixels is compressed or chunked (repacked?); {_AGAIN}")

    def __reduce__(self) -> tuple:
        return _open_split, (self._path, self.name)

    def __len__(self) -> int:
        return len(self.keys)

    def __repr__(self) -> str:
        return f"StoreSplit({self.name}: {len(self)} images, {self.n_captions} captions, {self._path})"

    @property
    def n_captions(self) -> int:
        """Captions of all images together."""
        return int(self._captions[-1])

    def shape(self, image: int) -> tuple[int, int]:
        """(height, width) of a stored image."""
        height, width = self._shapes[image]
        return int(height), int(width)

    def image(self, image: int) -> np.ndarray:
        """uint8 (3, height, width), a copy."""
        return self._channels_first(self._pixels(image))

    def crop(self, image: int, top: int, left: int, size: int) -> np.ndarray:
        """uint8 (3, size, size), a copy; of a raw store only these rows are read from the disk."""
        height, width = self.shape(image)
        if not (0 <= top <= height - size and 0 <= left <= width - size):
            raise IndexError(f"crop {size} at ({top}, {left}) leaves image {image} of {height}x{width}")
        return self._channels_first(self._pixels(image)[top : top + size, left : left + size])

    def caption_tokens(self, caption: int) -> np.ndarray:
        """int64 (words,): all word ids of a caption."""
        return self._tokens[self._token_offsets[caption] : self._token_offsets[caption + 1]].astype(np.int64)

    def caption_text(self, caption: int) -> str:
        """A caption as it was written."""
        return self._texts[self._text_offsets[caption] : self._text_offsets[caption + 1]].tobytes().decode()

    def caption_image(self, caption: int) -> int:
        """The image that a caption describes."""
        return int(self._images_of_captions[caption])

    @property
    def caption_images(self) -> np.ndarray:
        """int64 (M,): the image of every caption."""
        return self._images_of_captions

    def captions_of(self, image: int) -> range:
        """The captions of an image."""
        return range(int(self._captions[image]), int(self._captions[image + 1]))

    def close(self) -> None:
        """Let go of the mapped file; the next read maps it again."""
        self._bytes = None

    def _pixels(self, image: int) -> np.ndarray:
        if self._bytes is None or self._owner != os.getpid():
            length = int(self._offsets[-1])
            self._bytes = np.memmap(self._path, np.uint8, "r", self._start, (length,))
            self._owner = os.getpid()
        stored = self._bytes[self._offsets[image] : self._offsets[image + 1]]
        if self._encoding == "jpeg":
            return decode_jpeg(stored.tobytes())
        return stored.reshape(*self.shape(image), 3)

    @staticmethod
    def _channels_first(pixels: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(pixels.transpose(2, 0, 1))


class Store:
    """A finished store, opened for reading. Picklable: another process opens the file for itself.

    Attributes:
        path: of the file.
        name: of the data set, e.g. ``"cub"``.
        image_size: the training resolution S; images are stored with a short side of ``short_side``.
        encoding: ``"raw"`` or ``"jpeg"``.
        split_scheme: ``"zero-shot"`` or ``"image-level"``.
        crop_by_box: whether the images were cut to the surroundings of their boxes.
        vocabulary: the words; ``vocabulary.hash`` must be the text encoder's.
        class_names: the names of the 0-based classes, both splits together.
        fingerprint: sha256 (hex) of the content; it does not depend on how often preparing was interrupted.
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        attributes = dict(file.attrs)
        self.path = path
        self.name = str(attributes["name"])
        self.image_size = int(attributes["image_size"])
        self.short_side = int(attributes["short_side"])
        self.encoding = str(attributes["encoding"])
        self.split_scheme = str(attributes["split_scheme"])
        self.crop_by_box = bool(attributes["crop_by_box"])
        self.fingerprint = str(attributes["fingerprint"])
        self.vocabulary = Vocabulary(file["vocabulary"].asstr()[:])
        self.class_names: list[str] = file["class_names"].asstr()[:].tolist()
        self._splits = {name: StoreSplit(path, name, file[name], self.encoding) for name in SPLITS}
        if self.vocabulary.hash != attributes["vocabulary_hash"]:
            raise UserError(f"{path}: its vocabulary does not match its own hash, the file is damaged; {_AGAIN}")

    def __reduce__(self) -> tuple:
        return open_store, (self.path,)

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(split)} {name}" for name, split in self._splits.items())
        return f"Store({self.name}: {counts} images at {self.image_size}, {self.path})"

    def split(self, name: str) -> StoreSplit:
        """The images of ``"train"`` or ``"test"``."""
        if name not in self._splits:
            raise UserError(f"{self.path}: no split {name!r}; there are {' and '.join(self._splits)}")
        return self._splits[name]

    def require_vocabulary(self, vocabulary_hash: str, who: str) -> None:
        """Refuse what was trained on another word order.

        Args:
            vocabulary_hash: the hash that ``who`` was trained with.
            who: names the asker, e.g. the path of an encoder's checkpoint.

        Raises:
            UserError: the hashes differ.
        """
        if vocabulary_hash != self.vocabulary.hash:
            raise UserError(
                f"{who} was trained with vocabulary {vocabulary_hash[:12]}, but {self.path} holds "
                f"{self.vocabulary.hash[:12]}; prepare the data with that encoder's captions.pickle, or train the "
                "encoder on this store"
            )

    def close(self) -> None:
        """Let go of the file."""
        for split in self._splits.values():
            split.close()


def open_store(path: str | Path) -> Store:
    """Open a finished store.

    Raises:
        UserError: no such file, not HDF5, truncated, of another schema version, or not a store.
    """
    path = Path(path)
    if not path.is_file():
        partial = partial_path(path)
        state = f"{partial.name} beside it is unfinished; run the same" if partial.is_file() else "make it with"
        raise UserError(f"{path}: no such store; {state} `t2igan prepare`")
    if not h5py.is_hdf5(path):
        raise UserError(f"{path}: not an HDF5 file; {_AGAIN}")
    try:
        # Without locking, so that a store on a read-only or network disk opens too.
        with h5py.File(path, "r", locking=False) as file:
            version = _schema_version(path, file)
            if version != SCHEMA_VERSION:
                raise UserError(
                    f"{path}: store of schema version {version}, this t2igan reads {SCHEMA_VERSION}; {_AGAIN}"
                )
            return Store(path, file)
    except OSError as error:
        raise UserError(f"{path}: truncated or damaged ({_first_line(error)}); {_AGAIN}") from error
    except KeyError as error:
        raise UserError(f"{path}: not a complete store ({_first_line(error)}); {_AGAIN}") from error


def partial_path(path: Path) -> Path:
    """Where an unfinished store keeps what is done."""
    return path.with_name(path.name + ".partial")


def _open_split(path: Path, name: str) -> StoreSplit:
    return open_store(path).split(name)


def _schema_version(path: Path, file: h5py.File) -> Any:
    if "schema_version" not in file.attrs:
        raise UserError(f"{path}: an HDF5 file, but not a t2igan store; {_AGAIN}")
    return file.attrs["schema_version"]


def _first_line(error: Exception) -> str:
    return str(error).strip("'\"").splitlines()[0]
