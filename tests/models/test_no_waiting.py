"""On a GPU no training step waits for the device, but where values are logged; seen here on one that is played."""

from dataclasses import replace

import pytest
import torch
from pretend_device import PretendDevice, Waits
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger
from test_several_devices import MODULES, small_ssagan
from test_spade import BirdsWithLayouts
from test_spade import small as small_spade

from t2igan.callbacks.guards import Guards
from t2igan.callbacks.reading import LateReader
from t2igan.callbacks.watching import GradientNorms, Speed
from t2igan.data.batch import ON_THE_HOST
from t2igan.losses.gradient_penalty import MAGP
from t2igan.models.dfgan import DFGAN, DFGANGenerator, OneWayDiscriminator
from t2igan.models.dmgan import DMGAN, DMGANGenerator
from t2igan.models.mirrorgan import MirrorGAN, MirrorGANGenerator
from t2igan.models.stream import STREAM, SmallCaptionEncoder
from t2igan.nn.levers import EXACT, PLAIN

DIM = 16
LOGGED_EVERY = 4


class OnTheDevice(Callback):
    """Plays the device from the step's beginning to the end of all other callbacks."""

    def __init__(self):
        self.watching = None
        self.seen = []

    def on_train_batch_start(self, trainer, module, batch, batch_idx):
        device, number = PretendDevice(), trainer.global_step
        self.logged = (number + 1) % LOGGED_EVERY == 0
        # The first step makes states and records, and one that is logged may wait.
        if number == 0 or self.logged:
            return
        device.take(each for each in (*module.parameters(), *module.buffers()))
        device.take(each.grad for each in module.parameters() if each.grad is not None)
        for optimizer in trainer.optimizers:
            device.take(v for s in optimizer.state.values() for v in s.values() if torch.is_tensor(v))
        results = [each for each in trainer._results.values()]
        device.take(v for each in results for v in vars(each).values() if torch.is_tensor(v))
        device.take(v for k, v in vars(batch).items() if torch.is_tensor(v) and k not in ON_THE_HOST)
        if batch.layouts is not None:
            device.take([batch.layouts.labels, batch.layouts.instances])
        self.watching = device.watched()
        self.watching.__enter__()
        self.seen.append(number)

    def on_exception(self, *_):
        self.end()

    def end(self):
        if self.watching is not None:
            self.watching.__exit__(None, None, None)
            self.watching = None


class Last(Callback):
    def __init__(self, first):
        self.first = first

    def on_train_batch_end(self, *_):
        self.first.end()


def dfgan(damsm, **options):
    networks = {
        "generator": DFGANGenerator(16, 2, noise_dim=8, sentence_dim=DIM),
        "discriminators": [OneWayDiscriminator(16, 2, sentence_dim=DIM)],
    }
    return DFGAN(damsm=damsm, **networks, **options)


def dmgan(damsm):
    generator = DMGANGenerator(16, 2, 4, 1, noise_dim=8, sentence_dim=DIM, eps_dim=4)
    return DMGAN(damsm, generator=generator, discriminator_channels=4)


def mirrorgan(damsm, captioner):
    generator = MirrorGANGenerator(16, 2, 4, 1, noise_dim=8, sentence_dim=DIM, eps_dim=4)
    return MirrorGAN(damsm, captioner=captioner, generator=generator, discriminator_channels=4)


KINDS = {kind: make for kind, make in MODULES.items() if kind not in ("classifier", "ssagan, other-class")} | {
    "dfgan": dfgan,
    "dfgan, penalty by itself": lambda damsm: dfgan(damsm, penalty=MAGP(separate=True)),
    "dmgan": dmgan,
    "ssagan, in two chunks": lambda damsm: small_ssagan(damsm, accumulate=2),
    "ssagan, clipped": lambda damsm: small_ssagan(damsm, clip=1.0),
}


def put_as_on_a_gpu(reader, label, values):
    host = torch.empty(values.shape, dtype=values.dtype)
    host.copy_(values.detach(), non_blocking=True)
    reader._waiting.append((label, host, None))


@pytest.fixture
def steps(train, tmp_path, monkeypatch):
    """Trains on a device that is played; the numbers of the steps that were watched."""
    # To a CPU, Lightning never copies without blocking.
    monkeypatch.setattr("lightning_fabric.utilities.apply_func._BLOCKING_DEVICE_TYPES", ())
    monkeypatch.setattr(LateReader, "put", put_as_on_a_gpu)

    def run(module, data, levers=EXACT, **options):
        module.levers = levers
        first = OnTheDevice()
        callbacks = [first, Guards(), GradientNorms(), Speed(), Last(first)]
        logged = {"logger": CSVLogger(tmp_path), "log_every_n_steps": LOGGED_EVERY}
        train(module, data, max_steps=6, callbacks=callbacks, **logged, **options)
        return first.seen

    return run


@pytest.mark.parametrize("kind", list(KINDS))
def test_no_step_waits(kind, birds, damsm_checkpoint, steps):
    assert steps(KINDS[kind](damsm_checkpoint), birds()) == [1, 2, 4, 5]


def test_nor_does_one_that_redescribes(birds, damsm_checkpoint, steps, train, tmp_path):
    stream = STREAM(SmallCaptionEncoder(dim=DIM, channels=2, image_size=16), hidden_dim=8)
    train(stream, max_steps=1).save_checkpoint(tmp_path / "stream.ckpt")
    assert len(steps(mirrorgan(damsm_checkpoint, str(tmp_path / "stream.ckpt")), birds())) == 4


def test_nor_does_one_without_levers_or_in_half_precision(birds, damsm_checkpoint, steps):
    assert len(steps(small_ssagan(damsm_checkpoint), birds(), replace(PLAIN, fused_adam=True))) == 4
    assert len(steps(small_ssagan(damsm_checkpoint), birds(), precision="bf16-mixed")) == 4


def test_nor_does_one_of_layouts(drawn_birds_store, steps):
    data = BirdsWithLayouts(str(drawn_birds_store), image_size=16, batch_size=8, num_workers=0)
    assert len(steps(small_spade(), data)) == 4


def test_strangers_are_looked_for_on_the_host(birds, damsm_checkpoint, steps):
    """The one policy that waits: whether a batch has a second class decides how much is computed."""
    with pytest.raises(Waits, match="_local_scalar_dense"):
        steps(small_ssagan(damsm_checkpoint, mismatch="other-class"), birds())


@pytest.mark.parametrize(
    "wait",
    [
        lambda values: values.sum().item(),
        lambda values: bool(values.any()),
        lambda values: values.tolist(),
        lambda values: values.cpu(),
        lambda values: values[values > 0],
        lambda values: values.nonzero(),
        lambda values: torch.ones(3).to(values),
        lambda values: torch.ones(3).to(values.device),
        lambda values: torch.tensor([1.0], device=values.device),
        lambda values: values + torch.ones(3),
        lambda values: torch.ones(3).copy_(values),
    ],
)
def test_the_device_that_is_played_tells_what_waits(wait):
    device, values = PretendDevice(), torch.ones(3)
    device.take([values])
    with device.watched(), pytest.raises(Waits):
        wait(values * 2)


def test_and_nothing_else():
    device, values = PretendDevice(), torch.ones(3, requires_grad=True)
    device.take([values])
    with device.watched():
        there = torch.ones(3).to(values.device, non_blocking=True)
        (values * there + torch.arange(3, device=values.device) + 1.5).square().sum().backward()
        assert device.has(values.grad) and torch.ones(2).sum().item() == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", list(KINDS))
def test_no_step_waits_for_a_gpu(kind, birds, damsm_checkpoint, train, monkeypatch):
    module = KINDS[kind](damsm_checkpoint)
    module.levers = EXACT
    step = type(module).training_step

    def watched(self, *args):
        torch.cuda.set_sync_debug_mode("error" if self.step_number else "default")
        try:
            return step(self, *args)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(type(module), "training_step", watched)
    train(module, birds(), max_steps=3, accelerator="gpu", devices=1)
