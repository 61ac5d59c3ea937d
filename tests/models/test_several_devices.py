"""Two devices with 8 images each train as one with 16: the same losses, the same weights."""

from types import SimpleNamespace

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy
from torch import nn

from t2igan.callbacks.several_devices import BatchNormOfAllDevices, not_as_one_device
from t2igan.data.classification import ClassificationData
from t2igan.models.attngan import AttnGAN
from t2igan.models.classifier import EvaluationClassifier
from t2igan.models.damsm import DAMSM, SmallImageEncoder
from t2igan.models.joint_encoder import SegmentEncoder
from t2igan.models.prior import MLPPrior, SegmentPrior
from t2igan.models.segmenter import Segmenter
from t2igan.models.spatext import SpaTextGAN
from t2igan.models.ssagan import SSAGAN
from t2igan.models.stream import STREAM
from t2igan.models.suite_module import SuiteModule
from t2igan.models.tagger import BiLSTMTagger, Tagger
from t2igan.networks.attngan import AttnGANDiscriminator, AttnGANGenerator
from t2igan.networks.dfgan import OneWayDiscriminator
from t2igan.networks.ssagan import SSAGANGenerator
from t2igan.networks.stream import SmallCaptionEncoder
from t2igan.nn.randomness import step_seed

DIM = 16
STEPS = 2


def small_damsm(damsm):
    return DAMSM(SmallImageEncoder(dim=DIM, channels=2, image_size=16))


def small_ssagan(damsm, **options):
    generator = SSAGANGenerator(16, 2, noise_dim=8, sentence_dim=DIM)
    for block in generator.blocks:
        nn.init.constant_(block.gain, 0.5)
    discriminators = [OneWayDiscriminator(16, 2, sentence_dim=DIM)]
    return SSAGAN(damsm=damsm, generator=generator, discriminators=discriminators, **options)


def small_attngan(damsm, **options):
    generator = AttnGANGenerator(16, 2, 2, 1, noise_dim=8, sentence_dim=DIM, eps_dim=4)
    discriminators = [AttnGANDiscriminator(size, 2, sentence_dim=DIM) for size in (8, 16)]
    return AttnGAN(damsm=damsm, generator=generator, discriminators=discriminators, **options)


MODULES = {
    "damsm": small_damsm,
    "stream": lambda damsm: STREAM(SmallCaptionEncoder(dim=DIM, channels=2, image_size=16), hidden_dim=8),
    "classifier": lambda damsm: EvaluationClassifier(image_size=16, width=2),
    "ssagan": small_ssagan,
    "ssagan, damsm-finetune": lambda damsm: small_ssagan(damsm, text_mode="damsm-finetune"),
    "ssagan, roll": lambda damsm: small_ssagan(damsm, mismatch="roll", text_mode="frozen"),
    "ssagan, other-class": lambda damsm: small_ssagan(damsm, mismatch="other-class"),
    "attngan": small_attngan,
    "attngan, joint": lambda damsm: small_attngan(damsm, text_mode="joint", clip=1.0),
}


class Remember(pl.Callback):
    """Losses of every step, and the weights at the end, in a file."""

    def __init__(self, path):
        self.path, self.losses = path, []

    def on_train_batch_end(self, trainer, *_):
        values = trainer.callback_metrics.items()
        self.losses.append({key: value.clone() for key, value in values if key.startswith("train/")})

    def on_train_end(self, trainer, module):
        if trainer.is_global_zero:
            torch.save({"losses": self.losses, "weights": module.state_dict()}, self.path)


def fit(module, data, path, devices, steps=STEPS, **options):
    """What a training of 64 bits on 1 or 2 processes leaves."""
    several = {
        "strategy": DDPStrategy(find_unused_parameters=True, start_method="fork", process_group_backend="gloo"),
        "plugins": [BatchNormOfAllDevices()],
    }
    trainer = pl.Trainer(
        default_root_dir=path.parent,
        accelerator="cpu",
        devices=devices,
        precision="64-true",
        max_steps=steps,
        limit_val_batches=0,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        callbacks=[Remember(path)],
        **((several if devices > 1 else {}) | options),
    )
    trainer.fit(module, datamodule=data)
    return torch.load(path)


@pytest.mark.parametrize("name", MODULES)
def test_two_with_eight_images_are_one_with_sixteen(name, birds, drawn_birds_store, damsm_checkpoint, tmp_path):
    results = []
    for devices in (1, 2):
        pl.seed_everything(0)
        module = MODULES[name](damsm_checkpoint)
        if name == "classifier":
            data = ClassificationData(str(drawn_birds_store), 16, 16 // devices, holdout=0.25, num_workers=0)
        else:
            data = birds(batch_size=16 // devices)
        results.append(fit(module, data, tmp_path / f"{devices}.pt", devices))
    one, two = results
    assert len(one["losses"]) == STEPS
    for mine, theirs in zip(one["losses"], two["losses"]):
        assert mine.keys() == theirs.keys()
        assert all(value.double().isfinite().all() for value in mine.values())
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(one["weights"], two["weights"], rtol=1e-9, atol=1e-9)


def test_what_is_not_as_on_one_device_is_named(damsm_checkpoint):
    plain = small_ssagan(damsm_checkpoint)
    assert not_as_one_device(plain) == ["batch norm sees each device's images alone (trainer.sync_batchnorm)"]
    BatchNormOfAllDevices().apply(plain)
    assert not_as_one_device(plain) == []
    odd = small_attngan(damsm_checkpoint, accumulate=2)
    odd.generator.stages[0].attention.legacy_mask = True
    reasons = not_as_one_device(odd)
    assert [reason.split()[0] for reason in reasons] == ["accumulate", "batch", "legacy_mask"]


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: SegmentEncoder(8, 4, 8), "contrastive"),
        (lambda: SegmentPrior("encoder.ckpt", MLPPrior(8, 8)), "segments"),
        (lambda: Segmenter(16, 2), "pixels"),
        (lambda: Tagger(BiLSTMTagger(8, 8)), "words"),
        (lambda: SpaTextGAN(image_size=16, channels=2, sentence_dim=16, told="nothing"), "places"),
    ],
)
def test_losses_of_each_device_alone_are_named(make, word):
    module = make()
    BatchNormOfAllDevices().apply(module)
    (reason,) = not_as_one_device(module)
    assert word in reason


def test_torchs_generators_are_set_to_another_seed_on_each_device(monkeypatch):
    module = SegmentEncoder(8, 4, 8, seed=3)
    monkeypatch.setattr(SuiteModule, "step_number", 5)
    monkeypatch.setattr(SuiteModule, "trainer", SimpleNamespace(world_size=2, accumulate_grad_batches=1))
    for rank in (0, 1):
        monkeypatch.setattr(SuiteModule, "global_rank", rank)
        module.on_train_batch_start([0] * 4, 0)
        drawn = torch.rand(3)
        torch.manual_seed(step_seed(3, 5, rank))
        assert torch.rand(3).equal(drawn)
        assert module.step_random(4).first == 4 * rank


def test_norms_are_what_they_were_afterwards(damsm_checkpoint):
    module = small_ssagan(damsm_checkpoint)
    kinds, plugin = [type(part) for part in module.modules()], BatchNormOfAllDevices()
    state = module.state_dict()
    module = plugin.revert(plugin.apply(module))
    assert [type(part) for part in module.modules()] == kinds
    assert module.state_dict().keys() == state.keys()
    module.generator.masks[0](torch.randn(2, 16, 4, 4))
