"""A metric of one's own: one registered class, scored by the name that a protocol gives."""

import sys
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import pytorch_lightning as pl
import scipy
import torch
from evaluation_fixtures import evaluate, write_protocol
from torch.utils.data import DataLoader, TensorDataset

from t2igan.data.store import open_store
from t2igan.errors import UserError
from t2igan.evaluation.features.networks import load_classifier
from t2igan.evaluation.metrics import known_metrics, register, shown
from t2igan.evaluation.metrics.base import FeatureMetric, Shown
from t2igan.evaluation.protocol import load_protocol, protocol_of
from t2igan.evaluation.subjects.real import RealImages
from t2igan.metrics.feature_sets import FeatureSetMetric
from t2igan.metrics.frechet import FrechetDistance
from t2igan.metrics.frechet_sampling import FrechetInfinity
from t2igan.metrics.kernel_distance import KernelDistance
from t2igan.metrics.manifold import Manifold
from t2igan.schema import at_least

BESIDE = """
from t2igan.evaluation.metrics.base import FeatureMetric, Shown

class Helper:
    pass

class Taken(FeatureMetric):
    name, shown = "fid", {"fid": Shown("lower")}
"""


class MeanGap(FeatureSetMetric):
    """Distance between the means of real and generated features."""

    def __init__(self, feature_dim, power=2):
        super().__init__(feature_dim)
        self.power = power

    def compute(self):
        real, generated = self.sets()
        return (real.mean(0) - generated.mean(0)).abs().pow(self.power).mean()


@dataclass(frozen=True)
class MeanGapMetric(FeatureMetric):
    """Distance between the means of the classifier's features."""

    name: ClassVar[str] = "mean-gap"
    shown: ClassVar[dict[str, Shown]] = {"mean-gap": Shown("lower", 4)}
    power: int = at_least(1, 2)

    def metric(self, feature_dim):
        return MeanGap(feature_dim, self.power)


@pytest.fixture
def registered():
    yield register(MeanGapMetric)
    del known_metrics()["mean-gap"]


def test_a_metric_of_ones_own_is_scored_by_name(checkpoints, drawn_birds_store, tmp_path, registered):
    store = open_store(drawn_birds_store)
    classifier = load_classifier(checkpoints.classifier, store)
    values = {}
    for power in (1, 2):
        metrics = [{"name": "mean-gap", "power": power}, {"name": "fd-classifier"}]
        protocol = load_protocol(str(write_protocol(tmp_path / f"{power}.yaml", metrics=metrics)))
        record = evaluate(RealImages(), protocol, store, classifier=classifier)
        assert list(record.metrics) == ["mean-gap", "fd-classifier"]
        assert record.metrics["mean-gap"].n == 8
        values[power] = record.metrics["mean-gap"].value
    assert values[1] > 0 and values[1] != values[2]
    assert shown("mean-gap") == Shown("lower", 4)


def test_its_options_are_checked_like_those_of_the_suite(tmp_path, registered):
    for options, line in (
        ({"power": 0}, r"metrics\[0\]\.power: 0 is below 1"),
        ({"root": 2}, r"metrics\[0\]\.root: unknown key; valid keys: power"),
    ):
        with pytest.raises(UserError, match=line):
            load_protocol(str(write_protocol(tmp_path / "p.yaml", metrics=[{"name": "mean-gap", **options}])))


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "nowhere_at_all.Metric",
            r"metrics\[0\]\.name: there is no module 'nowhere_at_all': looked",
        ),
        (
            "metric_beside.Takne",
            r"metrics\[0\]\.name: \S*metric_beside\.py has no class 'Takne' \(did you mean Taken\?\)",
        ),
        ("metric_beside.Helper", r"metrics\[0\]\.name: metric_beside\.Helper is not a metric: derive it from"),
        ("metric_beside.Taken", r"metrics\[0\]\.name: metric 'fid' is registered already, by FID"),
        (".", r"'' is not the name of a Python module"),
    ],
)
def test_a_class_path_that_names_no_metric_is_one_line(tmp_path, monkeypatch, name, line):
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr("t2igan.user_modules._beside", [])
    (tmp_path / "metric_beside.py").write_text(BESIDE)
    with pytest.raises(UserError, match=line):
        load_protocol(str(write_protocol(tmp_path / "p.yaml", metrics=[{"name": name}])))


def test_what_a_record_says_is_not_imported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "metric_of_record.py").write_text("raise SystemExit('imported')")
    content = load_protocol(str(write_protocol(tmp_path / "p.yaml"))).content
    with pytest.raises(UserError, match=r"'metric_of_record\.Metric' is not one of clip-"):
        protocol_of(content | {"metrics": [{"name": "metric_of_record.Metric"}]}, "a record")
    assert shown("of-another-version").better == "neither"


def test_a_name_that_is_taken_and_values_without_a_way_to_show_them_are_refused():
    with pytest.raises(ValueError, match="'fid' is registered already, by FID"):
        register(type("Mine", (FeatureMetric,), {"name": "fid", "shown": {"fid": Shown("lower")}}))
    with pytest.raises(ValueError, match="shown names no value"):
        register(type("Mine", (FeatureMetric,), {"name": "mine", "shown": {}}))


def test_every_metric_says_which_way_is_better_and_has_a_line():
    for name, kind in known_metrics().items():
        assert kind.name == name and kind.shown
        assert (kind.__doc__ or "").split("\n")[0].endswith((".", "as of R-precision.")), name
    directions = {value: way.better for kind in known_metrics().values() for value, way in kind.shown.items()}
    lower = {value for value, better in directions.items() if better == "lower"}
    assert {"fid", "fd-classifier", "fid-infinity", "kid", "kid-full-classifier"} <= lower
    assert not {
        value for value in lower if not value.startswith(("fid", "fd-", "kid", "local-distance", "global-distance"))
    }
    assert directions["r-precision-shuffled"] == "neither"
    assert shown("r-precision@some-label").better == "higher"


class Watched(pl.LightningModule):
    """A user's module with the classes that ``evaluate`` computes with."""

    def __init__(self):
        super().__init__()
        self.fid, self.kid = FrechetDistance(4), KernelDistance(4, subsets=2, subset_size=5)
        self.limit, self.manifold = FrechetInfinity(4, points=3, smallest=8), Manifold(4, neighbours=2)

    def validation_step(self, batch, batch_idx):
        numbers, real, generated = batch
        for metric in (self.fid, self.kid, self.limit, self.manifold):
            metric.update(real, numbers, real=True)
            metric.update(generated, numbers, real=False)

    def on_validation_epoch_end(self):
        self.log("fid", self.fid.compute())
        self.log("kid", self.kid.compute()["full"])
        self.log("limit", self.limit.compute()[0])
        self.log_dict(self.manifold.compute())

    def val_dataloader(self):
        real, generated = pairs_of_features()
        return DataLoader(TensorDataset(torch.arange(len(real)), real, generated), batch_size=3)


def pairs_of_features():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(2, 16, 4, generator=generator) + torch.tensor([0.0, 0.5])[:, None, None]


def in_a_module(**how):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    (found,) = pl.Trainer(accelerator="cpu", **quiet, **how).validate(Watched(), verbose=False)
    return found


@pytest.mark.filterwarnings("ignore")
def test_the_same_classes_serve_in_a_module_of_ones_own_on_one_process_and_on_two():
    found = in_a_module()
    assert {"fid", "kid", "limit", "precision", "recall", "density", "coverage"} == set(found)
    real, generated = (each.double().numpy() for each in pairs_of_features())
    gap = np.square(real.mean(0) - generated.mean(0)).sum()
    covariances = np.cov(real.T), np.cov(generated.T)
    expected = (
        gap + np.trace(sum(covariances)) - 2 * np.trace(scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real)
    )
    assert found["fid"] == pytest.approx(expected, rel=1e-6)
    assert in_a_module(devices=2, strategy="ddp_spawn") == pytest.approx(found, rel=1e-12)
