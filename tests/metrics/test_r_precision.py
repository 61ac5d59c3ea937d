import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from golden_fill import compare, fill_input, load_case

from t2igan.errors import UserError
from t2igan.metrics.r_precision import RPrecision, candidate_cosines, fold_statistics

IMAGES = np.arange(200) // 5  # 40 images of 5 captions, 8 classes of 5 images
CLASSES = IMAGES // 5


def captions(dim=32, seed=0):
    return torch.randn(len(IMAGES), dim, generator=torch.Generator().manual_seed(seed))


def score(codes, caption_ids, sentences, batch=64, order=None, **options):
    metric = RPrecision(CLASSES, IMAGES, **{"candidates": 20, **options})
    metric.set_captions(sentences)
    order = torch.arange(len(codes)) if order is None else order
    for trial in order.split(batch):
        metric.update(codes[trial], caption_ids[trial], trial)
    mean, std = metric.compute()
    return mean.item(), std.item()


def hits_among(codes, sentences, true_ids, negative_ids):
    """The metric's hits with these mismatching captions, in place of those that it draws."""
    rows = np.arange(len(sentences))
    metric = RPrecision(rows, rows, candidates=1 + negative_ids.shape[1])
    metric._negatives = SimpleNamespace(draw=lambda draws, captions, count: negative_ids.numpy())
    metric.set_captions(sentences)
    metric.update(codes, true_ids, torch.zeros_like(true_ids))
    return metric.hits()


def trials(count=400, signal=0.6, seed=1):
    sentences, caption_ids = captions(), torch.arange(count) % len(IMAGES)
    noise = torch.randn(count, sentences.shape[1], generator=torch.Generator().manual_seed(seed))
    return signal * sentences[caption_ids] + noise, caption_ids, sentences


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_hits_of_the_released_code(dtype):
    case = load_case("r_precision", "hits")
    specs = {name: spec for name, spec in case["inputs"].items() if spec["kind"] == "normal"}
    inputs = {
        name: torch.from_numpy(fill_input(name, spec["shape"], scale=spec["scale"])).to(dtype)
        for name, spec in specs.items()
    }
    true, mismatched = inputs["rp_sent"], inputs["rp_mismatched"]
    codes = 0.15 * true + inputs["rp_noise"]
    assert case["inputs"]["cnn_code"]["value"] == "0.15 * rp_sent + rp_noise"
    sentences = torch.cat([true, mismatched.flatten(0, 1)])
    true_ids = torch.arange(64)
    negative_ids = 64 + torch.arange(64 * 99).reshape(64, 99)
    candidates = torch.cat([true_ids[:, None], negative_ids], dim=1)
    cosines = candidate_cosines(F.normalize(codes), F.normalize(sentences), candidates)
    assert cosines.shape == (64, 100)
    hits = hits_among(codes, sentences, true_ids, negative_ids)
    outputs = case["outputs"]
    assert compare(outputs["cosine_true"], cosines[:, 0], float64=dtype == torch.float64) == []
    assert compare(outputs["hit"], hits) == []
    assert hits.double().mean().item() == case["scalars"]["precision"][0]


@pytest.mark.parametrize(("mode", "suffix"), [("dmgan-2999", ""), ("exact", "_all_3000")])
def test_folds_of_the_released_code(mode, suffix):
    case = load_case("r_precision", "aggregation")
    spec = case["inputs"]["rp_hits"]
    hits = fill_input("rp_hits", spec["shape"], "integer", low=spec["low"], high=spec["high"])
    found = fold_statistics(torch.from_numpy(hits), folds=10, mode=mode)
    for name, value in zip(("R_mean", "R_std"), found):
        _, float64, _ = case["scalars"][name + suffix]
        assert value.item() == pytest.approx(float64, abs=1e-12)


def test_folds_of_a_number_that_does_not_divide():
    hits = torch.tensor([1, 1, 0, 0, 0, 1, 1])
    mean, std = fold_statistics(hits, folds=2)  # 3 and 4 trials
    assert (mean.item(), std.item()) == pytest.approx((7 / 12, 1 / 12))
    mean, std = fold_statistics(hits, folds=2, mode="dmgan-2999")  # 2 of 3, 2 of 3
    assert (mean.item(), std.item()) == pytest.approx((0.5, 0.5))


def test_ties_count_as_their_chance_to_come_first():
    sentences = torch.tensor([[1.0, 2, 3], [1, 2, 3], [-1, 0, 1], [2, 4, 6]])
    codes = torch.tensor([[0.3, -0.2, 0.9]])
    negative = torch.tensor([[1, 2, 3, 2, 1]])
    # Four of the six candidates are the same.
    assert hits_among(codes, sentences, torch.tensor([0]), negative).tolist() == [1 / 4]
    assert hits_among(codes, sentences, torch.tensor([2]), torch.tensor([[3, 1]])).tolist() == [0]
    assert hits_among(codes, sentences, torch.tensor([0]), torch.tensor([[2, 2]])).tolist() == [1]


def test_perfect_codes_find_their_captions_and_noise_is_at_chance():
    codes, caption_ids, sentences = trials(1000)
    assert score(sentences[caption_ids], caption_ids, sentences) == (1.0, 0.0)
    noise = torch.randn(codes.shape, generator=torch.Generator().manual_seed(5))
    mean, _ = score(noise, caption_ids, sentences)
    assert mean == pytest.approx(1 / 20, abs=0.025)


def test_brute_force_agrees():
    codes, caption_ids, sentences = trials(60)
    metric = RPrecision(CLASSES, IMAGES, candidates=20, folds=1, seed=4)
    negatives = metric._negatives.draw(np.arange(60), caption_ids.numpy(), 19)
    hits = []
    for code, own, others in zip(codes, caption_ids, torch.from_numpy(negatives)):
        cosines = torch.cosine_similarity(code, sentences[torch.cat([own[None], others])])
        hits.append(cosines.argmax().item() == 0)
        assert not set(CLASSES[others]) & {CLASSES[own]}
    assert 0.2 < np.mean(hits) < 0.95
    assert score(codes, caption_ids, sentences, folds=1, seed=4)[0] == pytest.approx(np.mean(hits))


@pytest.mark.parametrize("negatives", ["other-class", "other-image"])
def test_batches_and_their_order_leave_no_trace(negatives):
    codes, caption_ids, sentences = trials()
    expected = score(codes, caption_ids, sentences, negatives=negatives)
    assert 0.1 < expected[0] < 0.9
    for batch, order in ((1, None), (7, None), (50, torch.randperm(len(codes)))):
        assert score(codes, caption_ids, sentences, batch, order, negatives=negatives) == expected


def test_policies_and_seeds_differ():
    # Captions of one class are alike, so candidates of the same class are harder.
    _, caption_ids, sentences = trials()
    sentences = sentences + 5 * captions(seed=9)[torch.from_numpy(CLASSES)]
    codes = sentences[caption_ids] + 12 * captions(seed=8)[torch.randperm(400, generator=torch.Generator()) % 200]
    easy = score(codes, caption_ids, sentences, negatives="other-class")
    assert easy[0] > score(codes, caption_ids, sentences, negatives="other-image")[0]
    assert easy != score(codes, caption_ids, sentences, negatives="other-class", seed=1)


@pytest.mark.parametrize("collapsed", ["text", "image"])
def test_a_collapsed_encoder_is_at_chance_and_is_named(collapsed):
    codes, caption_ids, sentences = trials(40)
    if collapsed == "text":
        sentences = torch.ones_like(sentences)
    else:
        codes = torch.zeros_like(codes)
    with pytest.warns(UserWarning) as warned:
        mean, _ = score(codes, caption_ids, sentences)
    lines = " ".join(str(one.message) for one in warned)
    assert "100% of the trials are ties" in lines
    assert f"the {collapsed} encoder has collapsed" in lines
    # Not a success each: 20 candidates tie, or fewer where the same caption was drawn twice.
    assert mean == pytest.approx(1 / 20, abs=1e-9)


def test_a_nearly_collapsed_image_encoder_is_named():
    codes, caption_ids, sentences = trials(40)
    with pytest.warns(UserWarning, match="all images have the same vector: the image encoder has collapsed, or"):
        score(torch.ones_like(codes) + 1e-3 * codes, caption_ids, sentences)


def test_the_order_of_images_leaves_no_trace():
    """A trial belongs to its caption and draw: the same images under other numbers are the same trials."""
    codes, caption_ids, sentences = trials()
    draws, order = torch.arange(400) // len(IMAGES), torch.randperm(400)
    values = []
    for places in (torch.arange(400), order):
        metric = RPrecision(CLASSES, IMAGES, candidates=20)
        metric.set_captions(sentences)
        metric.update(codes[places], caption_ids[places], draws[places])
        values.append((*metric.compute(), *metric.hits()))
    assert values[0] == values[1]


def small_split(images=6):
    """12 captions of 6 images, no two alike."""
    own = np.arange(2 * images) // 2
    return own, torch.randn(2 * images, 64, generator=torch.Generator().manual_seed(0))


def test_chance_is_what_guessing_gives_on_a_small_split():
    own, sentences = small_split()
    metric = RPrecision(own, own, candidates=100, negatives="other-image")
    metric.set_captions(sentences)
    count = 3000
    guesses = torch.randn(count, 64, generator=torch.Generator().manual_seed(1))
    metric.update(guesses, torch.arange(count) % 12, torch.arange(count) // 12)
    # 99 mismatching captions are drawn, 10 different ones are there: one of 11, not of 100.
    assert metric.chance().item() == pytest.approx(1 / 11, abs=1e-4)
    assert metric.compute()[0].item() == pytest.approx(1 / 11, abs=4 * (0.09 * 0.91 / count) ** 0.5)
    assert metric.notes() == [
        "a trial has 10.0 different mismatching captions on average, not 99: the split is small"
    ]


def test_chance_of_a_large_split_is_that_of_its_candidates():
    codes, caption_ids, sentences = trials()
    metric = RPrecision(CLASSES, IMAGES, candidates=5)
    metric.set_captions(sentences)
    metric.update(codes, caption_ids, torch.arange(400))
    assert metric.chance().item() == pytest.approx(1 / 5, rel=0.01)
    assert metric.notes() == []


def test_chance_counts_equal_captions_once():
    own, _ = small_split()
    same = torch.ones(12, 8)
    metric = RPrecision(own, own, candidates=4, folds=1, negatives="other-image")
    metric.set_captions(same)
    metric.update(torch.randn(12, 8), torch.arange(12), torch.zeros(12, dtype=torch.int64))
    # All candidates are one; which of the four comes first is a guess.
    assert metric.chance().item() == pytest.approx(1 / 4)


def test_bad_input_is_refused():
    codes, caption_ids, sentences = trials(40)
    metric = RPrecision(CLASSES, IMAGES, candidates=20)
    with pytest.raises(RuntimeError, match="set_captions"):
        metric.update(codes, caption_ids, torch.arange(40))
    with pytest.raises(ValueError, match=r"\(200, D\)"):
        metric.set_captions(sentences[:-1])
    with pytest.raises(UserError, match="not finite"):
        metric.set_captions(sentences * torch.nan)
    metric.set_captions(sentences)
    with pytest.raises(UserError, match="not finite"):
        metric.update(codes * torch.nan, caption_ids, torch.arange(40))
    metric.update(codes[:4], caption_ids[:4], torch.arange(4))
    with pytest.raises(UserError, match="4 trials are too few for 10 folds"):
        metric.compute()
    metric.update(codes, caption_ids, torch.arange(40))
    with pytest.raises(UserError, match="more than once"):
        metric.compute()
    with pytest.raises(UserError, match="at least 2"):
        RPrecision(CLASSES, IMAGES, candidates=1)
    with pytest.raises(UserError, match="fold_mode"):
        fold_statistics(torch.ones(30), mode="2999")


def test_scoring_takes_seconds():
    # A tenth of the full protocol (30,000 trials of 100 among 29,330 captions), which takes about 3 CPU seconds.
    count, trials = 29330, 3000
    image = np.arange(count) // 10
    sentences = torch.randn(count, 256, generator=torch.Generator().manual_seed(0))
    metric = RPrecision(image // 60, image)
    metric.set_captions(sentences)
    start = time.process_time()
    for trial in torch.arange(trials).split(64):
        metric.update(sentences[trial], trial, trial)
    assert metric.compute()[0] == 1
    assert time.process_time() - start < 3
