"""What earlier versions wrote is read in today's words."""

import importlib
import inspect
import pkgutil
from pkgutil import iter_modules

import pytest
import torch
import yaml

import t2igan.networks
from t2igan.earlier import written
from t2igan.evaluation.continuing import continued
from t2igan.evaluation.history import history_of_folder
from t2igan.evaluation.identity import read_identity
from t2igan.models.attngan import AttnGAN
from t2igan.models.digest import seal
from t2igan.models.suite_module import load_module
from t2igan.networks.attngan import AttnGANGenerator
from t2igan.networks.cascade import CascadedGenerator, CascadeDiscriminator
from t2igan.networks.layout_discriminators import LayoutDiscriminator
from t2igan.networks.stream import CaptionEncoder
from t2igan.networks.synthesis import Discriminator, Generator
from t2igan.nn.config import Configured

BASES = (CaptionEncoder, Generator, Discriminator, LayoutDiscriminator, CascadedGenerator, CascadeDiscriminator)


@pytest.fixture
def module(damsm_checkpoint):
    def make():
        torch.manual_seed(0)
        generator = AttnGANGenerator(
            image_size=16, stages=1, channels=4, residual_blocks=1, noise_dim=4, eps_dim=4, sentence_dim=16
        )
        return AttnGAN(damsm_checkpoint, generator=generator, discriminator_channels=4, text_mode="damsm-finetune")

    return make


def write_in_the_words_of_before(path, target):
    checkpoint = torch.load(path, weights_only=True)
    own = checkpoint["t2igan"]
    own["recipe"] = own.pop("config")
    arguments = own["recipe"]["init_args"]
    arguments["critic_channels"] = arguments.pop("discriminator_channels")
    weights = checkpoint["state_dict"]
    scorer = [key for key in weights if key.startswith("scorer.")]
    assert scorer
    checkpoint["state_dict"] = {key.replace("scorer.", "judge.", 1): value for key, value in weights.items()}
    seal(checkpoint)
    torch.save(checkpoint, target)
    return target


def test_a_checkpoint_of_before_is_the_module_of_today(module, train, tmp_path):
    train(module(), max_steps=2).save_checkpoint(tmp_path / "now.ckpt")
    before = write_in_the_words_of_before(tmp_path / "now.ckpt", tmp_path / "before.ckpt")
    one, other = (load_module(path) for path in (tmp_path / "now.ckpt", before))
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name]), name


def test_a_training_of_before_goes_on(module, train, tmp_path):
    train(module(), max_steps=2).save_checkpoint(tmp_path / "now.ckpt")
    before = write_in_the_words_of_before(tmp_path / "now.ckpt", tmp_path / "before.ckpt")
    ends = []
    for path in (tmp_path / "now.ckpt", before):
        trained = module()
        train(trained, max_steps=4, ckpt_path=path)
        ends.append(trained.state_dict())
    for name, weight in ends[0].items():
        assert torch.equal(weight, ends[1][name]), name


def test_a_run_of_before_is_the_experiment_of_today(tmp_path):
    found = []
    for name in ("critic_channels", "discriminator_channels"):
        run = tmp_path / name
        (run / "checkpoints").mkdir(parents=True)
        model = {"class_path": "AttnGAN", "init_args": {name: 4}}
        (run / "config.yaml").write_text(yaml.safe_dump({"model": model, "seed_everything": 0}))
        found.append(read_identity(run / "checkpoints" / "last.ckpt").experiment)
    assert found[0] is not None and found[0] == found[1]


def networks():
    names = [f"t2igan.networks.{each.name}" for each in iter_modules(t2igan.networks.__path__)]
    return {
        kind
        for module in map(importlib.import_module, names)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, Configured) and not inspect.isabstract(kind)
        if kind.__module__ == module.__name__ and kind not in BASES
    }


@pytest.mark.parametrize("kind", sorted(networks(), key=str))
def test_networks_are_found_where_checkpoints_look_for_them(kind):
    """They moved; what was trained before names the old place, and what is trained now does too."""
    path = written(f"{kind.__module__}.{kind.__name__}")
    assert path == f"t2igan.models.{kind.__module__.rpartition('.')[2]}.{kind.__name__}"
    assert pkgutil.resolve_name(path) is kind


def test_an_identity_does_not_tell_where_networks_live(tmp_path):
    """``config.yaml`` names networks by where they are; identities and records by what is written down."""
    identities = []
    for place in ("models", "networks"):
        config = {"model": {"init_args": {"generator": {"class_path": f"t2igan.{place}.ssagan.SSAGANGenerator"}}}}
        run = tmp_path / place
        run.mkdir()
        (run / "config.yaml").write_text(yaml.safe_dump(config))
        identities.append(read_identity(run / "checkpoints" / "last.ckpt"))
        now = yaml.safe_load((tmp_path / "models" / "config.yaml").read_text())
        assert not continued(history_of_folder(run), now, 5).earlier
    assert identities[0] == identities[1]
    assert identities[0].generator == "t2igan.models.ssagan.SSAGANGenerator"
