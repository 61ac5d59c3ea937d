import numpy as np
import torch

from t2igan.plotting.sample_file import SampleImages, write_samples
from t2igan.reporting.sheets import film, systems_sheet


def write(run, step, captions, level, side=16):
    generated = torch.full((len(captions), 3, side, side), level, dtype=torch.uint8)
    real = torch.full_like(generated, 200)
    write_samples(run / "samples" / f"step_{step:06d}.npz", SampleImages(tuple(captions), generated, real))


def test_systems_stand_under_the_captions_that_they_share(tmp_path):
    write(tmp_path / "ssagan", 10, ["a", "b", "c"], 10)
    write(tmp_path / "ssagan", 20, ["a", "b", "c"], 20)
    assert systems_sheet([tmp_path / "ssagan"]) is None
    write(tmp_path / "mine", 5, ["c", "a", "x"], 60, side=32)
    sheet = np.array(systems_sheet([tmp_path / "ssagan", tmp_path / "mine"]))
    # Two columns of each: the last step of the first run, the second run, the real images.
    counts = [int((sheet == level).all(axis=2).sum()) for level in (10, 20, 60, 200)]
    assert counts == [0, 2 * 112 * 112, 2 * 112 * 112, 2 * 112 * 112]
    write(tmp_path / "other", 5, ["y"], 60)
    assert systems_sheet([tmp_path / "ssagan", tmp_path / "other"]) is None


def test_a_film_has_the_first_and_the_last_step(tmp_path):
    write(tmp_path, 1, ["a"], 1)
    assert film(tmp_path) is None
    for step in range(2, 15):
        write(tmp_path, step, ["a"], 10 * step)
    sheet = np.array(film(tmp_path))
    shown = [level for level in [1, *range(20, 150, 10)] if (sheet == level).all(axis=2).sum() == 112 * 112]
    assert len(shown) == 6 and shown[0] == 1 and shown[-1] == 140
