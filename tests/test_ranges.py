import math

import pytest

from t2igan.cli.main import main
from t2igan.errors import UserError
from t2igan.losses.gradient_penalty import MAGP
from t2igan.losses.matching import Gammas
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
    ({"lr": -1}, "lr is -1, it takes a finite number at least 0"),
    ({"clip": 0}, "clip is 0, it takes a finite number above 0"),
    ({"lr": math.nan}, "lr is nan"),
    ({"lr": math.inf}, "lr is inf"),
    ({"weight": -0.1}, "weight is -0.1, it takes a finite number at least 0"),
    ({"decay": 2.0}, "decay is 2.0, it takes a number at least 0 and below 1"),
    ({"decay": 1.0}, "decay is 1.0"),
    ({"share": 1.1}, "share is 1.1, it takes a number at least 0 and at most 1"),
    ({"betas": (0.5, 1.0)}, "betas is 1.0"),
    ({"count": 0}, "count is 0"),
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
    assert "it takes" in error
    assert error.count("\n") == 1
