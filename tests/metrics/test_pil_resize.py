import numpy as np
import pytest
import torch
from PIL import Image

from t2igan.metrics.pil_resize import pil_resize


def pils(one, size):
    image = Image.fromarray(one.permute(1, 2, 0).numpy()).resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


@pytest.mark.parametrize(
    ("height", "width"), [(32, 32), (64, 64), (128, 128), (256, 256), (299, 299), (320, 400), (7, 299)]
)
@pytest.mark.parametrize("size", [299, 128])
def test_every_level_is_pils(height, width, size):
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)
    extremes = (noise > 127).to(torch.uint8) * 255
    ramp = torch.linspace(0, 255, width).to(torch.uint8).expand(3, height, width)
    images = torch.stack([noise, extremes, ramp])
    expected = torch.stack([pils(one, size) for one in images])
    assert torch.equal(pil_resize(images, size), expected)


def test_batches_leave_no_trace():
    images = torch.randint(0, 256, (5, 3, 50, 40), dtype=torch.uint8)
    whole = pil_resize(images, 60)
    assert torch.equal(torch.cat([pil_resize(one[None], 60) for one in images]), whole)
    assert whole.dtype == torch.uint8


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_gpu_gives_the_same():
    images = torch.randint(0, 256, (2, 3, 256, 256), dtype=torch.uint8)
    assert torch.equal(pil_resize(images.cuda(), 299).cpu(), pil_resize(images, 299))
