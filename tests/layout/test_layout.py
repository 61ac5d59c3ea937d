import numpy as np
import pytest
import torch
from PIL import Image

from t2igan.layout.layout import Layout, Layouts


def layout(seed, side=6):
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 24, 168, 255], (side, side)).astype(np.uint8)
    return Layout(labels, rng.integers(0, 3, (side, side)).astype(np.uint8))


def test_maps_are_bytes_of_one_size():
    whole = layout(0)
    assert whole == layout(0) and whole != layout(1) and len({layout(0), whole}) == 1
    assert whole.void == (whole.labels == 255).sum() / 36
    with pytest.raises(ValueError, match="labels are int64"):
        Layout(whole.labels.astype(int), whole.instances)
    with pytest.raises(ValueError, match="differ in size"):
        Layout(whole.labels, whole.instances[:-1])


def test_rows_of_a_batch_keep_their_texts():
    batch = Layouts.of([layout(0), layout(1), layout(2)], [("a red bird", "a tree"), (), ("a boat",)])
    assert len(batch) == 3 and batch.labels.shape == (3, 6, 6) and batch.labels.dtype == torch.uint8
    picked = batch.select(torch.tensor([2, 0]))
    assert picked.texts == [("a boat",), ("a red bird", "a tree")]
    assert np.array_equal(picked.labels[0], layout(2).labels)
    assert np.array_equal(picked.instances[1], layout(0).instances)
    assert batch.texts[1] == ()


@pytest.mark.parametrize("size", [3, 4, 12])
def test_maps_are_resized_as_pil_does_by_nearest(size):
    one = layout(3)
    resized = Layouts.of([one], [()]).resized(size)
    for name in ("labels", "instances"):
        image = Image.fromarray(getattr(one, name)).resize((size, size), Image.Resampling.NEAREST)
        assert np.array_equal(getattr(resized, name)[0], np.asarray(image))


def test_layouts_keep_their_copy_in_host_memory_when_they_are_moved():
    layouts = Layouts(torch.ones(1, 2, 2).byte(), torch.zeros(1, 2, 2).byte(), [("a bird",)])
    assert torch.equal(layouts.on_host.labels, layouts.labels) and layouts.on_host.texts == layouts.texts
    moved = layouts.to("meta")
    assert moved.labels.is_meta and torch.equal(moved.on_host.labels, layouts.labels)
    assert moved.map_tensors(torch.clone).host is None
