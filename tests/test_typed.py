from typing import Any, Literal

import pytest

from t2igan.typed import fits


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (1, int),
        (1, float),
        (1.5, float),
        (None, int | None),
        ("a", Literal["a", "b"]),
        ([1, 2], list[int]),
        ({"a": [1.0]}, dict[str, list[float]]),
        ([object()], Any),
    ],
)
def test_what_fits(value, hint):
    assert fits(value, hint)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (True, int),
        (1.0, int),
        (2**70, int),
        (2**2000, float),
        (float("nan"), float),
        (float("inf"), float),
        ("1", float),
        (None, str),
        ([], Literal["a"]),
        ([1, "a"], list[int]),
        ({1: "a"}, dict[str, str]),
    ],
)
def test_what_does_not(value, hint):
    assert not fits(value, hint)
