from pathlib import Path

import pytest
from matrix_plans import PLAIN, cells, plan

from t2igan.errors import UserError


def test_a_dry_run_says_what_comes_and_what_will_be_missing(place, capsys):
    from t2igan.cli.main import main

    Path("birds.h5").unlink()
    plan(prepare="drawn-birds", seeds=[0], grid={"model.lr_generator": [0.1, 0.2]})
    main(["benchmark", "plan.yaml", "--dry_run", "true"])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("then")] == [
        f"then birds · mirrorgan-lr_generator={rate}-seed0: fit, evaluate by drawn-birds/quick"
        for rate in (0.1, 0.2)
    ]
    missing = [line for line in lines if line.startswith("missing")]
    assert any("fd-classifier of drawn-birds/quick lacks `classifier`" in line for line in missing)
    assert not any("r-precision" in line for line in missing)
    assert not list(Path("out").rglob("*.ckpt"))


def test_everything_that_is_missing_is_said_at_once(place):
    (place / "mirrorgan.yaml").write_text(PLAIN)
    with pytest.raises(UserError) as error:
        cells(models=["experiments/small/mirrorgan.yaml", "experiments/small/nothing.yaml"])
    message = str(error.value)
    assert "runs/bought/damsm/checkpoints/last.ckpt" in message
    assert "nothing.yaml: no such file" in message
