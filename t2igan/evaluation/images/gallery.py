"""Images of a store with their layouts and narratives, cropped and scaled as in evaluation."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from t2igan.data.datasets import layout_window, narrative_window, resize_images
from t2igan.data.selection import only_with
from t2igan.data.store import Store
from t2igan.data.vocabulary import tokenize
from t2igan.errors import UserError
from t2igan.evaluation.subjects.folder import image_number
from t2igan.layout.layout import Layout, Layouts
from t2igan.layout.narratives import Narrative, read_tagged

_TOGETHER = 64


class Gallery:
    """The images of a split, at one size.

    Args:
        store: the data set.
        split: ``train`` or ``test``.
        size: side to which centre crops are resized, at most the store's.
        needs: ``layouts`` and ``narratives`` that an image must have; images without them are left out.

    Attributes:
        split: the selected images.

    Raises:
        UserError: no image has them, or the store has a smaller image size.
    """

    def __init__(
        self, store: Store, split: str, size: int, needs: Sequence[str] = ("layouts", "narratives")
    ) -> None:
        self.store, self.size = store, size
        self.split = only_with(store.split(split), needs)
        if not len(self.split):
            raise UserError(
                f"{store.path}: no {split} image has {' and '.join(needs)}; `t2igan prepare scenes` writes a store "
                "where all have"
            )
        if store.image_size < size:
            raise UserError(f"{store.path}: prepared at {store.image_size} px, but {size} px are requested")

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, image: int) -> Layout:
        """The layout of an image."""
        window = layout_window(self.split, image, *self._corner(image), self.store.image_size)
        small = Layouts.of([window], [()]).resized(self.size)
        return Layout(small.labels[0].numpy(), small.instances[0].numpy())

    def narratives(self, image: int) -> list[Narrative]:
        """The narratives of an image, their traces in coordinates of its centre crop, 0 to 1."""
        return [self._narrative(number, image) for number in self.split.narratives_of(image)]

    def _narrative(self, number: int, image: int) -> Narrative:
        return narrative_window(self.split, number, image, *self._corner(image), self.store.image_size)

    def narrative(self, caption: int) -> Narrative:
        """The narrative that corresponds to a caption of the split.

        If captions are narratives, that narrative; otherwise the j-th narrative of its image for the j-th caption,
        cyclically.
        """
        image = self.split.caption_image(caption)
        own = self.split.narratives_of(image)
        place = caption - self.split.captions_of(image).start
        return self._narrative(caption if self.split.narrated else own[place % len(own)], image)

    def captions(self, image: int) -> list[list[str]]:
        """The words of an image's captions."""
        return [tokenize(self.split.caption_text(caption)) for caption in self.split.captions_of(image)]

    def texts(self) -> list[list[str]]:
        """All words of each image's captions and narratives."""
        return [
            [word for text in (*self.captions(n), *(told.words for told in self.narratives(n))) for word in text]
            for n in range(len(self))
        ]

    def image(self, image: int) -> Tensor:
        """The centre crop of an image, uint8 (3, S, S)."""
        cut = self.split.crop(image, *self._corner(image), self.store.image_size)
        return resize_images(torch.from_numpy(cut)[None], self.size)[0]

    def batches(self) -> Iterator[Tensor]:
        """All images in order, in batches uint8 (B, 3, S, S)."""
        for start in range(0, len(self), _TOGETHER):
            yield torch.stack([self.image(image) for image in range(start, min(start + _TOGETHER, len(self)))])

    def _corner(self, image: int) -> tuple[int, int]:
        height, width = self.split.shape(image)
        return (height - self.store.image_size) // 2, (width - self.store.image_size) // 2


def join_tags(narratives: Sequence[Narrative], tagged: Sequence[Narrative]) -> tuple[list[Narrative], int]:
    """Attach labels from files to narratives; returns them and the number without matching labels.

    Args:
        narratives: narratives without labels.
        tagged: narratives of :func:`t2igan.layout.narratives.read_tagged`; of the same image and annotator,
            and as many words.
    """
    tags = {each.key: each.tags for each in tagged if each.tags is not None}
    fitting = [len(tags.get(each.key, ())) == len(each.words) for each in narratives]
    joined = [replace(each, tags=tags[each.key]) if fits else each for each, fits in zip(narratives, fitting)]
    return joined, fitting.count(False)


def released_narratives(gallery: Gallery, files: str) -> list[tuple[int, Narrative]]:
    """Narratives of TReCS's released files with the number of each one's image in the gallery, known by COCO's.

    Args:
        gallery: gallery of COCO images.
        files: beginning of their names, see :func:`t2igan.layout.narratives.read_tagged`.

    Raises:
        UserError: the files cannot be read, or none of them is of an image of the gallery.
    """
    places = {image_number(gallery.split.key(image)): image for image in range(len(gallery))}
    found = [(places.get(int(each.image_id)), each) for each in read_tagged(files) if each.image_id.isdigit()]
    own = [(place, each) for place, each in found if place is not None]
    if not own:
        raise UserError(f"--narratives: no narrative of {files} belongs to an image of {gallery.store.path}")
    return own
