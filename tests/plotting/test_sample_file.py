import numpy as np
import torch

from t2igan.plotting.sample_file import SampleImages, read_samples, write_samples
from t2igan.reporting.sheets import samples_of


def test_damaged_files_are_left_out(tmp_path):
    file = tmp_path / "samples" / "step_000001.npz"
    images = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    write_samples(file, SampleImages(("a",), images, images))
    content = file.read_bytes()
    file.with_name("step_000002.npz").write_bytes(content[: len(content) // 2])
    np.savez(file.with_name("step_000003.npz"), captions=np.array([{"pickled": 1}], dtype=object))
    np.savez(file.with_name("step_000004.npz"), captions=np.array(["a"]), generated=np.zeros(3), real=np.zeros(3))
    assert [one.step for one in samples_of(tmp_path)] == [1]
    assert read_samples(file).captions == ("a",)
