"""Weights, inputs and comparisons for the golden vectors in tests/golden.

A golden file holds outputs of the released code of a paper, but no weights: each weight and input is a pure
function of its name and shape, so that any implementation can rebuild it. The numbers that belong to a name
are standard normals (or integers) drawn in row-major order from numpy's PCG64, seeded with the CRC-32 of the
name. Names are state-dict keys of the original checkpoints, or start with ``input:``.

    from golden_fill import compare, fill_input, fill_module, load_case
"""

import json
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

GOLDEN_FOLDER = Path(__file__).parent / "golden"
SAMPLED_POSITIONS = 64
FLOAT64_AGREEMENT = 1e-9


def load_case(component: str, case: str) -> dict[str, Any]:
    """One case of tests/golden/<component>.json."""
    return json.loads((GOLDEN_FOLDER / f"{component}.json").read_text())["cases"][case]


def _generator(name: str) -> np.random.Generator:
    """Random stream of a name; the prefix that DataParallel adds does not count."""
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.removeprefix("module.").encode())))


def fill_array(key: str, shape: Sequence[int], gain: float = 1.0) -> np.ndarray:
    """The value of one state-dict entry, float32 (batch counters: int64 zeros).

    Args:
        key: name of the entry in the original checkpoint; its last dotted part selects the rule.
        shape: shape of the entry.
        gain: factor of entries with two or more dimensions (a recorded case names it where it is not 1).
    """
    kind, shape = key.rpartition(".")[2], tuple(shape)
    if kind == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    normal = np.asarray(_generator(key).standard_normal(shape))
    if kind == "running_mean":
        value = 0.1 * normal
    elif kind == "running_var":
        value = 1 + 0.1 * np.abs(normal)
    elif kind == "gamma" or not shape:
        value = 0.5 + 0.1 * normal
    elif len(shape) > 1:
        value = gain * (normal * np.sqrt(1 / math.prod(shape[1:])))
    elif kind[-2:] in ("_u", "_v"):  # vectors of spectral normalisation's power iteration
        value = normal / np.linalg.norm(normal)
    elif kind.startswith("bias"):
        value = 0.1 * normal
    elif kind == "weight":  # scale of a normalisation layer
        value = 1 + 0.1 * normal
    else:
        raise ValueError(f"no rule fills {key!r} of shape {shape}")
    return np.asarray(value, np.float32)


def fill_module(
    module: nn.Module, rename: Mapping[str, str] | Callable[[str], str] | None = None, gain: float = 1.0
) -> nn.Module:
    """Fill every parameter and buffer of a module in place and return the module.

    Args:
        module: the module; in float64 it gets the float32 values, widened.
        rename: its own state-dict key -> key of the original checkpoint. Keys that a mapping lacks are kept.
        gain: see :func:`fill_array`.
    """
    if rename is None:
        rename = {}
    original = rename if callable(rename) else lambda key: rename.get(key, key)
    for key, tensor in module.state_dict().items():
        tensor.copy_(torch.from_numpy(fill_array(original(key), tensor.shape, gain)))
    return module


def fill_input(
    name: str, shape: Sequence[int], kind: str = "normal", scale: float = 1.0, low: int = 0, high: int = 2
) -> np.ndarray:
    """The input called ``name``.

    Args:
        name: with or without the prefix ``input:``.
        shape: shape of the array.
        kind: ``normal`` (scale * v), ``image`` (v / 2 clipped to [-1, 1]), ``blocks`` (v clipped to [-1, 1],
            one value per cell of 16 x 16 pixels), all float32; or ``integer`` (int64, low <= x < high).
        scale: of ``normal``.
        low: of ``integer``.
        high: of ``integer``, exclusive.
    """
    generator = _generator("input:" + name.removeprefix("input:"))
    shape = tuple(shape)
    if kind == "integer":
        return generator.integers(low, high, shape, np.int64)
    if kind == "normal":
        value = scale * generator.standard_normal(shape)
    elif kind == "image":
        value = np.clip(generator.standard_normal(shape) / 2, -1, 1)
    elif kind == "blocks":
        height, width = shape[-2:]
        cells = np.clip(generator.standard_normal((*shape[:-2], -(-height // 16), -(-width // 16))), -1, 1)
        value = np.kron(cells, np.ones((16, 16)))[..., :height, :width]
    else:
        raise ValueError(f"unknown kind of input: {kind!r}")
    return np.ascontiguousarray(value, np.float32)


def fill_captions(
    lengths: Sequence[int], vocab: int, width: int | None = None, name: str = "input:captions"
) -> np.ndarray:
    """Word ids int64 (batch, width): 1 <= id < vocab for the first ``lengths[i]`` places of row i, then 0."""
    width = max(lengths) if width is None else width
    ids = fill_input(name, (len(lengths), width), "integer", low=1, high=vocab)
    return np.where(np.arange(width) < np.asarray(lengths)[:, None], ids, 0)


def sample_positions(numel: int) -> np.ndarray:
    """The flat row-major positions that a file keeps of a tensor with ``numel`` elements."""
    return _generator(f"index:{numel}").integers(0, numel, SAMPLED_POSITIONS, np.int64)


def compare(
    entry: Mapping[str, Any],
    array: Any,
    rtol: float | None = None,
    atol: float | None = None,
    float64: bool = False,
) -> list[str]:
    """Sentences about where ``array`` leaves a recorded tensor; an empty list means agreement.

    Args:
        entry: ``cases.<name>.outputs.<name>`` of a golden file.
        array: array or tensor of the implementation under test.
        rtol: relative limit; default: the entry's own recommendation (of float64: 1e-9 of the scale).
        atol: absolute limit, likewise.
        float64: compare with the entry's float64 run. The limit of an element is then relative to the
            largest magnitude in the tensor (atol = rtol * scale): small elements of a sum carry the
            round-off of the large ones.
    """
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu().numpy()
    array = np.asarray(array, np.float64)
    if list(array.shape) != entry["shape"]:
        return [f"shape {list(array.shape)}, recorded {entry['shape']}"]
    is_float = entry["dtype"].startswith("float")
    record = entry["float64"] if float64 and is_float else entry
    if float64 and is_float:
        rtol = FLOAT64_AGREEMENT if rtol is None else rtol
        scale = max(abs(record["stats"]["min"]), abs(record["stats"]["max"]))
        atol = rtol * scale if atol is None else atol
    else:
        rtol = entry["tol"]["rtol"] if rtol is None else rtol
        atol = entry["tol"]["atol"] if atol is None else atol
    flat = array.ravel()
    got = flat if "values" in record else flat[sample_positions(flat.size)]
    want = np.asarray(record.get("values", record.get("samples")), np.float64)
    return _elements_apart(got, want, rtol, atol) + (
        _norms_apart(flat, record["stats"]["l2"], rtol, atol) if is_float else []
    )


def _elements_apart(got: np.ndarray, want: np.ndarray, rtol: float, atol: float) -> list[str]:
    excess = np.abs(got - want) - (atol + rtol * np.abs(want))
    wrong = ~(excess <= 0)  # also catches NaN
    if not wrong.any():
        return []
    worst = int(np.argmax(np.where(np.isnan(excess), np.inf, excess)))
    return [f"{wrong.sum()} of {wrong.size} elements differ, worst {got[worst]:.9g} for {want[worst]:.9g}"]


def _norms_apart(flat: np.ndarray, want: float, rtol: float, atol: float) -> list[str]:
    norm = float(np.linalg.norm(flat))
    if abs(norm - want) <= rtol * want + atol * math.sqrt(flat.size):
        return []
    return [f"L2 norm {norm:.9g}, recorded {want:.9g}"]
