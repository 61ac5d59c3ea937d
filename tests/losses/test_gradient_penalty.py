import torch

from t2igan.losses.gradient_penalty import MAGP, gradient_norm


def test_the_norm_is_that_of_image_and_sentence_together():
    images, sentence = torch.zeros(2, 3, 1, 1, requires_grad=True), torch.zeros(2, 2, requires_grad=True)
    logits = (images.flatten(1) * torch.tensor([1.0, 2.0, 2.0])).sum(1) + 4 * sentence.sum(1)
    assert torch.allclose(gradient_norm(logits, images, sentence), torch.full((2,), 41.0).sqrt())


def test_a_zero_gradient_has_norm_zero_and_passes_nothing_on():
    weight = torch.tensor([0.0, 3.0], requires_grad=True)
    images, sentence = torch.ones(2, 1, 1, 1, requires_grad=True), torch.ones(2, 1, requires_grad=True)
    logits = weight * (images.flatten(1)[:, 0] + sentence[:, 0])
    assert gradient_norm(logits, images, sentence)[0] == 0
    penalty = MAGP(weight=2.0, power=1.0)(logits, images, sentence)
    assert torch.allclose(penalty, torch.tensor(18.0).sqrt())  # 2 * the mean of 0 and 3 * sqrt(2)
    (gradient,) = torch.autograd.grad(penalty, weight)
    assert gradient[0] == 0 and torch.allclose(gradient[1], torch.tensor(2.0).sqrt())
