"""Precomputed statistics of a reference set (.npz with ``mu`` and ``sigma``), as shipped with released scorers."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from t2igan.arrays import read_arrays
from t2igan.errors import UserError


def read_statistics(path: str | Path, feature_dim: int) -> tuple[Tensor, Tensor]:
    """Read mean and covariance of a reference set.

    Args:
        path: .npz file with the arrays ``mu`` (D,) and ``sigma`` (D, D).
        feature_dim: D.

    Returns:
        float64 (D,) and (D, D).

    Raises:
        UserError: the file is missing, has another format, or another feature dimension.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file of statistics; put it there, or take a protocol without it")
    try:
        mean, covariance = (np.asarray(each, np.float64) for each in read_arrays(path, ["mu", "sigma"]))
    except (OSError, ValueError, TypeError) as error:
        raise UserError(f"{path}: not an .npz with the arrays mu and sigma ({_brief(error)})") from error
    if mean.shape != (feature_dim,) or covariance.shape != (feature_dim, feature_dim):
        raise UserError(
            f"{path}: mu is {mean.shape} and sigma {covariance.shape}, statistics of another network; "
            f"features here have {feature_dim} numbers"
        )
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise UserError(f"{path}: mu or sigma is not finite; get the file again")
    if not np.allclose(covariance, covariance.T, rtol=1e-5, atol=1e-8 * np.abs(covariance).max()):
        raise UserError(f"{path}: sigma is not symmetric, so it is no covariance; get the file again")
    return torch.from_numpy(mean), torch.from_numpy(covariance)


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:80]
