"""The captioner against the released one, and what it learns."""

import json
import math
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from golden_fill import GOLDEN_FOLDER, compare, fill_captions, fill_input, fill_module, load_case
from torchvision.models import resnet152

from t2igan.data.vocabulary import tokenize
from t2igan.errors import UserError
from t2igan.interop.kinds import official_name
from t2igan.models.damsm import SmallImageEncoder
from t2igan.models.stream import STREAM, DAMSMCaptionEncoder, ResNetCaptionEncoder, reference_captions
from t2igan.models.suite_module import load_module, read_checkpoint
from t2igan.networks.stream import CaptionDecoder, SmallCaptionEncoder, with_end
from t2igan.nn.images import to_signed

COMPONENT = "mirrorgan_stream"


def recorded(case, name, dtype=torch.float64):
    spec = case["inputs"][name]
    return torch.from_numpy(fill_input(name, spec["shape"], spec["kind"])).to(dtype)


def manifest(part):
    modules = json.loads((GOLDEN_FOLDER / "manifests" / "mirrorgan.json").read_text())["modules"]
    return next(entry for name, entry in modules.items() if name.startswith(part))


# ----------------------------------------------------------------- encoder


@pytest.fixture(scope="module")
def filled_resnet():
    return fill_module(ResNetCaptionEncoder(weights="random").double(), partial(official_name, "stream-cnn"))


def test_resnet_encoder_has_the_released_parameters(filled_resnet):
    released = manifest("CAPTION_CNN")
    own = {official_name("stream-cnn", key): list(v.shape) for key, v in filled_resnet.state_dict().items()}
    assert own == {key: shape for key, (shape, _) in released["state"].items()}
    assert sum(p.numel() for p in filled_resnet.parameters()) == released["parameters"] == 58_668_864
    assert sum(p.numel() for p in filled_resnet.trainable()) == 2048 * 256 + 3 * 256


@pytest.mark.parametrize("double", [True, False])
def test_resnet_encoder_equals_the_original(filled_resnet, double):
    case, dtype = load_case(COMPONENT, "caption_cnn_eval_64"), torch.float64 if double else torch.float32
    encoder = filled_resnet.to(dtype).eval()
    try:
        with torch.no_grad():
            features = encoder(recorded(case, "images", dtype))
    finally:
        filled_resnet.double()
    assert compare(case["outputs"]["features"], features, float64=double) == []


def test_the_corners_of_the_resize_matter(filled_resnet):
    case = load_case(COMPONENT, "caption_cnn_eval_align_corners")
    filled_resnet.eval()
    differences = {}
    for filled_resnet.align_corners in (True, False):
        with torch.no_grad():
            features = filled_resnet(recorded(case, "images"))
        differences[filled_resnet.align_corners] = compare(case["outputs"]["features"], features, float64=True)
    assert differences[True] == [] != differences[False]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["caption_cnn_eval", "caption_cnn_eval_image", "caption_cnn_train"])
def test_gradients_of_the_resnet_encoder_equal_the_originals(name):
    case = load_case(COMPONENT, name)
    encoder = fill_module(ResNetCaptionEncoder(weights="random").double(), partial(official_name, "stream-cnn"))
    encoder.train(case["config"]["mode"] == "train")
    images = recorded(case, "images").requires_grad_()
    features = encoder(images)
    assert compare(case["outputs"]["features"], features, float64=True) == []
    (features * recorded(case, "grad_features")).sum().backward()
    measured = {key: parameter.grad for key, parameter in encoder.named_parameters() if parameter.grad is not None}
    assert measured.keys() == case["grads"].keys() - {"images"}
    measured["images"] = images.grad
    for key, (_, double, _) in case["grads"].items():
        # Block images tie in the max-pool, and rounding, which varies with the number of threads, breaks the ties.
        limit = 1e-2 if key == "images" and case["inputs"]["images"]["kind"] == "blocks" else 1e-9
        # The bias in front of batch norm has no gradient but rounding.
        assert measured[key].norm().item() == pytest.approx(double, rel=limit, abs=1e-10), key


def test_renormalised_images_are_those_of_imagenet(filled_resnet):
    images = torch.rand(1, 3, 224, 224, dtype=torch.float64) * 2 - 1
    mean = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64)[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64)[:, None, None]
    with torch.no_grad():
        plain = filled_resnet.eval()(((images + 1) / 2 - mean) / std)
        filled_resnet.renormalise = True
        try:
            torch.testing.assert_close(filled_resnet(images), plain)
        finally:
            filled_resnet.renormalise = False


def test_the_trunk_keeps_its_statistics_if_told_so(filled_resnet):
    assert filled_resnet.train().trunk.bn1.training
    filled_resnet.bn_mode = "eval"
    try:
        assert not filled_resnet.train().trunk.bn1.training
        assert filled_resnet.bn.training
    finally:
        filled_resnet.bn_mode = "train"
        filled_resnet.eval()


def test_weights_come_from_a_file_of_that_network(tmp_path, filled_resnet):
    published = resnet152(weights=None)
    torch.save(published.state_dict(), tmp_path / "resnet.pth")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    encoder = filled_resnet
    before = encoder.weights
    try:
        encoder.weights = str(tmp_path / "other.pth")
        with pytest.raises(UserError, match=r"other\.pth: lacks conv1"):
            encoder.load_pretrained()
        encoder.weights = str(tmp_path / "none.pth")
        with pytest.raises(UserError, match=r"none\.pth.*resnet152.*download\.pytorch\.org"):
            encoder.load_pretrained()
        encoder.weights = "random"
        with pytest.warns(UserWarning, match="random weights"):
            encoder.load_pretrained()
        encoder.weights = str(tmp_path / "resnet.pth")
        encoder.load_pretrained()
        assert torch.equal(encoder.trunk.layer4[2].conv3.weight, published.layer4[2].conv3.weight.double())
    finally:
        encoder.weights = before


def test_small_encoder_takes_images_of_any_size():
    encoder = SmallCaptionEncoder(dim=8, channels=2, image_size=16).eval()
    assert encoder(torch.zeros(2, 3, 16, 16)).shape == encoder(torch.zeros(2, 3, 40, 40)).shape == (2, 8)


# ----------------------------------------------------------------- decoder


def recorded_decoder(case, dtype=torch.float64):
    config = case["config"]
    decoder = CaptionDecoder(config["vocab"], config["embed_size"], config["hidden_size"]).to(dtype)
    return fill_module(decoder, partial(official_name, "stream-rnn"))


def recorded_captions(case):
    spec = case["inputs"]["captions"]
    captions = fill_captions(spec["lengths"], spec["vocab"], spec["width"])
    return torch.from_numpy(captions), torch.tensor(spec["lengths"])


@pytest.mark.parametrize("name", ["caption_rnn_vocab100", "caption_rnn_vocab5450"])
def test_decoder_equals_the_original(name):
    case = load_case(COMPONENT, name)
    decoder, (captions, lengths) = recorded_decoder(case), recorded_captions(case)
    features = recorded(case, "features").requires_grad_()
    assert compare(case["outputs"]["packed_logits"], decoder(features, captions, lengths), float64=True) == []
    loss = -decoder.log_probabilities(features, captions, lengths).sum() / lengths.sum()
    assert loss.item() == pytest.approx(case["scalars"]["caption_loss"][1], rel=1e-9)
    loss.backward()
    measured = {official_name("stream-rnn", key): value.grad for key, value in decoder.named_parameters()}
    measured["features"] = features.grad
    assert measured.keys() == case["grads"].keys()
    for key, (_, double, _) in case["grads"].items():
        assert measured[key].norm().item() == pytest.approx(double, rel=1e-9), key
    assert compare(case["outputs"]["sample"], decoder.greedy(features, 20, stop=False)) == []


def test_decoder_in_single_precision_stays_within_the_recorded_noise():
    case = load_case(COMPONENT, "caption_rnn_vocab100")
    decoder, (captions, lengths) = recorded_decoder(case, torch.float32), recorded_captions(case)
    with torch.no_grad():
        logits = decoder(recorded(case, "features", torch.float32), captions, lengths)
    assert compare(case["outputs"]["packed_logits"], logits) == []


@pytest.mark.parametrize(("words", "parameters"), [(5450, 5_768_010), (5453, 5_770_317)])
def test_decoder_has_the_released_parameters(words, parameters):
    decoder = CaptionDecoder(words)
    assert sum(parameter.numel() for parameter in decoder.parameters()) == parameters
    if words == 5450:
        shapes = {official_name("stream-rnn", key): list(v.shape) for key, v in decoder.state_dict().items()}
        assert shapes == {key: shape for key, (shape, _) in manifest("CAPTION_RNN")["state"].items()}


@pytest.fixture
def small_decoder():
    torch.manual_seed(0)
    return CaptionDecoder(30, embedding_dim=6, hidden_dim=8).double()


def test_the_order_of_the_captions_does_not_matter(small_decoder):
    lengths = torch.tensor([3, 7, 1, 7, 2])
    captions = torch.from_numpy(fill_captions(lengths.tolist(), 30))
    features = torch.randn(5, 6, dtype=torch.float64)
    found = small_decoder.log_probabilities(features, captions, lengths)
    order = torch.tensor([4, 1, 0, 3, 2])
    again = small_decoder.log_probabilities(features[order], captions[order], lengths[order])
    torch.testing.assert_close(again, found[order])
    # Each caption by itself, step by step, without packing.
    for row, (caption, length) in enumerate(zip(captions, lengths)):
        inputs = torch.cat([features[row : row + 1], small_decoder.embedding(caption[: length - 1])])
        states, _ = small_decoder.lstm(inputs[None])
        alone = small_decoder.linear(states[0]).log_softmax(1).gather(1, caption[:length, None])[:, 0]
        torch.testing.assert_close(found[row, :length], alone)
        assert (found[row, length:] == 0).all()


def test_padding_is_never_looked_at(small_decoder):
    captions, lengths = torch.tensor([[4, 5, 0, 0], [6, 7, 8, 9]]), torch.tensor([2, 4])
    features = torch.randn(2, 6, dtype=torch.float64)
    other = captions.clone()
    other[0, 2:] = 17
    assert torch.equal(small_decoder(features, captions, lengths), small_decoder(features, other, lengths))


def test_end_is_one_more_word():
    captions, lengths = with_end(torch.tensor([[4, 5, 6], [7, 0, 0]]), torch.tensor([3, 1]))
    assert captions.tolist() == [[4, 5, 6, 0], [7, 0, 0, 0]]
    assert lengths.tolist() == [4, 2]


def test_greedy_says_the_likeliest_words_and_stops(small_decoder):
    features = torch.randn(6, 6, dtype=torch.float64)
    said = small_decoder.greedy(features, 9, stop=False)
    for row, feature in zip(said, features):
        for place in range(9):
            logits = small_decoder(feature[None], row[None, : place + 1], torch.tensor([place + 1]))
            assert logits[-1].argmax() == row[place]
    # The word that comes third and not before in the first caption takes the place of <end>.
    word = said[0, 2].item()
    swapped = torch.arange(30)
    swapped[[0, word]] = torch.tensor([word, 0])
    with torch.no_grad():
        for table in (small_decoder.embedding.weight, small_decoder.linear.weight, small_decoder.linear.bias):
            table.copy_(table[swapped].clone())
    whole, stopped = small_decoder.greedy(features, 9, stop=False), small_decoder.greedy(features, 9)
    assert torch.equal(whole, swapped[said])
    ends = [row.index(0) if 0 in row else 9 for row in whole.tolist()]
    assert ends[0] == 2
    for row, whole_row, end in zip(stopped.tolist(), whole.tolist(), ends):
        assert row == whole_row[:end] + [0] * (9 - end)


# ------------------------------------------------------------ pre-training


def small_stream(**options):
    torch.manual_seed(0)
    return STREAM(SmallCaptionEncoder(dim=16, channels=4, image_size=16), hidden_dim=32, **options)


def test_training_moves_what_it_should_and_learns(train, birds):
    module, losses = small_stream(lr=0.01), []
    module.on_train_batch_end = lambda outputs, *_: losses.append(outputs["loss"].item())
    data = birds(words=40)
    train(module, data, max_steps=60)
    assert losses[0] == pytest.approx(math.log(len(data.vocabulary.words)), rel=0.1)
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])


@pytest.mark.parametrize("end_token", [True, False])
def test_end_is_learnt_only_if_asked_for(train, end_token):
    module = small_stream(end_token=end_token)
    train(module, max_steps=1)
    gradient = module.decoder.linear.bias.grad
    assert (gradient[0] < 0) == end_token  # a step makes <end> likelier only where it is a target


def test_checkpoint_alone_captions_images(train, birds, tmp_path):
    data = birds()
    trainer = train(small_stream(max_words=5), data, max_steps=2)
    trainer.save_checkpoint(tmp_path / "stream.ckpt")
    assert read_checkpoint(tmp_path / "stream.ckpt")["t2igan"]["vocabulary"] == data.vocabulary.words
    module = load_module(tmp_path / "stream.ckpt")
    batch = data.eval_dataset()[[0, 10, 20]]
    features = module.encoder(to_signed(batch.images))
    said, probabilities = module.say(features)
    assert len(said) == 3 and all(set(caption.split()) <= set(data.vocabulary.words[1:]) for caption in said)
    # The probability of a caption is the product of its words' probabilities.
    ids = module.decoder.greedy(features, 5)
    for row, feature, probability in zip(ids, features, probabilities):
        length = min(5, int((row != 0).sum()) + 1)
        logits = module.decoder(feature[None], row[None], torch.tensor([length]))
        expected = logits.log_softmax(1).max(dim=1).values.sum()
        assert probability.item() == pytest.approx(expected.item(), rel=1e-4)


def test_validation_is_over_all_tokens_and_all_references(train, birds):
    module, data = small_stream(), birds(eval_batch_size=5)
    trainer = train(module, data, max_steps=1)
    trainer.limit_val_batches = 1.0
    (logged,) = trainer.validate(module, datamodule=data, verbose=False)
    assert logged.keys() == {"val/loss", "val/perplexity", "val/bleu_4", "val/rouge_l"}
    batch = data.on_after_batch_transfer(data.eval_dataset()[data.first_captions()], 0)
    captions, lengths = with_end(batch.captions, batch.lengths)
    with torch.no_grad():
        features = module.eval().encoder(to_signed(batch.images))
        loss = -module.decoder.log_probabilities(features, captions, lengths).sum() / lengths.sum()
    assert logged["val/loss"] == pytest.approx(loss.item(), rel=1e-5)
    assert logged["val/perplexity"] == pytest.approx(loss.exp().item(), rel=1e-5)
    (tested,) = trainer.test(module, datamodule=data, verbose=False)
    assert tested == pytest.approx(logged)


def test_references_are_all_captions_of_the_image(birds):
    split = birds().test_split
    own = split.captions_of(3)
    assert len(own) > 1
    expected = [" ".join(tokenize(split.caption_text(caption))) for caption in own]
    assert reference_captions(split, [own[1]]) == [expected]


def test_the_encoder_of_a_damsm_is_borrowed_frozen(damsm_checkpoint, birds, train, tmp_path):
    torch.manual_seed(0)
    trunk = SmallImageEncoder(dim=16, channels=4, image_size=16)
    module = STREAM(DAMSMCaptionEncoder(trunk, damsm_checkpoint, dim=8), hidden_dim=16)
    trainer = train(module, max_steps=2)
    lent = load_module(damsm_checkpoint).image_encoder.state_dict()
    assert all(torch.equal(value, lent[key]) for key, value in module.encoder.trunk.state_dict().items())
    trainer.save_checkpoint(tmp_path / "stream.ckpt")
    again, images = load_module(tmp_path / "stream.ckpt"), torch.randn(2, 3, 16, 16)
    assert torch.equal(again.encoder(images), module.eval().encoder(images))


def test_a_damsm_with_another_image_encoder_is_refused(damsm_checkpoint):
    encoder = DAMSMCaptionEncoder(SmallImageEncoder(dim=16, channels=8, image_size=16), damsm_checkpoint)
    with pytest.raises(UserError, match="has no image encoder like this SmallImageEncoder"):
        encoder.load_pretrained()


def test_the_rate_falls_and_the_forget_gate_starts_open(birds, train):
    rates = []
    module = small_stream(forget_bias=1.0)
    before = small_stream()
    for stream in (module, before):
        stream.vocabulary = ["<end>", "bird"]
        torch.manual_seed(1)
        stream.configure_model()
    lifted = module.decoder.lstm.bias_ih_l0 - before.decoder.lstm.bias_ih_l0
    assert torch.allclose(lifted[32:64], torch.ones(32)) and not lifted[:32].any() and not lifted[64:].any()
    other = small_stream(lr=0.01, lr_final=0.001)
    other.on_train_batch_end = lambda *_: rates.append(other.optimizers().param_groups[0]["lr"])
    train(other, max_steps=4)
    assert rates == sorted(rates, reverse=True) and rates[0] < 0.011 and rates[-1] < 0.004


@pytest.mark.parametrize(("end_token", "counted"), [(True, [3, 4]), (False, [4, 4])])
def test_the_probability_of_a_caption_is_of_its_words_and_its_end(end_token, counted):
    words, scores = torch.tensor([[2, 1, 0, 0], [1, 2, 3, 1]]), torch.tensor([[-1.0, -2, -3, -4]] * 2)

    def log_probabilities(features, tokens, lengths):
        assert torch.equal(tokens, words)
        return scores * (torch.arange(4) < lengths[:, None])

    decoder = SimpleNamespace(greedy=lambda features, most, stop: words, log_probabilities=log_probabilities)
    captioner = SimpleNamespace(
        decoder=decoder, max_words=4, end_token=end_token, vocabulary=["<end>", "red", "small", "bird"]
    )
    captions, probabilities = STREAM.say(captioner, torch.zeros(2, 5))
    assert captions == ["small red", "red small bird red"]
    assert probabilities.tolist() == [-sum(range(1, count + 1)) for count in counted]
