import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from t2igan.data import prepare as module
from t2igan.data.journal import Journal
from t2igan.data.prepare import prepare
from t2igan.data.rendering import RenderJob
from t2igan.data.sources import make_source
from t2igan.data.store import partial_path
from t2igan.errors import UserError


def test_a_process_that_dies_is_one_line_and_what_is_done_is_kept(tiny_cub, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_SERIAL_BELOW", 0)
    monkeypatch.setattr(module, "_BACKLOG", 1)

    def kill(done, total):
        if done == 10:
            for child in multiprocessing.active_children():
                child.kill()

    with pytest.raises(UserError, match="one of 2 rendering processes died"):
        prepare(make_source("cub", tiny_cub), tmp_path / "s.h5", 32, workers=2, progress=kill)
    assert 10 <= prepare(make_source("cub", tiny_cub), tmp_path / "s.h5", 32, workers=1).resumed < 25


def test_a_full_disk_is_noticed_before_the_store_is_begun(tiny_cub, tmp_path, monkeypatch):
    free = shutil.disk_usage(tmp_path)._replace(free=1000)
    with monkeypatch.context() as patch:
        patch.setattr(module.shutil, "disk_usage", lambda path: free)
        with pytest.raises(UserError, match=r"the disk has 0\.0 GB left.*finished work is kept"):
            prepare(make_source("cub", tiny_cub), tmp_path / "s.h5", 32, workers=1)
    assert [path.name for path in tmp_path.glob("s.h5*")] == ["s.h5.partial"]
    assert prepare(make_source("cub", tiny_cub), tmp_path / "s.h5", 32, workers=1).resumed == 25


def test_a_store_that_cannot_be_written_leaves_only_what_goes_on(tiny_cub, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    (tmp_path / "s.h5.writing").write_bytes(b"of a run that was killed")
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "payload", full)
        with pytest.raises(OSError, match="No space"):
            prepare(make_source("cub", tiny_cub), tmp_path / "s.h5", 32, workers=1)
    assert [path.name for path in tmp_path.glob("s.h5*")] == ["s.h5.partial"]
    assert prepare(make_source("cub", tiny_cub), tmp_path / "s.h5", 32, workers=1).resumed == 25


SCRIPT = """
import sys

if __name__ == "__main__":  # the processes of the pool import this file, too
    from t2igan.data import prepare as module
    from t2igan.data.sources import RawImage, make_source

    module._SERIAL_BELOW = 0
    module.prepare(make_source("cub", sys.argv[1]), sys.argv[2], 512, workers=int(sys.argv[3]),
                   progress=lambda done, total: print(done, flush=True))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_kill_and_go_on_gives_the_same_store(tiny_cub, tmp_path, monkeypatch, workers):
    # Images that take a while, so that the kill falls into the work.
    from PIL import Image

    for path in tiny_cub.glob("CUB_200_2011/images/*/*.jpg"):
        Image.open(path).resize((1200, 1200)).save(path)
    reference = prepare(make_source("cub", tiny_cub), tmp_path / "whole.h5", 512, workers=1)
    script, out = tmp_path / "script.py", tmp_path / "killed.h5"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(tiny_cub), str(out), str(workers)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    while int(process.stdout.readline()) < 14:
        pass
    time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists() and partial_path(out).exists()
    rendered, render = [], RenderJob.render
    monkeypatch.setattr(RenderJob, "render", lambda job: rendered.append(job.key) or render(job))
    summary = prepare(make_source("cub", tiny_cub), out, 512, workers=1)
    assert 0 < summary.resumed < 25 and len(rendered) == 25 - summary.resumed
    assert summary.fingerprint == reference.fingerprint
    assert out.read_bytes() == (tmp_path / "whole.h5").read_bytes()
    assert not partial_path(out).exists()
