"""What discriminators think of the pairs of one batch, for the log."""

from torch import Tensor

from t2igan.losses.adversarial import Logits


def verdicts(real: Logits, fake: Logits, wrong: Tensor) -> dict[str, Tensor]:
    """Mean logits of pairs, and how far apart real and drawn pictures are.

    Args:
        real: of real pictures with their captions.
        fake: of drawn pictures with their captions.
        wrong: of real pictures with captions of others, (M,); M may be 0.

    Returns:
        Scalars ``logits_real``, ``logits_fake``, ``margin`` (real less fake) and, of M > 0, ``logits_wrong``.
    """
    values = {"logits_real": real.conditional.mean(), "logits_fake": fake.conditional.mean()}
    values["margin"] = values["logits_real"] - values["logits_fake"]
    if len(wrong):
        values["logits_wrong"] = wrong.mean()
    return values
