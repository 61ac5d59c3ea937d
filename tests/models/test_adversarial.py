import copy
import json

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy
from torch import nn

from t2igan.callbacks.run_folder import RunCurves, read_curves
from t2igan.callbacks.watching import GradientNorms, Speed
from t2igan.errors import UserError
from t2igan.losses.adversarial import BCE
from t2igan.losses.gradient_penalty import MAGP
from t2igan.losses.matching import Gammas, damsm_loss
from t2igan.models import Discriminator, Generator, Synthesis, adversarial, generating, generator_losses
from t2igan.models.digest import seal
from t2igan.models.generator_losses import DAMSMLoss, KLLoss
from t2igan.models.ssagan import SSAGAN
from t2igan.models.suite_module import load_module
from t2igan.networks.dfgan import OneWayDiscriminator

DIM = 16


class FlatGenerator(Generator):
    """No batch normalisation, so that a chunk's images do not depend on the batch."""

    def __init__(self, image_size: int = 16):
        super().__init__()
        self.noise_dim, self.sentence_dim, self.image_sizes = 8, DIM, [image_size]
        self.draw = nn.Linear(8 + DIM, 3 * image_size**2)

    def forward(self, noise, text):
        flat = self.draw(torch.cat([noise, text.sentence], dim=1))
        return Synthesis([flat.view(len(noise), 3, *2 * self.image_sizes).tanh()])


class TwoHeaded(Discriminator):
    """A discriminator with an unconditional head too."""

    def __init__(self):
        super().__init__()
        self.image_size = 16
        self.features = nn.Linear(3 * 16 * 16, 8)
        self.pair = nn.Linear(8 + DIM, 1)
        self.alone = nn.Linear(8, 1)

    def forward(self, image):
        return self.features(image.flatten(1))

    def conditional(self, features, sentence):
        return self.pair(torch.cat([features, sentence], dim=1)).flatten()

    def unconditional(self, features):
        return self.alone(features).flatten()


def text_weights(module):
    return torch.cat([parameter.detach().flatten() for parameter in module.text_encoder.parameters()])


def pretrained_text_weights(module):
    return torch.cat([parameter.flatten() for parameter in load_module(module.damsm).text_encoder.parameters()])


@pytest.mark.parametrize(("mode", "moves"), [("joint", True), ("frozen", False), ("damsm-finetune", True)])
def test_text_mode_decides_whether_the_text_encoder_moves(small_ssagan, train, mode, moves):
    module = small_ssagan(text_mode=mode)
    train(module)
    assert torch.equal(text_weights(module), pretrained_text_weights(module)) != moves


def test_the_generators_loss_is_what_trains_the_text_encoder_jointly(small_ssagan, train):
    """Without any loss but the adversarial one the gradient can only have come through the generator."""
    module = small_ssagan(text_mode="joint", damsm_weight=0.0, penalty=None, lr_discriminator=0.0)
    for block in module.generator.blocks:
        nn.init.constant_(block.gain, 0.5)
        for affine in (block.affine1, block.affine2):
            nn.init.normal_(affine.gamma[2].weight)
    train(module)
    assert not torch.equal(text_weights(module), pretrained_text_weights(module))


def test_images_are_the_same_function_of_noise_and_text_in_every_mode(small_ssagan, train):
    joint, frozen = small_ssagan(text_mode="joint"), small_ssagan(text_mode="frozen")
    train(joint)
    train(frozen)
    frozen.generator.load_state_dict(joint.generator.state_dict())
    frozen.text_encoder.load_state_dict(joint.text_encoder.state_dict())
    noise, captions, lengths = torch.randn(2, 8), torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([3, 2])
    generated = [module.synthesise(noise, captions, lengths, "raw").images[0] for module in (joint, frozen)]
    assert torch.equal(*generated)


def test_steps_are_counted_in_batches(small_ssagan, train):
    module = small_ssagan()
    steps = []
    module.on_train_batch_end = lambda *_: steps.append(module.global_step)
    trainer = train(module, max_steps=5)
    assert steps == [1, 2, 3, 4, 5]
    assert trainer.fit_loop.epoch_loop.batch_progress.total.completed == 5


def test_a_step_does_not_depend_on_what_was_drawn_before_it(small_ssagan, train):
    """Sample grids and scores in between draw random numbers; training must not notice."""
    calm, disturbed = small_ssagan(), small_ssagan()
    disturbed.on_train_batch_start = lambda *_: torch.randn(7) is None
    train(calm)
    train(disturbed)
    for one, two in zip(calm.generator.parameters(), disturbed.generator.parameters()):
        assert torch.equal(one, two)


@pytest.mark.parametrize("text_mode", ["joint", "frozen"])
def test_accumulated_gradients_are_those_of_the_whole_batch(small_ssagan, train, monkeypatch, text_mode):
    """Without batch normalisation and without pairs across the batch nothing tells chunks from the whole."""
    monkeypatch.setattr(adversarial, "mismatched", lambda features, sentence, *_: (features[:0], sentence[:0]))
    gradients = []
    for chunks in (1, 4):
        torch.manual_seed(0)
        networks = {"generator": FlatGenerator(), "discriminators": [TwoHeaded()]}
        options = {"penalty": None, "damsm_weight": 0.0, "text_mode": text_mode, "accumulate": chunks}
        module = small_ssagan(**networks, **options)
        monkeypatch.setattr(module, "_chunks", same_noise_whatever_the_chunks(module))
        train(module, max_steps=1)
        trained = [*module.discriminators.parameters(), *module.generator.parameters()]
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in trained]))
    assert gradients[0].abs().max() > 0.01
    assert torch.allclose(*gradients, atol=1e-6)


def same_noise_whatever_the_chunks(module):
    cut = module._chunks

    def chunks(batch):
        parts = cut(batch)
        noise = torch.randn(len(batch), 8, generator=torch.Generator().manual_seed(0)).chunk(len(parts))
        for part, own in zip(parts, noise):
            part.noise = own
        return parts

    return chunks


def test_a_checkpoint_alone_is_enough_to_draw(small_ssagan, train, tmp_path):
    module = small_ssagan()
    trainer = train(module)
    trainer.save_checkpoint(tmp_path / "gan.ckpt")
    loaded = load_module(tmp_path / "gan.ckpt")
    assert isinstance(loaded, SSAGAN)
    assert loaded.scorer is None
    assert loaded.vocabulary == module.vocabulary
    assert not any(key.startswith("scorer.") for key in torch.load(tmp_path / "gan.ckpt")["state_dict"])
    noise, captions, lengths = torch.randn(2, 8), torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([3, 2])
    for weights in ("ema", "raw"):
        generated = [each.synthesise(noise, captions, lengths, weights).images[0] for each in (module, loaded)]
        assert torch.equal(*generated)


def test_finetuned_scorer_is_saved(small_ssagan, train, tmp_path):
    trainer = train(small_ssagan(text_mode="damsm-finetune"))
    trainer.save_checkpoint(tmp_path / "gan.ckpt")
    assert any(key.startswith("scorer.") for key in torch.load(tmp_path / "gan.ckpt")["state_dict"])
    assert load_module(tmp_path / "gan.ckpt").scorer is None


def norm(parameters):
    return nn.utils.get_total_norm([each.grad for each in parameters if each.grad is not None])


def test_generator_and_discriminators_are_clipped_and_encoders_are_not(small_ssagan, train):
    module = small_ssagan(clip=1e-4, text_mode="damsm-finetune")
    train(module, max_steps=1)
    assert norm(module.generator.parameters()) <= 1.001e-4
    assert norm(module.discriminators.parameters()) <= 1.001e-4
    assert norm(module.scorer.image_encoder.parameters()) > 1e-3


def test_watching_changes_nothing(small_ssagan, train, tmp_path):
    watched, alone = small_ssagan(), small_ssagan()
    train(watched, logger=RunCurves(tmp_path), log_every_n_steps=1, callbacks=[GradientNorms(), Speed()])
    train(alone)
    for one, two in zip(watched.parameters(), alone.parameters(), strict=True):
        assert torch.equal(one, two)
    (first, *_) = read_curves(tmp_path / "metrics.csv")
    networks = ("generator", "discriminator", "discriminator_second")
    assert all(first[f"gradients/{name}"] > 0 for name in networks)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("separate", [True, False])
def test_the_penalty_sees_float32(small_ssagan, train, precision, separate):
    seen = []

    class Watched(MAGP):
        def __call__(self, logits, images, sentence):
            seen.append({logits.dtype, images.dtype, sentence.dtype})
            return super().__call__(logits, images, sentence)

    train(small_ssagan(penalty=Watched(separate=separate)), precision=precision)
    assert len(seen) == 3
    assert all(types == {torch.float32} for types in seen)


def test_any_generator_under_any_objective(small_ssagan, train):
    module = small_ssagan(generator=FlatGenerator(), discriminators=[TwoHeaded()], objective=BCE(), penalty=None)
    before = copy.deepcopy(module.generator.state_dict())
    train(module)
    assert not torch.equal(before["draw.weight"], module.generator.draw.weight)


def test_without_damsm_the_text_encoder_starts_from_scratch(small_ssagan, train):
    module = small_ssagan(damsm=None, damsm_weight=0.0, text_mode="joint")
    train(module)
    assert module.text_encoder.dim == DIM


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"damsm": None}, "DAMSM checkpoint"),
        ({"damsm": None, "damsm_weight": 0.0, "text_mode": "frozen"}, "text_mode frozen"),
        ({"discriminators": [OneWayDiscriminator(32, 4)]}, "takes images of 32 px"),
    ],
)
def test_settings_that_cannot_work_are_refused_at_once(small_ssagan, options, words):
    with pytest.raises(UserError, match=words):
        small_ssagan(**options)


def test_kl_needs_conditioning_augmentation(small_ssagan, train):
    with pytest.raises(UserError, match="conditioning augmentation"):
        train(small_ssagan(generator_losses=[KLLoss()]))


def test_a_damsm_of_another_vocabulary_is_refused(small_ssagan, train, tmp_path, damsm_checkpoint):
    checkpoint = torch.load(damsm_checkpoint)
    end, *words = checkpoint["t2igan"]["vocabulary"]
    checkpoint["t2igan"]["vocabulary"] = [end, *reversed(words)]
    seal(checkpoint)
    torch.save(checkpoint, tmp_path / "other.ckpt")
    with pytest.raises(UserError, match="another vocabulary"):
        train(small_ssagan(damsm=str(tmp_path / "other.ckpt")))


def test_two_processes_stay_in_step(small_ssagan, birds, train, tmp_path):
    """Each rank leaves a digest of its weights; they are equal, and no longer the initial ones.

    And each counts the images of both.
    """
    module = small_ssagan()
    initial = digest(module)

    def leave():
        found = digest(module), module.images_seen, module.global_batch
        (tmp_path / f"rank{module.global_rank}").write_text(json.dumps(found))

    module.on_train_end = leave
    strategy = DDPStrategy(find_unused_parameters=True, start_method="fork", process_group_backend="gloo")
    train(module, birds(batch_size=4), max_steps=2, devices=2, strategy=strategy)
    ranks = [json.loads((tmp_path / f"rank{rank}").read_text()) for rank in (0, 1)]
    assert ranks[0][0] == ranks[1][0] != initial
    assert [(seen, batch) for _, seen, batch in ranks] == [(16, 8), (16, 8)]


def digest(module):
    networks = [module.generator, module.discriminators]
    return [parameter.double().sum().item() for network in networks for parameter in network.parameters()]


def first_weights(module):
    return torch.cat([each.detach().flatten() for each in module.parameters()])


def test_the_average_of_a_trained_text_encoder_moves_with_it(small_ssagan, train):
    module = small_ssagan(text_mode="damsm-finetune", ema_decay=0.75, lr_text=1e-2)
    before = pretrained_text_weights(module)
    train(module, max_steps=1)
    expected = 0.75 * before + 0.25 * text_weights(module)
    averaged = first_weights(module.averages["text_encoder"].module)
    assert torch.allclose(averaged, expected, atol=1e-7) and not torch.equal(averaged, before)


@pytest.mark.parametrize("statistics", ["copied", "averaged"])
def test_running_statistics_of_the_average(small_ssagan, train, statistics):
    module = small_ssagan(ema_decay=0.75, ema_statistics=statistics)
    train(module, max_steps=2)
    raw, averaged = (
        {name: value for name, value in each.named_buffers() if name.endswith("running_mean")}
        for each in (module.generator, module.averages["generator"].module)
    )
    assert raw and all(raw[name].any() for name in raw)
    assert all(torch.equal(raw[name], averaged[name]) == (statistics == "copied") for name in raw)


def test_validation_is_of_averaged_weights(small_ssagan, train):
    module = small_ssagan()
    trainer = train(module, limit_val_batches=1)

    def validated():
        return trainer.validate(module, datamodule=trainer.datamodule, verbose=False)[0]["val/damsm"]

    first = validated()
    with torch.no_grad():
        module.generator.fc.weight.add_(1.0)
    assert validated() == first
    with torch.no_grad():
        module.averages["generator"].module.fc.weight.add_(1.0)
    assert validated() != first


def test_gammas_are_those_of_the_generators_loss(small_ssagan, train, monkeypatch):
    """Where it has one; the DAMSM was trained with others."""
    seen = []

    def watched(regions, codes, text, class_ids, gammas, *rest, **options):
        seen.append((gammas.gamma1, gammas.gamma2, gammas.gamma3))
        return damsm_loss(regions, codes, text, class_ids, gammas, *rest, **options)

    for user in (adversarial, generating, generator_losses):
        monkeypatch.setattr(user, "damsm_loss", watched)
    options = {"text_mode": "damsm-finetune", "generator_losses": [DAMSMLoss(0.1, Gammas(7, 6, 5))]}
    module = small_ssagan(**options)
    trainer = train(module, max_steps=1, limit_val_batches=1)
    trainer.validate(module, datamodule=trainer.datamodule, verbose=False)
    assert len(seen) >= 3 and set(seen) == {(7, 6, 5)}
    assert module.scorer.gammas == Gammas()


def test_finetuned_encoders_train_in_train_mode(small_ssagan, train):
    """Their dropout drops and their batch norm sees the batch, as in the released ``main_finetune.py``."""
    module = small_ssagan(text_mode="damsm-finetune")
    modes = []

    def note(*_):
        encoder = module.scorer.image_encoder
        modes.append([module.text_encoder.dropout.training, *(part.training for part in encoder.modules())])

    step = module._encoder_phase
    module._encoder_phase = lambda *arguments: (note(), step(*arguments))
    train(module, max_steps=2)
    assert len(modes) == 2 and all(all(each) for each in modes)
    norms = [part for part in module.scorer.image_encoder.modules() if isinstance(part, nn.BatchNorm2d)]
    trained = load_module(module.damsm).image_encoder.modules()
    before = [part for part in trained if isinstance(part, nn.BatchNorm2d)]
    assert norms
    assert all(not torch.equal(one.running_mean, two.running_mean) for one, two in zip(norms, before, strict=True))


def test_each_device_draws_its_own_numbers(small_ssagan, birds, train, tmp_path):
    """What a network draws from torch's own generator, too; and another at each step."""
    module, seeds = small_ssagan(), []

    class Watch(pl.Callback):
        def on_before_optimizer_step(self, *_):
            seeds.append(torch.initial_seed())

        def on_train_end(self, trainer, *_):
            (tmp_path / f"{trainer.global_rank}.json").write_text(json.dumps(sorted(set(seeds))))

    strategy = DDPStrategy(find_unused_parameters=True, start_method="fork", process_group_backend="gloo")
    train(module, birds(batch_size=4), max_steps=2, devices=2, strategy=strategy, callbacks=[Watch()])
    ranks = [set(json.loads((tmp_path / f"{rank}.json").read_text())) for rank in (0, 1)]
    assert len(ranks[0]) == len(ranks[1]) == 2 and not ranks[0] & ranks[1]
