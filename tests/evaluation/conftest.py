from pathlib import Path

import pytest
import torch
from evaluation_fixtures import Checkpoints, train_checkpoints, write_protocol

from t2igan.data.store import open_store
from t2igan.evaluation.protocol import load_protocol


@pytest.fixture(autouse=True)
def one_thread():
    """Networks this small run faster so."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def checkpoints(drawn_birds_store: Path) -> Checkpoints:
    torch.set_num_threads(1)
    return train_checkpoints(drawn_birds_store, drawn_birds_store.parent / "checkpoints")


@pytest.fixture(scope="module")
def store(drawn_birds_store):
    return open_store(drawn_birds_store)


@pytest.fixture
def protocol(tmp_path):
    return load_protocol(str(write_protocol(tmp_path / "p.yaml")))
