from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
import torch
from evaluation_fixtures import write_protocol

from t2igan.data.datasets import EvaluationItems
from t2igan.data.store import open_store
from t2igan.evaluation.images.generate import (
    caption_tokens,
    generate_images,
    planned_noise,
    protocol_noise,
    truncate_normal,
)
from t2igan.evaluation.plan import plan_images
from t2igan.evaluation.protocol import load_protocol
from t2igan.evaluation.subjects.generated import load_generator

CPU = torch.device("cpu")
# Convolutions of another batch size add up in another order: float32 round-off on values in [-1, 1].
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def split(drawn_birds_store):
    return open_store(drawn_birds_store).split("test")


@pytest.fixture
def protocol(tmp_path):
    return load_protocol(str(write_protocol(tmp_path / "p.yaml")))


@pytest.fixture(scope="module")
def module(checkpoints):
    return load_generator(checkpoints.generator)


def draw(module, split, protocol, numbers, batch_size, count=200):
    plan = plan_images(split, count)
    parts = list(generate_images(module, split, plan, protocol, numbers, batch_size, CPU))
    found = [torch.cat([getattr(part, name) for part in parts]) for name in ("numbers", "images", "generated")]
    order = found[0].argsort()
    return [column[order] for column in found]


def test_captions_are_those_of_the_evaluation_items(split):
    ids = [3, 77, 40, 3]
    expected = EvaluationItems(split, 64, words=6, seed=5)[ids]
    captions, lengths = caption_tokens(split, ids, words=6, seed=5)
    assert max(len(split.caption_tokens(caption)) for caption in ids) > 6
    assert torch.equal(captions, expected.captions)
    assert torch.equal(lengths, expected.lengths)


def test_images_do_not_depend_on_the_batch_size(module, split, protocol):
    numbers = range(150, 180)
    wanted = draw(module, split, protocol, numbers, batch_size=30)
    assert wanted[0].tolist() == list(numbers)
    for batch_size in (1, 7):
        found = draw(module, split, protocol, numbers, batch_size)
        assert all(torch.equal(column, other) for column, other in zip(found, wanted))


def test_images_do_not_depend_on_which_others_are_drawn(module, split, protocol):
    together = draw(module, split, protocol, range(20), batch_size=20)[2]
    alone = draw(module, split, protocol, [13], batch_size=20)[2]
    assert torch.equal(together[13], alone[0])


def test_noise_belongs_to_caption_and_draw():
    captions, draws = np.array([5, 9, 5, 9]), np.array([0, 1, 1, 0])
    noise = planned_noise(captions, draws, 16, seed=3)
    assert torch.equal(planned_noise(captions[::-1].copy(), draws[::-1].copy(), 16, seed=3), noise.flip(0))
    assert len({tuple(row.tolist()) for row in noise}) == 4
    assert not torch.equal(planned_noise(captions, draws, 16, seed=4), noise)


def test_truncated_noise_is_the_truncated_normal_distribution():
    noise = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    found = truncate_normal(noise, 2.0)
    assert found.abs().max() <= 2
    points = torch.linspace(-1.9, 1.9, 9)
    expected = scipy.stats.truncnorm.cdf(points.numpy(), -2, 2)
    measured = [(found <= point).double().mean().item() for point in points]
    assert measured == pytest.approx(expected.tolist(), abs=0.005)
    order = noise.argsort()
    assert (found[order].diff() >= 0).all()
    assert truncate_normal(torch.tensor([-40.0, 40.0]), 2.0).tolist() == [-2, 2]


def test_noise_of_the_protocol(protocol):
    captions, draws = np.arange(500), np.zeros(500, np.int64)
    plain = protocol_noise(captions, draws, 12, 4, protocol)
    assert torch.equal(plain, planned_noise(captions, draws, 16, protocol.noise_seed))
    dfgan = protocol_noise(captions, draws, 12, 4, replace(protocol, truncation=2.0, noise_scale=0.88))
    assert 1.7 < dfgan[:, :12].abs().max() <= 1.76
    torch.testing.assert_close(dfgan[:, :12], 0.88 * truncate_normal(plain[:, :12], 2.0))
    assert torch.equal(dfgan[:, 12:], plain[:, 12:])
    mean = protocol_noise(captions, draws, 12, 4, replace(protocol, conditioning="zero"))
    assert torch.equal(mean[:, :12], plain[:, :12]) and not mean[:, 12:].any()


def test_images_follow_the_noise_of_the_protocol(module, split, protocol):
    plain = draw(module, split, protocol, range(6), 6)[2]
    narrow = draw(module, split, replace(protocol, truncation=2.0, noise_scale=0.88), range(6), 6)[2]
    assert (plain - narrow).abs().max() > 0.001
    silent = [draw(module, split, replace(protocol, noise_scale=0.0), [n], 1, 161)[2] for n in (0, 160)]
    assert torch.equal(*silent)  # the same caption twice, without noise


def test_a_caption_drawn_twice_gives_two_images(module, split, protocol):
    generated = draw(module, split, protocol, [0, 160], batch_size=2, count=161)[2]
    plan = plan_images(split, 161)
    assert plan.captions[0] == plan.captions[160]
    assert (generated[0] - generated[1]).abs().max() > 0.01


def test_the_protocol_chooses_quantisation_and_weights(module, split, protocol):
    _, rounded, generated = draw(module, split, protocol, range(4), 4)
    truncated = draw(module, split, replace(protocol, quantisation="truncate"), range(4), 4)[1]
    assert torch.equal(truncated, ((generated + 1) * 127.5).to(torch.uint8))
    assert torch.equal(rounded, ((generated + 1) * 127.5).round().to(torch.uint8))
    raw = draw(module, split, replace(protocol, weights="raw"), range(4), 4)[2]
    assert (raw - generated).abs().max() > 10 * TOLERANCE
