import numpy as np
from layout_scenes import BIRD, DOG, SIZE, layout
from test_composing import IMAGES

from t2igan.layout.layout import Layout
from t2igan.layout.mask_bank import MaskBank


def test_a_bank_of_maps_of_another_size_and_of_things_not_told_apart():
    large = Layout(*(np.kron(each, np.ones((2, 2), np.uint8)) for each in (IMAGES[1].labels, IMAGES[1].instances)))
    one, two = MaskBank([large], SIZE), MaskBank([IMAGES[1]], SIZE)
    assert one.layout(0) == two.layout(0)
    labels = layout(8, (DOG, 10, 2, 3, 3), (DOG, 20, 20, 5, 5)).labels
    apart = MaskBank([Layout(labels, np.zeros_like(labels))], SIZE).masks(0, DOG)
    assert [mask.bits.sum() for mask in apart] == [25, 9]
    assert MaskBank([IMAGES[0]], SIZE).masks(0, BIRD) == []


def test_crumbs_are_used_only_where_there_is_nothing_else():
    labels = layout(8, (DOG, 10, 2, 1, 1), (BIRD, 20, 20, 1, 1), (BIRD, 2, 2, 4, 4))
    bank = MaskBank([labels], SIZE)
    assert [mask.bits.sum() for mask in bank.masks(0, DOG)] == [1]
    assert [mask.bits.sum() for mask in bank.masks(0, BIRD)] == [16]
