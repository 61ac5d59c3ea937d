import pytest
import torch
from cascade_recording import DTYPES, disagreements, norm, recorded_input
from golden_fill import fill_input, fill_module, load_case

from t2igan.models.generator_losses import GeneratorView, KLLoss
from t2igan.networks.synthesis import Synthesis
from t2igan.nn.conditioning import ConditioningAugmentation


@pytest.mark.parametrize("dtype", DTYPES)
def test_divergence(dtype):
    case = load_case("attngan_losses", "kl_loss")
    mu, logvar = (recorded_input(case, name, dtype).requires_grad_() for name in ("mu", "logvar"))
    loss = KLLoss()(GeneratorView(Synthesis([], mu=mu, logvar=logvar), None, None, None))
    loss.backward()
    grads = {"mu": norm(mu.grad), "logvar": norm(logvar.grad)}
    outputs = {"grad_mu": mu.grad, "grad_logvar": logvar.grad}
    assert not disagreements(case, outputs, {"kl": loss.item()}, grads, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_conditioning_augmentation(dtype):
    case = load_case("attngan_losses", "ca_net")
    network = fill_module(ConditioningAugmentation(256, 100).to(dtype))
    sentence = recorded_input(case, "sent_emb", dtype).requires_grad_()
    condition, mu, logvar = network(sentence, recorded_input(case, "ca_eps", dtype))
    (condition * torch.from_numpy(fill_input("grad_c", [4, 100])).to(dtype)).sum().backward()
    grads = {key: norm(value.grad) for key, value in network.named_parameters()} | {"sent_emb": norm(sentence.grad)}
    outputs = {"c_code": condition, "mu": mu, "logvar": logvar}
    assert not disagreements(case, outputs, {}, grads, dtype)
