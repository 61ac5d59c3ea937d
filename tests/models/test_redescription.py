"""The redescription loss: what it computes, what it moves, what it refuses."""

import pytest
import pytorch_lightning as pl
import torch

from t2igan.data.batch import CaptionedImages
from t2igan.errors import UserError
from t2igan.models.digest import seal
from t2igan.models.generator_losses import GeneratorView
from t2igan.models.redescription import RedescriptionLoss
from t2igan.models.stream import STREAM
from t2igan.models.suite_module import load_module
from t2igan.networks.stream import SmallCaptionEncoder
from t2igan.networks.synthesis import Synthesis
from t2igan.nn import across


@pytest.fixture(scope="module")
def captioner(birds, tmp_path_factory):
    folder = tmp_path_factory.mktemp("captioner")
    torch.manual_seed(0)
    trainer = pl.Trainer(max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.fit(STREAM(SmallCaptionEncoder(dim=16, channels=4, image_size=16), hidden_dim=32), datamodule=birds())
    trainer.save_checkpoint(folder / "stream.ckpt")
    return str(folder / "stream.ckpt")


def batch_of(captions, lengths):
    images = torch.zeros(len(lengths), 3, 16, 16, dtype=torch.uint8)
    keys = [str(k) for k in range(len(lengths))]
    ids = torch.arange(len(lengths))
    return CaptionedImages(images, torch.tensor(captions), torch.tensor(lengths), ids, keys, ids)


def view_of(images, captions=((3, 4, 5), (6, 7, 0)), lengths=(3, 2)):
    return GeneratorView(Synthesis([images]), None, batch_of([list(row) for row in captions], list(lengths)), None)


def prepared(captioner, **options):
    loss = RedescriptionLoss(captioner, **options)
    loss.prepare(load_module(captioner).vocabulary)
    return loss


def test_is_the_mean_loss_of_true_words_given_those_before(captioner):
    loss, images = prepared(captioner, weight=10.0), torch.randn(2, 3, 16, 16)
    stream = load_module(captioner)
    features = stream.encoder(images)
    by_hand = []
    for row, words in enumerate(([3, 4, 5], [6, 7])):
        state, inputs = None, features[row][None]
        for word in words:
            output, state = stream.decoder.lstm(inputs[:, None], state)
            by_hand.append(-stream.decoder.linear(output[:, 0]).log_softmax(dim=1)[0, word])
            inputs = stream.decoder.embedding(torch.tensor([word]))
    assert loss(view_of(images)).item() == pytest.approx(10 * torch.stack(by_hand).mean().item(), rel=1e-5)


def test_the_papers_sum_is_the_mean_times_words_an_image(captioner):
    images = torch.randn(2, 3, 16, 16)
    mean, total = (
        prepared(captioner, reduction=reduction)(view_of(images)).item() for reduction in ("mean", "sum")
    )
    assert total == pytest.approx(mean * 5 / 2, rel=1e-5)


def by_hand(stream, image, words):
    """Minus the log-probability of each word given the image and the true words before it; one image at a time."""
    state, given, told = None, stream.encoder(image[None]), []
    for word in words:
        output, state = stream.decoder.lstm(given[:, None], state)
        told.append(-stream.decoder.linear(output[:, 0]).log_softmax(dim=1)[0, word])
        given = stream.decoder.embedding(torch.tensor([word]))
    return torch.stack(told)


@pytest.fixture
def decided(captioner, tmp_path):
    """A captioner that finds some words far likelier than others, so that a word more or less is seen."""
    checkpoint = torch.load(captioner, weights_only=True)
    torch.manual_seed(1)
    for name, weight in checkpoint["state_dict"].items():
        if name.startswith("decoder."):
            weight.normal_()
    seal(checkpoint)
    torch.save(checkpoint, tmp_path / "decided.ckpt")
    return str(tmp_path / "decided.ckpt")


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("end_token", [False, True])
def test_every_option_by_hand(decided, reduction, end_token):
    """``<end>`` (word 0) follows the last word of each caption, the shorter one's too."""
    images, stream = torch.randn(2, 3, 16, 16), load_module(decided)
    end = [0] if end_token else []
    told = [by_hand(stream, image, [*words, *end]) for image, words in zip(images, ([3, 4, 5], [6, 7]))]
    wanted = torch.cat(told).mean() if reduction == "mean" else torch.stack([each.sum() for each in told]).mean()
    loss = prepared(decided, weight=3.0, reduction=reduction, end_token=end_token)
    assert loss(view_of(images)).item() == pytest.approx(3 * wanted.item(), rel=1e-5)


def test_the_mean_is_over_the_words_of_all_devices(decided, monkeypatch):
    """As if the other device had captions of 11 words together, so that the two have 8 on average."""
    images, loss = torch.randn(2, 3, 16, 16), prepared(decided)
    alone = loss(view_of(images)).item()
    monkeypatch.setattr(across, "mean", lambda words: (words + 11) / 2)
    assert loss(view_of(images)).item() == pytest.approx(alone * 5 / 8, rel=1e-6)


def test_the_finest_image_alone_is_told(decided):
    loss, fine = prepared(decided), torch.randn(2, 3, 16, 16)
    view = view_of(fine)
    with_coarse = GeneratorView(Synthesis([torch.randn(2, 3, 8, 8), fine]), None, view.batch, None)
    assert loss(with_coarse).item() == loss(view).item() != loss(view_of(-fine)).item()


def test_a_step_along_its_gradient_makes_the_caption_likelier(decided):
    loss, images = prepared(decided), torch.randn(2, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    loss.double()
    before = loss(view_of(images))
    (slope,) = torch.autograd.grad(before, images)
    step = 1e-6 * slope / slope.norm()
    after = loss(view_of(images - step)), loss(view_of(images + step))
    assert (after[1] - after[0]).item() / 2e-6 == pytest.approx(slope.norm().item(), rel=1e-4)


def test_gradients_reach_the_image_and_not_the_captioner(captioner):
    loss, images = prepared(captioner), torch.randn(2, 3, 16, 16, requires_grad=True)
    before = {key: value.clone() for key, value in loss.stream.state_dict().items()}
    loss.train()
    loss(view_of(images)).backward()
    assert images.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in loss.stream.parameters())
    assert all(torch.equal(value, before[key]) for key, value in loss.stream.state_dict().items())
    assert loss.stream.decoder.lstm.training and not loss.stream.encoder.training


def test_a_captioner_of_other_words_is_refused(captioner, damsm_checkpoint):
    words = load_module(captioner).vocabulary
    with pytest.raises(
        UserError, match=rf"knows {len(words)} words, the data set has {len(words) - 3}: three more"
    ):
        RedescriptionLoss(captioner).prepare(words[:-3])
    with pytest.raises(UserError, match="other ones or in another order"):
        RedescriptionLoss(captioner).prepare([words[0], *reversed(words[1:])])
    with pytest.raises(UserError, match="holds a DAMSM, not a STREAM"):
        RedescriptionLoss(damsm_checkpoint).prepare(words)
