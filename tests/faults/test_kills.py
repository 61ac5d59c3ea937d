"""kill -9 at any moment: the same command goes on, and ends where an uninterrupted run ends."""

import random
import time

from harness import curve, fit_words, kill, run, same_end, start, times, wait_until

SPADE = """
model:
  class_path: SPADEGAN
  init_args:
    generator: {{class_path: SPADEGenerator, init_args: {{image_size: 64, channels: 2, hidden: 4, embed: 4}}}}
    discriminators:
      - {{class_path: PatchDiscriminator, init_args: {{image_size: 64, channels: 2, layers: 2, embed: 4}}}}
data:
  class_path: Scenes
  init_args: {{store: {store}, captions: narratives, words: 30, batch_size: 4, num_workers: 0}}
trainer: {{max_steps: 14, limit_val_batches: 1, accelerator: cpu, enable_progress_bar: false, log_every_n_steps: 1}}
"""


def test_a_layout_gan_that_was_killed_ends_as_one_that_was_not(scenes_store, tally, tmp_path):
    probe = tally("fit of SPADE killed (SIGKILL), resumed: equal to the last bit")
    config, whole, folder = tmp_path / "spade.yaml", tmp_path / "whole", tmp_path / "killed"
    config.write_text(SPADE.format(store=scenes_store))
    assert run(*fit_words(config, whole)).returncode == 0
    process = start(*fit_words(config, folder))
    wait_until(lambda: (folder / "metrics.csv").is_file(), process)
    code = kill(process)
    done = run(*fit_words(config, folder))
    ended = done.returncode == 0 and same_end(folder, whole) and curve(folder) == curve(whole)
    probe.note(ended, f"exit {code}, then {done.returncode}: {done.stderr[-200:]}")
    probe.check()


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
