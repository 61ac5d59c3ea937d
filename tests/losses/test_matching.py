import pytest
import torch
from golden_fill import compare, fill_input, load_case

from t2igan.losses.matching import Gammas, damsm_loss, same_class, word_logits
from t2igan.text import TextEmbedding

CASES = ["b4_no_class", "b4_class", "b4_class_gamma1_5", "b4_all_same_class", "b48_no_class"]


def load(case, dtype):
    tensors = {}
    for name in ("img_features", "words_emb", "cnn_code", "sent_emb"):
        spec = case["inputs"][name]
        array = fill_input(name, spec["shape"], spec["kind"], spec["scale"])
        tensors[name] = torch.from_numpy(array).to(dtype).requires_grad_()
    given = {name: case["inputs"][name]["value"] for name in ("cap_lens", "class_ids", "gamma")}
    lengths = torch.tensor(given["cap_lens"])
    padding = torch.arange(tensors["words_emb"].shape[2]) >= lengths[:, None]
    text = TextEmbedding(tensors["sent_emb"], tensors["words_emb"], padding)
    class_ids = None if given["class_ids"] is None else torch.tensor(given["class_ids"])
    return tensors, text, class_ids, Gammas(*given["gamma"])


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_the_original(name, dtype):
    case = load_case("damsm_losses", name)
    tensors, text, class_ids, gammas = load(case, dtype)
    loss = damsm_loss(tensors["img_features"], tensors["cnn_code"], text, class_ids, gammas)
    loss.total.backward()

    float64 = dtype == torch.float64
    measured = {
        "w_loss0": loss.words_to_text,
        "w_loss1": loss.words_to_image,
        "s_loss0": loss.sentence_to_text,
        "s_loss1": loss.sentence_to_image,
    }
    for key, (single, double, tolerance) in case["scalars"].items():
        want, limit = (double, 1e-9 * abs(double)) if float64 else (single, tolerance)
        assert abs(measured[key].item() - want) <= limit, key
    for key, entry in case["outputs"].items():
        if key.startswith("grad_"):
            assert compare(entry, tensors[key.removeprefix("grad_")].grad, float64=float64) == [], key
    _, maps = word_logits(tensors["img_features"], text, gammas)
    for row, length in enumerate(text.lengths.tolist()):
        entry = case["outputs"].get(f"att_maps[{row}]")
        if entry:
            assert compare(entry, maps[row : row + 1, :length], float64=float64) == []


def test_the_papers_equation_10_divides_by_gamma2():
    case = load_case("damsm_losses", "b4_no_class")
    tensors, text, _, _ = load(case, torch.float64)
    code, _ = word_logits(tensors["img_features"], text, Gammas(4, 5, 10))
    paper, _ = word_logits(tensors["img_features"], text, Gammas(4, 5, 10, paper_eq10=True))
    assert torch.allclose(code / 5, paper)


def test_padding_does_not_count():
    case = load_case("damsm_losses", "b4_class")
    tensors, text, class_ids, gammas = load(case, torch.float64)
    clean = damsm_loss(tensors["img_features"], tensors["cnn_code"], text, class_ids, gammas).total
    words = text.words.masked_fill(text.padding[:, None], 1e3)
    dirty = TextEmbedding(text.sentence, words, text.padding)
    assert torch.equal(
        damsm_loss(tensors["img_features"], tensors["cnn_code"], dirty, class_ids, gammas).total, clean
    )


def test_same_class_spares_the_diagonal():
    masked = same_class(torch.tensor([3, 7, 3]))
    assert masked.tolist() == [[False, False, True], [False, False, False], [True, False, False]]


def test_permuting_the_batch_permutes_nothing_but_the_order():
    case = load_case("damsm_losses", "b4_class")
    tensors, text, class_ids, gammas = load(case, torch.float64)
    order = torch.tensor([2, 0, 3, 1])
    one = damsm_loss(tensors["img_features"], tensors["cnn_code"], text, class_ids, gammas).total
    features, codes = tensors["img_features"][order], tensors["cnn_code"][order]
    two = damsm_loss(features, codes, text.select(order), class_ids[order], gammas).total
    assert torch.allclose(one, two)


@pytest.mark.parametrize("name", ["func_attention_g4", "func_attention_g5"])
def test_word_attention_of_matching_pairs_equals_the_originals(name):
    case = load_case("attention", name)
    arrays = {
        key: torch.from_numpy(fill_input(key, spec["shape"], spec["kind"], spec["scale"])).double()
        for key, spec in case["inputs"].items()
        if spec["kind"] == "normal"
    }
    words, regions = arrays["query"].requires_grad_(), arrays["context"].requires_grad_()
    padding = torch.zeros(words.shape[0], words.shape[2], dtype=torch.bool)
    text = TextEmbedding(words.mean(dim=2).detach(), words, padding)
    _, maps = word_logits(regions, text, Gammas(case["inputs"]["gamma1"]["value"], 5, 10))
    context = torch.einsum("bdhw,bthw->bdt", regions, maps)
    assert compare(case["outputs"]["attention"], maps, float64=True) == []
    assert compare(case["outputs"]["weighted_context"], context, float64=True) == []
    (context * arrays["grad_context"]).sum().backward()
    for key, leaf in (("query", words), ("context", regions)):
        assert leaf.grad.norm().item() == pytest.approx(case["grads"][key][1], rel=1e-9)


def test_half_precision_of_the_networks_does_not_reach_the_loss():
    case = load_case("damsm_losses", "b4_class")
    tensors, text, class_ids, gammas = load(case, torch.bfloat16)
    halves = (tensors["img_features"], tensors["cnn_code"], text)
    wide_text = TextEmbedding(text.sentence.float(), text.words.float(), text.padding)
    wide = damsm_loss(halves[0].float(), halves[1].float(), wide_text, class_ids, gammas).total
    with torch.autocast("cpu", torch.bfloat16):
        loss = damsm_loss(*halves, class_ids, gammas).total
    assert loss.dtype == torch.float32
    assert torch.equal(loss, wide)
