"""Apply the levers of :mod:`t2igan.nn.levers` to a GAN's networks."""

from typing import TYPE_CHECKING

from torch import nn

from t2igan.nn.folding import fold_batch_norms
from t2igan.nn.levers import lay_out, pull

if TYPE_CHECKING:
    from t2igan.models.adversarial import AdversarialModule


def prepare_networks(module: "AdversarialModule") -> None:
    """Apply the levers of ``module`` that change its networks rather than its step, once after all are built.

    Parameters and state dicts of trained networks do not change.
    """
    levers = module.levers
    trained: list[nn.Module] = [module.generator, module.discriminators]
    lent: list[nn.Module] = [module.generator_losses]
    if module.scorer is not None and module.text_mode != "damsm-finetune":
        lent.append(module.scorer)
    if levers.folding:
        for network in lent:
            fold_batch_norms(network)
    for network in (*trained, *lent):
        pull(network, levers)
    lay_out(module, levers)
    if levers.compile:
        module.generator.compile()
        # A compiled graph has no second derivative, which gradient penalties take.
        for discriminator in module.discriminators if module.penalty is None else ():
            discriminator.compile()
