import math
from typing import get_args, get_type_hints

import pytest
from pytorch_lightning import LightningDataModule
from pytorch_lightning.callbacks import Callback

from t2igan.callbacks.guards import Guards
from t2igan.callbacks.progress import LineProgress
from t2igan.callbacks.samples import SampleGrid
from t2igan.callbacks.saving import RunCheckpoints
from t2igan.callbacks.scoring import Scores
from t2igan.cli.fit import import_classes
from t2igan.cli.main import main
from t2igan.cli.parsing import subclasses
from t2igan.data.classification import ClassificationData
from t2igan.data.datamodule import DrawnBirds
from t2igan.data.tagged import TaggedNarratives
from t2igan.errors import UserError
from t2igan.losses.gradient_penalty import MAGP
from t2igan.losses.matching import Gammas
from t2igan.models.classifier import EvaluationClassifier
from t2igan.networks.stream import CaptionDecoder
from t2igan.nn.config import Configured
from t2igan.ranges import Count, Decay, Positive, Rate, Share, Weight, check_ranges


class Numbers(Configured):
    def __init__(
        self,
        lr: Rate = 1.0,
        clip: Positive = 1.0,
        weight: Weight = 0.0,
        decay: Decay | None = None,
        share: Share = 1.0,
        betas: tuple[Decay, Decay] = (0.0, 0.9),
        count: Count = 1,
        plain: float = 0.0,
    ) -> None:
        self.lr = lr


WRONG = [
    ({"lr": -1}, "lr is -1, but must be a finite number at least 0"),
    ({"clip": 0}, "clip is 0, but must be a finite number above 0"),
    ({"lr": math.nan}, "lr is nan"),
    ({"lr": math.inf}, "lr is inf"),
    ({"weight": -0.1}, "weight is -0.1, but must be a finite number at least 0"),
    ({"decay": 2.0}, "decay is 2.0, but must be a number at least 0 and below 1"),
    ({"decay": 1.0}, "decay is 1.0"),
    ({"share": 1.1}, "share is 1.1, but must be a number at least 0 and at most 1"),
    ({"betas": (0.5, 1.0)}, "betas is 1.0"),
    ({"count": 0}, "count is 0"),
    ({"count": None}, "count is None, but must be a whole number at least 1"),  # as a checkpoint may hold it
    ({"count": 1.5}, "count is 1.5"),
    ({"count": "3"}, "count is 3"),
    ({"lr": None}, "lr is None"),
    ({"lr": [1.0]}, r"lr is \[1.0\]"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG)
def test_what_is_outside_is_refused_by_its_name(arguments, words):
    with pytest.raises(UserError, match=f"Numbers: {words}"):
        Numbers(**arguments)


def test_what_is_inside_passes():
    assert Numbers(1e-9, decay=0.0, plain=math.nan).lr == 1e-9
    Numbers(decay=0.999, share=0.0, betas=[0.5, 0.999])


def test_a_subclass_is_named_and_its_base_checks_too():
    class Derived(Numbers):
        def __init__(self, speed: float) -> None:
            super().__init__(lr=speed)

    with pytest.raises(UserError, match="Derived: lr is -1"):
        Derived(-1)


def test_networks_losses_and_dataclasses():
    with pytest.raises(UserError, match="MAGP: weight is nan"):
        MAGP(weight=math.nan)
    with pytest.raises(UserError, match="Gammas: gamma2 is -1"):
        Gammas(gamma2=-1)
    with pytest.raises(UserError, match="dict: x is 3"):
        check_ranges(dict, {"x": 3}, _takes_a_share)


def _takes_a_share(x: Share) -> None: ...


@pytest.mark.parametrize(
    ("option", "value"),
    [("lr", ".nan"), ("lr", "-1"), ("lr_decay", "2.0"), ("clip", "0"), ("gammas.gamma1", "-.inf")],
)
def test_the_command_names_the_key(tmp_path, drawn_birds_store, capsys, option, value):
    config = tmp_path / "damsm.yaml"
    encoder = "{image_encoder: {class_path: SmallImageEncoder, init_args: {dim: 8, channels: 2, image_size: 16}}}"
    data = f"{{class_path: DrawnBirds, init_args: {{store: {drawn_birds_store}}}}}"
    config.write_text(f"model: {{class_path: DAMSM, init_args: {encoder}}}\ndata: {data}\n")
    with pytest.raises(SystemExit) as exit_:
        main(["fit", "--config", str(config), "--run", str(tmp_path / "run"), f"--model.{option}={value}"])
    assert exit_.value.code == 2
    error = capsys.readouterr().err
    assert f"{option.rpartition('.')[2]} is" in error
    assert "must be" in error
    assert error.count("\n") == 1


def numbers_without_range(kind):
    """Names of a constructor's numbers whose annotations allow any."""

    def holds_a_number(hint):
        return hint in (int, float) or any(holds_a_number(each) for each in get_args(hint))

    hints = get_type_hints(kind.__init__, include_extras=True)
    return [name for name, hint in hints.items() if holds_a_number(hint) and "Range(" not in repr(hint)]


def test_every_number_that_a_configuration_holds_has_its_range():
    import_classes()
    own = [kind for base in (Configured, LightningDataModule, Callback) for kind in subclasses(base)]
    kinds = {kind for kind in own if kind.__module__.startswith("t2igan.") and "__init__" in kind.__dict__}
    assert len(kinds) > 60
    assert {kind.__name__: found for kind in kinds if (found := numbers_without_range(kind))} == {}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Guards(patience=-1), "Guards: patience is -1, but must be a whole number at least 0"),
        (lambda: LineProgress(every_seconds=math.nan), "LineProgress: every_seconds is nan"),
        (
            lambda: RunCheckpoints(every_minutes=0),
            "RunCheckpoints: every_minutes is 0, but must be a finite",
        ),
        (lambda: RunCheckpoints(every_n_steps=-1), "RunCheckpoints: every_n_steps is -1"),
        (lambda: SampleGrid(every_n_steps=0), "SampleGrid: every_n_steps is 0"),
        (lambda: Scores("drawn-birds/quick", every_n_steps=0), "Scores: every_n_steps is 0"),
        (lambda: ClassificationData("x.h5", holdout=1), "holdout is 1, but must be a number above 0 and below 1"),
        (lambda: TaggedNarratives("x", batch_size=0), "TaggedNarratives: batch_size is 0"),
        (lambda: DrawnBirds("x.h5", num_workers=10**5), "num_workers is 100000, .* at least 0 and at most 1024"),
        (lambda: DrawnBirds("x.h5", seed=2**63), r"seed is 9223372036854775808, .* number below 9.22337e\+18"),
        (lambda: DrawnBirds("x.h5", seed=10**400), "must be a whole number below"),
        (
            lambda: CaptionDecoder(9, forget_bias=math.inf),
            "forget_bias is inf, but must be a finite number$",
        ),
        (lambda: EvaluationClassifier(classes=[0, -2]), "EvaluationClassifier: classes is -2"),
    ],
)
def test_numbers_of_callbacks_data_and_lists(make, words):
    with pytest.raises(UserError, match=words):
        make()


def test_the_largest_seed_is_taken():
    assert DrawnBirds("x.h5", seed=2**63 - 1).seed == 2**63 - 1
