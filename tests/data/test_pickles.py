import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from t2igan.data.pickles import load_plain_pickle
from t2igan.errors import UserError


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_content_and_numpy_scalars_are_read(tmp_path, protocol):
    content = [["a", "\u00e9"], {1: "x"}, (1, -2.5), np.int64(7), np.int32(-3), np.float32(0.5), np.bool_(True)]
    path = tmp_path / "plain.pickle"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    read = load_plain_pickle(path)
    assert read == content
    assert [type(value) for value in read[3:]] == [int, int, float, bool]


def test_python_2_numpy_scalars_are_read(tmp_path):
    # Protocol 0 as Python 2 wrote it: the eight bytes are a str, here 200 little-endian.
    code = (
        b"(lp0\ncnumpy.core.multiarray\nscalar\np1\n(cnumpy\ndtype\np2\n(S'i8'\np3\nI0\nI1\ntp4\nRp5\n"
        b"(I3\nS'<'\np6\nNNNI-1\nI-1\nI0\ntp7\nbS'\\xc8\\x00\\x00\\x00\\x00\\x00\\x00\\x00'\np8\ntp9\nRp10\na."
    )
    path = tmp_path / "class_info.pickle"
    path.write_bytes(code)
    assert load_plain_pickle(path) == [200]


class Bomb:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_nothing_is_run(tmp_path):
    path, marker = tmp_path / "bomb.pickle", tmp_path / "ran"
    path.write_bytes(pickle.dumps([Bomb(marker)]))
    with pytest.raises(UserError, match=r"refused.*mkdir"):
        load_plain_pickle(path)
    assert not marker.exists()


@pytest.mark.parametrize("content", [eval, np.arange(3), np.dtype("O"), {1, 2}.__class__, pickle.loads])
def test_other_globals_are_refused(tmp_path, content):
    path = tmp_path / "other.pickle"
    path.write_bytes(pickle.dumps([content]))
    with pytest.raises(UserError, match="refused"):
        load_plain_pickle(path)


@pytest.mark.parametrize("data", [b"", b"not a pickle", pickle.dumps(list(range(50)))[:-9]])
def test_damaged_pickles_are_one_line(tmp_path, data):
    path = tmp_path / "damaged.pickle"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"damaged\.pickle") as error:
        load_plain_pickle(path)
    assert "\n" not in str(error.value)


def test_a_missing_pickle_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"none\.pickle: no such file"):
        load_plain_pickle(tmp_path / "none.pickle")


@pytest.mark.parametrize(
    "data",
    [
        b"]r\xff\xff\xff\x7f.",  # eight bytes: a place in the memo for which the unpickler takes 32 GB
        b"]p2147483647\n.",
        b"\x80\x05\x8e\xff\xff\xff\xff\x00\x00\x00\x00.",
        b"\x80\x04\x95\xff\xff\xff\xff\xff\x00\x00\x00].",
        b"(lp0\nX\xff\xff\xff\x7fabc.",
    ],
)
def test_a_pickle_that_claims_more_than_it_holds_takes_no_memory(tmp_path, data):
    path = tmp_path / "large.pickle"
    path.write_bytes(data)
    code = (
        "import resource, sys\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))\n"
        "from t2igan.data.pickles import load_plain_pickle\n"
        "from t2igan.errors import UserError\n"
        f"try: load_plain_pickle({str(path)!r})\n"
        "except UserError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "not a readable pickle (it claims to be larger than the file)" in done.stdout, done.stderr
