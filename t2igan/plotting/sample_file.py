"""Files of the bare images of a sample grid, for combining the samples of several runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from t2igan.arrays import read_arrays
from t2igan.files import whole_file

SUFFIX = ".npz"


@dataclass(frozen=True)
class SampleImages:
    """Generated and real images of the same captions at one training step.

    Attributes:
        captions: one for each image.
        generated: uint8 (N, 3, S, S).
        real: uint8 (N, 3, S, S), of the same captions.
    """

    captions: tuple[str, ...]
    generated: torch.Tensor
    real: torch.Tensor


def write_samples(path: Path, samples: SampleImages) -> None:
    """Write sample images atomically."""
    with whole_file(path) as draft, draft.open("wb") as file:
        arrays: dict[str, Any] = {"generated": samples.generated.cpu().numpy(), "real": samples.real.cpu().numpy()}
        np.savez_compressed(file, captions=np.array(samples.captions, dtype=np.str_), **arrays)


def read_samples(path: Path) -> SampleImages | None:
    """Read sample images; None for a damaged or other file. No code in it is executed."""
    try:
        captions, generated, real = read_arrays(path, ["captions", "generated", "real"])
        samples = SampleImages(tuple(map(str, captions)), torch.from_numpy(generated), torch.from_numpy(real))
    except (OSError, ValueError, TypeError):
        return None
    generated, real = samples.generated, samples.real
    fits = generated.dtype == real.dtype == torch.uint8 and generated.ndim == real.ndim == 4
    if not fits or not len(samples.captions) == len(generated) == len(real):
        return None
    return samples
