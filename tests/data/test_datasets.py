import numpy as np
import pytest
import torch

from t2igan.data.batch import ON_THE_HOST
from t2igan.data.datasets import EvaluationItems, Item, TrainingItems, collate, resize_images
from t2igan.data.store import open_store


@pytest.fixture
def split(tiny_store):
    return open_store(tiny_store).split("train")


def drawn(items, epoch, image):
    """Key, caption, tokens and pixels of an image in an epoch."""
    batch = items[[(epoch, image)]].cut()
    return batch.keys[0], batch.caption_ids.item(), batch.captions[0].tolist(), batch.images[0].numpy()


def test_an_item_is_a_function_of_seed_epoch_and_image(split):
    items = TrainingItems(split, 32, seed=5)
    first = drawn(items, 3, 7)
    drawn(items, 0, 1)
    again = drawn(TrainingItems(split, 32, seed=5), 3, 7)
    assert (first[3] == again[3]).all() and first[:3] == again[:3]
    for other in (drawn(items, 4, 7), drawn(TrainingItems(split, 32, seed=6), 3, 7)):
        assert other[1] != first[1] or (other[3] != first[3]).any()


def test_augmentation_covers_captions_crops_and_flips(split):
    items = TrainingItems(split, 32)
    captions, tops, flips, lefts = set(), set(), set(), set()
    height, width = split.shape(0)
    windows = {
        (top, left, flip): split.crop(0, top, left, 32)[:, :, :: -1 if flip else 1]
        for top in range(height - 31)
        for left in range(width - 31)
        for flip in (False, True)
    }
    for epoch in range(80):
        key, caption, _, pixels = drawn(items, epoch, 0)
        assert key == split.keys[0] and split.caption_image(caption) == 0
        found = [where for where, window in windows.items() if (window == pixels).all()]
        assert found, "the item is a window of the stored image, perhaps mirrored"
        choice = items.choose(epoch, 0)
        assert (choice.top, choice.left, choice.mirrored) in found
        top, left, flip = found[0]
        captions.add(caption)
        tops.add(top)
        lefts.add(left)
        flips.add(flip)
    assert captions == set(split.captions_of(0)) and flips == {False, True}
    assert tops == set(range(height - 31)) and {0, width - 32} <= lefts


def test_words_are_limited(split):
    items = TrainingItems(split, 32, words=4)
    for epoch in range(5):
        choice = items.choose(epoch, 2)
        whole = split.caption_tokens(choice.caption_id).tolist()
        assert len(choice.tokens) == 4 < len(whole)
        rest = iter(whole)
        assert all(token in rest for token in choice.tokens.tolist()), "in their order"


def test_training_batches_are_sorted_by_length_stably(split):
    # Captions of the tiny set are all nine words long, so the ties keep the drawn order ...
    order = [(0, 4), (0, 1), (0, 9)]
    batch = TrainingItems(split, 32)[order]
    assert batch.keys == [split.keys[image] for _, image in order]


def test_longest_caption_comes_first(split, monkeypatch):
    # ... and with lengths of their own they are put in order, everything along with them.
    lengths = {4: 2, 1: 7, 9: 2, 3: 9}
    monkeypatch.setattr(
        type(split), "caption_tokens", lambda self, c: np.arange(1, 1 + lengths[self.caption_image(c)])
    )
    batch = TrainingItems(split, 32)[[(0, image) for image in lengths]]
    assert batch.keys == [split.keys[image] for image in (3, 1, 4, 9)]
    assert batch.lengths.tolist() == [9, 7, 2, 2]
    assert batch.captions[2].tolist() == [1, 2] + [0] * 7
    assert batch.class_ids.tolist() == [int(split.class_ids[image]) for image in (3, 1, 4, 9)]
    items = TrainingItems(split, 32, sort_by_length=False)
    unsorted = items[[(0, image) for image in lengths]]
    assert unsorted.keys == [split.keys[image] for image in lengths]
    assert torch.equal(unsorted.cut().images[3], items[[(0, 3)]].cut().images[0])
    assert torch.equal(batch.cut().images[0], unsorted.cut().images[3])


def test_collate_types_and_padding():
    items = [
        Item(np.full((3, 4, 4), 7, np.uint8), np.array([5, 6]), 2, "a", 10),
        Item(np.zeros((3, 4, 4), np.uint8)[:, :, ::-1], np.array([1, 2, 3]), 1, "b", 11),
    ]
    batch = collate(items)
    assert batch.images.dtype == torch.uint8 and batch.images.shape == (2, 3, 4, 4)
    assert batch.captions.tolist() == [[5, 6, 0], [1, 2, 3]]
    for values in (batch.captions, batch.lengths, batch.class_ids, batch.caption_ids):
        assert values.dtype == torch.int64
    assert (batch.lengths.tolist(), batch.class_ids.tolist(), batch.caption_ids.tolist()) == (
        [2, 3],
        [2, 1],
        [10, 11],
    )


def test_evaluation_pairs_do_not_depend_on_their_batch(split):
    items = EvaluationItems(split, 32, words=4)
    batch = items[[3, 40, 41]]
    assert batch.caption_ids.tolist() == [3, 40, 41]
    assert batch.keys == [split.keys[0], split.keys[4], split.keys[4]]
    alone = items[[41]]
    assert torch.equal(alone.captions[0], batch.captions[2]) and torch.equal(alone.images[0], batch.images[2])
    height, width = split.shape(4)
    top, left = (height - 32) // 2, (width - 32) // 2
    assert (batch.images[1].numpy() == split.image(4)[:, top : top + 32, left : left + 32]).all()
    chosen = {tuple(EvaluationItems(split, 32, words=4, seed=seed)[[41]].captions[0].tolist()) for seed in range(8)}
    assert len(chosen) > 1, "words above the limit are sub-sampled, not cut off"


def test_resize_images():
    noise = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert resize_images(noise, 32) is noise
    assert (resize_images(torch.full_like(noise, 77), 16) == 77).all()
    small = resize_images(noise, 16)
    assert small.dtype == torch.uint8 and small.shape == (2, 3, 16, 16)
    # With antialiasing a 16-fold reduction is close to the mean; plain bilinear sampling is not.
    assert (resize_images(noise, 2).float().mean((2, 3)) - noise.float().mean((2, 3))).abs().max() < 4
    ramp = torch.arange(32, dtype=torch.uint8).mul(8).expand(1, 3, 32, 32)
    assert resize_images(ramp, 16)[0, 0, 0, 4].item() == 68, "columns 7 to 10 weighted 1, 3, 3, 1"


def test_what_the_host_needs_does_not_leave_it(split):
    """Else each step would wait for the device to give it back."""
    uncut = TrainingItems(split, 32)[[(0, 0), (0, 1)]]
    for batch in (uncut.cut(), uncut):
        moved = batch.to("meta", non_blocking=True)
        on_the_host = {name: getattr(moved, name).device.type for name in ON_THE_HOST}
        assert moved.captions.device.type == "meta" and set(on_the_host.values()) == {"cpu"}
        assert torch.equal(moved.host_captions, batch.captions)
    picked = uncut.cut().select(torch.tensor([1]))
    assert picked.lengths.tolist() == uncut.lengths[1:].tolist() and len(picked.captions) == 1
