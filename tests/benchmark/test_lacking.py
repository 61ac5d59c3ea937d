import shlex
from pathlib import Path

import pytest
import yaml
from matrix_plans import PLAIN, cells, plan

from t2igan.benchmark.lacking import lacking
from t2igan.errors import UserError


def test_a_dry_run_says_what_comes_and_what_will_be_missing(place, capsys):
    from t2igan.cli.main import main

    Path("birds.h5").unlink()
    plan(prepare="drawn-birds", seeds=[0], grid={"model.lr_generator": [0.1, 0.2]})
    main(["benchmark", "plan.yaml", "--dry_run", "true"])
    lines = capsys.readouterr().out.splitlines()
    then = [line for line in lines if line.startswith("then")]
    assert then[-2:] == [
        f"then birds · mirrorgan-lr_generator={rate}-seed0: fit, evaluate by drawn-birds/quick"
        for rate in (0.1, 0.2)
    ]
    assert "then birds · damsm-seed0: fit" in then[:-2], "what is trained first is told first"
    # Once for all models.
    (missing,) = [line for line in lines if line.startswith("missing")]
    wanted = "fd-classifier, is-classifier of drawn-birds/quick: no `classifier`: `t2igan evaluate` will refuse it"
    assert missing == f"missing, birds: {wanted}"
    assert lines[-1] == "1 step; nothing was run"
    assert not Path("out").exists(), "nothing was run, nothing is left"
    command = next(line for line in lines if line.startswith("    t2igan"))
    assert shlex.split(command)[1:3] == ["prepare", "drawn-birds"]


def test_what_only_some_models_lack_names_them(place, capsys):
    from t2igan.cli.main import main

    without = yaml.safe_load(Path("experiments/small/mirrorgan.yaml").read_text())
    del without["model"]["init_args"]["damsm"]
    Path("experiments/small/plain.yaml").write_text(yaml.safe_dump(without))
    plan(models=["experiments/small/mirrorgan.yaml", "experiments/small/plain.yaml"], seeds=[0, 1])
    main(["benchmark", "plan.yaml", "--dry_run", "true"])
    missing = [line for line in capsys.readouterr().out.splitlines() if line.startswith("missing")]
    assert [line.rpartition(": ")[2] for line in missing if "r-precision" in line] == [
        "`t2igan evaluate` will refuse it (plain)"
    ]


@pytest.mark.parametrize("where", ["grid", "set", "file"])
def test_a_mistaken_key_is_told_before_the_first_step(place, capsys, where):
    from t2igan.cli.main import main

    Path("birds.h5").unlink()
    config = Path("experiments/small/mirrorgan.yaml")
    wrong = {"model.lr_genrator": [0.1]} if where == "grid" else {}
    entry = {"config": str(config), "set": {"model.lr_genrator": 0.1} if where == "set" else {}}
    if where == "file":
        content = yaml.safe_load(config.read_text())
        content["model"]["init_args"]["lr_genrator"] = 0.1
        config.write_text(yaml.safe_dump(content))
    plan(prepare="drawn-birds", models=[entry], grid=wrong)
    with pytest.raises(SystemExit) as stop:
        main(["benchmark", "plan.yaml"])
    assert stop.value.code == 2
    line = capsys.readouterr().err
    assert line.startswith("t2igan benchmark: plan.yaml: model (") and "did you mean lr_generator?" in line
    assert not Path("out").exists()


def test_files_that_nobody_publishes_are_lacking_until_they_are_there(place):
    def found(**evaluate):
        return list(lacking(["cub/dmgan", "cub/tise"], True, True, evaluate))

    files = "checkpoints/bird_val.npz", "checkpoints/inception-slim-birds.pth"
    assert found(skip_missing=True) == [
        f"{metric} of {protocol}: no {file}: left out"
        for protocol in ("cub/dmgan", "cub/tise")
        for metric, file in zip(("fid", "is"), files)
    ]
    for file in files:
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).touch()
    assert found() == []
    assert len(found(checkpoints="elsewhere")) == 4
    # What could be downloaded lacks only where it must not be.
    assert list(lacking(["cub/t2igan"], True, True, {"clip": "clip"})) == []
    (line,) = lacking(["cub/t2igan"], True, True, {"clip": "clip", "download": False})
    assert line.startswith("fid, fid-infinity, kid, prdc, is, lpips-diversity of cub/t2igan: no download")


def test_everything_that_is_missing_is_said_at_once(place):
    (place / "mirrorgan.yaml").write_text(PLAIN)
    with pytest.raises(UserError) as error:
        cells(models=["experiments/small/mirrorgan.yaml", "experiments/small/nothing.yaml"])
    message = str(error.value)
    assert "runs/bought/damsm/checkpoints/last.ckpt" in message
    assert "nothing.yaml: no such file" in message
