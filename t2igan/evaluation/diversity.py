"""How much pictures of one caption differ: a pass of its own, because it draws each caption several times."""

import numpy as np
import torch

from t2igan.data.store import Store
from t2igan.evaluation.feeding import processes
from t2igan.evaluation.metric_specs import LPIPSDiversity
from t2igan.evaluation.plan import Plan, share
from t2igan.evaluation.protocol import Protocol
from t2igan.evaluation.record import MetricValue
from t2igan.evaluation.scorers import with_interval
from t2igan.evaluation.subjects import Subject
from t2igan.metrics.lpips import Diversity, LpipsNetwork
from t2igan.nn.images import to_signed


def lpips_diversity(
    subject: Subject,
    spec: LPIPSDiversity,
    protocol: Protocol,
    store: Store,
    plan: Plan,
    network: LpipsNetwork,
    batch_size: int,
    device: torch.device,
) -> MetricValue:
    """Mean distance between the samples of a caption; the spread is over captions.

    Args:
        subject: draws; sample j of a caption is its j-th picture under the protocol.
        spec: how many captions and samples.
        protocol: how they are drawn.
        store: the data set.
        plan: its first captions are used.
        network: measures the distance.
        batch_size: pictures at a time, at least those of one caption.
        device: where to score.
    """
    captions = np.array(list(dict.fromkeys(plan.captions.tolist()))[: spec.captions], np.int64)
    drawn = Plan(np.repeat(captions, spec.samples), np.tile(np.arange(spec.samples), len(captions)))
    metric, network = Diversity().to(device), network.to(device)
    own = share(len(captions), *processes())
    groups = max(1, batch_size // spec.samples)
    numbers = range(own.start * spec.samples, own.stop * spec.samples)
    for part in subject.pictures(protocol, store, drawn, numbers, groups * spec.samples, device):
        samples = to_signed(part.images).unflatten(0, (-1, spec.samples))
        metric.update(network.diversity(samples), part.numbers[:: spec.samples] // spec.samples)
    values = metric.compute().double()
    spread = values.std(correction=0).item()
    return with_interval(MetricValue(values.mean().item(), spread, len(drawn), network.sha256), values, protocol)
