from functools import partial

import pytest
import torch
from golden_fill import compare, fill_captions, fill_input, fill_module, load_case

from t2igan.interop.kinds import official_name
from t2igan.text import TextEncoder


def encoder_for(case_name, vocab, dtype):
    cell = "gru" if "gru" in case_name else "lstm"
    encoder = TextEncoder(vocab, cell=cell).to(dtype).eval()
    return fill_module(encoder, partial(official_name, "damsm-text-encoder"))


@pytest.mark.parametrize(
    "name",
    ["vocab100_sorted", "vocab100_unsorted", "vocab5450_sorted", "vocab5450_unsorted", "vocab100_gru_sorted"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_original(name, dtype):
    case = load_case("damsm_rnn_encoder", name)
    spec = case["inputs"]["captions"]
    encoder = encoder_for(name, spec["vocab"], dtype)
    captions = torch.from_numpy(fill_captions(spec["lengths"], spec["vocab"], spec["width"]))
    text = encoder(captions, torch.tensor(spec["lengths"]))

    float64 = dtype == torch.float64
    assert compare(case["outputs"]["words_emb"], text.words, float64=float64) == []
    assert compare(case["outputs"]["sent_emb"], text.sentence, float64=float64) == []
    if case.get("grads"):
        weights = {
            key: torch.from_numpy(fill_input(key, case["inputs"][key]["shape"])).to(dtype)
            for key in ("grad_words", "grad_sent")
        }
        loss = (text.words * weights["grad_words"]).sum() + (text.sentence * weights["grad_sent"]).sum()
        loss.backward()
        for key, parameter in encoder.named_parameters():
            single, double, tolerance = case["grads"][official_name("damsm-text-encoder", key)]
            want, limit = (double, 1e-9 * double) if float64 else (single, tolerance)
            assert abs(parameter.grad.double().norm().item() - want) <= limit, key


def test_padding_marks_the_places_without_words():
    encoder = TextEncoder(10, dim=8).eval()
    text = encoder(torch.tensor([[1, 2, 0, 0], [3, 4, 5, 0]]), torch.tensor([2, 3]))
    assert text.padding.tolist() == [[False, False, True], [False, False, False]]
    assert text.lengths.tolist() == [2, 3]
    assert (text.words[0, :, 2] == 0).all()
