"""The networks of a model with their numbers of parameters, printed before a training."""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import ModelSummary
from rich.console import Console
from rich.table import Table
from torch import nn


class NetworkSummary(ModelSummary):
    """Prints each network with its number of parameters and how many of them are trained.

    In the place of Lightning's summary, whose FLOPs are 0 for a module without an example input; `t2igan profile`
    counts those of a step.
    """

    def __init__(self) -> None:
        super().__init__(max_depth=1)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the table, on the first device only."""
        if not trainer.is_global_zero:
            return
        table = Table("network", "class")
        for header in ("parameters", "trained"):
            table.add_column(header, justify="right")
        for name, network in pl_module.named_children():
            table.add_row(name, type(network).__name__, *map(_short, parameters(network)))
        table.add_section()
        table.add_row("all", type(pl_module).__name__, *map(_short, parameters(pl_module)))
        Console().print(table)


def parameters(network: nn.Module) -> tuple[int, int]:
    """The number of a network's parameters, and of those that are trained; shared ones count once."""
    sizes = [(each.numel(), each.requires_grad) for each in network.parameters()]
    return sum(size for size, _ in sizes), sum(size for size, trained in sizes if trained)


def _short(count: int) -> str:
    """Three digits of a number, such as ``2.25 M``."""
    for unit, name in ((1_000_000, " M"), (1_000, " k")):
        if count >= unit:
            return f"{count / unit:.3g}{name}"
    return str(count)
