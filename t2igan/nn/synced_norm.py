"""Batch normalisation over the batch of all devices that train together."""

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from t2igan.nn import across

ALONE = "class_alone"
"""Attribute of a synchronised part: its class before."""


class SyncedBatchNorm(_BatchNorm):
    """Same function as :class:`torch.nn.SyncBatchNorm`, but also for CPUs, and twice differentiable.

    Never constructed: :func:`synchronise` changes the class of existing batch norms.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        """Accept any number of dimensions."""

    def forward(self, input: Tensor) -> Tensor:
        """``input`` (B, C, ...) normalised, in train mode by mean and variance over all devices."""
        if not self.training or across.devices() == 1:
            return super().forward(input)
        dims, shape = [0, *range(2, input.dim())], [1, -1, *[1] * (input.dim() - 2)]
        # Devices may have unequal numbers of samples, e.g. one mismatched pair less on the last.
        count = across.add_up(input.new_tensor(input.numel() // input.shape[1]))
        mean = across.add_up(input.sum(dims)) / count
        centred = input - mean.view(shape)
        variance = across.add_up(centred.square().sum(dims)) / count
        if self.track_running_stats:
            self._follow(mean.detach(), variance.detach() * count / (count - 1))
        normalised = centred / (variance.view(shape) + self.eps).sqrt()
        if not self.affine:
            return normalised
        return normalised * self.weight.view(shape) + self.bias.view(shape)

    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        tracked, running_mean, running_var = self.num_batches_tracked, self.running_mean, self.running_var
        if tracked is None or running_mean is None or running_var is None:
            return
        tracked.add_(1)
        share = 1 / tracked.item() if self.momentum is None else self.momentum
        running_mean.lerp_(mean.to(running_mean), share)
        running_var.lerp_(variance.to(running_var), share)


def synchronise(module: nn.Module, by_formula: bool = False) -> None:
    """Synchronise all batch norms in ``module`` over devices; weights and statistics do not change.

    Args:
        module: module whose batch norms are changed in place.
        by_formula: use this module's implementation instead of PyTorch's, which is faster on GPUs but not twice
            differentiable, as gradient penalties require.
    """
    for part in list(_norms(module)):
        if not hasattr(part, ALONE):
            setattr(part, ALONE, type(part))
            on_cpu = all(each.device.type == "cpu" for each in (*part.parameters(), *part.buffers()))
            part.__class__ = SyncedBatchNorm if by_formula or on_cpu else nn.SyncBatchNorm
            if isinstance(part, nn.SyncBatchNorm):
                part.process_group = None


def separate(module: nn.Module) -> None:
    """Undo :func:`synchronise`."""
    for part in list(_norms(module)):
        if hasattr(part, ALONE):
            part.__class__ = getattr(part, ALONE)
            delattr(part, ALONE)


def unsynchronised(module: nn.Module) -> bool:
    """Whether a batch norm in train mode uses the images of its own device only."""
    return any(
        part.training and not isinstance(part, (SyncedBatchNorm, nn.SyncBatchNorm)) for part in _norms(module)
    )


def _norms(module: nn.Module) -> Iterator[_BatchNorm]:
    return (part for part in module.modules() if isinstance(part, _BatchNorm))
