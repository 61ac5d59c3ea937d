"""Hulls of traces: the degenerate ones above all."""

import numpy as np
import pytest

from t2igan.layout.hulls import hull_mask, noisy_labels, run_points, runs, span_points
from t2igan.layout.labels import COCO_STUFF, VOID
from t2igan.layout.narratives import Narrative, Span


def told(spans, *strokes):
    words = tuple("abcdefgh"[: spans[-1][1]])
    return Narrative("1", "2", words, None, tuple(Span(*span) for span in spans), tuple(map(np.float32, strokes)))


def test_a_square_is_filled():
    corners = np.array([[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75], [0.5, 0.5]])
    mask = hull_mask(corners, (40, 40))
    expected = np.zeros((40, 40), bool)
    expected[10:30, 10:30] = True
    assert (mask == expected).all()


@pytest.mark.parametrize("shape", [(20, 20), (24, 48)])
def test_a_triangle_agrees_with_barycentric_coordinates(shape):
    corners = np.array([[0.113, 0.107], [0.893, 0.311], [0.207, 0.791]])
    height, width = shape
    x, y = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    places = np.stack([x, y, np.ones_like(x)])
    shares = np.einsum("ij,jhw->ihw", np.linalg.inv(np.vstack([corners.T, np.ones(3)])), places)
    mask = hull_mask(corners, shape)
    assert (mask == (shares >= 0).all(axis=0)).all()


def test_points_of_one_line_become_a_thick_line():
    line = np.stack([np.linspace(0.2, 0.8, 7), np.full(7, 0.5)], axis=1)
    mask = hull_mask(line, (50, 50), radius=0.06)
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max()) == (22, 27)
    assert columns.min() <= 10 <= 39 <= columns.max()
    slanted = hull_mask(np.stack([np.linspace(0.2, 0.8, 7)] * 2, axis=1), (50, 50))
    assert slanted[25, 25] and not slanted[10, 40]


def test_one_point_becomes_a_disc_even_where_pixels_are_coarse():
    disc = hull_mask(np.array([[0.5, 0.25]]), (100, 100), radius=0.1)
    assert disc[25, 50] and not disc[25, 62] and not disc[40, 50]
    assert 250 < disc.sum() < 380
    assert hull_mask(np.array([[0.5, 0.5]] * 4), (2, 2)).any()
    assert hull_mask(np.array([[0.999, 0.001], [0.9991, 0.001], [0.999, 0.0011]]), (5, 5)).any()


def test_points_outside_of_the_image_are_moved_to_its_edge():
    outside = np.array([[-0.4, -0.2], [1.3, -0.2], [1.3, 0.5], [-0.4, 0.5]])
    mask = hull_mask(outside, (10, 10))
    assert mask[:5].all() and not mask[6:].any()
    far = hull_mask(np.array([[2.0, 3.0]]), (10, 10))
    assert far[9, 9] and far.sum() < 5


def test_no_point_is_refused():
    with pytest.raises(ValueError, match="no point"):
        hull_mask(np.zeros((0, 2)), (4, 4))


def test_windows_without_duration_or_points():
    narrative = told(
        [(0, 1, 0.0, 0.0), (1, 2, 0.5, 1.0), (2, 3, 1.1, 1.2), (3, 4, 2.0, 3.0)],
        [[0.1, 0.1, 0.2], [0.2, 0.2, 0.9]],
        [[0.8, 0.8, 2.5]],
    )
    points = [each.tolist() for each in span_points(narrative)]
    early, late = np.float32([[0.1, 0.1], [0.2, 0.2]]).tolist(), np.float32([[0.8, 0.8]]).tolist()
    # Said with the next; its own; nothing in the window: the one before; its own.
    assert points == [early, early[1:], early[1:], late]


def test_windows_before_the_first_point_and_without_any():
    late = told([(0, 1, 0.0, 1.0), (1, 2, 1.0, 2.0)], [[0.3, 0.4, 1.5]])
    assert [len(each) for each in span_points(late)] == [1, 1]
    never = told([(0, 2, 0.0, 1.0)])
    assert [each.shape for each in span_points(never)] == [(0, 2)]
    assert span_points(Narrative("1", "2", ("a",))) == []


def test_a_run_has_the_points_of_all_spans_that_it_touches():
    narrative = told([(0, 2, 0.0, 1.0), (2, 4, 1.0, 2.0)], [[0.1, 0.1, 0.5], [0.9, 0.9, 1.5]])
    first, second, third = runs(["cat", "dog", "dog", "cat"])
    assert (second.label, second.start, second.end) == ("dog", 1, 3)
    assert [len(run_points(narrative, run)) for run in (first, second, third)] == [1, 2, 1]


def test_noisy_labels_are_of_what_lies_below_the_hull():
    grass, sky, dog = (COCO_STUFF.value(name) for name in ("grass", "sky-other", "dog"))
    labels = np.full((20, 20), grass, np.uint8)
    labels[:8] = sky
    labels[10:14, 10:14] = dog
    labels[16:, :4] = VOID
    circle = [[0.5, 0.5, 1.1], [0.7, 0.5, 1.2], [0.7, 0.7, 1.3], [0.5, 0.7, 1.4]]
    narrative = told(
        [(0, 2, 0.0, 1.0), (2, 4, 1.0, 2.0), (4, 5, 3.0, 4.0)],
        [[0.1, 0.1, 0.1], [0.9, 0.2, 0.6]],
        circle,
        [[0.05, 0.95, 3.5]],
    )
    # The last one points at void, so the label before it stays.
    assert noisy_labels(narrative, labels).tolist() == [sky, sky, dog, dog, dog]
    untraced = Narrative("1", "2", ("a", "b"))
    assert noisy_labels(untraced, labels).tolist() == [grass, grass]
    with pytest.raises(ValueError, match="void"):
        noisy_labels(narrative, np.full((4, 4), VOID, np.uint8))
