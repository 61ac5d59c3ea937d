"""Memory that stays with the process once it was given to it.

glibc maps each large block anew and unmaps it when it is freed; the kernel then fills its pages with zeros again at
the next training step. Kept, they are there already. What this is worth and what it costs: docs/speed.md.
"""

import ctypes
import os
import platform

VARIABLE = "T2IGAN_ALLOCATOR"
# Names and numbers of malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = 2**31 - 1


def keep_memory() -> bool:
    """Keep freed memory from now on.

    The environment's ``T2IGAN_ALLOCATOR=system`` forbids it; child processes that are forked inherit it.

    Returns:
        Whether it is so: elsewhere than with glibc nothing is done.
    """
    if os.environ.get(VARIABLE) == "system" or platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(M_MMAP_MAX, 0) and libc.mallopt(M_TRIM_THRESHOLD, NEVER))
