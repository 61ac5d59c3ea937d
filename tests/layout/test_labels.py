import pytest

from t2igan.layout.labels import COCO_STUFF, VOID, LabelSet


def test_coco_stuff_has_91_things_and_91_stuff_labels_by_their_official_numbers():
    assert (len(COCO_STUFF), COCO_STUFF.things, VOID) == (182, 91, 255)
    # One below the ids of its labels.txt: 1 person, 16 bird, 92 banner, 157 sky-other, 182 wood.
    names = ("person", "bird", "banner", "sky-other", "wood")
    assert [COCO_STUFF.value(name) for name in names] == [0, 15, 91, 156, 181]
    assert len(set(COCO_STUFF.names)) == 182


def test_things_come_first_and_void_is_none():
    labels = LabelSet(("bird", "cat", "sky"), 2)
    assert [labels.is_thing(value) for value in (0, 1, 2, VOID)] == [True, True, False, False]
    assert "sky" in labels and "sea" not in labels and len(labels) == 3
    with pytest.raises(ValueError):
        labels.value("sea")
