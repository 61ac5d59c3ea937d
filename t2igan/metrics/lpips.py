"""LPIPS distance (Zhang et al. 2018) with AlexNet, to measure the diversity of one caption's images."""

from itertools import combinations
from pathlib import Path

import torch
from torch import Tensor, nn

from t2igan.errors import UserError
from t2igan.metrics.backbones import read_state
from t2igan.metrics.bootstrap import mean_estimate
from t2igan.metrics.estimate import Estimate
from t2igan.metrics.indexed import IndexedMetric
from t2igan.metrics.weights import resolve_weights


class LpipsNetwork(nn.Module):
    """LPIPS version 0.1 with AlexNet. The linear weights come with torchmetrics, AlexNet's from a file.

    Args:
        weights: file of torchvision's AlexNet; None searches like :func:`t2igan.metrics.weights.resolve_weights`.
        folder: folder that is searched and downloaded to.
        download: whether a missing file may be downloaded.
        verify: False accepts weights other than the published ones.

    Raises:
        UserError: the file is missing, not the published one, or not of this network.
    """

    def __init__(
        self,
        weights: Path | None = None,
        folder: Path = Path("checkpoints"),
        download: bool = True,
        verify: bool = True,
    ) -> None:
        super().__init__()
        # The public class would download AlexNet.
        from torchmetrics.functional.image.lpips import _LPIPS

        path, self.sha256 = resolve_weights("alexnet-torchvision", Path(folder), weights, download, verify)
        self._network = _LPIPS(pretrained=True, net="alex", pnet_rand=True)
        trunk = self._network.net
        names = {name: f"features.{name.partition('.')[2]}" for name in trunk.state_dict()}
        state = read_state(path)
        wrong = [
            own
            for name, own in names.items()
            if own not in state or state[own].shape != trunk.state_dict()[name].shape
        ]
        if wrong:
            raise UserError(f"{path}: {wrong[0]} is missing or of another shape: weights of another network?")
        trunk.load_state_dict({name: state[own] for name, own in names.items()})
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> "LpipsNetwork":
        """Stay in eval mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Distances (B,) between images (B, 3, H, W) in [-1, 1], without resizing."""
        return self._network(first, second).flatten()

    @torch.no_grad()
    def diversity(self, samples: Tensor) -> Tensor:
        """Mean distance over all pairs of samples.

        Args:
            samples: (B, K, 3, H, W) in [-1, 1], K images of each of B captions.

        Returns:
            (B,).
        """
        pairs = list(combinations(range(samples.shape[1]), 2))
        network, total = self._network, torch.zeros(())
        # Each image passes through the trunk once, not once per pair.
        layers = network.net(network.scaling_layer(samples.flatten(0, 1)))
        for layer, weigh in zip(layers, network.lins):
            unit = layer / (layer.square().sum(1, keepdim=True) + 1e-8).sqrt()
            features = unit.unflatten(0, samples.shape[:2])
            for i, j in pairs:
                total = total + weigh((features[:, i] - features[:, j]) ** 2).mean((1, 2, 3))
        return total / len(pairs)


class Diversity(IndexedMetric):
    """Mean diversity over captions, gathered from all processes."""

    higher_is_better = True

    def update(self, values: Tensor, index: Tensor) -> None:
        """Add captions.

        Args:
            values: (B,), diversity of each caption's samples.
            index: int64 (B,), number of each caption; no number may come twice.
        """
        self._record(index, values[:, None])

    def compute(self) -> Tensor:
        """The values sorted by caption number, float32 (N,)."""
        return self._ordered_rows()[:, 0]

    def estimates(self, replicates: int = 0, seed: int = 0) -> dict[str, Estimate]:
        """The mean diversity, see :class:`IndexedMetric`; its spread is over captions."""
        return {"": mean_estimate(self._ordered_rows()[:, 0], "captions", replicates, seed)}
