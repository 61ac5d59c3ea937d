"""Windows cut on the device against PIL, which the released code uses."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from t2igan.data.augmentation import Windows, windows_of
from t2igan.data.datasets import resize_images
from t2igan.data.jpeg import decode_jpegs
from t2igan.data.rendering import RenderJob, short_side
from t2igan.nn.images import resize, to_signed

COCO = Path(__file__).parents[2].parent / "shared" / "data" / "coco_sample" / "images" / "val2017"
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"))]


def noise(height, width):
    generator = torch.Generator().manual_seed(height * width)
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("device", DEVICES)
def test_windows_of_images_of_any_size(device):
    stored = [noise(12, 20), noise(30, 9), noise(8, 8)]
    corners = torch.tensor([[4, 11], [21, 1], [0, 0]])
    mirrored = torch.tensor([True, False, True])
    windows = windows_of(stored, corners, mirrored, 8).to(device)
    images = windows.cut().cpu()
    assert torch.equal(windows.copied().cpu(), images) and torch.equal(windows.gathered().cpu(), images)
    assert images.dtype == torch.uint8 and images.shape == (3, 3, 8, 8)
    for image, one, (top, left), flip in zip(images, stored, corners.tolist(), mirrored.tolist()):
        expected = one[:, top : top + 8, left : left + 8]
        assert torch.equal(image, expected.flip(-1) if flip else expected)


def pil_road(path, size, top, left, mirrored, levels):
    """uint8 (3, l, l) of each level, as the released loaders make them with torchvision's transforms on PIL."""
    image = Image.open(path).convert("RGB")
    width, height = image.size
    short = short_side(size)
    fitted = (short, int(short * height / width)) if width <= height else (int(short * width / height), short)
    image = image.resize(fitted, Image.Resampling.BILINEAR).crop((left, top, left + size, top + size))
    if mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return [np.asarray(image.resize((level, level), Image.Resampling.BILINEAR)) for level in levels]


def stored_pixels(path, size, encoding):
    """uint8 (3, h, w) as a store keeps the image."""
    rendered = RenderJob("key", path, None, short_side(size), encoding).render()
    data = torch.frombuffer(bytearray(rendered.payload), dtype=torch.uint8)
    if encoding == "jpeg":
        return decode_jpegs([data])[0]
    return data.view(*rendered.shape, 3).permute(2, 0, 1)


def assert_equals_pil(paths, size, encoding):
    stored = [stored_pixels(path, size, encoding) for path in paths]
    random = np.random.default_rng(0)
    corners = [[int(random.integers(n - size + 1)) for n in one.shape[1:]] for one in stored]
    mirrored = [bool(random.integers(2)) for _ in stored]
    images = windows_of(stored, torch.tensor(corners), torch.tensor(mirrored), size).cut()
    levels = (size, size // 2, size // 4)
    expected = [pil_road(path, size, *corner, flip, levels) for path, corner, flip in zip(paths, corners, mirrored)]
    for number, level in enumerate(levels):
        whole_levels = resize_images(images, level)
        pil = torch.from_numpy(np.stack([each[number] for each in expected])).permute(0, 3, 1, 2)
        for ours in ((resize(to_signed(images), level) + 1) * 127.5, whole_levels.float()):
            error = (ours - pil).abs()
            assert error.mean() < 1 and (error <= 8).float().mean() > 0.999, (encoding, level, error.mean())
            if encoding == "raw":
                assert error.max() < 1.01 and (level != size or error.max() < 1e-4)
        if encoding == "raw":
            differing = (whole_levels != pil).float().mean()
            assert differing < 0.01, f"in whole levels it is PIL's arithmetic, {differing:.1%} of the values differ"


@pytest.mark.parametrize("encoding", ["raw", "jpeg"])
def test_the_pyramid_is_that_of_pil(drawn_birds_root, encoding):
    assert_equals_pil(sorted(drawn_birds_root.rglob("*.jpg"))[::4], 64, encoding)


@pytest.mark.parametrize("encoding", ["raw", "jpeg"])
def test_the_pyramid_is_that_of_pil_on_photographs(encoding):
    paths = sorted(COCO.glob("*.jpg"))[:24]
    if not paths:
        pytest.skip("the real COCO sample (../shared/data/coco_sample beside the repository) is not here")
    assert_equals_pil(paths, 256, encoding)


def test_windows_stay_whole_when_moved():
    windows = windows_of([noise(9, 9)], torch.tensor([[1, 1]]), torch.tensor([True]), 8)
    moved = windows.to("meta")
    assert isinstance(moved, Windows) and moved.size == 8
    assert {each.device.type for each in (moved.pixels, moved.starts, moved.widths, moved.mirrored)} == {"meta"}
