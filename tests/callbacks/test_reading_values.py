import pytest
import torch

from t2igan.callbacks.reading import LateReader


def test_values_on_the_cpu_are_read_at_once_and_as_they_were():
    reader, value = LateReader(), torch.ones(2)
    reader.put("first", value)
    value.zero_()
    assert [(label, read.tolist()) for label, read in reader.take()] == [("first", [1.0, 1.0])]
    assert not list(reader.take(everything=True))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_values_on_a_device_are_read_two_steps_later():
    reader = LateReader(late=2)
    read = []
    for step in range(4):
        reader.put(step, torch.full((1,), float(step), device="cuda"))
        read.append([label for label, _ in reader.take()])
    assert read == [[], [], [0], [1]]
    assert [values.item() for _, values in reader.take(everything=True)] == [2.0, 3.0]
