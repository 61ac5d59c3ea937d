import torch
from torch import nn

from t2igan.nn.average import WeightAverage


def test_average_follows_parameters_and_copies_buffers():
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = WeightAverage(module, decay=0.9)
    before = module[0].weight.detach().clone()
    with torch.no_grad():
        module[0].weight += 1
        module[1].running_mean += 5
    average.update(module)
    assert torch.allclose(average.module[0].weight, before + 0.1)
    assert torch.equal(average.module[1].running_mean, module[1].running_mean)
    average.train()
    assert not average.module.training
