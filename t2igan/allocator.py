"""Keep freed memory in the process instead of returning it to the system.

glibc maps each large block anew and unmaps it when it is freed; the kernel then fills its pages with zeros again at
the next training step. Memory that is kept needs no such filling. For gain and cost see docs/speed.md.
"""

import ctypes
import os
import platform

VARIABLE = "T2IGAN_ALLOCATOR"
# Names and numbers of malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = 2**31 - 1


def keep_memory() -> bool:
    """Tell glibc's allocator to keep freed memory from now on.

    ``T2IGAN_ALLOCATOR=system`` in the environment switches this off; forked child processes inherit the setting.

    Returns:
        True if the setting took effect; False without glibc, where nothing is done.
    """
    if os.environ.get(VARIABLE) == "system" or platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(M_MMAP_MAX, 0) and libc.mallopt(M_TRIM_THRESHOLD, NEVER))
