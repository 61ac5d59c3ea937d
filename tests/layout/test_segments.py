import pytest
import torch
from segment_fixture import segments_of_masks
from torch import nn

from t2igan.errors import UserError
from t2igan.layout.segments import (
    SpatioTextualMap,
    boxes_of,
    choose_segments,
    crop_segments,
    pick_segments,
    roughened,
)

SIDE = 40


def painted():
    """Two images: a tall segment in a corner, a large one, a small one; and one with small segments only."""
    instances = torch.zeros(2, SIDE, SIDE, dtype=torch.uint8)
    instances[0, :20, 30:] = 1  # 12.5 %, against the right border
    instances[0, 25:, :] = 2  # 37.5 %
    instances[0, 10:14, 4:8] = 3  # 1 %
    instances[1, 5:9, 5:9] = 1
    instances[1, 20:26, 20:25] = 2
    texts = [("a red post", "green grass", "a white dot"), ("a dot", "a blue box")]
    return instances, texts


def uniform(seed, rows=2, count=3):
    return torch.rand(rows, count + 1, generator=torch.Generator().manual_seed(seed))


def test_the_choice_keeps_number_and_size():
    instances, texts = painted()
    seen = set()
    for seed in range(60):
        chosen = choose_segments(instances, texts, uniform(seed))
        assert set(chosen.numbers[0]) <= {1, 2} and len(chosen.numbers[0]) in (1, 2)
        assert chosen.numbers[1] == (2,)  # none has 5 %: the largest
        assert chosen.texts[0] == tuple(texts[0][number - 1] for number in chosen.numbers[0])
        for place, number in enumerate(chosen.numbers[0], start=1):
            assert torch.equal(chosen.index[0] == place, instances[0] == number)
        seen.add(chosen.numbers[0])
    assert seen == {(1,), (2,), (1, 2), (2, 1)}


def test_the_limits_are_those_asked_for():
    instances, texts = painted()
    two = [choose_segments(instances, texts, uniform(seed), fewest=2, most=2).numbers[0] for seed in range(20)]
    assert {len(own) for own in two} == {2}
    small = choose_segments(instances, texts, uniform(0), fewest=3, smallest=0.0)
    assert sorted(small.numbers[0]) == [1, 2, 3] and sorted(small.numbers[1]) == [1, 2]


def test_an_image_without_segments_gets_none():
    chosen = choose_segments(torch.zeros(1, 8, 8, dtype=torch.uint8), [()], uniform(0, rows=1))
    assert chosen.texts == [()] and not chosen.index.any()
    assert chosen.spread(torch.zeros(0, 4)).occupancy.sum() == 0


def test_a_segment_without_text_is_refused():
    with pytest.raises(UserError, match="has no text"):
        pick_segments(painted()[0], [("one",), ("a", "b")], [(2,), (1,)])


def test_the_map_is_zero_outside_and_constant_inside():
    instances, texts = painted()
    segments = pick_segments(instances, texts, [(2, 1), (2,)])
    vectors = torch.randn(3, 5)
    dense = segments.spread(vectors).dense()
    assert dense.shape == (2, 5, SIDE, SIDE)
    expected = torch.zeros(2, 5, SIDE, SIDE)
    for vector, (image, mask) in zip(
        vectors, ((0, instances[0] == 2), (0, instances[0] == 1), (1, instances[1] == 2))
    ):
        expected[image, :, mask] = vector[:, None]
    assert torch.equal(dense, expected)
    assert torch.equal(segments.spread(vectors).occupancy[:, 0] > 0, expected.abs().sum(1) > 0)


def test_planes_are_exactly_what_a_convolution_makes_of_the_dense_map():
    torch.manual_seed(0)
    st_map = SpatioTextualMap(torch.randn(4, 3, 16), torch.randint(0, 4, (4, 9, 9)))
    projection = nn.Linear(16, 6, bias=False).double()
    st_map = SpatioTextualMap(st_map.embeddings.double(), st_map.index)
    convolved = torch.nn.functional.conv2d(st_map.dense(), projection.weight[:, :, None, None])
    assert torch.allclose(st_map.planes(projection), convolved, rtol=0, atol=1e-14)
    # A first convolution over [image, map] is one over the image plus one over the planes.
    image, first = torch.randn(4, 3, 9, 9).double(), nn.Conv2d(3 + 16, 5, 3, padding=1).double()
    whole = first(torch.cat([image, st_map.dense()], 1))
    own, rest = first.weight[:, :3], first.weight[:, 3:]
    split = torch.nn.functional.conv2d(image, own, first.bias, padding=1)
    split += torch.nn.functional.conv2d(st_map.dense(), rest, padding=1)
    assert torch.allclose(whole, split, rtol=0, atol=1e-12)


def test_the_memory_is_what_the_documentation_says():
    st_map = SpatioTextualMap(torch.zeros(16, 3, 768), torch.zeros(16, 64, 64, dtype=torch.int64))
    assert st_map.dense().nbytes == 201_326_592
    assert st_map.embeddings.nbytes + st_map.index.numel() < 0.25e6, "at one byte for each index"


def test_null_conditions_say_nothing():
    st_map = SpatioTextualMap(torch.randn(3, 2, 4), torch.randint(1, 3, (3, 5, 5)))
    dropped = st_map.without(torch.tensor([True, False, True]))
    assert not dropped.dense()[0].any() and not dropped.occupancy[2].any()
    assert torch.equal(dropped.dense()[1], st_map.dense()[1])
    assert not st_map.nothing().dense().any()


def test_mismatched_maps_keep_the_masks_and_change_every_text():
    instances, texts = painted()
    st_map = pick_segments(instances, texts, [(1, 2), (2,)]).spread(torch.randn(3, 4))
    wrong = st_map.mismatched()
    assert torch.equal(wrong.occupancy, st_map.occupancy)
    differs = (wrong.dense() != st_map.dense()).any(1)
    assert torch.equal(differs, st_map.index > 0)
    alone = st_map[1:]
    assert not alone.mismatched().occupancy.any()


@pytest.mark.parametrize("seed", range(5))
def test_each_segment_gets_the_embedding_of_the_one_before_whatever_is_absent(seed):
    torch.manual_seed(seed)
    st_map = SpatioTextualMap(torch.randn(4, 3, 2), torch.randint(0, 4, (4, 1, 2)))
    own = st_map.embeddings[st_map.present]
    alike = torch.cosine_similarity(own, own.roll(1, 0), dim=1) >= 0.9
    wrong = st_map.mismatched()
    assert torch.equal(wrong.embeddings[st_map.present], own.roll(1, 0))
    assert torch.equal(wrong.present[st_map.present], ~alike) and not wrong.present[~st_map.present].any()
    assert torch.equal(wrong.embeddings[~st_map.present], st_map.embeddings[~st_map.present])


def test_a_text_that_comes_twice_is_no_mismatch():
    instances, texts = painted()
    vectors = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
    wrong = pick_segments(instances, texts, [(1, 2), (2,)]).spread(vectors).mismatched()
    assert torch.equal(wrong.index[0] == 1, instances[0] == 1)  # got the last of the batch
    assert torch.equal(wrong.index[0] == 2, instances[0] == 2)
    assert not wrong.index[1].any()  # got its own direction


def test_resizing_takes_the_centres():
    index = torch.zeros(1, 4, 4, dtype=torch.int64)
    index[0, 1:3] = 1
    small = SpatioTextualMap(torch.ones(1, 1, 2), index).resized(2)
    assert small.index.tolist() == [[[1, 1], [0, 0]]]  # rows 1 and 3, not 0 and 2


def test_a_crop_is_square_black_outside_and_whole():
    instances, texts = painted()
    images = torch.full((2, 3, SIDE, SIDE), 200, dtype=torch.uint8)
    images[0, 0, :20, 30:] = 90
    segments = pick_segments(instances, texts, [(1, 2), (2,)])
    crops = crop_segments(images, segments, 20)
    assert crops.shape == (3, 3, 20, 20) and crops.dtype == torch.uint8
    # 20 rows by 10 columns: no resizing, five black columns on either side, beyond the image's border too.
    assert not crops[0, :, :, :5].any() and not crops[0, :, :, 15:].any()
    assert (crops[0, 0, :, 5:15] == 90).all() and (crops[0, 1, :, 5:15] == 200).all()


def test_a_crop_is_black_within_its_box_where_the_segment_is_not():
    mask = torch.eye(8, dtype=torch.bool).flip(0) | torch.eye(8, dtype=torch.bool)
    crop = crop_segments(
        torch.full((1, 3, 8, 8), 200, dtype=torch.uint8), segments_of_masks([mask], ["a cross"]), 8
    )
    assert torch.equal(crop[0], 200 * mask.byte().expand(3, 8, 8))


def test_the_aspect_of_a_segment_is_kept():
    mask = torch.zeros(30, 30, dtype=torch.bool)
    mask[2:4, 3:27] = True
    segments = segments_of_masks([mask], ["a line"])
    crop = crop_segments(torch.full((1, 3, 30, 30), 255, dtype=torch.uint8), segments, 12)[0, 0]
    rows = (crop > 127).any(1)
    assert rows.sum() in (1, 2) and (crop[rows] > 60).all(dim=1).any()


def test_boxes():
    masks = torch.zeros(2, 6, 8, dtype=torch.bool)
    masks[0, 1:4, 2:8] = True
    assert boxes_of(masks).tolist() == [[1, 2, 4, 8], [0, 0, 0, 0]]


def test_of_overlapping_masks_the_later_has_the_pixel():
    masks = [torch.ones(4, 4, dtype=torch.bool), torch.eye(4, dtype=torch.bool)]
    segments = segments_of_masks(masks, ["sky", "a line"])
    assert torch.equal(segments.masks[1], masks[1]) and torch.equal(segments.masks[0], ~masks[1])


def test_rough_masks_are_what_they_are_called():
    mask = torch.zeros(20, 24, dtype=torch.bool)
    mask[5:15, 4:18] = True
    mask[5:8, 4:8] = False
    segments = segments_of_masks([mask], ["a thing"])
    masks = {
        shape: roughened(segments, shape).masks[0] for shape in ("exact", "dilated", "eroded", "ellipse", "box")
    }
    assert torch.equal(masks["exact"], mask)
    assert (masks["dilated"] >= mask).all() and masks["dilated"][3, 9] and not masks["dilated"][2, 9]
    assert (masks["eroded"] <= mask).all() and masks["eroded"][7, 12] and not masks["eroded"][6, 12]
    assert masks["box"].sum() == 140 and masks["box"][5, 4]
    iou = (masks["ellipse"] & mask).sum() / (masks["ellipse"] | mask).sum()
    assert 0.7 < iou < 1 and abs(masks["ellipse"].sum() / mask.sum() - 1) < 0.1


def test_rough_masks_leave_other_segments_alone():
    left, right = torch.zeros(2, 10, 10, dtype=torch.bool)
    left[2:8, :4], right[:, 4:] = True, True
    before = segments_of_masks([left, right], ["a", "b"])
    after = roughened(before, "dilated")
    assert torch.equal(after.masks[1], right) and after.masks[0].sum() == 40
    thin = segments_of_masks([left & (torch.arange(10) < 1)], ["a line"])
    assert torch.equal(roughened(thin, "eroded").masks[0], thin.masks[0])


def test_an_ellipse_of_a_disc_is_the_disc():
    y, x = torch.meshgrid(torch.arange(41), torch.arange(41), indexing="ij")
    disc = (y - 20) ** 2 + (x - 20) ** 2 <= 144
    ellipse = roughened(segments_of_masks([disc], ["a disc"]), "ellipse").masks[0]
    assert (ellipse ^ disc).sum() <= 0.02 * disc.sum()


def test_a_repeated_map_is_the_whole_batch_again_and_again():
    st_map = SpatioTextualMap(torch.randn(2, 3, 4), torch.randint(0, 4, (2, 5, 5)))
    thrice = st_map.repeated(3)
    assert thrice.embeddings.shape == (6, 3, 4) and thrice.index.shape == (6, 5, 5)
    for start in (0, 2, 4):
        assert torch.equal(thrice.embeddings[start : start + 2], st_map.embeddings)
        assert torch.equal(thrice.index[start : start + 2], st_map.index)
