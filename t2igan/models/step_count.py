"""What Lightning's ``global_step`` counts."""

from pytorch_lightning.core.optimizer import LightningOptimizer


def do_not_count_steps_of(*optimizers: LightningOptimizer) -> None:
    """Let ``global_step`` count batches: under manual optimisation Lightning counts every optimiser's step.

    ``max_steps``, ``every_n_train_steps`` and the axis of every logger then mean what they say.
    """
    for optimizer in optimizers:
        optimizer._on_before_step = optimizer._on_after_step = _nothing


def _nothing() -> None:
    return None
