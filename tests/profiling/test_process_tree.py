import subprocess
import sys

# In a process of its own: one that has freed much memory already would not grow.
OWN_TREE = """
import os, re, time
from pathlib import Path
from t2igan.profiling.process_tree import cpu_seconds, process_tree, resident_megabytes, summed_resident_megabytes

before, started = resident_megabytes(), cpu_seconds()
sum_before = summed_resident_megabytes()
ballast = bytearray(os.urandom(100_000_000))
assert 90 < resident_megabytes() - before < 120
end = time.process_time() + 0.2
while time.process_time() < end:
    pass
assert 0.15 < cpu_seconds() - started < 2
child = os.fork()
if not child:
    time.sleep(60)
    os._exit(0)
assert child in [int(process.name) for process in process_tree()]
with_child = resident_megabytes()
files = int(re.search(r"RssFile:\\s+(\\d+)", Path(f"/proc/{child}/status").read_text())[1]) * 1024 / 1e6
assert with_child - before < 120 + files, "memory that parent and child share counts once"
assert summed_resident_megabytes() - sum_before > 190, "and in the sum twice"
os.kill(child, 9)
os.waitpid(child, 0)
assert len(ballast) == 100_000_000
"""


def test_the_process_tree_knows_its_memory_and_time():
    subprocess.run([sys.executable, "-c", OWN_TREE], check=True, timeout=60)
