"""Diversity by LPIPS, whose network most machines lack."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from evaluation_fixtures import evaluate
from released_weights import publish
from torchvision.models import alexnet

from t2igan.errors import UserError
from t2igan.evaluation.features.networks import NetworkOptions
from t2igan.evaluation.images.generate import generate_images
from t2igan.evaluation.metrics.frechet import FDClassifier
from t2igan.evaluation.metrics.lpips_diversity import LPIPSDiversity
from t2igan.evaluation.plan import ImagePlan, plan_images
from t2igan.evaluation.subjects.real import RealImages
from t2igan.metrics.lpips import LpipsNetwork
from t2igan.nn.images import to_signed

CPU = torch.device("cpu")


@pytest.fixture
def alexnet_folder(tmp_path, monkeypatch):
    torch.manual_seed(0)
    state = {name: value for name, value in alexnet().state_dict().items() if name.startswith("features.")}
    torch.save(state, tmp_path / "alexnet.pth")
    publish(monkeypatch, "alexnet-torchvision", tmp_path / "alexnet.pth")
    return tmp_path


def test_diversity_is_of_the_samples_of_a_caption(store, protocol, subject, alexnet_folder):
    spec = LPIPSDiversity(captions=3, samples=4)
    protocol = replace(protocol, metrics=(spec,))
    results = [
        evaluate(subject, protocol, store, options=NetworkOptions(size, weights_folder=alexnet_folder))
        for size in (64, 5)
    ]
    found = results[0].metrics["lpips-diversity"]
    assert found.value == pytest.approx(results[1].metrics["lpips-diversity"].value, rel=1e-3)
    split, network = store.split("test"), LpipsNetwork(folder=alexnet_folder)
    captions = plan_images(split, 3).captions
    values = []
    for caption in captions:
        plan = ImagePlan(np.full(4, caption), np.arange(4))
        (generated,) = generate_images(subject.module, split, plan, protocol, range(4), 4, CPU)
        images = to_signed(generated.images)
        pairs = [network(images[i][None], images[j][None]).item() for i, j in combinations(range(4), 2)]
        values.append(np.mean(pairs))
    assert found.value == pytest.approx(np.mean(values), rel=1e-3)
    assert found.spread == pytest.approx(np.std(values), rel=1e-2)
    assert found.low < found.value < found.high
    assert (found.n, found.network_sha256) == (12, network.sha256)
    assert results[0].backbones["lpips"] == network.sha256


def test_only_a_generator_has_diversity(store, protocol, alexnet_folder):
    protocol = replace(protocol, metrics=(LPIPSDiversity(), FDClassifier()), reference="halves")
    with pytest.raises(UserError, match="lpips-diversity: it needs several images of one caption"):
        evaluate(
            RealImages(), protocol, store, options=NetworkOptions(skip_missing=True, weights_folder=alexnet_folder)
        )
