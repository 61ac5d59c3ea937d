import errno
import os
import signal
import subprocess
import sys

import pytest

import t2igan
import t2igan.errors
from t2igan.cli.main import VERBS, main


def test_version_and_list_answer_without_torch():
    code = (
        "import sys\n"
        "from t2igan.cli.main import main\n"
        "main(['--version']); main(['--help']); main(['list', 'generators']); main(['list', 'protocols'])\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert t2igan.__version__ in done.stdout
    assert "SSAGANGenerator" in done.stdout


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("fit", "validate", "test", "predict")])
def test_every_verb_has_help(verb, capsys):
    try:
        main([verb, "--help"])
    except SystemExit as exit_:
        assert exit_.code == 0
    assert f"t2igan {verb}" in capsys.readouterr().out


def test_debug_shows_the_traceback():
    with pytest.raises(t2igan.errors.UserError):
        main(["prepare", "birds", "--debug"])


def test_output_that_nobody_reads_any_more_is_no_error():
    """As before `| head`."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "t2igan", "list", "zoo"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_are_no_error(closed, tmp_path):
    """The files that the command opens get none of their numbers."""
    own = "import os, sys; from t2igan.cli.main import main; main(['list', 'models'])"
    told = f"{own}; file = open({str(tmp_path / 'file')!r}, 'w'); os._exit(0 if file.fileno() > 2 else 1)"
    shell = ["bash", "-c", f'"$0" -c "$1" {closed}', sys.executable, told]
    done = subprocess.run(shell, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_letter_is_printed_in_any_encoding(encoding):
    program = "from t2igan.cli import main; main.main(['list', 'models']); print('\\u00fc \\udcff')"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, env=os.environ | {"PYTHONIOENCODING": encoding}
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.endswith(b"\\udcff\n")


def test_a_name_that_is_no_text_is_one_line():
    done = subprocess.run([sys.executable, "-m", "t2igan", "report", b"a\xff"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, "t2igan report: 'a\\udcff' is not UTF-8; rename it\n")


@pytest.mark.parametrize("letter", "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\n")
def test_no_letter_that_is_quoted_breaks_the_line(letter, capsys):
    with pytest.raises(SystemExit):
        main(["report", f"re{letter}cords.jsonl"])
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("words", [["--out", "#1"], ["--out=#1"], ["#1"]])
def test_a_value_that_reads_as_a_comment_is_refused(words, capsys):
    """It would be taken for null, and the report written to its usual place."""
    with pytest.raises(SystemExit) as exit_:
        main(["report", "records.jsonl", *words])
    assert exit_.value.code == 2 and "begins with '#', which starts a comment" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("number", "remedy"),
    [("EFBIG", "ulimit -f"), ("EMFILE", "ulimit -n"), ("ESTALE", "file server"), ("EAGAIN", "ulimit -u")],
)
def test_limits_of_the_system_are_one_line(number, remedy, monkeypatch, capsys):
    def fails(*_):
        raise OSError(getattr(errno, number), "words of the system", "records.jsonl")

    monkeypatch.setattr("t2igan.cli.report.run", fails)
    with pytest.raises(SystemExit) as exit_:
        main(["report", "records.jsonl"])
    (line,) = capsys.readouterr().err.splitlines()
    assert exit_.value.code == 2 and line.startswith("t2igan report: records.jsonl: ") and remedy in line


def test_a_broken_pipe_between_processes_is_an_error():
    program = (
        "from t2igan.cli import list as verb, main\n"
        "def fails(*words): raise BrokenPipeError(32, 'a worker is gone')\n"
        "verb.run = fails\n"
        "main.main(['list', 'models', '--nothing'])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1 and "a worker is gone" in done.stderr


def test_a_package_that_is_there_is_not_called_missing(monkeypatch, capsys):
    """Of another version, or damaged: its own error says more than a line could."""

    def fails(statement):
        return lambda verb, rest: exec(statement)

    monkeypatch.setattr("t2igan.cli.list.run", fails("from json import no_such_name"))
    with pytest.raises(ImportError, match="cannot import name 'no_such_name'"):
        main(["list", "models", "--nothing"])
    monkeypatch.setattr("t2igan.cli.list.run", fails("import no_such.part"))
    with pytest.raises(SystemExit) as exit_:
        main(["list", "models", "--nothing"])
    assert exit_.value.code == 2
    assert capsys.readouterr().err == "t2igan list: no_such is not installed: pip install no_such\n"


def test_a_warning_is_one_line():
    code = (
        "import warnings, t2igan.cli.list as verb, t2igan.cli.main as main\n"
        "def run(verb, words):\n"
        "    warnings.warn('odd\\n images', stacklevel=1)\n"
        "    warnings.warn('old', FutureWarning, stacklevel=1)\n"
        "verb.run = run\n"
        "main.main(['list', 'models'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr == "warning: odd images\nwarning: FutureWarning: old\n"


def test_a_folder_that_was_deleted_is_one_line(tmp_path):
    code = "import os, sys; os.rmdir(os.getcwd()); from t2igan.cli.main import main; main(['list', 'models'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, "t2igan list: the current folder was deleted: cd to another one\n")


@pytest.mark.parametrize("words", [["--out", ""], ["--out="], ["--data.store", ""], ["--config="]])
def test_a_path_that_is_empty_is_refused(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["sample", "--checkpoint", "x.ckpt", *words])
    name = words[0].rstrip("=")
    told = f"t2igan sample: {name} is empty, perhaps of a variable that is not set: give it a path\n"
    assert (ended.value.code, capsys.readouterr().err) == (2, told)


def test_no_memory_to_read_a_file_is_not_a_damaged_file(monkeypatch, capsys, tmp_path):
    def full(*_, **__):
        raise MemoryError

    monkeypatch.setattr("torch.load", full)
    (tmp_path / "x.ckpt").write_bytes(b"whole")
    with pytest.raises(SystemExit) as ended:
        main(["sample", "--checkpoint", str(tmp_path / "x.ckpt"), "--caption", "a", "--out", str(tmp_path / "o")])
    told = capsys.readouterr().err
    assert ended.value.code == 2 and "the memory is full" in told and "x.ckpt" not in told


def test_a_library_that_does_not_fit_into_memory_is_one_line(monkeypatch, capsys):
    def run(verb, words):
        raise ImportError("libtorch.so: failed to map segment from shared object")

    monkeypatch.setattr("t2igan.cli.init.run", run)
    with pytest.raises(SystemExit) as ended:
        main(["init", "x"])
    assert ended.value.code == 2 and "t2igan init: the memory is full" in capsys.readouterr().err


def test_an_interrupt_is_one_line_whatever_fails_to_close(monkeypatch, capsys):
    """A progress bar whose thread had not started yet could not be closed: that was the error."""

    def run(verb, argv):
        try:
            raise KeyboardInterrupt
        finally:
            raise RuntimeError("cannot join thread before it is started")

    monkeypatch.setattr("t2igan.cli.list.run", run)
    with pytest.raises(SystemExit) as ended:
        main(["list", "zoo"])
    assert ended.value.code == 128 + signal.SIGINT
    told = capsys.readouterr().err
    assert "interrupted" in told and told.count("\n") == 1
