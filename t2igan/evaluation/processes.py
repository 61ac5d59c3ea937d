"""Evaluation in several processes, started by ``torchrun``."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import distributed

from t2igan.errors import UserError


def processes() -> tuple[int, int]:
    """Rank of this process, and number of processes."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


@contextmanager
def joined(device: str) -> Iterator[str]:
    """Initialise the process group if ``torchrun`` started this process.

    Args:
        device: ``auto``, ``cpu`` or ``cuda``; each process uses its own GPU.

    Yields:
        The device of this process.

    Raises:
        UserError: a single GPU is named for several processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield device
        return
    if ":" in device:
        raise UserError(f"--device: {device} is one device, but there are several processes: use auto, cpu or cuda")
    on_gpu = device == "cuda" or (device == "auto" and torch.cuda.is_available())
    own = f"cuda:{os.environ['LOCAL_RANK']}" if on_gpu else "cpu"
    if on_gpu:
        torch.cuda.set_device(own)
    distributed.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield own
    finally:
        distributed.destroy_process_group()
