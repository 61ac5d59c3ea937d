import torch

from t2igan.plotting.segments import legend, mask_panel, outlined, segment_colour

INDEX = torch.zeros(8, 8, dtype=torch.int64)
INDEX[1:5, 1:5], INDEX[6:, 6:] = 1, 2


def colour(number):
    return torch.tensor(segment_colour(number), dtype=torch.uint8)


def test_segments_have_strong_colours_of_their_own():
    colours = [segment_colour(number) for number in range(1, 6)]
    assert len(set(colours)) == 5
    assert all(max(one) == 242 and min(one) < 40 for one in colours)


def test_outlines_are_drawn_and_the_image_within_them_is_seen():
    grey = torch.full((3, 8, 8), 90, dtype=torch.uint8)
    shown = outlined(grey, INDEX, 64)
    assert shown.shape == (3, 64, 64) and shown.dtype == torch.uint8
    first, second = ((shown == colour(number)[:, None, None]).all(0) for number in (1, 2))
    assert first[8, 8:40].all() and first[8:40, 39].all() and second[48:, 48].all()
    assert not first[12:36, 12:36].any() and (shown[:, 12:36, 12:36] == 90).all()
    assert (first | second | (shown == 90).all(0)).all()


def test_areas_are_faint_and_bear_their_number():
    shown = mask_panel(INDEX, 64)
    faint = torch.tensor([(each + 2 * 255) // 3 for each in segment_colour(1)], dtype=torch.uint8)
    assert torch.equal(shown[:, 9, 9], faint)
    assert not torch.equal(shown[:, 60, 4], faint)
    dark = shown[:, 16:32, 16:32].float().mean(0) < 110
    assert dark.any(), "a number in the middle of the area"


def test_the_legend_counts_from_one():
    assert legend(["a red bird", "sky"]) == "1: a red bird, 2: sky"
