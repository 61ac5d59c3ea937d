"""The caption-image store: one HDF5 file that holds everything training and scoring need of a data set.

Layout (``SCHEMA_VERSION`` 3). Attributes of the file: ``schema_version``, ``name``, ``split_scheme``,
``image_size`` (the training resolution S), ``short_side`` (int(S * 76 / 64)), ``encoding`` (``raw`` or ``jpeg``),
``crop_by_box``, ``vocabulary_hash``, ``fingerprint``, ``description_xxh3`` (:mod:`t2igan.data.checksums`: of
everything but the pixels, compared at open). Data sets ``vocabulary`` and ``class_names``. In each of the
groups ``train`` and ``test``, for N images and M captions:

======================  ==================  =====================================================================
``pixels``              uint8 (bytes,)      all images one after another: (h, w, 3) row by row, or JPEG files
``offsets``             int64 (N + 1,)      where each image begins in ``pixels``
``shapes``              int32 (N, 2)        height and width
``sha256``              uint8 (N, 32)       digest of each image's bytes (:mod:`t2igan.data.verifying`)
``xxh3``                uint64 (N,)         checksum of each image's bytes, compared whenever the image is read
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
through HDF5: no HDF5 handle, lock or file position is shared with a forked worker, and, the file not being mapped
into memory, no process grows with what it has read. A window is cut from the whole image: that costs a fifth more
reading than its rows alone, and allows to compare the image with its checksum while it lies in the cache.

Stores of version 2, which have no ``xxh3`` and no ``description_xxh3``, are read without these comparisons.
"""

import io
import os
import threading
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from t2igan.data.checksums import DESCRIPTION, PIXELS, Content, description_checksum, image_checksum, read_content
from t2igan.data.layout import READABLE_VERSIONS, SPLITS, partial_path
from t2igan.data.vocabulary import Vocabulary
from t2igan.errors import UserError

_AGAIN = "make it again with `t2igan prepare`"
_OLDER = (
    "written before stores kept checksums, so damage is not noticed while it is read: look with `t2igan doctor "
    "--verify`, or make it again with `t2igan prepare` (its fingerprint stays)"
)


class StoreSplit:
    """The train or test images of a store with their captions. Images are read on demand.

    Safe in forked and in spawned workers: bytes are read at a position of their own, which is not the file's.

    Attributes:
        name: ``"train"`` or ``"test"``.
        class_ids: int64 (N,), 0-based over the whole store.
        boxes: float64 (N, 4), NaN where an image has no box.
    """

    def __init__(self, path: Path, name: str, content: Content, start: int | None, encoding: str) -> None:
        """Take the part of ``content`` under ``name``; the pixels begin at byte ``start`` of the file."""
        part = {
            key.removeprefix(f"{name}/"): values for key, values in content.items() if key.startswith(f"{name}/")
        }
        self.name = name
        self.class_ids: np.ndarray = part["class_ids"]
        self.boxes: np.ndarray = part["boxes"]
        self._path, self._encoding, self._start = path, encoding, start or 0
        # No list of strings: using one in a forked worker would copy the memory that it lies in.
        keys = part["keys"]
        self._keys = np.frombuffer(b"".join(keys), np.uint8)
        self._key_offsets = np.cumsum([0, *map(len, keys)])
        self._offsets, self._shapes = part["offsets"], part["shapes"]
        self._checksums = part.get("xxh3")
        self._captions = part["caption_offsets"]
        self._tokens, self._token_offsets = part["tokens"], part["token_offsets"]
        self._texts, self._text_offsets = part["texts"], part["text_offsets"]
        self._images_of_captions = np.repeat(np.arange(len(self)), np.diff(self._captions))
        self._file: io.FileIO | None = None
        self._scratch = threading.local()
        if len(self) and start is None:
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
        """uint8 (bytes,): an image as it is stored, pixels or a JPEG file.

        Raises:
            UserError: its bytes are not those that were written.
        """
        return self._checked(image, np.empty(self.stored_bytes(image), np.uint8))

    def image(self, image: int) -> np.ndarray:
        """uint8 (3, height, width)."""
        return self._channels_first(self._pixels(image))

    def crop(self, image: int, top: int, left: int, size: int) -> np.ndarray:
        """uint8 (3, size, size)."""
        return self._channels_first(self.read_window(image, top, left, np.empty((size, size, 3), np.uint8)))

    def read_window(self, image: int, top: int, left: int, out: np.ndarray) -> np.ndarray:
        """Fill ``out``, uint8 (rows, columns, 3), with a window of an image; gives ``out``.

        Raises:
            IndexError: the window leaves the image.
            UserError: the file is damaged.
        """
        (height, width), (rows, columns, _) = self.shape(image), out.shape
        if not (0 <= top <= height - rows and 0 <= left <= width - columns):
            raise IndexError(f"window {rows}x{columns} at ({top}, {left}) leaves image {image} of {height}x{width}")
        out[:] = self._pixels(image)[top : top + rows, left : left + columns]
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

    def _pixels(self, image: int) -> np.ndarray:
        """uint8 (height, width, 3), to be used before the next image is read by this thread."""
        if self._encoding == "jpeg":
            return self._decoded(image)
        count = self.stored_bytes(image)
        if getattr(self._scratch, "bytes", np.empty(0)).size < count:
            self._scratch.bytes = np.empty(count, np.uint8)
        return self._checked(image, self._scratch.bytes[:count]).reshape(*self.shape(image), 3)

    def _checked(self, image: int, out: np.ndarray) -> np.ndarray:
        """Fill ``out`` with an image's bytes, which must be those that were written."""
        # Another thread may open the file at the same time: this one keeps its own handle alive.
        file = self._file
        if file is None:
            file = self._file = io.FileIO(self._path)
        position, rest = self._start + int(self._offsets[image]), out.data
        while rest:
            count = os.preadv(file.fileno(), [rest], position)
            if not count:
                raise UserError(f"{self._path}: truncated; {_AGAIN}")
            position, rest = position + count, rest[count:]
        if self._checksums is not None and image_checksum(out) != self._checksums[image]:
            raise UserError(
                f"{self._path}: damaged, {self.name} image {self.key(image)} is not what was written; {_AGAIN}"
            )
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
        return pixels.transpose(2, 0, 1).copy()  # never a view: the next read fills the same memory


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
        attributes: dict[str, Any] = dict(file.attrs)
        content = read_content(file)
        if attributes.get(DESCRIPTION, "") != description_checksum(file, content) and not _is_older(file):
            raise UserError(
                f"{path}: damaged, its captions, words, classes or sizes are not what was written; {_AGAIN}"
            )
        self.path = path
        self.name = str(attributes["name"])
        self.image_size = int(attributes["image_size"])
        self.short_side = int(attributes["short_side"])
        self.encoding = str(attributes["encoding"])
        self.split_scheme = str(attributes["split_scheme"])
        self.crop_by_box = bool(attributes["crop_by_box"])
        self.fingerprint = str(attributes["fingerprint"])
        self.vocabulary = Vocabulary(_strings(content["vocabulary"]))
        self.class_names: list[str] = _strings(content["class_names"])
        self._splits = {
            name: StoreSplit(path, name, content, _start_of_pixels(file, name), self.encoding) for name in SPLITS
        }
        if self.vocabulary.hash != attributes["vocabulary_hash"]:
            raise UserError(f"{path}: its vocabulary does not match its own hash, the file is damaged; {_AGAIN}")

    def __reduce__(self) -> tuple:
        return open_store, (self.path,)

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(split)} {name}" for name, split in self._splits.items())
        return f"Store({self.name}: {counts} images at {self.image_size}, {self.path})"

    @property
    def holds(self) -> frozenset[str]:
        """What a batch of it may carry, of ``captions``, ``layouts``, ``segments`` and ``narratives``."""
        return frozenset({"captions"})

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
    if not path.name:
        raise UserError(f"{str(path)!r} is no store; give the path of a file that `t2igan prepare` wrote")
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
            if version not in READABLE_VERSIONS:
                read = " and ".join(map(str, READABLE_VERSIONS))
                raise UserError(f"{path}: store of schema version {version}, this t2igan reads {read}; {_AGAIN}")
            if _is_older(file):
                warnings.warn(f"{path}: {_OLDER}", stacklevel=2)
            return Store(path, file)
    except KeyError as error:
        raise UserError(f"{path}: not a complete store ({_first_line(error)}); {_AGAIN}") from error
    except UserError:
        raise
    except Exception as error:  # h5py raises almost anything at a damaged file
        raise UserError(f"{path}: truncated or damaged ({_first_line(error)}); {_AGAIN}") from error


def _is_older(file: h5py.File) -> bool:
    """Whether a store was written before checksums were kept; none of it may be there then."""
    with_checksums = DESCRIPTION in file.attrs or any(f"{name}/xxh3" in file for name in SPLITS)
    return file.attrs["schema_version"] == READABLE_VERSIONS[0] and not with_checksums


def dataset_in(file: h5py.File, path: str) -> h5py.Dataset:
    """A data set of an HDF5 file.

    Raises:
        KeyError: there is none at ``path``.
    """
    found = file[path]
    if not isinstance(found, h5py.Dataset):
        raise KeyError(f"{path} is no data set")
    return found


def _start_of_pixels(file: h5py.File, split: str) -> int | None:
    """Where they begin in the file; None where they are in several pieces."""
    return dataset_in(file, f"{split}/{PIXELS}").id.get_offset()


def _strings(values: np.ndarray) -> list[str]:
    return [text.decode() for text in values.tolist()]


def _open_split(path: Path, name: str) -> StoreSplit:
    return open_store(path).split(name)


def _schema_version(path: Path, file: h5py.File) -> Any:
    if "schema_version" not in file.attrs:
        raise UserError(f"{path}: an HDF5 file, but not a t2igan store; {_AGAIN}")
    return file.attrs["schema_version"]


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip("'\"").splitlines()), type(error).__name__)
