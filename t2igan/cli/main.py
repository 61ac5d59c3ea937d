"""Dispatch the verbs of the ``t2igan`` command; a verb's module is imported only when it is used."""

import errno
import importlib
import io
import os
import re
import select
import signal
import sys
import warnings
from collections.abc import Sequence

import t2igan
from t2igan.benchmark.orphans import end_with_parent
from t2igan.cli import quick, quick_fit
from t2igan.cli.unwinding import sigterm_unwinds
from t2igan.cpus import settle_threads
from t2igan.errors import Stopped, UserError
from t2igan.files import disk_problem
from t2igan.shipped import with_experiments
from t2igan.spelling import nearest
from t2igan.user_modules import told_by_own_code

VERBS = {
    "prepare": ("t2igan.cli.prepare", "raw data set -> one HDF5 store"),
    "fit": ("t2igan.cli.fit", "train what a YAML describes; the same command again continues where it stopped"),
    "validate": ("t2igan.cli.fit", "losses and retrieval on the test split"),
    "test": ("t2igan.cli.fit", "the same as validate"),
    "predict": ("t2igan.cli.fit", "images of the test captions for a writer of predictions"),
    "sample": ("t2igan.cli.sample", "draw captions of your own"),
    "caption": ("t2igan.cli.caption", "what a STREAM sees in images, and how well it does"),
    "tag": ("t2igan.cli.tag", "a label for every word of narratives, and how well a tagger does"),
    "refine": ("t2igan.cli.refine", "labels of words out of traces and gold maps, for a tagger to learn from"),
    "retrieve": ("t2igan.cli.retrieve", "how often a text finds its image: recall@1, 5, 10"),
    "compose": (
        "t2igan.cli.compose",
        "label maps of narratives and traces, and how far they agree with gold maps",
    ),
    "evaluate": ("t2igan.cli.evaluate", "scores of a checkpoint or of a folder of images, with their record"),
    "benchmark": ("t2igan.cli.benchmark", "run a whole plan: data, training, scores, report"),
    "import": ("t2igan.cli.import_", "released weights -> a checkpoint of the suite"),
    "export": (
        "t2igan.cli.export",
        "weights for the original code, as safetensors or ONNX, for a zoo of one's own",
    ),
    "push": ("t2igan.cli.hub", "weights with their model card to a Hugging Face hub"),
    "pull": ("t2igan.cli.hub", "weights from a Hugging Face hub"),
    "report": ("t2igan.cli.report", "tables, curves and images of what was measured"),
    "profile": (
        "t2igan.cli.profile",
        "where the time of a training step goes; also: profile evaluate, profile loader",
    ),
    "doctor": ("t2igan.cli.doctor", "data, weights and packages: what is there, what is missing, where to get it"),
    "demo": ("t2igan.cli.demo", "a local page: type a caption, see it from several models"),
    "init": ("t2igan.cli.init", "experiments and plans out of the package, for changing"),
    "list": ("t2igan.cli.list", "models, data, metrics, protocols, the zoo of trained weights"),
}


FULL = ("DefaultCPUAllocator", "can't allocate memory", "failed to map segment")
"""Of torch's allocator, and of the loader of libraries under `ulimit -v`."""
OF_FILES = frozenset({"out", "run", "records", "store", "checkpoint", "images", "captions", "config", "root"})
"""Options whose empty value would be taken for the current folder, or for nothing."""


def usage() -> str:
    """The help text of ``t2igan``."""
    lines = [f"  {verb:<10} {text}" for verb, (_, text) in VERBS.items()]
    return "\n".join(
        [
            f"t2igan {t2igan.__version__}: benchmark suite for text-to-image GANs",
            "",
            "usage: t2igan VERB [--help] [options]",
            "",
            *lines,
            "",
            "  --debug    with any verb: show the traceback of an error",
            "  --version  print the version",
        ]
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command.

    Args:
        argv: arguments after the program's name; default: the process's.

    Raises:
        SystemExit: 0 after success, 2 after a user's mistake or a full disk, 130 after Ctrl-C, 141 where nobody
            reads its output any more, 143 after SIGTERM.
    """
    _settle_streams()
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    if arguments[:1] == ["help"] and arguments[1:2] and arguments[1] in VERBS:
        arguments = [*arguments[1:], "--help"]
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(usage())
        return
    if arguments[0] == "--version":
        print(f"t2igan {t2igan.__version__}")
        return
    end_with_parent()
    settle_threads()
    warnings.formatwarning = _warning_line
    verb, *rest = arguments
    if verb not in VERBS:
        _fail(f"t2igan: no verb {verb!r}{nearest(verb, VERBS)}; t2igan --help has them all")
    try:
        _refuse_what_is_gone()
        _refuse_strange_letters(rest)
        rest = list(with_experiments(rest))
        quickly = quick_fit if verb in quick_fit.VERBS else quick
        if (told := quickly.answer(verb, rest)) is not None:
            print(told)
            return
        with sigterm_unwinds():
            importlib.import_module(VERBS[verb][0]).run(verb, rest)
        sys.stdout.flush()
    except BrokenPipeError:
        if not _nobody_reads():
            raise  # a broken pipe between processes is an error
        # Python must not flush the rest of the buffer again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + signal.SIGPIPE) from None
    except (Exception, KeyboardInterrupt, Stopped) as error:
        line, code = _told(error)
        if debug or line is None:
            raise
        _fail(f"t2igan {verb}: {line}", code)


def _warning_line(message: Warning | str, category: type[Warning], *place: object) -> str:
    """A warning as a person reads it, without the line of code that gave it."""
    kind = "" if category is UserWarning else f"{category.__name__}: "
    return f"warning: {kind}{' '.join(str(message).split())}\n"


def _settle_streams() -> None:
    """Make sure that the standard streams exist and can print any text.

    Streams that the caller closed (``>&-``) are opened on /dev/null; otherwise the next file opened would get their
    number.
    """
    for number, (name, mode) in enumerate({"stdin": "r", "stdout": "w", "stderr": "w"}.items()):
        try:
            os.fstat(number)
        except OSError:
            # The new descriptor gets the lowest free number.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, mode, closefd=False))
    if isinstance(sys.stdout, io.TextIOWrapper):
        # As for stderr: a terminal may lack letters, and file names may not be valid text.
        sys.stdout.reconfigure(errors="backslashreplace")


def _refuse_strange_letters(words: Sequence[str]) -> None:
    """Refuse what is lost on its way: null bytes, names that are not UTF-8, comments, and paths that are empty."""
    for before, word in zip(["", *words], words):
        option = f"{before}: " if before.startswith("--") else ""
        if "\0" in word:
            raise UserError(f"{option}{word!r} contains a null byte; remove it")
        # Python represents invalid bytes by surrogates.
        if any("\ud800" <= letter <= "\udfff" for letter in word):
            raise UserError(f"{option}{word!r} is not UTF-8; rename it")
        name, _, value = word.partition("=") if word.startswith("--") else (before, "", word)
        if not value and word != name and name.removeprefix("--").rpartition(".")[2] in OF_FILES:
            raise UserError(f"{name} is empty, perhaps of a variable that is not set: give it a path")
        if value.startswith("#"):  # the parser would read it as a comment and use the default
            raise UserError(f"{option}{word!r} begins with '#', which starts a comment; put ./ or a word before it")


def _refuse_what_is_gone() -> None:
    """Refuse to start in a folder that was deleted: nothing relative to it can be found."""
    try:
        os.getcwd()
    except FileNotFoundError as error:
        raise UserError("the current folder was deleted: cd to another one") from error


def _nobody_reads() -> bool:
    """Whether the reader of the output has closed it, as `| head` does."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _told(error: BaseException) -> tuple[str | None, int]:
    """The error line and the exit code of an exception; no line if it is a bug."""
    error = _interruption(error) or error
    if isinstance(error, KeyboardInterrupt):
        error = Stopped(signal.SIGINT)
    if isinstance(error, Stopped):
        return str(error), error.code
    if isinstance(error, UserError):
        # A reader may have taken a whole file for a damaged one because the memory ran out.
        return (error.__cause__ and _memory_problem(error.__cause__)) or str(error), 2
    own = told_by_own_code(error)
    if isinstance(error, OSError):
        return disk_problem(error) or path_problem(error) or own, 2
    if isinstance(error, ImportError) and own is None and _memory_problem(error) is None:
        package = (error.name or "t2igan").partition(".")[0]
        # Any other ImportError means that a package is damaged or of another version.
        missing = isinstance(error, ModuleNotFoundError) and package != "t2igan"
        return f"{package} is not installed: pip install {package}" if missing else None, 2
    if isinstance(error, MemoryError | RuntimeError | ImportError):
        return _memory_problem(error) or own or _dead_process(error), 2
    return own, 2


def _interruption(error: BaseException) -> BaseException | None:
    """The interruption during which an error came: what is left between two of its steps may fail to close."""
    inner: BaseException | None = None if isinstance(error, UserError) else error
    while inner is not None and not isinstance(inner, KeyboardInterrupt | Stopped):
        inner = inner.__context__
    return inner


def _memory_problem(error: BaseException) -> str | None:
    """One line for an out-of-memory error, None for any other; works without importing torch."""
    full = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    # The CPU allocator has no exception class, and its message differs between systems.
    if not full and not any(words in str(error) for words in FULL):
        return None
    where = "the GPU's memory" if "CUDA" in str(error) else "the memory"
    return (
        f"{where} is full: a smaller --data.batch_size of fit, --batch_size of evaluate, --n of sample, or smaller "
        "images; bf16 (--trainer.precision bf16-mixed) takes about half"
    )


def _dead_process(error: BaseException) -> str | None:
    """One line for the death of another process of the same command, None for any other error."""
    told = str(error)
    if "DataLoader worker" in told:
        who, less = "a process that loads data", "fewer --data.num_workers take less"
    elif type(error).__name__.startswith("Dist") or ("gloo" in told and "onnection" in told):
        who, less = "another process of this command", "a smaller --data.batch_size takes less"
    else:
        return None
    return f"{who} was killed, perhaps for lack of memory: {less}; the same command continues from its last state"


def path_problem(error: OSError) -> str | None:
    """One line for a path that cannot be read or written as requested, None for any other error."""
    wrong = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ELOOP)
    if error.errno not in wrong or not error.filename:
        return None
    return f"{str(error.filename)[:200]}: {error.strerror}; give another path"


def _fail(message: str, code: int = 2) -> None:
    # Lists of faults are indented; any other line break belongs to a quoted value.
    message = re.sub("[\r\x0b\x0c\x1c-\x1e\x85\u2028\u2029]", lambda found: ascii(found[0])[1:-1], message)
    print(re.sub(r"\n(?!  )", r"\\n", message), file=sys.stderr)
    raise SystemExit(code)
