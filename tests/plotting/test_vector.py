import re
from itertools import pairwise
from xml.etree import ElementTree

from t2igan.plotting.vector import HEIGHT, MOST_POINTS, WIDTH, curve_svg


def points(svg, name):
    found = re.search(rf'class="{name}" points="([^"]+)"', svg)[1]
    return [tuple(map(float, pair.split(","))) for pair in found.split()]


def test_a_rising_curve_rises_within_the_panel():
    svg = curve_svg([{"step": step, "x": 3.0 * step} for step in range(50)], "x")
    line = points(svg, "raw")
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in line)
    assert all(one[0] < two[0] and one[1] > two[1] for one, two in pairwise(line))
    assert len(points(svg, "mean")) == 50


def test_long_constant_and_single_curves_are_drawn():
    long = points(curve_svg([{"step": step, "x": 1.0} for step in range(5000)], "x"), "raw")
    assert len(long) == MOST_POINTS and len({y for _, y in long}) == 1
    assert "<circle" in curve_svg([{"step": 3, "x": 2.0}], "x")
    assert curve_svg([{"step": 3, "x": float("nan")}], "x") is None
    assert curve_svg([], "x") is None


def test_names_are_escaped():
    svg = curve_svg([{"step": 0, '<b a="c">': 1.0}], '<b a="c">')
    root = ElementTree.fromstring(svg)
    assert root.attrib["aria-label"] == '<b a="c">'
    assert not list(root.iter("b"))
