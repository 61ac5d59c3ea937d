"""On a GPU no training step waits for the device, but where values are logged; seen here on one that is played."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from bert_fixture import write_bert
from pretend_device import DEVICE, HOST, Fails, PretendDevice, Waits
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import CSVLogger
from segment_fixture import VOCABULARY, toy_batch, train_on_scenes
from test_several_devices import MODULES, small_ssagan
from test_spade import BirdsWithLayouts
from test_spade import small as small_spade
from torch.utils.data import DataLoader

from t2igan.callbacks.guards import Guards
from t2igan.callbacks.reading import LateReader
from t2igan.callbacks.watching import GradientNorms, Speed
from t2igan.data.batch import ON_THE_HOST, CaptionedImages
from t2igan.data.classification import ClassificationData
from t2igan.data.datasets import UncutBatch
from t2igan.data.tagged import UNTAGGED, TaggedBatch
from t2igan.losses.gradient_penalty import MAGP
from t2igan.models.classifier import EvaluationClassifier
from t2igan.models.dfgan import DFGAN, DFGANGenerator, OneWayDiscriminator
from t2igan.models.dmgan import DMGAN, DMGANGenerator
from t2igan.models.joint_encoder import SegmentEncoder
from t2igan.models.mirrorgan import MirrorGAN, MirrorGANGenerator
from t2igan.models.prior import DiffusionPrior, MLPPrior, SegmentPrior
from t2igan.models.segmenter import Segmenter
from t2igan.models.spatext import SegmentDiscriminator, SpaTextGAN, SpaTextGenerator
from t2igan.models.spatext_diffusion import SpaTextDiffusion
from t2igan.models.spatext_hosts import PixelHost
from t2igan.models.stream import STREAM, SmallCaptionEncoder
from t2igan.models.suite_module import load_module
from t2igan.models.tagger import BiLSTMTagger, Tagger
from t2igan.models.transformers_tagger import TransformersTagger
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
        self.module, module._device = module, DEVICE
        for optimizer in trainer.optimizers:
            # An Adam that is not fused counts its steps on the host.
            named = [named for state in optimizer.state.values() for named in state.items()]
            device.take(v for k, v in named if torch.is_tensor(v) and (k != "step" or optimizer.defaults["fused"]))
        results = [each for each in trainer._results.values()]
        device.take(v for each in results for v in vars(each).values() if torch.is_tensor(v))
        device.take(each.alphas_cumprod for each in schedulers_of(module))
        if isinstance(batch, CaptionedImages):
            batch.host_captions = batch.captions.clone()
            if batch.layouts is not None:
                batch.layouts.host = batch.layouts.map_tensors(torch.clone)
                device.take([batch.layouts.labels, batch.layouts.instances])
        device.take(v for k, v in vars(batch).items() if torch.is_tensor(v) and k not in ON_THE_HOST)
        self.watching = device.watched()
        self.watching.__enter__()
        self.seen.append(number)

    def on_exception(self, *_):
        self.end()

    def end(self):
        if self.watching is not None:
            self.watching.__exit__(None, None, None)
            self.watching, self.module._device = None, HOST


def schedulers_of(module):
    """Of diffusion, whose tables are no buffers."""
    parts = (vars(each).values() for each in module.modules())
    return [each for own in parts for each in own if hasattr(each, "alphas_cumprod")]


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


KINDS = {kind: make for kind, make in MODULES.items() if kind != "classifier"} | {
    "dfgan": dfgan,
    "dfgan, penalty by itself": lambda damsm: dfgan(damsm, penalty=MAGP(separate=True)),
    "dmgan": dmgan,
    "ssagan, in two chunks": lambda damsm: small_ssagan(damsm, accumulate=2),
    "ssagan, recomputed": lambda damsm: small_ssagan(damsm, recompute=True),
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


class ToyScenes(pl.LightningDataModule):
    """Batches of toy scenes, with layouts and texts of their segments."""

    def train_dataloader(self):
        return DataLoader([toy_batch(6, seed) for seed in range(6)], batch_size=None)


class ToyNarratives(pl.LightningDataModule):
    """Tagged narratives of one to five words."""

    def train_dataloader(self):
        texts = [("the", "dog", "on", "the", "grass")[: 1 + row] for row in range(5)]
        words, tags = torch.ones(5, 5, dtype=torch.int64), torch.full((5, 5), 3)
        lengths = torch.arange(1, 6)
        for column, padding in ((words, 0), (tags, UNTAGGED)):
            column[torch.arange(5) >= lengths[:, None]] = padding
        return DataLoader([TaggedBatch(words, lengths, tags, texts)] * 6, batch_size=None)


class AroundWords(TransformersTagger):
    """Its network looks tokens up: those of transformers ask the device whether there is padding."""

    def build(self, vocabulary_size, labels):
        super().build(vocabulary_size, labels)
        self.model = WordByWord(vocabulary_size * 99, labels)


class WordByWord(torch.nn.Embedding):
    def forward(self, input_ids, attention_mask):
        return SimpleNamespace(logits=super().forward(input_ids) * attention_mask[:, :, None])


def spatext(encoder, told="images", **options):
    dim = 8 if told in ("images", "texts") else 182
    networks = {
        "generator": SpaTextGenerator(32, 4, 5, 6, dim, planes=3, hidden=4),
        "discriminators": [OneWayDiscriminator(32, 4, 6), SegmentDiscriminator(32, 4, dim)],
    }
    told_by = encoder if dim == 8 else None
    return SpaTextGAN(None, told_by, told=told, vocabulary_size=len(VOCABULARY), **networks | options)


def of_every_cell(self, features, condition):
    """In place of the one method that waits, see below."""
    return (features * self.said(condition[:, :-1])).sum(1).flatten()


ON_SCENES = {
    "segmenter": lambda encoder: Segmenter(32, channels=4),
    "encoder of segments": lambda encoder: SegmentEncoder(dim=8, channels=4, width=8),
    "prior": lambda encoder: SegmentPrior(encoder, MLPPrior(8, 8)),
    "prior of diffusion": lambda encoder: SegmentPrior(encoder, DiffusionPrior(8, layers=1, heads=2, head_dim=8)),
    "diffusion": lambda encoder: SpaTextDiffusion(
        PixelHost(32, planes=4, widths=(8, 16), attention=1, segment_dim=8), encoder
    ),
    "spatext, texts": lambda encoder: spatext(encoder, "texts"),
    "spatext, labels": lambda encoder: spatext(encoder, "labels"),
    "spatext": spatext,
}


@pytest.mark.parametrize("kind", list(ON_SCENES))
def test_no_step_on_scenes_waits(kind, tiny_encoder, steps, monkeypatch):
    monkeypatch.setattr(SegmentDiscriminator, "conditional", of_every_cell)
    module = ON_SCENES[kind](tiny_encoder)
    module.vocabulary = VOCABULARY
    assert steps(module, ToyScenes()) == [1, 2, 4, 5]


def test_cells_with_a_segment_are_counted_on_the_host(tiny_encoder, steps):
    """An objective takes logits of which there are as many as cells with a segment."""
    module = spatext(tiny_encoder)
    module.vocabulary = VOCABULARY
    with pytest.raises(Waits, match="by a mask") as found:
        steps(module, ToyScenes())
    assert "in conditional" in str(found.getrepr(style="short"))


def test_nor_does_a_classifier_s(drawn_birds_store, steps):
    data = ClassificationData(str(drawn_birds_store), 16, 8, holdout=0.25, num_workers=0)
    assert len(steps(EvaluationClassifier(image_size=16, width=2), data)) == 4


@pytest.mark.parametrize("kind", ["lstm", "around a network of transformers"])
def test_nor_does_a_tagger_s(kind, steps, tmp_path):
    if kind == "around a network of transformers":
        pytest.importorskip("transformers")
        network = AroundWords(str(write_bert(tmp_path / "bert", ["the", "dog"])))
    else:
        network = BiLSTMTagger(8, 8)
    assert len(steps(Tagger(network, vocabulary_size=9), ToyNarratives())) == 4


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


def test_a_batch_that_moves_leaves_on_the_host_what_is_decided_there():
    device, batch = PretendDevice(), toy_batch(4)
    before = [batch.captions, batch.layouts.instances]
    with device.watched():
        moved = batch.to(DEVICE, non_blocking=True)
        moved = replace(moved, layouts=moved.layouts.resized(8)).select(torch.tensor([2, 0]))
        assert device.has(moved.captions) and device.has(moved.layouts.labels)
        assert moved.class_ids.tolist() == [2, 0] and moved.captions_on_host.tolist() == before[0][[2, 0]].tolist()
        small = moved.layouts.on_host.instances.tolist()
    assert small == moved.layouts.instances.tolist() == batch.layouts.resized(8).instances[[2, 0]].tolist()
    assert batch.captions_on_host is not None and torch.equal(batch.layouts.on_host.labels, batch.layouts.labels)
    uncut = UncutBatch(None, batch.captions, batch.lengths, batch.class_ids, batch.keys, batch.caption_ids)
    with device.watched():
        moved = uncut.to(DEVICE, non_blocking=True)
        assert device.has(moved.captions) and moved.host_captions is batch.captions
        assert not device.has(moved.class_ids)


def test_and_nothing_else():
    device, values = PretendDevice(), torch.ones(3, requires_grad=True)
    device.take([values])
    with device.watched():
        there = torch.ones(3).to(values.device, non_blocking=True)
        (values * there + torch.arange(3, device=values.device) + 1.5).square().sum().backward()
        assert device.has(values.grad) and torch.ones(2).sum().item() == 2


def test_what_a_model_loads_lies_on_its_device(tmp_path):
    """A trainer builds late networks with the GPU as the default of every tensor."""
    torch.manual_seed(0)
    played = PretendDevice(patient=True)
    with played.trained_on():
        encoder = str(train_on_scenes(SegmentEncoder(dim=8, channels=4, width=8), 2, tmp_path))
        prior = SegmentPrior(encoder, DiffusionPrior(8, layers=1, heads=2, head_dim=8))
        prior = str(train_on_scenes(prior, 2, tmp_path))
        host = PixelHost(32, planes=4, widths=(8, 16), attention=1, segment_dim=8)
        for module in (spatext(encoder, prior=prior), SpaTextDiffusion(host, encoder, prior, steps=3)):
            again, batch = load_module(train_on_scenes(module, 2, tmp_path)).to(DEVICE), toy_batch(3, 99).to(DEVICE)
            noise = torch.randn(3, again.generator.random_dim).to(DEVICE)
            made = again.synthesise(noise, batch.captions, batch.lengths, layouts=batch.layouts)
            assert played.has(made.images[-1])


@pytest.mark.parametrize(
    "mistake",
    [
        lambda values: values + torch.ones(3),
        lambda values: values.numpy(),
        lambda values: np.asarray(values),
        lambda values: torch.ones(3)[values.long()],
        lambda values: torch.randn(3, device=values.device, generator=torch.Generator()),
        lambda values: values.clone().normal_(generator=torch.Generator()),
    ],
)
def test_the_gpu_that_is_played_refuses_what_a_gpu_refuses(mistake):
    device = PretendDevice(patient=True)
    with device.watched():
        values = torch.zeros(3, device="cuda")
        assert values.sum().item() == 0 and values[values > 0].tolist() == [] and not device.has(values.cpu())
        with pytest.raises(Fails):
            mistake(values)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", [*KINDS, *ON_SCENES])
def test_no_step_waits_for_a_gpu(kind, birds, damsm_checkpoint, tiny_encoder, train, monkeypatch):
    on_scenes = kind in ON_SCENES
    module = ON_SCENES[kind](tiny_encoder) if on_scenes else KINDS[kind](damsm_checkpoint)
    module.vocabulary, module.levers = VOCABULARY if on_scenes else [], EXACT
    monkeypatch.setattr(SegmentDiscriminator, "conditional", of_every_cell)
    step = type(module).training_step

    def watched(self, *args):
        torch.cuda.set_sync_debug_mode("error" if self.step_number else "default")
        try:
            return step(self, *args)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(type(module), "training_step", watched)
    train(module, ToyScenes() if on_scenes else birds(), max_steps=3, accelerator="gpu", devices=1)
