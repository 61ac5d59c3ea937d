"""Read the metadata of AttnGAN's release for CUB and COCO.

``train/`` and ``test/`` hold ``filenames.pickle``, the captions lie in ``text/<key>.txt``, one a line, or as word
ids in ``captions.pickle``.
"""

from collections.abc import Sequence
from pathlib import Path

from t2igan.data.pickles import load_plain_pickle
from t2igan.data.sources.base import first_of, is_name
from t2igan.data.vocabulary import Vocabulary, read_captions_pickle, tokenize
from t2igan.errors import UserError

SPLITS = ("train", "test")


class Metadata:
    """Keys, captions and word ids read from the metadata.

    Args:
        places: folders to look in, the likeliest first.
        captions_pickle: a ``captions.pickle`` whose vocabulary and word ids are to be used; default: the one in
            ``places``, if there is one.
        captions_per_image: captions used of each image, the first ones.

    Attributes:
        captions_pickle: its path, or None.
        vocabulary: vocabulary of the pickle, None before :meth:`tokens` is called or without a pickle.
    """

    def __init__(self, places: Sequence[Path], captions_pickle: str | Path | None, captions_per_image: int) -> None:
        self._places = places
        self._step = captions_per_image
        self.captions_pickle = Path(captions_pickle) if captions_pickle else self.find("captions.pickle")
        self.vocabulary: Vocabulary | None = None
        self._text = self.find("text") or places[0] / "text"

    def find(self, name: str) -> Path | None:
        """Path of a file or folder of the metadata."""
        return next((place / name for place in self._places if (place / name).exists()), None)

    def missing(self, with_keys: bool) -> list[str]:
        """Required files that are missing.

        Args:
            with_keys: whether the split comes from the pickles. A captions pickle always needs them.
        """
        missing = []
        if with_keys or self.captions_pickle:
            names = [f"{split}/filenames.pickle" for split in SPLITS]
            missing += [str(self._places[0] / name) for name in names if self.find(name) is None]
        if not self.captions_pickle and self.find("text") is None:
            missing.append(str(self._places[0] / "text"))
        return missing

    def keys(self) -> dict[str, list[str]]:
        """The images of each split, in the order of the release.

        Raises:
            UserError: a ``filenames.pickle`` does not hold names.
        """
        keys = {}
        for split in SPLITS:
            path = self.find(f"{split}/filenames.pickle")
            assert path is not None, "the caller looked at `missing`"
            content = load_plain_pickle(path)
            if not isinstance(content, list) or not all(isinstance(key, str) for key in content):
                raise UserError(f"{path}: not a list of image names; take the file of the AttnGAN metadata")
            if strange := [key for key in content if not is_name(key)]:
                raise UserError(
                    f"{path}: {first_of([ascii(key) for key in strange])}: no name of an image below a folder"
                )
            keys[split] = content
        return keys

    def tokens(self) -> dict[str, list[list[int]]] | None:
        """Word ids by key from the captions pickle, or None where there is no pickle.

        Raises:
            UserError: the pickle is damaged, or of another release than the names.
        """
        path = self.captions_pickle
        if path is None:
            return None
        self.vocabulary, captions = read_captions_pickle(path)
        step = self._step
        tokens = {}
        for split, keys in self.keys().items():
            if len(captions[split]) != len(keys) * step:
                raise UserError(
                    f"{path}: {len(captions[split])} {split} captions, but {split}/filenames.pickle names "
                    f"{len(keys)} images and {step} captions each are expected; the two belong to one release"
                )
            for number, key in enumerate(keys):
                tokens[key] = captions[split][number * step : (number + 1) * step]
        return tokens

    def captions(self, key: str, ids: list[list[int]] | None) -> tuple[list[str], str | None]:
        """The captions of an image, and their problems.

        Args:
            key: key of the image.
            ids: word ids of its captions in the pickle, which have precedence; a caption's text is kept if it
                agrees.
        """
        path = self._text / f"{key}.txt"
        try:
            lines = [line.strip() for line in path.read_text("utf-8").split("\n")]
        except FileNotFoundError:
            if ids is None:
                return [], f"{path}: captions missing"
            lines = []
        except UnicodeDecodeError as error:
            return [], f"{path}: captions are not UTF-8 ({error.reason} at byte {error.start})"
        except OSError as error:
            return [], f"{path}: captions cannot be read ({error.strerror})"
        captions = [line for line in lines if tokenize(line)][: self._step]
        if ids is not None:
            assert self.vocabulary is not None
            words = [self.vocabulary.decode(caption) for caption in ids]
            same = [tokenize(caption) for caption in captions] == words
            return captions if same else [" ".join(caption) for caption in words], None
        return captions, None if captions else f"{path}: no caption with a word in it"
