from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from t2igan.evaluation.evaluation import _compute
from t2igan.evaluation.features.embedders import BackboneEmbedder
from t2igan.evaluation.features.networks import NetworkOptions, Supply
from t2igan.evaluation.images.generate import NumberedImages
from t2igan.evaluation.metrics.frechet import FID, FDClassifier, FIDInfinity
from t2igan.evaluation.metrics.inception_score import IS, ISClassifier
from t2igan.evaluation.metrics.kernel_distance import KID
from t2igan.evaluation.metrics.manifold import PRDC
from t2igan.evaluation.plan import ImagePlan
from t2igan.evaluation.protocol import Protocol
from t2igan.evaluation.scorers.base import Setting
from t2igan.metrics.backbones import Backbone
from t2igan.metrics.bootstrap import interval
from t2igan.metrics.frechet import frechet_distance
from t2igan.metrics.frechet_sampling import frechet_infinity
from t2igan.metrics.inception_score import inception_score
from t2igan.metrics.kernel_distance import all_kernel_distances, kernel_distances
from t2igan.metrics.manifold import manifold_values
from t2igan.nn.images import to_signed

CPU = torch.device("cpu")
PROTOCOL = Protocol("p", "drawn-birds", 4, 90)
OPTIONS = NetworkOptions()
KERNEL, LINE = KID(subsets=3, subset_size=20), FIDInfinity(points=3, smallest=30)


class Projection(Backbone):
    """Features and logits by fixed random projections."""

    name, sha256, feature_dim = "projection", "ab" * 32, 8

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.features = nn.Linear(48, 8)
        self.logits = nn.Linear(8, 5)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)
        self.freeze()

    def _embed(self, images):
        signed = images if images.is_floating_point() else to_signed(images)
        features = self.features(signed.flatten(1))
        return features, self.logits(features)


def images(count, seed, darker=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256 - darker, (count, 3, 4, 4), generator=generator).byte()


REAL, DRAWN = images(60, 0), images(90, 1, darker=40)


class Supplied(Supply):
    """Has the projection for every source, and the statistics of a file."""

    def __init__(self, statistics):
        super().__init__((), None, NetworkOptions(), CPU)
        self.embedder, self.given = BackboneEmbedder(Projection(), "uint8", CPU), statistics

    def embedders(self, source):
        return [self.embedder]

    def statistics(self, file):
        return self.given, "cd" * 32


def score(*specs, protocol=PROTOCOL, batch=64, statistics=None, options=OPTIONS, first=0):
    captions = np.arange(first, first + len(DRAWN))
    supply, plan = Supplied(statistics), ImagePlan(captions, np.zeros(len(DRAWN), np.int64))
    setting = Setting(None, protocol, None, plan, np.ones(len(DRAWN), bool), supply, options, CPU)
    scorers = [spec.scorer(embedder, setting) for spec in specs for embedder in spec.find(supply)]
    for scorer in scorers:
        feeds = [(DRAWN, scorer.add)] + ([(REAL, scorer.add_reference)] if scorer.wants_reference else [])
        for images, take in feeds:
            for numbers in torch.randperm(len(images)).split(batch):
                take(numbers, supply.embedder(NumberedImages(numbers, images[numbers])))
    return _compute(scorers, protocol)


@pytest.fixture(scope="module")
def features():
    backbone = Projection()
    return backbone(REAL)[0], backbone(DRAWN)[0], backbone(DRAWN)[1]


def statistics(x):
    return x.double().mean(0), x.double().T.cov()


def test_values_are_those_of_the_metrics(features):
    real, generated, logits = features
    found, failed = score(FID(), KERNEL, PRDC(neighbours=3), LINE, IS(splits=1, temperature=0.5))
    assert not failed
    expected = {
        "fid": frechet_distance(*statistics(real), *statistics(generated)),
        "kid": all_kernel_distances(real, generated, 3, 20).subsets.mean(),
        "kid-full": kernel_distances(real, generated, torch.ones(1, len(real)), torch.ones(1, len(generated)))[0],
        "fid-infinity": frechet_infinity(real, generated, 3, 30)[0],
        "is": inception_score((logits / 0.5).softmax(1)),
        **manifold_values(real, generated, 3),
    }
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name].value == pytest.approx(value.item(), rel=1e-6), name
        assert (found[name].n, found[name].network_sha256, found[name].low) == (90, "ab" * 32, None)
    assert found["kid"].spread > 0
    # The line's own error says nothing of other images: without a bootstrap there is no spread.
    assert found["fid-infinity"].spread is None
    # One part has no deviation over parts.
    assert found["is"].spread is None
    parts = score(IS(splits=3))[0]["is"]
    assert parts.spread > 0
    assert (found["kid"].spread_over, found["is"].spread_over, parts.spread_over) == ("subsets", None, "folds")


def test_values_do_not_depend_on_batches():
    specs = FID(), KERNEL, PRDC(), LINE, IS(splits=3)
    protocol = replace(PROTOCOL, bootstrap=20)
    results = [score(*specs, protocol=protocol, batch=size)[0] for size in (1, 7, 64)]
    for name, value in results[2].items():
        for other in results[:2]:
            # The projection of a batch of another size adds up in another order.
            assert other[name].value == pytest.approx(value.value, rel=1e-6, abs=1e-9), name
            assert (other[name].low, other[name].high) == pytest.approx((value.low, value.high), rel=1e-5)


def test_every_value_has_an_interval_around_it():
    specs = FID(), KERNEL, PRDC(), LINE, IS(splits=3)
    narrow, wide = (
        score(*specs, protocol=replace(PROTOCOL, bootstrap=100, confidence=confidence))[0]
        for confidence in (0.5, 0.95)
    )
    for name, value in wide.items():
        assert value.low <= value.value <= value.high, name
        assert value.low < value.high, name
        assert value.high - value.low >= narrow[name].high - narrow[name].low, name
        assert value.value == score(*specs)[0][name].value
    limit = wide["fid-infinity"]
    assert limit.spread_over == "bootstrap"
    assert 3 * limit.spread < limit.high - limit.low < 5 * limit.spread
    other = score(FID(), protocol=replace(PROTOCOL, bootstrap=100, bootstrap_seed=1))[0]["fid"]
    assert (other.low, other.high) != (wide["fid"].low, wide["fid"].high)


def test_replicates_are_kept_and_say_of_what_they_are():
    """The deviations of equal indices pair: they give back the interval, and tell other images and seeds apart."""
    specs, twenty = (FID(), IS(splits=3)), NetworkOptions(bootstrap=20)
    found = score(*specs, options=twenty)[0]
    assert found == score(*specs, protocol=replace(PROTOCOL, bootstrap=20))[0]
    for value in found.values():
        deviations = torch.tensor(value.resampled.deviations, dtype=torch.float64)
        assert len(deviations) == 20 and abs(deviations.mean()) < 1e-3 * deviations.std()
        assert interval(value.value, deviations, 0.95) == pytest.approx((value.low, value.high), rel=1e-3)
    samples = [found["fid"].resampled.samples]
    assert found["is"].resampled.samples == samples[0]
    samples += [
        score(FID(), **changed)[0]["fid"].resampled.samples
        for changed in (
            {"options": twenty, "first": 1},
            {"options": NetworkOptions(bootstrap=21)},
            {"options": twenty, "protocol": replace(PROTOCOL, bootstrap_seed=1)},
        )
    ]
    assert len(set(samples)) == 4
    assert score(FID(loader_batch=50), options=twenty)[0]["fid"].resampled.samples not in samples
    assert score(FID())[0]["fid"].resampled is None


def test_the_classifiers_values_have_names_of_their_own():
    flavour = {"flavour": "classifier"}
    specs = replace(KERNEL, **flavour), PRDC(**flavour), replace(LINE, **flavour), FDClassifier(), ISClassifier()
    found, failed = score(*specs)
    assert not failed
    assert set(found) == {
        *("kid-classifier", "kid-full-classifier", "fd-classifier", "fd-classifier-infinity", "is-classifier"),
        *(f"{name}-classifier" for name in ("precision", "recall", "density", "coverage")),
    }


def test_the_fid_loses_what_fills_no_batch_of_50(features):
    """90 images in batches of 50: the first 50 are scored, as by the scorers of DM-GAN and TISE."""
    real, generated, _ = features
    found = score(FID(loader_batch=50))[0]["fid"]
    assert found.value == pytest.approx(
        frechet_distance(*statistics(real), *statistics(generated[:50])).item(), rel=1e-6
    )
    assert found.n == 50
    _, failed = score(FID(loader_batch=91), PRDC())
    assert "0 images, at least 2 are needed" in failed["fid"]


def test_a_precomputed_reference_takes_the_place_of_the_images(features):
    real, generated, _ = features
    mean, covariance = statistics(real + 1)
    found, _ = score(FID(statistics="x.npz"), statistics=(mean, covariance))
    expected = frechet_distance(mean, covariance, *statistics(generated)).item()
    assert found["fid"].value == pytest.approx(expected, rel=1e-6)
    # Another file is another network: such values have columns of their own.
    assert found["fid"].network_sha256 == f"{'ab' * 32}+{'cd' * 32}"
    both, _ = score(FID(statistics="x.npz"), KERNEL, statistics=(mean, covariance))
    assert both["fid"] == found["fid"]
    assert both["kid"].value == pytest.approx(score(KERNEL)[0]["kid"].value)


def test_what_cannot_be_computed_costs_no_other_value():
    found, failed = score(FID(), KID(subset_size=1000), FIDInfinity(), PRDC(neighbours=70), IS(splits=91))
    assert set(found) == {"fid"}
    assert set(failed) == {"kid", "fid-infinity", "prdc", "is"}
    assert "60 samples for subsets of 1000: lower `subset_size`" in failed["kid"]
    assert "90 samples for 15 subsets from 5000 on" in failed["fid-infinity"]
    assert not any("\n" in reason for reason in failed.values())


def test_images_as_drawn_reach_the_network_as_drawn():
    generated = torch.rand(5, 3, 4, 4) * 2 - 1
    stored = ((generated + 1) * 127.5).to(torch.uint8)
    part = NumberedImages(torch.arange(5), stored, generated)
    seen, expected = (BackboneEmbedder(Projection(), kind, CPU) for kind in ("float", "uint8"))
    assert torch.equal(seen(part)[0], Projection()(generated)[0])
    assert torch.equal(expected(part)[0], Projection()(stored)[0])
    assert not torch.equal(seen(part)[0], expected(part)[0])
    # Reference images were never generated: they are seen as they are stored.
    assert torch.equal(seen(NumberedImages(torch.arange(5), stored))[0], expected(part)[0])
    assert seen.identity != expected.identity
