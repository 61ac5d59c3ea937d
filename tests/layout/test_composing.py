"""Composition: what is chosen, where it is put, what becomes of the rest."""

import numpy as np
import pytest
from layout_scenes import BIRD, DOG, GRASS, SEA, SIZE, SKY, box, layout

from t2igan.layout.composing import Composer, oracle_hulls, trace_hulls
from t2igan.layout.hulls import runs
from t2igan.layout.labels import COCO_STUFF, VOID
from t2igan.layout.mask_bank import MaskBank
from t2igan.layout.narratives import Narrative, Span

IMAGES = [
    layout(8, (DOG, 20, 4, 4, 12)),  # a flat dog
    layout(16, (DOG, 18, 20, 10, 5), (BIRD, 2, 2, 3, 3)),  # a tall dog
    layout(24, (DOG, 26, 8, 4, 4), ground=SEA),
]


@pytest.fixture
def bank():
    return MaskBank(IMAGES, SIZE)


def compose(bank, tags, hulls, ranked=(0, 1, 2), **options):
    return Composer(**options).compose(runs(tags), hulls, bank, np.array(ranked))


def test_the_mask_that_overlaps_most_is_chosen(bank):
    tall = compose(bank, ["dog"], [box(4, 4, 10, 5)])
    flat = compose(bank, ["dog"], [box(4, 4, 4, 12)])
    assert (tall.placed[0].image, tall.placed[0].overlap) == (1, 1.0)
    assert (flat.placed[0].image, flat.placed[0].overlap) == (0, 1.0)
    assert (tall.layout.labels[box(4, 4, 10, 5)] == DOG).all()
    # What is not among the first k is no candidate.
    assert compose(bank, ["dog"], [box(4, 4, 10, 5)], k=1).placed[0].image == 0


def test_stuff_is_chosen_where_it_lies(bank):
    placed = compose(bank, ["sky-other"], [box(0, 0, 15, SIZE)]).placed[0]
    assert placed.image == 1
    assert (placed.mask == box(0, 0, 16, SIZE) & ~box(2, 2, 3, 3)).all()


def test_every_pixel_is_labelled_and_things_stand_before_stuff(bank):
    tags = ["dog", "dog", "sky-other", "grass", "bird"]
    hulls = [box(10, 10, 6, 6), box(0, 0, 12, SIZE), box(14, 0, 18, SIZE), box(1, 20, 3, 3)]
    canvas = compose(bank, tags, hulls)
    assert set(np.unique(canvas.layout.labels)) == {SKY, GRASS, DOG, BIRD}
    # Told before the stuff, the dog is not painted over.
    dog = canvas.placed[0].mask
    assert (canvas.layout.labels[dog] == DOG).all()
    assert (canvas.layout.instances[dog] == 1).all()
    assert sum(canvas.shares.values()) == pytest.approx(1)
    assert canvas.shares["void"] == canvas.shares["frequent"] == 0
    assert canvas.texts == ("a dog", "a sky", "a grass", "a bird")


def test_later_runs_are_painted_over_earlier_ones(bank):
    canvas = compose(bank, ["dog", "bird"], [box(10, 10, 8, 8), box(12, 12, 4, 4)])
    assert canvas.layout.labels[13, 13] == BIRD and canvas.layout.labels[10, 13] == DOG


def test_composition_is_a_function_of_its_arguments(bank):
    hulls = [box(10, 10, 6, 6), box(0, 0, 12, SIZE)]
    once, again = (compose(MaskBank(IMAGES, SIZE), ["dog", "sky-other"], hulls) for _ in range(2))
    assert once.layout == again.layout and once.shares == again.shares


def test_pixels_without_a_mask_are_filled_rule_by_rule(bank):
    hull = box(26, 10, 6, 6)
    only_sky = compose(bank, ["sky-other"], [None], ranked=(0, 1, 2))
    assert only_sky.shares == pytest.approx(dict(placed=0.25, retrieved=0, nearest=0.75, frequent=0, void=0))
    assert (only_sky.layout.labels == SKY).all() and (only_sky.layout.instances == 1).all()
    # The best image's sky reaches down to 24; the trace made the sky of another one overlap more.
    retrieved = compose(bank, ["sky-other"], [box(0, 0, 7, SIZE)], ranked=(2, 0, 1))
    assert retrieved.placed[0].image == 0
    assert retrieved.shares == pytest.approx(dict(placed=0.25, retrieved=0.5, nearest=0.25, frequent=0, void=0))
    # (3) Stuff that no image shows and no trace tells of; (4) nothing but things.
    frequent = compose(bank, ["snow", "snow", "sand", "dog"], [None, None, hull])
    assert frequent.shares["frequent"] == pytest.approx(1 - frequent.shares["placed"])
    assert frequent.layout.labels[0, 0] == COCO_STUFF.value("snow")
    void = compose(bank, ["dog"], [hull])
    assert void.shares["void"] == pytest.approx((void.layout.labels == VOID).mean())
    assert void.shares["void"] > 0.9


def test_without_a_candidate_the_hull_is_the_mask(bank):
    placed = compose(bank, ["sheep"], [box(3, 3, 5, 5)]).placed[0]
    assert placed.image is None and (placed.mask == placed.hull).all()
    # Without a hull there is nothing to put.
    assert compose(bank, ["sheep"], [None]).placed == ()


def test_candidates_come_from_further_down_where_the_first_have_none(bank):
    placed = compose(bank, ["bird"], [box(20, 20, 4, 4)], k=1, scale="fitted").placed[0]
    assert placed.image == 1 and placed.mask[20:24, 20:24].all()
    kept = compose(bank, ["bird"], [box(20, 20, 9, 9)], scale="kept").placed[0]
    assert kept.mask.sum() == 9 and kept.mask[23:26, 23:26].all()


def test_masks_that_reach_beyond_the_canvas_are_cut_off(bank):
    placed = compose(bank, ["dog"], [box(0, 0, 2, 2)], scale="kept").placed[0]
    assert 0 < placed.mask.sum() < 48


def test_without_a_trace_masks_stay_where_they_were(bank):
    canvas = compose(bank, ["grass", "dog", "bird", "dog"], [None] * 4, ranked=(1, 0, 2))
    dogs = [placed.mask for placed in canvas.placed if placed.run.label == "dog"]
    # The best image has one dog, which comes twice.
    assert all((dog == box(18, 20, 10, 5)).all() for dog in dogs)
    assert (canvas.layout.labels == IMAGES[1].labels)[16:].all()


def test_hulls_of_a_trace_and_of_the_gold_map():
    narrative = Narrative(
        "1", "2", ("a", "dog", "sky"), ("dog", "dog", "sky-other"),
        (Span(0, 2, 0.0, 1.0), Span(2, 3, 1.0, 2.0)), (np.float32([[0.25, 0.5, 0.5], [0.5, 0.5, 0.6]]),),
    )  # fmt: skip
    own = runs(narrative.tags)
    first, second = trace_hulls(narrative, own, SIZE)
    assert first[16, 10] and not first[25, 10] and (first == second).all()  # nothing in the second window
    gold = layout(16, (DOG, 20, 4, 4, 12), (DOG, 20, 22, 2, 2))
    hulls = oracle_hulls(gold, runs(["dog", "sky-other", "dog", "bird", "dog"]))
    assert hulls[3] is None
    assert [None if hull is None else int(hull.sum()) for hull in hulls] == [48, 16 * SIZE, 4, None, 48]
    assert trace_hulls(Narrative("1", "2", ("a",)), runs(["dog"]), SIZE) == [None]
