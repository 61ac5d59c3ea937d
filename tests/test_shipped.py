"""What an installed package brings along, tried from a wheel in an empty folder."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from t2igan.cli.main import main
from t2igan.data.store import open_store
from t2igan.errors import UserError
from t2igan.models.suite_module import read_checkpoint
from t2igan.shipped import experiment_names, find_experiment, known_experiment, training_of, with_experiments

ROOT = Path(__file__).parents[1]


def test_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert {"cub/ssagan", "quickstart", "benchmark/cub"} <= set(experiment_names())
    for name in ("cub/ssagan", "cub/ssagan.yaml", "experiments/cub/ssagan.yaml"):
        assert find_experiment(name).endswith("experiments/cub/ssagan.yaml")
    assert known_experiment("/cub/ssagan") is None
    with pytest.raises(UserError, match=r"did you mean cub/ssagan\?"):
        find_experiment("cub/ssagann")


def test_what_lies_here_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiments/cub").mkdir(parents=True)
    (tmp_path / "experiments/cub/ssagan.yaml").write_text("{}")
    (tmp_path / "own.yaml").write_text("{}")
    line = "--config cub/ssagan -c own.yaml --config=nothing.yaml --seed 1 --config"
    resolved = ["--config", "experiments/cub/ssagan.yaml", "-c", "own.yaml", "--config=nothing.yaml"]
    assert [*with_experiments(line.split())] == [*resolved, "--seed", "1", "--config"]


def test_a_pipeline_that_is_shipped_is_found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    option, file = with_experiments(["--pipeline", "experiments/scenes/pipelines/trecs-lite-real.yaml"])
    assert option == "--pipeline" and Path(file).is_file()


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("runs/cub/damsm/checkpoints/last.ckpt", "experiments/cub/damsm.yaml"),
        ("runs/cub/damsm", "experiments/cub/damsm.yaml"),
        ("runs/spatext/gan", "experiments/scenes/spatext-gan.yaml --run runs/spatext/gan"),
        ("runs/cub/mine", ""),
        ("elsewhere/cub/damsm", ""),
    ],
)
def test_what_a_path_promises_is_trained(path, told):
    assert training_of(path) == (told and f"t2igan fit --config {told}")
    with pytest.raises(
        UserError, match=f"no checkpoint at {path}{re.escape(told and f'; `{training_of(path)}` tr')}"
    ):
        read_checkpoint(path)


def test_what_a_path_promises_is_prepared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path, told in (("datasets/scenes/scenes-64.h5", " scenes --image_size 64"), ("datasets/a/b-64.h5", "")):
        with pytest.raises(UserError, match=f"no such store; make it with `t2igan prepare{told}`$"):
            open_store(path)


def test_init_keeps_what_was_changed(tmp_path, capsys):
    main(["init", str(tmp_path)])
    changed = tmp_path / "experiments/cub/ssagan.yaml"
    changed.write_text("mine")
    (tmp_path / "experiments/quickstart.yaml").unlink()
    main(["init", str(tmp_path)])
    said = capsys.readouterr().out
    assert changed.read_text() == "mine" and f"kept {changed}" in said
    assert f"wrote 1 files to {tmp_path / 'experiments'}" in said


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the package as its wheel installs it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # building leaves things behind
    for name in ("t2igan", "experiments", "checkpoints"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copyfile(ROOT / name, source / name)
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", str(source)]
    subprocess.run([*build, "--wheel-dir", str(folder)], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder / "site")
    return folder / "site"


def t2igan(installed, folder, *words):
    variables = os.environ | {"PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    command = [sys.executable, "-m", "t2igan", *words]
    return subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True)


def test_a_wheel_holds_what_lies_beside_the_code(installed, tmp_path):
    files = {file for file in (ROOT / "t2igan").rglob("*") if file.is_file() and file.suffix not in (".py", ".pyc")}
    assert files and {file for file in files if not (installed / file.relative_to(ROOT)).is_file()} == set()
    draw = "make_source('drawn-birds', 'birds', config=DrawnBirdsConfig(4, 1, 1, 1, 48), workers=1)"
    code = f"from t2igan.data.sources import DrawnBirdsConfig, make_source; {draw}"
    variables = os.environ | {"PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=variables, check=True)
    assert (tmp_path / "birds/attributes.json").is_file()


@pytest.mark.slow
def test_a_wheel_in_an_empty_folder(installed, tmp_path):
    where = t2igan(installed, tmp_path, "list", "protocols")
    assert where.returncode == 0 and "drawn-birds/quick" in where.stdout
    shown = t2igan(installed, tmp_path, "fit", "--config", "cub/ssagan", "--print_config")
    assert shown.returncode == 0 and "class_path: t2igan.models.ssagan.SSAGAN" in shown.stdout, shown.stderr
    refused = t2igan(installed, tmp_path, "fit", "--config", "cub/damsm")
    assert refused.returncode == 2 and "datasets/cub/cub-256.h5 does not exist" in refused.stderr
    planned = t2igan(installed, tmp_path, "benchmark", "quickstart", "--dry_run", "true")
    assert planned.returncode == 0 and str(installed / "t2igan/experiments/quickstart/damsm.yaml") in planned.stdout
    zoo = t2igan(installed, tmp_path, "list", "zoo")
    assert zoo.returncode == 0 and "zoo:drawn-birds/attngan" in zoo.stdout, zoo.stderr
    line = ("--checkpoint", "zoo:drawn-birds/attngan", "--caption", "a red bird", "--n", "1", "--out", "birds")
    drawn = t2igan(installed, tmp_path, "sample", *line, "--overlay", "attention")
    assert drawn.returncode == 0 and (tmp_path / "birds" / "c000_s00_attention.png").is_file(), drawn.stderr
    assert t2igan(installed, tmp_path, "init", ".").returncode == 0
    planned = t2igan(installed, tmp_path, "benchmark", "quickstart", "--dry_run", "true")
    assert "--config experiments/quickstart/damsm.yaml" in planned.stdout
