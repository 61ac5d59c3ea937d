import pickle

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import multiprocessing

from t2igan.metrics.frechet import FrechetDistance
from t2igan.metrics.frechet_sampling import FrechetInfinity
from t2igan.metrics.inception_score import InceptionScore
from t2igan.metrics.kernel_distance import KernelDistance
from t2igan.metrics.manifold import Manifold
from t2igan.metrics.r_precision import RPrecision

COUNT = 47
IMAGES = np.arange(60) // 3
SHARES = {
    "uneven": [range(0, COUNT, 3), [i for i in range(COUNT) if i % 3]],
    "interleaved backwards": [range(COUNT - 1, -1, -2), range(COUNT - 2, -1, -2)],
    "one process without samples": [range(COUNT), []],
}


def values_of(samples):
    """All metrics over the samples that this process has."""
    generator = torch.Generator().manual_seed(0)
    real, generated = (torch.randn(COUNT, 6, generator=generator) + shift for shift in (0, 0.5))
    probabilities = torch.randn(COUNT, 9, generator=generator).softmax(1)
    sentences = torch.randn(len(IMAGES), 6, generator=generator)
    caption_ids = torch.arange(COUNT)
    codes = sentences[caption_ids] + torch.randn(COUNT, 6, generator=generator)
    frechet, inception = FrechetDistance(6), InceptionScore(splits=3)
    precision = RPrecision(IMAGES // 2, IMAGES, candidates=8, folds=3)
    precision.set_captions(sentences)
    for chunk in torch.tensor(list(samples), dtype=torch.int64).split(4):
        if len(chunk):
            frechet.update(real[chunk], real=True)
            frechet.update(generated[chunk], real=False)
            inception.update(probabilities[chunk], chunk)
            precision.update(codes[chunk], caption_ids[chunk], chunk)
    pairs = [KernelDistance(6, subsets=3, subset_size=10), Manifold(6), FrechetInfinity(6, 3, 10)]
    for metric in pairs:
        for chunk in torch.tensor(list(samples), dtype=torch.int64).split(4):
            metric.update(real[chunk], chunk, real=True)
            metric.update(generated[chunk], chunk, real=False)
    results = [frechet.compute(), *inception.compute(), *precision.compute()]
    results += [*pairs[0].compute().values(), *pairs[1].compute().values(), *pairs[2].compute()]
    return [value.item() for value in results]


def worker(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    results = {name: values_of(shares[rank]) for name, shares in SHARES.items()}
    (folder / f"{rank}.pickle").write_bytes(pickle.dumps(results))
    dist.destroy_process_group()


def test_two_processes_agree_with_one(tmp_path):
    expected = values_of(range(COUNT))
    assert all(value != 0 for value in expected)
    multiprocessing.spawn(worker, args=(tmp_path,), nprocs=2)
    for rank in range(2):
        found = pickle.loads((tmp_path / f"{rank}.pickle").read_bytes())
        assert found.keys() == SHARES.keys()
        for name, values in found.items():
            assert values == pytest.approx(expected, rel=1e-12), name
