from dataclasses import replace

import numpy as np
import pytest
import torch
from evaluation_fixtures import write_protocol
from torch.nn import functional

from t2igan.data.store import open_store
from t2igan.evaluation.features.reference import Reference
from t2igan.evaluation.protocol import load_protocol
from t2igan.evaluation.subjects.real import real_images

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def store(drawn_birds_store):
    return open_store(drawn_birds_store)


@pytest.fixture
def protocol(tmp_path):
    return load_protocol(str(write_protocol(tmp_path / "p.yaml", reference="whole")))


def test_crops_are_the_real_images_of_the_captions(store, protocol):
    split = store.split("test")
    found = Reference(store, protocol).images(range(16), CPU)
    first = [split.captions_of(image).start for image in range(16)]
    assert torch.equal(found, real_images(store, protocol, first, CPU))
    halves = Reference(store, replace(protocol, reference="halves"))
    assert len(halves) == 8
    assert torch.equal(halves.images(range(8), CPU), found[::2])


def test_train_images_are_a_reference_of_their_own(store, protocol):
    train = Reference(store, replace(protocol, reference_split="train"))
    assert len(train) == len(store.split("train"))
    same = Reference(store, replace(protocol, split="train"))
    assert torch.equal(train.images(range(3), CPU), same.images(range(3), CPU))
    assert train.identity == same.identity != Reference(store, protocol).identity


def test_whole_images_are_squeezed(store, protocol):
    split = store.split("test")
    found = Reference(store, replace(protocol, reference_images="full")).images(range(5), CPU)
    for image in range(5):
        pixels = torch.from_numpy(split.image(image))[None].float()
        expected = functional.interpolate(pixels, (32, 32), mode="bilinear", antialias=True)
        # In whole levels, as PIL does it.
        assert (found[image] - expected[0]).abs().max() <= 1


def test_an_augmented_reference_shifts_and_flips(store, protocol):
    augmented = replace(protocol, reference_images="augmented", reference_count=160)
    reference = Reference(store, augmented)
    assert len(reference) == 160
    found = reference.images(range(160), CPU)
    assert len(np.unique(found.flatten(1).numpy(), axis=0)) > 100
    # Every image comes as often as any other, and an image does not depend on the batch that it comes in.
    assert torch.equal(reference.images([145], CPU)[0], found[145])
    # Some are the crops of the middle of the image, from somewhere else, flipped.
    crops = Reference(store, protocol).images(range(16), CPU)
    same = [(found[n].float() - crops[n % 16].float()).abs().mean() for n in range(160)]
    flipped = [(found[n].float().flip(-1) - crops[n % 16].float()).abs().mean() for n in range(160)]
    nearer = np.mean([a < b for a, b in zip(same, flipped)])
    assert 0.3 < nearer < 0.7
    other = Reference(store, replace(augmented, reference_seed=1))
    assert not torch.equal(other.images(range(5), CPU), found[:5])
    assert other.identity != reference.identity


def test_what_does_not_matter_is_not_in_the_identity(store, protocol):
    identity = Reference(store, protocol).identity
    same = replace(protocol, images=7, words=3, noise_seed=1, reference_seed=5, reference_count=9)
    assert Reference(store, same).identity == identity
    for change in ({"image_size": 16}, {"reference": "halves"}, {"reference_images": "full"}):
        assert Reference(store, replace(protocol, **change)).identity != identity
