from pathlib import Path

import pytest
from matrix_plans import DAMSM, MIRROR, STREAM


@pytest.fixture
def no_waiting(monkeypatch):
    monkeypatch.setattr("t2igan.benchmark.runner.POLL_SECONDS", 0.0)


@pytest.fixture
def place(tmp_path, monkeypatch, drawn_birds_store):
    """A folder with experiments, a store and a plan's head."""
    monkeypatch.chdir(tmp_path)
    folder = Path("experiments/small")
    folder.mkdir(parents=True)
    for name, text in {"damsm": DAMSM, "stream": STREAM, "mirrorgan": MIRROR}.items():
        (folder / f"{name}.yaml").write_text(text)
    Path("birds.h5").symlink_to(drawn_birds_store)
    return folder
