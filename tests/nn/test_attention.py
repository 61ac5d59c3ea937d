import pytest
import torch
from cascade_recording import DTYPES, disagreements, norm, recorded_input
from golden_fill import fill_module, load_case

from t2igan.nn.attention import WordAttention


def words_and_padding(case, dtype):
    words = recorded_input(case, "words_emb", dtype).requires_grad_()
    lengths = torch.tensor(case["inputs"]["lengths"]["value"])
    return words, torch.arange(words.shape[2]) >= lengths[:, None]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name", ["no_mask", "ragged_released", "ragged_per_sample", "b3_released", "equal_lengths"]
)
def test_word_attention(name, dtype):
    case = load_case("attention", f"att_net_{name}")
    features = recorded_input(case, "h_code", dtype).requires_grad_()
    words, padding = words_and_padding(case, dtype)
    attention = WordAttention(case["config"]["idf"], case["config"]["cdf"], legacy_mask=name.endswith("released"))
    fill_module(attention.to(dtype), {"project.weight": "conv_context.weight"})
    context, weights = attention(features, words, padding)
    (context * recorded_input(case, "grad_context", dtype)).sum().backward()
    grads = {
        "conv_context.weight": norm(attention.project.weight.grad),
        "h_code": norm(features.grad),
        "words_emb": norm(words.grad),
    }
    outputs = {"weighted_context": context, "attention": weights}
    assert not disagreements(case, outputs, {}, grads, dtype)
