import pytest


@pytest.fixture
def no_waiting(monkeypatch):
    monkeypatch.setattr("t2igan.benchmark.runner.POLL_SECONDS", 0.0)
