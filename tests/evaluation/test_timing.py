import pytest

from t2igan.evaluation.timing import Timing, charged, part


class Clock:
    def __init__(self):
        self.now = 50.0

    def __call__(self):
        return self.now


def test_every_second_is_charged_once_and_to_the_innermost_part():
    clock = Clock()

    def generated():
        for number in range(3):
            clock.now += 10
            yield number

    with Timing(clock).measured() as timing:
        clock.now += 1
        for _ in charged("drawing", generated()):
            with part("network inception"):
                clock.now += 5
                with part("metric fid"):
                    clock.now += 2
        clock.now += 4
    clock.now += 1000
    assert timing.seconds == {"other": 5, "drawing": 30, "network inception": 15, "metric fid": 6}
    assert timing.needed == 45
    assert timing.ratio == pytest.approx(56 / 45)
    assert next(iter(timing.table("x").columns[0].cells)) == "drawing"


def test_a_part_that_fails_is_closed():
    clock = Clock()
    with Timing(clock).measured() as timing:
        with pytest.raises(ValueError, match="torn"), part("metric kid"):
            clock.now += 3
            raise ValueError("torn")
        clock.now += 1
    assert timing.seconds == {"other": 1, "metric kid": 3}
    assert timing.ratio == float("inf")


def test_nothing_is_charged_where_nobody_measures():
    timing = Timing(Clock())
    with part("drawing"):
        assert list(charged("drawing", [1, 2])) == [1, 2]
    assert not timing.seconds
