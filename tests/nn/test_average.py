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


def test_running_statistics_are_averaged_if_asked():
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = WeightAverage(module, decay=0.9, statistics="averaged")
    for _ in range(2):
        with torch.no_grad():
            module[0].weight += 1
            module[1].running_mean.fill_(5)
            module[1].running_var.fill_(3)
            module[1].num_batches_tracked.add_(7)
        average.update(module)
    own = average.module[1]
    assert torch.allclose(own.running_mean, torch.full((2,), 5 * (1 - 0.81)))
    assert torch.allclose(own.running_var, torch.full((2,), 1 * 0.81 + 3 * (1 - 0.81)))
    assert own.num_batches_tracked == 14 and torch.equal(module[1].running_mean, torch.full((2,), 5.0))
    assert torch.allclose(average.module[0].weight, module[0].weight - 2 + 0.1 + 0.19)
