from dataclasses import replace

import pytest
from evaluation_fixtures import write_protocol

from t2igan.evaluation.protocol import load_protocol
from t2igan.evaluation.subjects.generated import load_checkpoint_subject


@pytest.fixture
def protocol(tmp_path):
    protocol = load_protocol(str(write_protocol(tmp_path / "p.yaml", reference="whole")))
    return replace(protocol, images=12, bootstrap=20)


@pytest.fixture
def subject(checkpoints):
    return load_checkpoint_subject(checkpoints.generator, "ema")
