"""SIGTERM outside of a training."""

import os
import signal
import sys
import time
from contextlib import contextmanager, suppress

import pytest

from t2igan.cli.unwinding import sigterm_unwinds
from t2igan.errors import Stopped


def told_to_end():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)


class Closed:
    def __del__(self):
        told_to_end()


def test_it_unwinds_at_once():
    with pytest.raises(Stopped) as caught, sigterm_unwinds():
        told_to_end()
    assert caught.value.number == signal.SIGTERM
    assert caught.value.code == 143


def test_an_exception_that_somebody_catches_comes_again():
    """As packages do that try whether another can be imported."""
    with pytest.raises(Stopped), sigterm_unwinds():
        with suppress(BaseException):
            told_to_end()
        with suppress(BaseException):
            time.sleep(60)
        time.sleep(60)


def test_an_exception_in_a_destructor_comes_again(monkeypatch):
    told = []
    hook = told.append
    monkeypatch.setattr(sys, "unraisablehook", hook)
    with pytest.raises(Stopped), sigterm_unwinds():
        closed = Closed()
        del closed
        time.sleep(60)
    assert not [lost for lost in told if isinstance(lost.exc_value, Stopped)]
    assert sys.unraisablehook is hook, "it is that of before"


@contextmanager
def puts_away(done):
    try:
        yield
    finally:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.5)
        done.append("put away")


def test_what_is_put_away_is_not_disturbed():
    done = []
    with pytest.raises(Stopped), sigterm_unwinds(), puts_away(done):
        told_to_end()
    assert done == ["put away"]


def test_another_error_on_the_way_out_changes_nothing():
    done = []
    with pytest.raises(OSError, match="full") as caught, sigterm_unwinds():
        try:
            told_to_end()
        finally:
            try:
                raise OSError("full")
            finally:
                time.sleep(0.5)
                done.append("put away")
    assert done == ["put away"]
    assert isinstance(caught.value.__context__, Stopped)


def test_handlers_and_timer_are_those_of_before():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)]
    with suppress(Stopped), sigterm_unwinds():
        told_to_end()
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGALRM)] == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
