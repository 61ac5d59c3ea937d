import io
import re

from rich.console import Console

from t2igan.cli.evaluate_progress import Lines, told_of


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_lines_come_after_two_seconds_and_then_every_ten():
    clock, said = Clock(), []
    lines = Lines(said.append, "ssagan", clock)
    for second in range(1, 31):
        clock.now = 100 + second
        lines("images", 10 * second, 3000)
    # Ten images a second: 2980, 2880 and 2780 are left.
    assert said == [
        "ssagan: images 20/3000, 5.0 min left",
        "ssagan: images 120/3000, 4.8 min left",
        "ssagan: images 220/3000, 4.6 min left",
    ]


def test_a_stage_is_timed_from_its_own_beginning():
    clock, said = Clock(), []
    lines = Lines(said.append, "ssagan", clock)
    clock.now += 100
    lines("reference images", 50, 50)
    clock.now += 30
    lines("images", 50, 100)
    assert said == ["ssagan: reference images 50/50, 0.0 min left", "ssagan: images 50/100, 0.5 min left"]


def test_a_file_gets_lines_and_a_terminal_bars():
    log = io.StringIO()
    with told_of(Console(file=log, width=40)) as teller:
        told = teller("a name that is longer than the line of this file [bold]")
        told._due = 0
        told("images", 1, 2)
    line = log.getvalue()
    assert line.startswith("a name that is longer than the line of this file [bold]: images 1/2, ")
    # As who watches a log reads it.
    assert re.findall(r"(\d+)/(\d+)", line) == [("1", "2")]
    assert float(re.search(r"([\d.]+) min left\n$", line)[1]) >= 0
    screen = io.StringIO()
    with told_of(Console(file=screen, force_terminal=True, width=120)) as teller:
        teller("ssagan")("images", 1, 2)
    assert "ssagan: images" in screen.getvalue()
    assert "min left" not in screen.getvalue()
