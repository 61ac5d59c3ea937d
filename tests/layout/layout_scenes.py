"""Small layouts to compose with."""

import numpy as np

from t2igan.layout.labels import COCO_STUFF
from t2igan.layout.layout import Layout

SIZE = 32
SKY, GRASS, SEA, DOG, BIRD = (COCO_STUFF.value(name) for name in ("sky-other", "grass", "sea", "dog", "bird"))


def layout(horizon, *things, ground=GRASS):
    """Sky above ``ground``, and things (label, top, left, height, width), each an instance."""
    labels, instances = np.full((SIZE, SIZE), ground, np.uint8), np.full((SIZE, SIZE), 2, np.uint8)
    labels[:horizon], instances[:horizon] = SKY, 1
    for number, (label, top, left, height, width) in enumerate(things, start=3):
        labels[top : top + height, left : left + width] = label
        instances[top : top + height, left : left + width] = number
    return Layout(labels, instances)


def box(top, left, height, width):
    mask = np.zeros((SIZE, SIZE), bool)
    mask[top : top + height, left : left + width] = True
    return mask
