"""The caption-image store: one HDF5 file with everything that training and scoring need from a data set.

Layout (``SCHEMA_VERSION`` 4). Attributes of the file: ``schema_version``, ``name``, ``split_scheme``,
``image_size`` (the training resolution S), ``short_side`` (int(S * 76 / 64)), ``encoding`` (``raw`` or ``jpeg``),
``crop_by_box``, ``vocabulary_hash``, ``fingerprint``, ``description_xxh3`` (:mod:`t2igan.data.checksums`: of
everything but the records, compared at open). Data sets ``vocabulary`` and ``class_names``. In each of the
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

and, where the data set has layouts or narratives, for S segments and K narratives:

===========================  ================  ==================================================================
``layouts``                  uint8 (bytes,)    packed maps of all images (:mod:`t2igan.data.packing`)
``layout_offsets``           int64 (N + 1,)    empty: the image has none
``layout_sha256``            uint8 (N, 32)
``layout_xxh3``              uint64 (N,)
``segment_offsets``          int64 (N + 1,)    segment k of image i is [i] + k - 1
``segment_texts``            uint8 (bytes,)    what each segment is, in free words, UTF-8
``segment_text_offsets``     int64 (S + 1,)
``narratives``               uint8 (bytes,)    packed narratives (:mod:`t2igan.data.packing`)
``narrative_offsets``        int64 (N + 1,)    the narratives of image i are [i] ... [i + 1] - 1
``narrative_byte_offsets``   int64 (K + 1,)
``narrative_sha256``         uint8 (K, 32)
``narrative_xxh3``           uint64 (K,)
``narrative_tokens``         int32 (words,)    word ids of the narratives' captions
``narrative_token_offsets``  int64 (K + 1,)
===========================  ================  ==================================================================

``pixels``, ``layouts`` and ``narratives`` each lie in one uncompressed piece, so a reader takes bytes from the file
at their position instead of going through HDF5: no HDF5 handle, lock or file position is shared with a forked
worker, and, the file not being mapped into memory, no process grows with what it has read. A window is cut from the
whole image: that costs a fifth more reading than its rows alone, and allows to compare the image with its checksum
while it lies in the cache.

Stores of version 2, which have no ``xxh3`` and no ``description_xxh3``, are read without these comparisons.
Those of versions 2 and 3 know neither layouts nor narratives.
"""

import threading
import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from t2igan.data.annotations import Annotations
from t2igan.data.checksums import DESCRIPTION, PIXELS, Content, description_checksum, read_content
from t2igan.data.layout import READABLE_VERSIONS, SPLITS, partial_path
from t2igan.data.records import AGAIN, Records, starts_of_records
from t2igan.data.vocabulary import Vocabulary
from t2igan.errors import UserError
from t2igan.layout.layout import Layout
from t2igan.layout.narratives import Narrative
from t2igan.shipped import preparation_of

_OLDER = (
    "written before stores kept checksums, so damage is not noticed while it is read: look with `t2igan doctor "
    "--verify`, or make it again with `t2igan prepare` (its fingerprint stays)"
)


class StoreSplit:
    """The train or test images of a store with their captions. Images are read on demand.

    Safe in forked and spawned workers: reads use explicit offsets and no shared file position.

    Attributes:
        name: ``"train"`` or ``"test"``.
        class_ids: int64 (N,), 0-based over the whole store.
        boxes: float64 (N, 4), NaN where an image has no box.
        annotations: layouts and narratives as they are stored.
        narrated: whether the narratives take the place of the captions.
    """

    narrated = False

    def __init__(
        self, path: Path, name: str, content: Content, starts: dict[str, int | None], encoding: str
    ) -> None:
        """Use the data sets of ``content`` under ``name``; ``starts`` are the byte offsets of its records."""
        part = {
            key.removeprefix(f"{name}/"): values for key, values in content.items() if key.startswith(f"{name}/")
        }
        self.name = name
        self.class_ids: np.ndarray = part["class_ids"]
        self.boxes: np.ndarray = part["boxes"]
        self._path, self._encoding = path, encoding
        # Not a list of strings: reference counting in a forked worker would copy its memory.
        keys = part["keys"]
        self._keys = np.frombuffer(b"".join(keys), np.uint8)
        self._key_offsets = np.cumsum([0, *map(len, keys)])
        self._shapes = part["shapes"]
        self._records = Records(
            path, starts[PIXELS], part["offsets"], part.get("xxh3"), lambda image: f"{name} image {self.key(image)}"
        )
        self.annotations = Annotations(path, part, starts, self.key)
        self._captions = part["caption_offsets"]
        self._tokens, self._token_offsets = part["tokens"], part["token_offsets"]
        self._texts, self._text_offsets = part["texts"], part["text_offsets"]
        self._images_of_captions = np.repeat(np.arange(len(self)), np.diff(self._captions))
        self._scratch = threading.local()

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
        """Number of captions of all images together."""
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
        return self._records.size(image)

    def stored(self, image: int) -> np.ndarray:
        """An image as it is stored, uint8 (bytes,): pixels or a JPEG file.

        Raises:
            UserError: the bytes do not match their checksum.
        """
        return self._records.read(image)

    def image(self, image: int) -> np.ndarray:
        """A stored image, uint8 (3, height, width)."""
        return self._channels_first(self._pixels(image))

    def crop(self, image: int, top: int, left: int, size: int) -> np.ndarray:
        """The centre crop of a stored image, uint8 (3, size, size)."""
        return self._channels_first(self.read_window(image, top, left, np.empty((size, size, 3), np.uint8)))

    def read_window(self, image: int, top: int, left: int, out: np.ndarray) -> np.ndarray:
        """Copy a window of an image into ``out``, uint8 (rows, columns, 3), and return it.

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
        """All word ids of a caption, int64 (words,)."""
        return self._tokens[self._token_offsets[caption] : self._token_offsets[caption + 1]].astype(np.int64)

    def caption_text(self, caption: int) -> str:
        """A caption as it was written."""
        return self._texts[self._text_offsets[caption] : self._text_offsets[caption + 1]].tobytes().decode()

    def caption_image(self, caption: int) -> int:
        """Index of the image that a caption describes."""
        return int(self._images_of_captions[caption])

    @property
    def caption_images(self) -> np.ndarray:
        """Index of the image of every caption, int64 (M,)."""
        return self._images_of_captions

    def captions_of(self, image: int) -> range:
        """Indices of an image's captions."""
        return range(int(self._captions[image]), int(self._captions[image + 1]))

    def holding(self, what: str) -> np.ndarray:
        """Which images have ``layouts``, ``segments`` or ``narratives``, bool (N,); all have ``captions``."""
        return np.ones(len(self), bool) if what == "captions" else self.annotations.holding(what)

    def layout(self, image: int) -> Layout:
        """The label and instance maps of an image, of its stored (height, width).

        Raises:
            UserError: the image has none, or the file is damaged.
        """
        return self.annotations.layout(image, self.shape(image))

    def segment_texts(self, image: int) -> tuple[str, ...]:
        """Free-text descriptions of an image's segments; the first is that of segment 1."""
        return self.annotations.segment_texts(image)

    def narratives_of(self, image: int) -> range:
        """Indices of an image's narratives within the split."""
        return self.annotations.narratives_of(image)

    def narrative(self, number: int) -> Narrative:
        """A narrative, its traces in coordinates of the whole stored image, 0 to 1."""
        return self.annotations.narrative(number)

    def narrative_tokens(self, number: int) -> np.ndarray:
        """All word ids of a narrative's caption, int64 (words,)."""
        return self.annotations.narrative_tokens(number)

    def close(self) -> None:
        """Close the file; the next read opens it again."""
        self._records.close()
        self.annotations.close()

    def _pixels(self, image: int) -> np.ndarray:
        """Pixels uint8 (height, width, 3), valid until this thread reads the next image."""
        if self._encoding == "jpeg":
            return self._decoded(image)
        count = self.stored_bytes(image)
        if getattr(self._scratch, "bytes", np.empty(0)).size < count:
            self._scratch.bytes = np.empty(count, np.uint8)
        return self._records.read(image, self._scratch.bytes[:count]).reshape(*self.shape(image), 3)

    def _decoded(self, image: int) -> np.ndarray:
        """Decode a stored JPEG to uint8 (height, width, 3)."""
        import torch

        from t2igan.data.jpeg import decode_jpegs

        try:
            [decoded] = decode_jpegs([torch.from_numpy(self.stored(image))])
        except RuntimeError as error:
            problem = f"{self.key(image)} does not decode ({_first_line(error)})"
            raise UserError(f"{self._path}: damaged, {problem}; {AGAIN}") from error
        return decoded.permute(1, 2, 0).numpy()

    @staticmethod
    def _channels_first(pixels: np.ndarray) -> np.ndarray:
        return pixels.transpose(2, 0, 1).copy()  # never a view: the next read fills the same memory


class Store:
    """A finished store, opened for reading. Picklable: another process opens the file for itself.

    Attributes:
        path: path of the file.
        name: name of the data set, e.g. ``"cub"``.
        image_size: the training resolution S; images are stored with a short side of ``short_side``.
        encoding: ``"raw"`` or ``"jpeg"``.
        split_scheme: ``"zero-shot"`` or ``"image-level"``.
        crop_by_box: whether the images were cut to the surroundings of their boxes.
        vocabulary: the words; ``vocabulary.hash`` must be the text encoder's.
        class_names: the names of the 0-based classes, both splits together.
        fingerprint: sha256 (hex) of the content; it does not depend on how often preparing was interrupted.
        schema_version: version of the file.
    """

    def __init__(self, path: Path, file: h5py.File) -> None:
        attributes: dict[str, Any] = dict(file.attrs)
        content = read_content(file)
        if attributes.get(DESCRIPTION, "") != description_checksum(file, content) and not _is_older(file):
            raise UserError(
                f"{path}: damaged, its captions, words, classes or sizes are not what was written; {AGAIN}"
            )
        self.path = path
        self.name = str(attributes["name"])
        self.image_size = int(attributes["image_size"])
        self.short_side = int(attributes["short_side"])
        self.encoding = str(attributes["encoding"])
        self.split_scheme = str(attributes["split_scheme"])
        self.crop_by_box = bool(attributes["crop_by_box"])
        self.fingerprint = str(attributes["fingerprint"])
        self.schema_version = int(attributes["schema_version"])
        self.vocabulary = Vocabulary(_strings(content["vocabulary"]))
        self.class_names: list[str] = _strings(content["class_names"])
        self._splits = {
            name: StoreSplit(path, name, content, starts_of_records(file, name), self.encoding) for name in SPLITS
        }
        if self.vocabulary.hash != attributes["vocabulary_hash"]:
            raise UserError(f"{path}: its vocabulary does not match its own hash, the file is damaged; {AGAIN}")

    def __reduce__(self) -> tuple:
        return open_store, (self.path,)

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(split)} {name}" for name, split in self._splits.items())
        return f"Store({self.name}: {counts} images at {self.image_size}, {self.path})"

    @property
    def holds(self) -> frozenset[str]:
        """The parts that batches can have, out of ``captions``, ``layouts``, ``segments`` and ``narratives``."""
        kinds = ("captions", "layouts", "segments", "narratives")
        splits = [self.split(name) for name in SPLITS]
        return frozenset(kind for kind in kinds if any(split.holding(kind).any() for split in splits))

    def split(self, name: str) -> StoreSplit:
        """The split ``"train"`` or ``"test"``."""
        if name not in self._splits:
            raise UserError(f"{self.path}: no split {name!r}; choose {' or '.join(self._splits)}")
        return self._splits[name]

    def require_vocabulary(self, vocabulary_hash: str, who: str) -> None:
        """Refuse a network that was trained with another vocabulary.

        Args:
            vocabulary_hash: vocabulary hash of the network.
            who: name of the network for the error message, e.g. the path of its checkpoint.

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
        """Close the file."""
        for split in self._splits.values():
            split.close()


def open_store(path: str | Path) -> Store:
    """Open a finished store.

    Raises:
        UserError: no such file, not HDF5, truncated, of another schema version, or not a store.
    """
    path = Path(path)
    if not path.name:
        raise UserError(f"{str(path)!r} is not a store; give the path of a file that `t2igan prepare` wrote")
    if not path.is_file():
        partial = partial_path(path)
        state = f"{partial.name} beside it is unfinished; run the same" if partial.is_file() else "make it with"
        raise UserError(f"{path}: no such store; {state} `{preparation_of(path)}`")
    if not h5py.is_hdf5(path):
        raise UserError(f"{path}: not an HDF5 file; {AGAIN}")
    try:
        # Without locking, so that a store on a read-only or network disk opens too.
        with h5py.File(path, "r", locking=False) as file:
            version = _schema_version(path, file)
            if version not in READABLE_VERSIONS:
                read = " and ".join(map(str, READABLE_VERSIONS))
                raise UserError(f"{path}: store of schema version {version}, this t2igan reads {read}; {AGAIN}")
            if _is_older(file):
                warnings.warn(f"{path}: {_OLDER}", stacklevel=2)
            return Store(path, file)
    except KeyError as error:
        raise UserError(f"{path}: not a complete store ({_first_line(error)}); {AGAIN}") from error
    except UserError:
        raise
    except Exception as error:  # h5py raises almost anything at a damaged file
        raise UserError(f"{path}: truncated or damaged ({_first_line(error)}); {AGAIN}") from error


def _is_older(file: h5py.File) -> bool:
    """Whether a store has a version without checksums; such a store must not contain any."""
    with_checksums = DESCRIPTION in file.attrs or any(f"{name}/xxh3" in file for name in SPLITS)
    return file.attrs["schema_version"] == READABLE_VERSIONS[0] and not with_checksums


def _strings(values: np.ndarray) -> list[str]:
    return [text.decode() for text in values.tolist()]


def _open_split(path: Path, name: str) -> StoreSplit:
    return open_store(path).split(name)


def _schema_version(path: Path, file: h5py.File) -> Any:
    if "schema_version" not in file.attrs:
        raise UserError(f"{path}: an HDF5 file, but not a t2igan store; {AGAIN}")
    return file.attrs["schema_version"]


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip("'\"").splitlines()), type(error).__name__)
