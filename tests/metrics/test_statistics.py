import numpy as np
import pytest
import torch

from t2igan.errors import UserError
from t2igan.metrics.statistics import read_statistics


def test_mean_and_covariance_are_read(tmp_path):
    x = torch.randn(50, 4, dtype=torch.float64)
    np.savez(tmp_path / "x.npz", mu=x.mean(0), sigma=x.T.cov())
    mean, covariance = read_statistics(tmp_path / "x.npz", 4)
    assert torch.equal(mean, x.mean(0)) and torch.equal(covariance, x.T.cov())


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (None, "no such file of statistics"),
        (b"no archive", "not an .npz with the arrays mu and sigma"),
        (b"PK\x03\x04 torn", "not an .npz"),
        ({"mean": np.zeros(4)}, "not an .npz with the arrays"),
        ({"mu": np.zeros(4), "sigma": np.zeros(4)}, "statistics of another network"),
        ({"mu": np.zeros(3), "sigma": np.eye(3)}, "features here have 4 numbers"),
        ({"mu": np.array(["a"] * 4), "sigma": np.eye(4)}, "not an .npz"),
        ({"mu": np.full(4, np.nan), "sigma": np.eye(4)}, "not finite"),
        ({"mu": np.zeros(4), "sigma": np.triu(np.ones((4, 4)))}, "not symmetric"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path, content, part):
    path = tmp_path / "bird_val.npz"
    if isinstance(content, dict):
        np.savez(path, **content)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=part) as error:
        read_statistics(path, 4)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_one_array_is_no_statistics(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(4))
    (tmp_path / "x.npy").rename(tmp_path / "x.npz")
    with pytest.raises(UserError, match=r"not an \.npz"):
        read_statistics(tmp_path / "x.npz", 4)
