"""bf16 mixed precision, here by the CPU's autocast: what must be float32 is, and all modules train and resume."""

import pytest
import torch
from pytorch_lightning.callbacks import Callback
from test_no_waiting import KINDS, ON_SCENES, ToyNarratives, ToyScenes
from test_several_devices import small_attngan, small_ssagan

from t2igan.data.classification import ClassificationData
from t2igan.losses import matching
from t2igan.losses.gradient_penalty import MAGP
from t2igan.models.classifier import EvaluationClassifier
from t2igan.models.suite_module import load_module
from t2igan.models.tagger import BiLSTMTagger, Tagger
from t2igan.nn.images import resize
from t2igan.nn.levers import EXACT
from t2igan.nn.spectral import SpectralConv2d

HALF = {"precision": "bf16-mixed", "max_steps": 2}


class Logged(Callback):
    """All values that the steps log."""

    def __init__(self):
        self.values = []

    def on_train_batch_end(self, trainer, *_):
        self.values += trainer.callback_metrics.items()


def in_float32(trainer, module, tmp_path):
    """Weights, averages and optimisers' states, in training and in its checkpoint."""
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    checkpoint = torch.load(tmp_path / "half.ckpt", weights_only=True)
    states = [each for own in checkpoint["optimizer_states"] for each in own["state"].values()]
    tensors = [*checkpoint["state_dict"].values(), *(each for state in states for each in state.values())]
    tensors += [*module.parameters(), *module.buffers()]
    return all(each.dtype == torch.float32 for each in tensors if each.is_floating_point())


def check(module, data, train, tmp_path):
    logged = Logged()
    module.levers = EXACT
    trainer = train(module, data, callbacks=[logged], **HALF)
    assert logged.values and all(value.isfinite() and value.dtype == torch.float32 for _, value in logged.values)
    assert in_float32(trainer, module, tmp_path)


@pytest.mark.parametrize("kind", list(KINDS))
def test_it_trains(kind, birds, damsm_checkpoint, train, tmp_path):
    check(KINDS[kind](damsm_checkpoint), birds(), train, tmp_path)


@pytest.mark.parametrize("kind", list(ON_SCENES))
def test_it_trains_on_scenes(kind, tiny_encoder, train, tmp_path):
    module = ON_SCENES[kind](tiny_encoder)
    module.vocabulary = list(map(str, range(getattr(module, "vocabulary_size", None) or 40)))
    check(module, ToyScenes(), train, tmp_path)


def test_classifier_and_tagger_train(drawn_birds_store, train, tmp_path):
    data = ClassificationData(str(drawn_birds_store), 16, 8, holdout=0.25, num_workers=0)
    check(EvaluationClassifier(image_size=16, width=2), data, train, tmp_path)
    check(Tagger(BiLSTMTagger(8, 8), vocabulary_size=9), ToyNarratives(), train, tmp_path)


def test_penalty_matching_and_spectral_norms_are_computed_in_float32(birds, damsm_checkpoint, train, monkeypatch):
    seen = {"penalty": set(), "matching": set(), "spectral": set(), "generator": set()}

    def penalty(self, logits, images, condition, original=MAGP.__call__):
        seen["penalty"] |= {logits.dtype, images.dtype, condition.dtype}
        return original(self, logits, images, condition)

    def entropy(logits, masked, original=matching.pair_cross_entropy):
        seen["matching"] |= {logits.dtype}
        return original(logits, masked)

    def sigma(self, original=SpectralConv2d._sigma):
        # A CPU's autocast leaves these products alone, a GPU's would not.
        assert not torch.is_autocast_enabled("cpu")
        made = original(self)
        seen["spectral"] |= {made.dtype}
        return made

    monkeypatch.setattr(MAGP, "__call__", penalty)
    monkeypatch.setattr(matching, "pair_cross_entropy", entropy)
    monkeypatch.setattr(SpectralConv2d, "_sigma", sigma)
    ssagan, dmgan = (KINDS[kind](damsm_checkpoint) for kind in ("ssagan", "dmgan"))
    ssagan.generator.register_forward_hook(lambda *call: seen["generator"].add(call[-1].images[-1].dtype))
    for module in (ssagan, dmgan):
        train(module, birds(), **HALF)
    assert seen.pop("generator") == {torch.bfloat16}  # the rest is not
    assert seen == {name: {torch.float32} for name in seen}


@pytest.mark.parametrize("make", [small_ssagan, small_attngan])
def test_parts_are_the_whole_and_what_was_trained_draws_in_float32(make, birds, damsm_checkpoint, train, tmp_path):
    def run(steps, checkpoint=None):
        torch.manual_seed(0)
        module = make(damsm_checkpoint)
        train(module, birds(), checkpoint, **HALF | {"max_steps": steps}).save_checkpoint(tmp_path / "last.ckpt")
        return module.state_dict()

    whole = run(4)
    run(2)
    parts = run(4, str(tmp_path / "last.ckpt"))
    assert all(torch.equal(value, parts[key]) for key, value in whole.items())
    module, batch = load_module(tmp_path / "last.ckpt"), next(iter(birds().val_dataloader()))
    noise = torch.zeros(len(batch), module.generator.random_dim)
    assert module.synthesise(noise, batch.captions, batch.lengths).images[-1].dtype == torch.float32


def test_images_in_half_precision_are_resized_in_float32():
    images = torch.rand(1, 3, 8, 8)
    small = resize(images.bfloat16(), 5)
    assert small.dtype == torch.float32 and torch.equal(small, resize(images.bfloat16().float(), 5))
