import pytest
import torch

from t2igan.errors import UserError
from t2igan.losses.matching import Gammas
from t2igan.models.generator_losses import DAMSMLoss
from t2igan.models.ssagan import SSAGAN
from t2igan.networks.ssagan import SSAGANGenerator
from t2igan.nn.config import Configured, allowed_words, build, config_of


def test_a_network_is_built_again_from_its_config():
    config = config_of(SSAGANGenerator(16, channels=4))
    assert config["class_path"] == "t2igan.models.ssagan.SSAGANGenerator"
    assert config["init_args"]["image_size"] == 16
    assert config["init_args"]["noise_dim"] == 100
    twin = build(config)
    assert {k: v.shape for k, v in twin.state_dict().items()} == {
        k: v.shape for k, v in SSAGANGenerator(16, channels=4).state_dict().items()
    }


def test_configs_nest_and_survive_a_checkpoint(tmp_path):
    module = SSAGAN("x.ckpt", generator=SSAGANGenerator(256, 2), generator_losses=[DAMSMLoss(0.3, Gammas(1, 2, 3))])
    torch.save(config_of(module), tmp_path / "config.pt")
    twin = build(torch.load(tmp_path / "config.pt", weights_only=True))
    assert twin.generator_losses[0].gammas == Gammas(1, 2, 3)
    assert twin.generator.fc.out_features == 8 * 2 * 16
    assert twin.betas == (0.0, 0.9)
    assert config_of(twin) == config_of(module)


def test_further_keywords_are_recorded_too():
    assert config_of(SSAGAN("x.ckpt", channels=2, seed=7))["init_args"]["seed"] == 7


def test_a_subclass_records_its_own_arguments():
    class Base(Configured):
        def __init__(self, inner):
            self.inner = inner

    class Child(Base):
        def __init__(self, outer):
            super().__init__(inner=outer + 1)

    assert config_of(Child(1))["init_args"] == {"outer": 1}


def test_a_constructor_that_uses_up_its_arguments_is_recorded_as_it_was_called():
    class Greedy(Configured):
        def __init__(self, sizes, named):
            self.first, self.inner = sizes.pop(0), named["sizes"].pop()

    made = Greedy([32, 64], {"sizes": [8, 16]})
    assert (made.first, made.inner) == (32, 16)
    assert config_of(made)["init_args"] == {"sizes": [32, 64], "named": {"sizes": [8, 16]}}


def test_only_networks_are_built():
    with pytest.raises(UserError, match="not of the suite"):
        build({"class_path": "subprocess.Popen", "init_args": {"args": "true"}})


def test_what_cannot_be_stored_is_refused():
    class Holder(Configured):
        def __init__(self, value):
            self.value = value

    with pytest.raises(TypeError, match="cannot be part of a config"):
        config_of(Holder(torch.nn.Linear(1, 1)))


def test_what_was_allowed_is_given_to_the_next_command(monkeypatch):
    monkeypatch.setattr("t2igan.nn.config._allowed", {"second", "first"})
    monkeypatch.setattr("t2igan.nn.config.word_for", "folder/{}.py".format)
    assert allowed_words() == ["--allow", "folder/first.py", "--allow", "folder/second.py"]
