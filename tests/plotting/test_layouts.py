"""Sheets of the four steps."""

import numpy as np
import torch

from t2igan.layout.composing import Composer, trace_hulls
from t2igan.layout.hulls import runs
from t2igan.layout.labels import COCO_STUFF, VOID
from t2igan.layout.layout import Layout
from t2igan.layout.mask_bank import MaskBank
from t2igan.layout.narratives import Narrative, Span
from t2igan.plotting.layouts import Steps, coloured, palette, steps_sheet

DOG, GRASS = COCO_STUFF.value("dog"), COCO_STUFF.value("grass")


def scene():
    labels = np.full((16, 16), GRASS, np.uint8)
    labels[4:9, 4:9] = DOG
    return Layout(labels, np.ones_like(labels))


def steps(words=("a", "dog", "grass"), **seen):
    trace = np.float32([[0.6, 0.6, 0.2], [0.9, 0.6, 0.4], [0.75, 0.9, 0.6], [0.1, 0.1, 1.5], [0.9, 0.2, 1.8]])
    tags = ("dog",) * (len(words) - 1) + ("grass",)
    spans = (Span(0, len(words) - 1, 0.0, 1.0), Span(len(words) - 1, len(words), 1.0, 2.0))
    narrative = Narrative("1", "2", tuple(words), tags, spans, (trace,))
    bank, own = MaskBank([scene()], 16), runs(tags)
    canvas = Composer().compose(own, trace_hulls(narrative, own, 16), bank, np.array([0]))
    return Steps(narrative, tags, canvas, **seen), bank


def test_labels_have_colours_of_their_own():
    colours = palette()
    used = [tuple(colour) for colour in colours[: len(COCO_STUFF)].tolist()]
    assert len(set(used)) == len(used)
    assert tuple(colours[VOID].tolist()) not in used
    assert torch.equal(coloured(scene().labels)[:, 0, 0], torch.from_numpy(colours[GRASS]))


def test_a_sheet_shows_every_step_in_the_colours_of_the_labels():
    image = torch.full((3, 16, 16), 7, dtype=torch.uint8)
    shown, bank = steps(image=image)
    pixels = np.asarray(steps_sheet(shown, bank, cell_pixels=64)).reshape(-1, 3)
    for wanted in (palette()[DOG], palette()[GRASS], np.array([7, 7, 7])):
        assert (pixels == wanted).all(axis=1).sum() > 64
    # Without an image there is a cell less; with map and image of the narrative two more.
    widths = [
        steps_sheet(*steps(**seen), cell_pixels=64).width
        for seen in ({}, {"image": image}, {"image": image, "gold": scene(), "real": image})
    ]
    assert widths[1] - widths[0] == widths[2] - widths[1] - 76 == 76


def test_long_narratives_take_more_lines():
    short, long = (steps_sheet(*steps(("word",) * count), cell_pixels=64) for count in (4, 80))
    assert long.height > short.height + 60 and long.width == short.width
