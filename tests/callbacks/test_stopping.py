"""When a stop signal stops training, and when it waits."""

import os
import signal
import time

import pytest

from t2igan.callbacks.saving import RunCheckpoints
from t2igan.callbacks.stopping import SIGNALS, StopSignals
from t2igan.errors import Stopped

HANDS_OVER = """
def put(number):
    os.kill(os.getpid(), number)
    time.sleep(0.1)
    done.append(number)
"""


@pytest.fixture
def listening():
    """Stop signals between two steps of a training, with the handlers put back afterwards."""
    numbers = (*SIGNALS, signal.SIGALRM, signal.SIGCHLD)
    before = {number: signal.getsignal(number) for number in numbers}
    stops = StopSignals(RunCheckpoints())
    stops._listen()
    stops._working = False
    yield stops
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("name", ["torch.utils.tensorboard.writer", "queue", "multiprocessing.queues"])
@pytest.mark.parametrize("number", SIGNALS)
def test_what_is_handed_over_arrives_first(listening, number, name):
    done = []
    module = {"__name__": name, "os": os, "time": time, "done": done}
    exec(HANDS_OVER, module)
    with pytest.raises(Stopped) as caught:
        module["put"](number)
        time.sleep(5)
    assert done == [number]
    assert caught.value.number == number


@pytest.mark.parametrize("number", SIGNALS)
def test_all_else_between_two_steps_is_left_at_once(listening, number):
    done = []
    module = {"__name__": "somebody.s.data", "os": os, "time": time, "done": done}
    exec(HANDS_OVER, module)
    with pytest.raises(Stopped):
        module["put"](number)
    assert not done
