import numpy as np
import pytest
import torch
from PIL import Image

from t2igan.errors import UserError
from t2igan.plotting.overlays import (
    attention_overlay,
    enlarge,
    heat,
    mask_overlay,
    mask_strip,
    with_legend,
)

IMAGE = torch.randint(0, 256, (3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


def test_heat_gets_brighter_with_the_value() -> None:
    colors = heat(torch.linspace(0, 1, 9)[None]).float().mean(0)[0]
    assert (colors.diff() > 0).all()


def test_enlarged_mask_keeps_its_mean_and_range() -> None:
    mask = torch.rand(4, 4, generator=torch.Generator().manual_seed(0))
    large = enlarge(mask, (16, 16))
    assert large.shape == (16, 16)
    assert mask.min() <= large.min() and large.max() <= mask.max()


def test_overlay_of_ones_and_zeros_differ_and_strength_counts() -> None:
    ones, zeros = mask_overlay(IMAGE, torch.ones(1, 4, 4)), mask_overlay(IMAGE, torch.zeros(1, 4, 4))
    assert ones.shape == IMAGE.shape and ones.dtype == torch.uint8
    assert ones.float().mean() > zeros.float().mean() + 30
    weak = [mask_overlay(IMAGE, torch.full((1, 4, 4), value), strength=0.0) for value in (0.0, 1.0)]
    assert torch.equal(*weak)


def test_overlay_is_where_the_mask_is() -> None:
    mask = torch.zeros(1, 2, 2)
    mask[0, 0, 1] = 1
    change = (mask_overlay(IMAGE, mask).int() - mask_overlay(IMAGE, torch.zeros(1, 2, 2)).int()).abs().sum(0)
    assert change[:4, 12:].float().mean() > 100 and change[12:, :4].max() == 0


def test_wrong_mask_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\(1, h, w\)"):
        mask_overlay(IMAGE, torch.ones(4, 4))


def test_strip_has_a_panel_for_the_image_and_each_mask() -> None:
    masks = [torch.full((1, 2**n, 2**n), n / 7) for n in range(1, 8)]
    strip = mask_strip(IMAGE, masks, cell_pixels=32)
    assert 8 * 32 < strip.width < 8 * 32 + 8 * 14
    shorter = mask_strip(IMAGE, masks[:3], cell_pixels=32)
    assert shorter.width < strip.width
    inverted = mask_strip(IMAGE, [1 - mask for mask in masks], cell_pixels=32)
    assert inverted.tobytes() != strip.tobytes()
    with pytest.raises(UserError, match="masks"):
        mask_strip(IMAGE, [])


def test_attention_shows_one_panel_a_word_with_the_word() -> None:
    attention = torch.rand(5, 4, 4, generator=torch.Generator().manual_seed(3))
    first = attention_overlay(IMAGE, attention, ["red", "bird"], cell_pixels=32)
    other = attention_overlay(IMAGE, attention, ["tan", "bird"], cell_pixels=32)
    assert first.width > 3 * 32 and first.size == other.size
    assert first.tobytes() != other.tobytes()
    scaled = attention_overlay(IMAGE, attention * 0.25, ["red", "bird"], cell_pixels=32)
    assert np.array_equal(np.asarray(scaled), np.asarray(first))
    with pytest.raises(UserError, match="6 words for 5 maps"):
        attention_overlay(IMAGE, attention, list("abcdef"))


def test_attention_of_zeros_is_drawn() -> None:
    assert attention_overlay(IMAGE, torch.zeros(1, 4, 4), ["none"], cell_pixels=32).width > 64


def test_a_legend_shows_the_colours_from_low_to_high() -> None:
    sheet = Image.new("RGB", (400, 50), (255, 255, 255))
    drawn = np.asarray(with_legend(sheet, "viridis", "none", "all"))
    assert drawn.shape[1] == 400 and drawn.shape[0] > 50 and (drawn[:50] == 255).all()
    row = drawn[58][(drawn[58].max(1) - drawn[58].min(1)) > 40].astype(float)  # colours, without grey text
    assert len(row) >= 60 and row[0].sum() < row[-1].sum()
    wanted = heat(torch.linspace(0, 1, 96)[None], "viridis")[:, 0].T.numpy().tolist()
    assert all(color.astype(int).tolist() in wanted for color in row)


def test_masks_and_attention_have_their_legend() -> None:
    low = attention_overlay(IMAGE, torch.zeros(1, 4, 4), ["none"], cell_pixels=32)
    strip = mask_strip(IMAGE, [torch.zeros(1, 4, 4)], cell_pixels=32)
    for sheet, colors in ((low, "magma"), (strip, "viridis")):
        brightest = heat(torch.ones(1, 1), colors)[:, 0, 0]
        assert (np.asarray(sheet)[-24:] == brightest.numpy()).all(-1).any(), "nothing else has the colour of 1"
