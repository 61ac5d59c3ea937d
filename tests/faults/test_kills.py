"""kill -9 at any moment: the same command goes on, and ends where an uninterrupted run ends."""

import random
import time

from harness import curve, fit_words, kill, run, same_end, start, times, wait_until


def test_killed_at_random_moments(homes, whole, tally, tmp_path):
    probe = tally("fit killed (SIGKILL) at random moments, resumed: equal to the last bit")
    moments = random.Random(0)
    for number in range(times(2, 25)):
        folder = tmp_path / str(number)
        words = fit_words(homes.ssagan, folder)
        process = start(*words)
        wait_until(lambda folder=folder: (folder / "metrics.csv").is_file(), process)
        time.sleep(moments.uniform(0, 0.5))
        code = kill(process)
        done = run(*words)
        ended = done.returncode == 0 and same_end(folder, whole) and curve(folder) == curve(whole)
        probe.note(ended, f"exit {code}, then {done.returncode}: {done.stderr[-200:]}")
    probe.check()
