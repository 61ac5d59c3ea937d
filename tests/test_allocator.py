import os
import platform
import subprocess
import sys

import pytest

# How often the kernel had to give a page, while 64 MB were taken, written and freed ten times.
FAULTS = """
import resource, sys
from t2igan.allocator import keep_memory
kept = keep_memory() if sys.argv[1] == "keep" else False
import numpy
def use():
    numpy.ones(8_000_000)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    use()
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(word, **environment):
    inherited = {key: value for key, value in os.environ.items() if key != "T2IGAN_ALLOCATOR"}
    out = subprocess.run(
        [sys.executable, "-c", FAULTS, word], env=inherited | environment, capture_output=True, check=True
    )
    return tuple(map(int, out.stdout.split()))


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="an allocator of its own")
def test_memory_stays_unless_the_environment_forbids_it():
    kept, few = faults("keep")
    _, many = faults("leave")
    forbidden, again = faults("keep", T2IGAN_ALLOCATOR="system")
    assert kept and few < many / 10
    assert not forbidden and again > 10 * few
