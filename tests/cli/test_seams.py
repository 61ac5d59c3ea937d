"""Generators are swapped without repeating numbers; what does not fit together is said in one line."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from t2igan.cli.main import main
from t2igan.models.suite_module import load_module, read_checkpoint

DAMSM = """
model:
  class_path: DAMSM
  init_args:
    image_encoder: {{class_path: SmallImageEncoder, init_args: {{dim: 12, channels: 2, image_size: 16}}}}
data:
  class_path: DrawnBirds
  init_args: {{store: {store}, image_size: 16, batch_size: 8, num_workers: 0}}
trainer: {{max_steps: 1, limit_val_batches: 0, accelerator: cpu, enable_progress_bar: false}}
"""
OWN = """
import torch
from torch import nn
from t2igan.losses.adversarial import Objective
from t2igan.models import Discriminator, Generator, Synthesis
from t2igan.models.generator_losses import GeneratorLoss
from t2igan.networks.dfgan import OneWayDiscriminator


class Mine(Generator):
    noise_dim = 4

    def __init__(self, sentence_dim: int = 256, side: int = 16, returned: str = "synthesis"):
        super().__init__()
        self.sentence_dim, self.image_sizes, self.returned = sentence_dim, [side], returned
        self.layer = nn.Linear(4 + sentence_dim, 3 * 16 * 16)

    def forward(self, noise, text):
        images = self.layer(torch.cat([noise, text.sentence], dim=1)).view(-1, 3, 16, 16).tanh()
        wrong = {"tensor": images, "dict": {"images": [images]}, "nan": Synthesis([images * float("nan")])}
        return wrong.get(self.returned, Synthesis([images]))


class Sum(Objective):
    def real(self, logits):
        return -logits.mean()

    def fake(self, logits):
        return logits.mean()

    def deceive(self, logits):
        return -logits.mean()


class Plain(OneWayDiscriminator):
    def conditional(self, features, sentence):
        return 2 * super().conditional(features, sentence)


class Empty(Discriminator):
    image_size = 16

    def forward(self, image):
        return image

    def conditional(self, features, sentence):
        return features.mean(dim=(1, 2, 3)) + sentence.mean(dim=1)


class Brightness(GeneratorLoss):
    name = "brightness"

    def forward(self, view):
        return view.synthesis.images[-1].mean()
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory, drawn_birds_store):
    home = tmp_path_factory.mktemp("seams")
    (home / "own_parts.py").write_text(OWN)
    (home / "damsm.yaml").write_text(DAMSM.format(store=drawn_birds_store))
    main(["fit", "--config", str(home / "damsm.yaml"), "--run", str(home / "damsm")])
    return home


@pytest.fixture
def configured(place, drawn_birds_store):
    """Writes the YAML of a training of one step, beside the user's file, with these arguments of model and data."""

    def write(kind="SSAGAN", data=(), **model):
        arguments = {"damsm": str(place / "damsm" / "checkpoints" / "last.ckpt"), "text_mode": "frozen"} | model
        config = {
            "model": {"class_path": kind, "init_args": arguments},
            "data": {
                "class_path": "DrawnBirds",
                "init_args": {"store": str(drawn_birds_store), "batch_size": 4, "num_workers": 0, **dict(data)},
            },
            "trainer": {"max_steps": 1, "limit_val_batches": 0, "accelerator": "cpu", "enable_progress_bar": False},
        }
        path = place / "run.yaml"
        path.write_text(yaml.safe_dump(config))
        return path

    return write


@pytest.fixture
def train(configured, place, tmp_path, monkeypatch, capsys):
    """Train with these arguments; the run's folder, or the error's line."""
    monkeypatch.syspath_prepend(place)

    def run(kind="SSAGAN", data=(), **model):
        try:
            main(["fit", "--config", str(configured(kind, data, **model)), "--run", str(tmp_path / "run")])
        except SystemExit as end:
            lines = capsys.readouterr().err.strip().splitlines()
            assert end.code == 2
            return lines[-1]
        return tmp_path / "run"

    return run


SMALL = {"class_path": "SSAGANGenerator", "init_args": {"image_size": 16, "channels": 2}}
CASCADE = {"class_path": "AttnGANGenerator", "init_args": {"image_size": 32, "stages": 2, "channels": 2}}


def test_widths_and_sizes_are_said_once(train):
    discriminator = {"class_path": "OneWayDiscriminator", "init_args": {"channels": 2}}
    run = train(generator=SMALL, discriminators=[discriminator])
    module = load_module(run / "checkpoints" / "last.ckpt")
    assert module.generator.sentence_dim == 12
    assert [(each.image_size, each.sentence_dim) for each in module.discriminators] == [(16, 12)]
    settled = yaml.safe_load((run / "config.yaml").read_text())
    assert settled["data"]["init_args"]["image_size"] == 16


def test_a_preset_takes_the_text_encoders_width(train):
    run = train(image_size=16, channels=2)
    assert load_module(run / "checkpoints" / "last.ckpt").generator.sentence_dim == 12


def test_each_discriminator_of_a_cascade_has_a_size_of_its_own(train):
    discriminator = {"class_path": "AttnGANDiscriminator", "init_args": {"channels": 2}}
    run = train("AttnGAN", generator=CASCADE, discriminators=[discriminator] * 2)
    discriminators = load_module(run / "checkpoints" / "last.ckpt").discriminators
    assert [each.image_size for each in discriminators] == [16, 32]


@pytest.mark.parametrize(
    "model, data, words",
    [
        (
            {"generator": {"class_path": "SSAGANGenerator", "init_args": {"image_size": 16, "sentence_dim": 16}}},
            {},
            ["model.init_args.generator.init_args.sentence_dim is 16", "model.init_args.damsm has 12"],
        ),
        (
            {"generator": SMALL},
            {"image_size": 32},
            ["data.init_args.image_size is 32", "model.init_args.generator"],
        ),
        ({"image_size": 16}, {"image_size": 32}, ["data.init_args.image_size is 32", "model.init_args.image_size"]),
        ({"generator": SMALL, "image_size": 16}, {}, ["model.init_args.image_size has no effect beside"]),
        (
            {"kind": "AttnGAN", "generator": CASCADE, "legacy_mask": True},
            {},
            ["model.init_args.legacy_mask has no effect beside model.init_args.generator"],
        ),
        (
            {"generator_losses": [], "damsm_weight": 0.1, "image_size": 16},
            {},
            ["model.init_args.damsm_weight has no effect beside model.init_args.generator_losses"],
        ),
        (
            {
                "generator": SMALL,
                "discriminators": [{"class_path": "OneWayDiscriminator", "init_args": {"image_size": 64}}],
            },
            {},
            ["model.init_args.discriminators.0.init_args.image_size is 64", "model.init_args.generator has 16"],
        ),
    ],
)
def test_what_does_not_fit_together_is_one_line_with_both_keys(train, model, data, words):
    line = train(data=data, **model)
    assert all(word in line for word in words), line


def installed(*words, cwd):
    """What the installed command answers in a folder."""
    command = [str(Path(sys.executable).with_name("t2igan")), *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


def test_parts_of_ones_own_without_a_constructor(configured, place, tmp_path, monkeypatch):
    config = configured(
        generator={"class_path": "own_parts.Mine"},
        discriminators=[{"class_path": "own_parts.Plain", "init_args": {"channels": 2}}],
        objective={"class_path": "own_parts.Sum"},
        generator_losses=[{"class_path": "own_parts.Brightness"}],
    )
    run = tmp_path / "run"
    done = installed("fit", "--config", config.name, "--run", run, cwd=place)
    assert done.returncode == 0, done.stderr
    monkeypatch.syspath_prepend(place)
    monkeypatch.setattr("t2igan.nn.config._allowed", {"own_parts"})
    config = read_checkpoint(run / "checkpoints" / "last.ckpt")["t2igan"]["config"]["init_args"]
    assert config["objective"] == {"class_path": "own_parts.Sum", "init_args": {}}
    assert config["discriminators"][0]["class_path"] == "own_parts.Plain"
    assert load_module(run / "checkpoints" / "last.ckpt").generator.sentence_dim == 12


def test_a_network_without_weights_is_refused(train):
    assert "Empty has no weights to train" in train(
        generator=SMALL, discriminators=[{"class_path": "own_parts.Empty"}]
    )


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"returned": "tensor"}, ["Mine.forward returned a Tensor", "Synthesis"]),
        ({"returned": "dict"}, ["Mine.forward returned a dict", "Synthesis"]),
    ],
)
def test_a_generator_that_returns_something_else_stops_in_the_first_step(train, arguments, words):
    line = train(generator={"class_path": "own_parts.Mine", "init_args": arguments}, generator_losses=[])
    assert all(word in line for word in words), line


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"side": 32}, ["Mine returned images", "16, 16", "image_sizes [32]"]),
        ({"returned": "nan"}, ["is nan at step 1", "nothing of this was saved"]),
    ],
)
def test_the_installed_command_stops_too(configured, place, tmp_path, arguments, words):
    config = configured(generator={"class_path": "own_parts.Mine", "init_args": arguments}, generator_losses=[])
    done = installed("fit", "--config", config.name, "--run", tmp_path / "run", cwd=place)
    line = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 2 and all(word in line for word in words), done.stderr
    assert not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()
