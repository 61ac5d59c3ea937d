"""How much pictures of one caption differ: a pass of its own, because it draws each caption several times."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch

from t2igan.data.store import Store
from t2igan.evaluation.cache import Shelf
from t2igan.evaluation.costs import DRAWING, charged
from t2igan.evaluation.embedders import Embedder, Rows
from t2igan.evaluation.feeding import Feed, feed
from t2igan.evaluation.generate import Pictures
from t2igan.evaluation.metric_specs import LPIPSDiversity
from t2igan.evaluation.plan import Plan
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
    shelf: Shelf | None = None,
    progress: Callable[[str, int, int], None] | None = None,
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
        shelf: keeps the distances, None for nowhere.
        progress: is told (stage, done, total).
    """
    captions = np.array(list(dict.fromkeys(plan.captions.tolist()))[: spec.captions], np.int64)
    drawn = Plan(np.repeat(captions, spec.samples), np.tile(np.arange(spec.samples), len(captions)))
    # A batch has whole captions.
    size = max(1, batch_size // spec.samples) * spec.samples
    embedder = _PairDistances(network.to(device))
    metric = Diversity().to(device)

    def take(numbers: torch.Tensor, rows: Rows) -> None:
        metric.update(rows[0], numbers)

    def draw(own: Sequence[int]) -> Iterator[Pictures]:
        numbers = (np.asarray(own, np.int64)[:, None] * spec.samples + np.arange(spec.samples)).ravel()
        for some in charged(DRAWING, subject.pictures(protocol, store, drawn, numbers, size, device)):
            images = some.images.unflatten(0, (-1, spec.samples))
            yield Pictures(some.numbers[:: spec.samples] // spec.samples, images)

    ids = np.stack([captions, np.zeros_like(captions)], axis=1)
    feeds = [Feed(embedder, np.ones(len(captions), bool), [take], shelf)]
    feed(feeds, ids, draw, device, partial(progress, "samples of a caption") if progress else None)
    values = metric.compute().double()
    spread = values.std(correction=0).item()
    value = MetricValue(values.mean().item(), spread, len(drawn), network.sha256, spread_over="captions")
    return with_interval(value, values, protocol)


class _PairDistances(Embedder):
    """Mean distance between the samples of each caption, (B, K, 3, S, S) -> (B,)."""

    name, source = "lpips", "uint8"

    def __init__(self, network: LpipsNetwork) -> None:
        self._network, self.sha256 = network, network.sha256

    def _embed(self, images: torch.Tensor) -> Rows:
        return (self._network.diversity(to_signed(images)),)
