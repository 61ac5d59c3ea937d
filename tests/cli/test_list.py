"""`t2igan list` shows what YAML can name, no more and no less."""

import inspect

import pytest
from pytorch_lightning import LightningDataModule

from t2igan.cli import fit
from t2igan.cli.list import entries
from t2igan.cli.main import main
from t2igan.cli.parsing import subclasses
from t2igan.evaluation.metrics import known_metrics
from t2igan.losses.adversarial import Objective
from t2igan.models.damsm import ImageEncoder
from t2igan.models.generator_losses import GeneratorLoss
from t2igan.models.suite_module import SuiteModule
from t2igan.networks.stream import CaptionEncoder
from t2igan.networks.synthesis import Discriminator, Generator

BASES = {
    "models": [SuiteModule],
    "generators": [Generator],
    "discriminators": [Discriminator],
    "objectives": [Objective],
    "losses": [GeneratorLoss],
    "encoders": [ImageEncoder, CaptionEncoder],
    "data": [LightningDataModule],
}
OWN = """
from t2igan.models import Generator
from t2igan.networks.ssagan import SSAGANGenerator


class Mine(Generator):
    '''Noise and sentence to images.'''


class Wider(SSAGANGenerator):
    '''SSA-GAN, wider.'''


class Unrelated:
    pass
"""


@pytest.mark.parametrize("kind", BASES)
def test_the_classes_themselves_say_the_same(kind):
    fit.import_classes()
    found = {
        each.__name__
        for base in BASES[kind]
        for each in subclasses(base)
        if each is not base
        and each.__module__.startswith(("t2igan.models.", "t2igan.networks.", "t2igan.losses.", "t2igan.data."))
        and "ABC" not in [parent.__name__ for parent in each.__bases__]
    }
    assert {each.name for each in entries(kind)} == found
    assert all(each.text for each in entries(kind))
    assert all(inspect.getdoc(each) for base in BASES[kind] for each in subclasses(base))


def test_what_is_there_to_be_derived_from_is_not_listed():
    shown = {each.name for kind in BASES for each in entries(kind)}
    assert not shown & {"TextConditioned", "LayoutDiscriminator", "CascadedGenerator", "Generator", "SuiteModule"}


def test_ones_own_are_marked(tmp_path, monkeypatch, capsys):
    (tmp_path / "mine.py").write_text(OWN)
    (tmp_path / "broken.py").write_text("class Broken(:\n")
    monkeypatch.chdir(tmp_path)
    main(["list", "generators"])
    said = capsys.readouterr()
    lines = {line.split()[0]: line for line in said.out.splitlines()}
    assert lines["mine.Mine"].endswith("Noise and sentence to images. [yours: mine.py]")
    assert "mine.Wider" in lines and "Unrelated" not in said.out
    assert "yours" not in lines["SSAGANGenerator"]
    assert said.err.startswith("broken.py is left out: ")


def test_metrics_are_listed_by_the_names_that_protocols_take(capsys):
    main(["list", "metrics"])
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert set(lines) == set(known_metrics()) >= {"fid", "kid", "r-precision", "lpips-diversity"}
    assert lines["fid"] == "Frechet distance of Inception features."
