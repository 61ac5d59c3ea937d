"""A class of one's own: found beside the YAML that names it, and in checkpoints only where the user says so."""

import importlib
import re
import subprocess
import sys

import pytest
import yaml
from small_configs import ssagan_on_trained_damsm

import t2igan
from t2igan.cli.main import main
from t2igan.errors import UserError
from t2igan.evaluation.history import read_changes
from t2igan.evaluation.metrics import find_metric
from t2igan.evaluation.subjects.generated import load_checkpoint_subject
from t2igan.nn import config
from t2igan.user_modules import find_user_module, look_beside, module_named, own_class, source_digests, word_for

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
    monkeypatch.setattr("t2igan.user_modules._added", [])


@pytest.fixture(scope="module")
def home(tmp_path_factory, drawn_birds_store):
    folder = tmp_path_factory.mktemp("own")
    config = ssagan_on_trained_damsm(folder, drawn_birds_store)
    config["model"]["init_args"]["generator"]["class_path"] = "mine_beside.Mine"
    config["trainer"]["max_steps"] = 2
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
    file = str(home / "mine_beside.py")
    assert yaml.safe_load((home / "run" / "config.yaml").read_text())["allow"] == [file]
    assert done.stdout.splitlines()[-1].startswith("next: ")
    assert done.stdout.rstrip().endswith(f"--allow {file}"), (
        "the command must find it from the folder that it is in"
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
    main([*draw, "--allow", file])
    assert (tmp_path / "drawn" / "grid.png").is_file()
    model = t2igan.load(home / "run", device="cpu", allow=["mine_beside"])
    assert type(model.module.generator).__name__ == "Mine"


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


def test_a_module_is_named_by_its_file_from_anywhere(tmp_path, monkeypatch):
    (tmp_path / "parts").mkdir()
    for name in ("one_of_mine.py", "other_of_mine.py", "antigravity.py"):
        (tmp_path / "parts" / name).write_text("")
    monkeypatch.chdir(tmp_path)
    assert module_named("mine") == "mine"
    assert [module_named(f"parts/{each}_of_mine.py") for each in ("one", "other")] == [
        "one_of_mine",
        "other_of_mine",
    ]
    assert (
        word_for("one_of_mine") == "parts/one_of_mine.py" and word_for("other_of_mine") == "parts/other_of_mine.py"
    )
    assert word_for("torch") == "torch"
    with pytest.raises(UserError, match=r"parts/none\.py does not exist"):
        module_named("parts/none.py")
    with pytest.raises(UserError, match=r"Python finds .*/antigravity\.py under the name antigravity, not parts"):
        module_named("parts/antigravity.py")
    monkeypatch.chdir(tmp_path / "parts")
    assert word_for("one_of_mine") == "one_of_mine"


def test_a_digest_is_of_the_code_and_of_what_it_imports_from_beside_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own, helper = tmp_path / "digested_of_mine.py", tmp_path / "helper_of_mine.py"
    own.write_text("import torch\nfrom t2igan import zoo\nfrom helper_of_mine import two\n\nx = 1\n")
    helper.write_text("two = 2\n")
    (tmp_path / "nobody_of_mine.py").write_text("3")
    find_user_module("digested_of_mine")

    def digests():
        return source_digests(["digested_of_mine.part"])

    before = digests()
    assert sorted(before) == ["digested_of_mine.py", "helper_of_mine.py"]
    own.write_text(own.read_text() + "# a comment\n\n")
    assert digests() == before
    helper.write_text("two = 3\n")
    assert digests()["helper_of_mine.py"] != before["helper_of_mine.py"]
    assert digests()["digested_of_mine.py"] == before["digested_of_mine.py"]
    assert source_digests(["t2igan.models.ssagan", "torch.nn", "sys", "no_such_module_of_mine"]) == {}
    helper.write_text("two = (\n")
    with pytest.raises(UserError, match=r"helper_of_mine\.py, line 1: not Python"):
        digests()


def test_the_code_of_a_package_is_all_of_it(tmp_path, monkeypatch):
    package = tmp_path / "package_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "nets.py").write_text("x = 1")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    found = source_digests(["package_of_mine.nets"])
    assert list(found) == ["package_of_mine/__init__.py", "package_of_mine/nets.py"]


def test_code_that_changed_is_said_and_makes_another_experiment(home, tmp_path, capsys):
    (tmp_path / "mine.yaml").write_text((home / "mine.yaml").read_text().replace("mine_beside", "mine_changing"))
    own = tmp_path / "mine_changing.py"
    own.write_text(MINE)
    run, fit = tmp_path / "run", ["fit", "--config", str(tmp_path / "mine.yaml"), "--run", str(tmp_path / "run")]
    main(fit)
    last = str(run / "checkpoints" / "last.ckpt")
    first = load_checkpoint_subject(last, "ema")
    assert list(first.card.training.inputs) == ["mine_changing.py", "damsm"] and first.notes == []
    own.write_text(MINE + "\n    more = 1\n")
    with pytest.warns(UserWarning, match=r"mine_changing\.py changed since the training"):
        second = load_checkpoint_subject(last, "ema")
    assert second.card.sha256 != first.card.sha256, "features that are kept belong to the other code"
    assert second.notes == ["mine_changing.py changed since the training, it may draw otherwise than it did"]
    main(fit)
    assert not (run / "changes.jsonl").exists(), "nothing was trained with it yet"
    capsys.readouterr()
    main([*fit, "--trainer.max_steps", "4"])
    assert "mine_changing.py has changed since step 2: the run continues" in capsys.readouterr().out
    (change,) = [each for each in read_changes(last) if each["key"] == "inputs.mine_changing.py"]
    assert change["before"] == first.card.training.inputs["mine_changing.py"] and change["step"] == 2
    third = load_checkpoint_subject(last, "ema")
    assert third.notes == [] and third.card.training.changes == read_changes(last)
    main([*fit[:-1], str(tmp_path / "anew"), "--trainer.max_steps", "4"])
    fourth = load_checkpoint_subject(str(tmp_path / "anew" / "checkpoints" / "last.ckpt"), "ema")
    assert len({each.card.experiment for each in (first, third, fourth)}) == 3
    assert fourth.card.training.inputs == third.card.training.inputs


NONE = "\n    def __init__(self):\n        pass\n"
BROKEN = {  # code in front of a good file, and what is said
    "def (:": r"mine_broken\.py, line 1: not Python \(invalid syntax\): fix it",
    "x = 'ä'": r"mine_broken\.py, line 1: not Python \(.*codec.*\): save it as UTF-8",
    "x = 1\nimport nowhere_at_all": r"mine_broken\.py, line 2: No module named 'nowhere_at_all': install it, or",
    "from t2igan.models import Generatr": r"mine_broken\.py, line 1: ImportError: cannot import name 'Generatr'",
    "import helper_of_broken": r"helper_of_broken\.py, line 2: ZeroDivisionError: division by zero",
    "raise SystemExit(0)": r"mine_broken\.py, line 1: ends the program when it is imported: put that under",
    "Mine, x = 1 / 0, 1": r"mine_broken\.py, line 1: ZeroDivisionError",
    "\0": r"mine_broken\.py(, line 1)?: .*null bytes",
}


@pytest.mark.parametrize("code", BROKEN)
def test_a_file_that_cannot_be_imported_is_one_line(code, home, tmp_path, monkeypatch, capsys):
    (tmp_path / "helper_of_broken.py").write_text("\nx = 1 / 0\n")
    (tmp_path / "mine_broken.py").write_bytes(f"{code}\n{MINE}".encode("latin-1"))
    named = (home / "mine.yaml").read_text().replace("mine_beside.Mine", "mine_broken.Mine")
    (tmp_path / "mine.yaml").write_text(named)
    monkeypatch.chdir(tmp_path)
    plain = ["--config", str(home / "damsm.yaml"), "--data.num_workers"]
    for words in (["--config", "mine.yaml"], [*plain, "0", "--model.image_encoder", "mine_broken.Mine"]):
        with pytest.raises(SystemExit) as ended:
            main(["fit", *words, "--run", "run"])
        [line] = capsys.readouterr().err.splitlines()
        assert ended.value.code == 2 and re.search(f"mine_broken.Mine: {BROKEN[code]}", line)
        assert not (tmp_path / "run").exists()
    config.allow(["mine_broken"])
    with pytest.raises(UserError, match=f"^the checkpoint names mine_broken.Mine, and {BROKEN[code]}"):
        config.build({"class_path": "mine_broken.Mine", "init_args": {}})
    with pytest.raises(UserError, match=f"^{BROKEN[code]}"):
        config.import_allowed()
    with pytest.raises(UserError, match=f"^{BROKEN[code]}"):
        find_metric("mine_broken.Mine")


def test_a_class_that_is_not_in_its_file_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "mine_lacking.py").write_text("class Other: pass")
    (tmp_path / "random.py").write_text("class Mine: pass")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^mine_lacking\.py has no class 'Othr' \(did you mean Other\?\)$"):
        own_class("mine_lacking.Othr")
    with pytest.raises(
        UserError, match=r"/random\.py has no class 'Mine'; it is what Python finds .* random: rename random"
    ):
        own_class("random.Mine")


def test_a_class_of_ones_own_on_the_command_line(home, tmp_path, monkeypatch, capsys):
    written = yaml.safe_load((home / "mine.yaml").read_text())
    del written["model"]["init_args"]["generator"]
    (home / "typed.yaml").write_text(yaml.safe_dump(written))
    monkeypatch.setitem(sys.modules, "mine_beside", None)

    def typed(generator, cwd):
        del sys.modules["mine_beside"]
        monkeypatch.chdir(cwd)
        words = ["fit", "--config", str(home / "typed.yaml"), "--run", "run", "--print_config"]
        with pytest.raises(SystemExit) as ended:
            main([*words, f"--model.generator={generator}"])
        return ended.value.code, capsys.readouterr()

    for cwd, generator in ((home, "{class_path: mine_beside.Mine}"), (tmp_path, "mine_beside.Mine")):
        code, told = typed(generator, cwd)
        assert not code and "class_path: mine_beside.Mine" in told.out
    code, told = typed("mine_nowhere.Mine", tmp_path)
    assert code == 2
    assert "--model.generator mine_nowhere.Mine: there is no module 'mine_nowhere': looked for" in told.err


def test_a_changed_file_that_no_longer_fits_its_checkpoint_is_named(home, tmp_path, monkeypatch, capsys):
    named = (home / "mine.yaml").read_text().replace("mine_beside.Mine", "mine_fitting.Mine")
    (tmp_path / "mine.yaml").write_text(named)
    file = tmp_path / "mine_fitting.py"
    file.write_text(MINE)
    done = installed("fit", "--config", tmp_path / "mine.yaml", "--run", tmp_path / "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    more = f"{MINE}\n    def __init__(self, **kwargs):\n        super().__init__(**kwargs)\n"
    changes = {
        r"its weights do not fit its own config \(.*generator\.more.*\)": f"{more}        self.more = self.fc\n",
        r"mine_fitting\.Mine cannot be built \(.*'image_size'\)": f"{MINE}{NONE}",
        r"names mine_fitting\.Mine, and \S*fitting\.py has no class 'Mine' .*": MINE.replace("Mine", "Min"),
        r"names mine_fitting\.Mine, which derives from no class of the suite: .*": "class Mine: pass",
    }
    monkeypatch.chdir(tmp_path)
    for what, code in changes.items():
        file.write_text(code)
        sys.modules.pop("mine_fitting", None)
        importlib.invalidate_caches()
        with pytest.raises(SystemExit):
            main(
                [
                    "sample",
                    "--checkpoint",
                    "run",
                    "--caption",
                    "a red bird",
                    "--out",
                    "out",
                    "--allow",
                    "mine_fitting",
                ]
            )
        [line] = capsys.readouterr().err.splitlines()
        remedy = r"; mine_fitting\.py changed since the training: take the code that it was trained with"
        assert re.search(f"{what}{remedy}$", line), line


def test_a_forgotten_super_is_one_line(home, tmp_path, monkeypatch, capsys):
    lines = [
        "from torch import nn",
        "from t2igan.models import Discriminator",
        "",
        "class Forgetful(Discriminator):",
    ]
    lines += ["    def __init__(self) -> None:", "        self.layer = nn.Linear(2, 2)"]
    (tmp_path / "mine_forgetting.py").write_text("\n".join(lines))
    written = yaml.safe_load((home / "mine.yaml").read_text().replace("mine_beside.Mine", "SSAGANGenerator"))
    written["model"]["init_args"]["discriminators"] = [{"class_path": "mine_forgetting.Forgetful"}]
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(written))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--config", "mine.yaml", "--run", "run"])
    *_, line = capsys.readouterr().err.splitlines()
    told = "cannot assign module before Module.__init__() call: begin __init__ with super().__init__()"
    assert ended.value.code == 2
    assert f"forgetting.py, line 6, in __init__: AttributeError: {told} (--debug" in line
    with pytest.raises(UserError, match=re.escape(f"Forgetful cannot be built ({told})")):
        config.allow(["mine_forgetting"])
        config.build({"class_path": "mine_forgetting.Forgetful", "init_args": {}})
