"""The cache in whole evaluations: what was seen once is not seen, generated or read again."""

from dataclasses import fields, replace

import pytest
from evaluation_fixtures import evaluate, write_protocol

from t2igan.data.store import open_store
from t2igan.errors import UserError
from t2igan.evaluation.features.networks import NetworkOptions, load_classifier, load_damsms
from t2igan.evaluation.features.reference import Reference
from t2igan.evaluation.metrics.frechet import FDClassifier, FIDInfinity
from t2igan.evaluation.metrics.inception_score import ISClassifier
from t2igan.evaluation.metrics.kernel_distance import KID
from t2igan.evaluation.metrics.manifold import PRDC
from t2igan.evaluation.metrics.r_precision import DAMSMRPrecision
from t2igan.evaluation.protocol import CHOICES, SEGMENT_FIELDS, hash_of, load_protocol
from t2igan.evaluation.subjects.generated import build_untrained_subject, load_checkpoint_subject
from t2igan.evaluation.subjects.real import RealImages

CLASSIFIER = {"flavour": "classifier"}
ALL = (
    FDClassifier(),
    ISClassifier(splits=4),
    KID(subsets=3, subset_size=5, **CLASSIFIER),
    PRDC(neighbours=3, **CLASSIFIER),
    FIDInfinity(points=3, smallest=20, **CLASSIFIER),
    DAMSMRPrecision(candidates=10, folds=5),
)


@pytest.fixture(scope="module")
def store(drawn_birds_store):
    return open_store(drawn_birds_store)


@pytest.fixture
def protocol(tmp_path):
    protocol = load_protocol(str(write_protocol(tmp_path / "p.yaml")))
    return replace(protocol, images=60, metrics=ALL, bootstrap=20)


def score(checkpoints, store, protocol, cache, subject=None, batch_size=64, with_damsms=True):
    damsms = load_damsms([checkpoints.damsm], store) if with_damsms else ()
    classifier = load_classifier(checkpoints.classifier, store)
    subject = subject or load_checkpoint_subject(checkpoints.generator, protocol.weights)
    return evaluate(subject, protocol, store, damsms, classifier, NetworkOptions(batch_size, cache=cache))


def assert_equal(found, wanted, rel=1e-9):
    assert found.metrics.keys() == wanted.metrics.keys()
    for name, value in wanted.metrics.items():
        assert found.metrics[name].value == pytest.approx(value.value, rel=rel, abs=1e-12), name
        assert found.metrics[name].n == value.n
        for end in ("low", "high"):
            bound, expected = getattr(found.metrics[name], end), getattr(value, end)
            assert bound == expected or bound == pytest.approx(expected, rel=rel, abs=1e-12), name
    assert (found.n_real, found.n_generated) == (wanted.n_real, wanted.n_generated)


def test_a_second_evaluation_draws_nothing(checkpoints, store, protocol, tmp_path, generated):
    plain = score(checkpoints, store, protocol, None)
    assert len(generated) == 60
    first = score(checkpoints, store, protocol, tmp_path / "cache", batch_size=7)
    assert len(generated) == 120
    second = score(checkpoints, store, protocol, tmp_path / "cache")
    assert len(generated) == 120
    assert_equal(first, plain, rel=1e-3)
    assert_equal(second, first)
    assert not first.not_computed


def test_a_second_metric_and_a_second_protocol_draw_what_is_new_alone(
    checkpoints, store, protocol, tmp_path, generated
):
    cache = tmp_path / "cache"
    score(checkpoints, store, replace(protocol, metrics=ALL[:1]), cache)
    assert len(generated) == 60
    kernel = replace(protocol, metrics=ALL[2:4], reference="whole")
    found = score(checkpoints, store, kernel, cache)
    assert len(generated) == 60
    assert_equal(found, score(checkpoints, store, kernel, None))
    more = replace(protocol, metrics=ALL[:1], images=75)
    generated.clear()
    score(checkpoints, store, more, cache)
    assert generated == list(range(60, 75))
    # Another network has seen nothing yet.
    score(checkpoints, store, replace(protocol, metrics=ALL[-1:]), cache)
    assert len(generated) == 15 + 60


@pytest.mark.parametrize("change", [{"noise_seed": 1}, {"words": 3}, {"quantisation": "truncate"}])
def test_other_images_are_other_content(checkpoints, store, protocol, tmp_path, generated, change):
    protocol = replace(protocol, metrics=ALL[:1], bootstrap=0)
    score(checkpoints, store, protocol, tmp_path / "cache")
    changed = replace(protocol, **change)
    found = score(checkpoints, store, changed, tmp_path / "cache")
    assert len(generated) == 120
    assert_equal(found, score(checkpoints, store, changed, None))


OTHER_PICTURES = {
    "image_size": 64,
    "split": "train",
    "words": 17,
    "words_seed": 1,
    "noise_seed": 101,
    "weights": "raw",
    "quantisation": "truncate",
    "truncation": 2.0,
    "noise_scale": 0.88,
    "conditioning": "zero",
}


def test_the_cache_knows_every_field_of_a_protocol(protocol):
    """A field that comes later is part of the address unless it is said to choose images only."""
    assert {own.name for own in fields(protocol)} == {*OTHER_PICTURES, *CHOICES, *SEGMENT_FIELDS}
    assert replace(protocol, segments=1).drawing.keys() >= SEGMENT_FIELDS
    addresses = {hash_of(replace(protocol, **{name: value}).drawing) for name, value in OTHER_PICTURES.items()}
    assert len(addresses - {hash_of(protocol.drawing)}) == len(OTHER_PICTURES)


def test_the_noises_scale_is_other_content(checkpoints, store, protocol, tmp_path, generated):
    protocol = replace(protocol, metrics=ALL[:1], bootstrap=0)
    for scale in (1.0, 0.5):
        score(checkpoints, store, replace(protocol, noise_scale=scale), tmp_path)
    assert len(generated) == 120


def test_the_reference_is_known_by_all_that_cuts_it(store, protocol):
    changes = [
        {"image_size": 64},
        {"reference": "whole"},
        {"reference_split": "train"},
        {"reference_images": "full"},
        {"reference_images": "augmented"},
        {"reference_images": "augmented", "reference_seed": 1},
    ]
    found = {Reference(store, replace(protocol, **change)).identity for change in ({}, *changes)}
    assert len(found) == 1 + len(changes)


def test_an_interrupted_evaluation_goes_on(checkpoints, store, protocol, tmp_path, generated, monkeypatch):
    monkeypatch.setattr("t2igan.evaluation.features.cache.PART_ROWS", 8)
    subject = load_checkpoint_subject(checkpoints.generator, "ema")
    images, shown = type(subject).images, []

    def interrupted(self, *arguments):
        for number, part in enumerate(images(self, *arguments)):
            if number == 5:
                raise KeyboardInterrupt
            shown.extend(part.numbers.tolist())
            yield part

    with monkeypatch.context() as patched:
        patched.setattr(type(subject), "images", interrupted)
        with pytest.raises(KeyboardInterrupt):
            score(checkpoints, store, protocol, tmp_path / "cache", batch_size=8)
    generated.clear()
    found = score(checkpoints, store, protocol, tmp_path / "cache", batch_size=8)
    assert 5 <= len(shown) <= 40
    assert sorted([*generated, *shown]) == list(range(60))
    assert_equal(found, score(checkpoints, store, protocol, None, batch_size=8))


def test_untrained_networks_are_kept_under_their_tensors(checkpoints, store, protocol, tmp_path, generated):
    protocol = replace(protocol, metrics=ALL[:1], bootstrap=0)
    for seed in (0, 1, 0):
        score(checkpoints, store, protocol, tmp_path, build_untrained_subject(checkpoints.generator, seed))
    assert len(generated) == 120
    damsm = load_damsms([checkpoints.damsm], store)[0].module
    score(checkpoints, store, protocol, tmp_path, build_untrained_subject(checkpoints.generator, 0, damsm))
    assert len(generated) == 180


def test_real_images_are_read_once(checkpoints, store, protocol, tmp_path, monkeypatch):
    protocol = replace(protocol, metrics=(*ALL[:2], PRDC(neighbours=3, **CLASSIFIER)), bootstrap=0)
    first = score(checkpoints, store, protocol, tmp_path / "cache", RealImages())
    seen = []
    backbone = type(load_classifier(checkpoints.classifier, store))
    monkeypatch.setattr(backbone, "forward", lambda self, images: seen.append(images))
    assert_equal(score(checkpoints, store, protocol, tmp_path / "cache", RealImages()), first)
    assert not seen


def test_a_metric_that_fails_at_the_end_costs_no_other(checkpoints, store, protocol):
    record = score(checkpoints, store, replace(protocol, metrics=(*ALL[:1], KID(**CLASSIFIER))), None)
    assert set(record.metrics) == {"fd-classifier"}
    assert "lower `subset_size`" in record.not_computed["kid"]
    with pytest.raises(UserError, match=r"no metric of protocol p could be computed: kid: .*subset_size"):
        score(checkpoints, store, replace(protocol, metrics=(KID(**CLASSIFIER),)), None)
