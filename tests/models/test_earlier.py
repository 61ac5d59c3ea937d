"""What earlier versions wrote is read in today's words."""

import pytest
import torch
import yaml

from t2igan.identity import read_identity
from t2igan.models.attngan import AttnGAN, AttnGANGenerator
from t2igan.models.digest import seal
from t2igan.models.suite_module import load_module


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
