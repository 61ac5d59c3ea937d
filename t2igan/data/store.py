"""The caption-image store: one HDF5 file that holds everything training and scoring need of a data set.

Layout (``SCHEMA_VERSION`` 2). Attributes of the file: ``schema_version``, ``name``, ``split_scheme``,
``image_size`` (the training resolution S), ``short_side`` (int(S * 76 / 64)), ``encoding`` (``raw`` or ``jpeg``),
``crop_by_box``, ``vocabulary_hash``, ``fingerprint``. Data sets ``vocabulary`` and ``class_names``. In each of the
groups ``train`` and ``test``, for N images and M captions:

======================  ==================  =====================================================================
``pixels``              uint8 (bytes,)      all images one after another: (h, w, 3) row by row, or JPEG files
``offsets``             int64 (N + 1,)      where each image begins in ``pixels``
``shapes``              int32 (N, 2)        height and width
``sha256``              uint8 (N, 32)       digest of each image's bytes (:mod:`t2igan.data.verifying`)
``keys``                str (N,)
``class_ids``           int64 (N,)          0-based, rows of ``class_names``
``boxes``               float64 (N, 4)      x, y, width, height in the raw file (already applied); NaN without one
``caption_offsets``     int64 (N + 1,)      the captions of image i are [i] ... [i + 1] - 1
``tokens``              int32 (words,)      word ids of all captions
``token_offsets``       int64 (M + 1,)
``texts``               uint8 (bytes,)      the captions as written, UTF-8
``text_offsets``        int64 (M + 1,)
======================  ==================  =====================================================================

``pixels`` lies in one uncompressed piece, so a reader takes bytes from the file at their position instead of going
through HDF5: a crop reads its own rows only, no HDF5 handle, lock or file position is shared with a forked worker,
and, the file not being mapped into memory, no process grows with what it has read.
"""

import io
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from t2igan.data.layout import SCHEMA_VERSION, SPLITS, partial_path
from t2igan.data.vocabulary import Vocabulary
from t2igan.errors import UserError

_AGAIN = "make it again with `t2igan prepare`"


class StoreSplit:
    """The train or test images of a store with their captions. Images are read on demand.

    Safe in forked and in spawned workers: bytes are read at a position of their own, which is not the file's.

    Attributes:
        name: ``"train"`` or ``"test"``.
        class_ids: int64 (N,), 0-based over the whole store.
        boxes: float64 (N, 4), NaN where an image has no box.
    """

    def __init__(self, path: Path, name: str, group: h5py.Group, encoding: str) -> None:
        self.name = name
        self.class_ids: np.ndarray = group["class_ids"][:]
        self.boxes: np.ndarray = group["boxes"][:]
        self._path, self._encoding = path, encoding
        # No list of strings: using one in a forked worker would copy the memory that it lies in.
        keys = group["keys"][:]
        self._keys = np.frombuffer(b"".join(keys), np.uint8)
        self._key_offsets = np.cumsum([0, *map(len, keys)])
        self._offsets, self._shapes = group["offsets"][:], group["shapes"][:]
        self._captions = group["caption_offsets"][:]
        self._tokens, self._token_offsets = group["tokens"][:], group["token_offsets"][:]
        self._texts, self._text_offsets = group["texts"][:], group["text_offsets"][:]
        self._images_of_captions = np.repeat(np.arange(len(self)), np.diff(self._captions))
        self._start = group["pixels"].id.get_offset()
        self._file: io.FileIO | None = None
        if len(self) and self._start is None:
            raise UserError(f"{path}: {name}/pixels is compressed or chunked (repacked?); {_AGAIN}")

    def __reduce__(self) -> tuple:
        return _open_split, (self._path, self.name)

    def __len__(self) -> int:
        return len(self.class_ids)

    def __repr__(self) -> str:
        return f"StoreSplit({self.name}: {len(self)} images, {self.n_captions} captions, {self._path})"

    @cached_property
    def keys(self) -> list[str]:
        """The data set's names of all images."""
        return [self.key(image) for image in range(len(self))]

    @property
    def n_captions(self) -> int:
        """Captions of all images together."""
        return int(self._captions[-1])

    def key(self, image: int) -> str:
        """The data set's name of an image."""
        return self._keys[self._key_offsets[image] : self._key_offsets[image + 1]].tobytes().decode()

    def shape(self, image: int) -> tuple[int, int]:
        """(height, width) of a stored image."""
        height, width = self._shapes[image]
        return int(height), int(width)

    def stored_bytes(self, image: int) -> int:
        """How many bytes an image takes in the store."""
        return int(self._offsets[image + 1] - self._offsets[image])

    def stored(self, image: int) -> np.ndarray:
        """uint8 (bytes,): an image as it is stored, pixels or a JPEG file."""
        return self._read(int(self._offsets[image]), np.empty(self.stored_bytes(image), np.uint8))

    def image(self, image: int) -> np.ndarray:
        """uint8 (3, height, width)."""
        height, width = self.shape(image)
        return self._channels_first(self._rows(image, 0, height, width))

    def crop(self, image: int, top: int, left: int, size: int) -> np.ndarray:
        """uint8 (3, size, size)."""
        return self._channels_first(self.read_window(image, top, left, np.empty((size, size, 3), np.uint8)))

    def read_window(self, image: int, top: int, left: int, out: np.ndarray) -> np.ndarray:
        """Fill ``out``, uint8 (rows, columns, 3), with a window of an image; gives ``out``.

        Of a raw store only these rows are read from the disk.

        Raises:
            IndexError: the window leaves the image.
            UserError: the file is damaged.
        """
        (height, width), (rows, columns, _) = self.shape(image), out.shape
        if not (0 <= top <= height - rows and 0 <= left <= width - columns):
            raise IndexError(f"window {rows}x{columns} at ({top}, {left}) leaves image {image} of {height}x{width}")
        out[:] = self._rows(image, top, rows, width)[:, left : left + columns]
        return out

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
        """Let go of the file; the next read opens it again."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _rows(self, image: int, top: int, rows: int, width: int) -> np.ndarray:
        """uint8 (rows, width, 3): rows of an image from ``top`` on."""
        if self._encoding == "jpeg":
            return self._decoded(image)[top : top + rows]
        return self._read(int(self._offsets[image]) + top * width * 3, np.empty((rows, width, 3), np.uint8))

    def _read(self, start: int, out: np.ndarray) -> np.ndarray:
        """Fill ``out`` with the bytes of ``pixels`` from ``start`` on."""
        if self._file is None:
            self._file = io.FileIO(self._path)
        position, rest = self._start + start, memoryview(out).cast("B")
        while rest:
            count = os.preadv(self._file.fileno(), [rest], position)
            if not count:
                raise UserError(f"{self._path}: truncated; {_AGAIN}")
            position, rest = position + count, rest[count:]
        return out

    def _decoded(self, image: int) -> np.ndarray:
        """uint8 (height, width, 3) of a JPEG."""
        import torch

        from t2igan.data.jpeg import decode_jpegs

        try:
            [picture] = decode_jpegs([torch.from_numpy(self.stored(image))])
        except RuntimeError as error:
            problem = f"{self.key(image)} does not decode ({_first_line(error)})"
            raise UserError(f"{self._path}: damaged, {problem}; {_AGAIN}") from error
        return picture.permute(1, 2, 0).numpy()

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


def _open_split(path: Path, name: str) -> StoreSplit:
    return open_store(path).split(name)


def _schema_version(path: Path, file: h5py.File) -> Any:
    if "schema_version" not in file.attrs:
        raise UserError(f"{path}: an HDF5 file, but not a t2igan store; {_AGAIN}")
    return file.attrs["schema_version"]


def _first_line(error: Exception) -> str:
    return str(error).strip("'\"").splitlines()[0]
