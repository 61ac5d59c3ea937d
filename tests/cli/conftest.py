from pathlib import Path

import pytest
import torch
from evaluation_fixtures import Checkpoints, train_checkpoints


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
