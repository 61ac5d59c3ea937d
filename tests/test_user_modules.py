"""A class of one's own: found beside the YAML that names it, and in checkpoints only where the user says so."""

import subprocess
import sys

import pytest
import yaml
from test_fit import DAMSM, SSAGAN

from t2igan.cli.main import main
from t2igan.errors import UserError
from t2igan.nn import config
from t2igan.user_modules import find_user_module, look_beside

MINE = '''
from t2igan.networks.ssagan import SSAGANGenerator

class Mine(SSAGANGenerator):
    """Just another name."""
'''


@pytest.fixture(autouse=True)
def forgetful(monkeypatch):
    """What a test finds and allows is forgotten after it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(config, "_allowed", set())
    monkeypatch.setattr("t2igan.user_modules._beside", [])


@pytest.fixture(scope="module")
def home(tmp_path_factory, drawn_birds_store):
    folder = tmp_path_factory.mktemp("own")
    (folder / "damsm.yaml").write_text(DAMSM.format(store=drawn_birds_store))
    main(["fit", "--config", str(folder / "damsm.yaml"), "--run", str(folder / "damsm")])
    damsm = folder / "damsm" / "checkpoints" / "last.ckpt"
    config = yaml.safe_load(SSAGAN.format(store=drawn_birds_store, damsm=damsm))
    config["model"]["init_args"]["generator"]["class_path"] = "mine_beside.Mine"
    config["trainer"] |= {"max_steps": 2, "callbacks": None}
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    (folder / "mine_beside.py").write_text(MINE)
    return folder


def installed(*words, cwd):
    """As the installed command runs: without the current folder on the path."""
    command = [sys.executable, "-I", "-c", "from t2igan.cli.main import main; main()", *map(str, words)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=300)


def test_a_class_beside_the_yaml_is_trained_and_drawn(home, tmp_path, monkeypatch, capsys):
    done = installed("fit", "--config", home / "mine.yaml", "--run", home / "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load((home / "run" / "config.yaml").read_text())["allow"] == ["mine_beside"]
    assert done.stdout.splitlines()[-1].startswith("next: ") and done.stdout.rstrip().endswith(
        "--allow mine_beside"
    )
    draw = ["sample", "--checkpoint", str(home / "run/checkpoints/last.ckpt"), "--caption", "a red bird"]
    draw += ["--out", str(tmp_path / "drawn")]
    with pytest.raises(SystemExit) as ended:
        main(draw)
    assert ended.value.code == 2
    assert "which is not of the suite" in (told := capsys.readouterr().err) and "--allow mine_beside" in told
    assert "mine_beside" not in sys.modules
    with pytest.raises(SystemExit):
        main([*draw, "--allow", "mine_beside"])
    assert f"looked for mine_beside.py in {tmp_path.cwd()}" in capsys.readouterr().err
    monkeypatch.chdir(home)
    main([*draw, "--allow", "mine_beside"])
    assert (tmp_path / "drawn" / "grid.png").is_file()


def test_a_class_that_is_nowhere_is_one_line(home, tmp_path, capsys):
    text = (home / "mine.yaml").read_text().replace("mine_beside.Mine", "mine_nowhere.Mine")
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--config", str(tmp_path / "mine.yaml"), "--run", str(tmp_path / "run")])
    [line] = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert (
        f"class_path mine_nowhere.Mine: there is no module 'mine_nowhere': looked for mine_nowhere.py in {tmp_path}"
        in line
    )


def test_no_file_stands_in_for_a_package(tmp_path, monkeypatch):
    (tmp_path / "yaml.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "antigravity.py").write_text("raise RuntimeError('imported')")
    before = list(sys.path)
    look_beside([tmp_path / "x.yaml"])
    find_user_module("yaml")
    find_user_module("antigravity")
    assert sys.path == before
    for wrong in ("", "1a", "a/b", "../a", ".a"):
        with pytest.raises(UserError, match="not the name of a Python module"):
            find_user_module(wrong)
