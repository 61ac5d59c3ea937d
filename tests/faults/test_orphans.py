import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from harness import start, wait_until

from t2igan.benchmark.orphans import PARENT


def test_drawing_that_is_killed_leaves_nobody(tally, tmp_path):
    probe = tally("prepare drawn-birds killed (SIGKILL) or stopped (SIGTERM) while drawing: no process is left")
    for number, name in enumerate((signal.SIGKILL, signal.SIGTERM)):
        root = tmp_path / str(number)
        environment = {"T2IGAN_FAULT_MARK": str(root)}
        process = start("prepare", "drawn-birds", "--root", root, anew=True, **environment)
        wait_until(lambda root=root: len(list(root.glob("text/*/*.txt"))) > 5, process)
        process.send_signal(name)
        process.communicate(timeout=60)
        end = time.monotonic() + 10
        while (left := marked(str(root))) and time.monotonic() < end:
            time.sleep(0.1)
        probe.note(not left, f"{name.name}: {len(left)} processes left")
    probe.check()


def marked(mark: str) -> list[str]:
    """Processes whose environment holds the mark."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if mark.encode() in (process / "environ").read_bytes() and process.name != str(os.getpid()):
                found.append(process.name)
        except OSError:
            continue  # ended, somebody else's, or no process
    return found


def test_children_have_a_parent_of_their_own():
    """Else the further devices of a training that a benchmark started would end at once."""
    code = (
        "import os; from t2igan.benchmark.orphans import *; end_with_parent(); print(os.environ.get(PARENT));"
        "let_children_end_with_this(); print(os.environ[PARENT] == str(os.getpid()))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {PARENT: str(os.getpid())}
    )
    assert told.stdout == "None\nTrue\n"
