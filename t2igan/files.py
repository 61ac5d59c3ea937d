"""Atomic writing of files, locks of folders, and readable messages for disk errors."""

import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from t2igan.errors import UserError

_DISK_ERRORS = {
    errno.ENOSPC: "the disk is full: make room",
    errno.EDQUOT: "your quota of the disk is used up: make room",
    errno.EROFS: "it cannot be written to: choose another place",
    errno.EACCES: "it may not be read or written: change its permissions, or choose another place",
    errno.EPERM: "it may not be changed: change its permissions, or choose another place",
    errno.EIO: "the disk failed: try another one",
    errno.EFBIG: "files may not be as large here: raise the limit (ulimit -f)",
    errno.EMFILE: "too many files are open: raise the limit (ulimit -n)",
    errno.ENFILE: "too many files are open on this machine: close some",
    errno.ESTALE: "the file server has lost it: see to the server",
    errno.EAGAIN: "no more processes may be started: raise the limit (ulimit -u)",
}
LOCK_SECONDS = 30.0
"""How long a command waits for one that is ending, such as one whose benchmark was just killed."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the file's name to OSErrors within that lack one, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def make_folder(path: Path) -> None:
    """Create a folder, and those above it, unless it is there.

    Args:
        path: the folder.

    Raises:
        OSError: it cannot be created; names the folder.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:
        # What /proc and the like say where the folder above exists: without this, it reads as a missing input file.
        raise NotADirectoryError(errno.ENOTDIR, "no folder can be made here", str(path)) from error


@contextmanager
def whole_file(path: Path, wait: bool = True) -> Iterator[Path]:
    """Yield a temporary path, which is renamed to ``path`` when all of it is on the disk.

    It is in the same folder, so that the renaming is atomic: a kill at any moment leaves either the old file or the
    new one, and at most ``<name>.new`` beside it, which the next write replaces.

    Args:
        path: path of the finished file; its folder is created.
        wait: sync the file to disk, so that it survives a power failure too; False for thousands of small files.

    Raises:
        OSError: it cannot be written; names ``path``, or the folder that cannot be made.
    """
    make_folder(path.parent)
    draft = path.with_name(f"{path.name}.new")
    try:
        with naming(path):
            yield draft
            if wait:
                sync(draft)
            draft.replace(path)
    except BaseException:
        with suppress(OSError):  # keep the original error if the folder is not writable
            draft.unlink(missing_ok=True)
        raise
    if wait:
        sync(path.parent)


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write bytes as a :func:`whole_file`.

    Args:
        path: path of the file; its folder is made.
        content: complete content of the file.

    Raises:
        OSError: it cannot be written; names ``path``, or the folder that cannot be made.
    """
    with whole_file(path) as draft:
        draft.write_bytes(content)


def sync(path: Path) -> None:
    """Flush a file's content, or a folder's entries, to the disk (fsync)."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def disk_problem(error: OSError) -> str | None:
    """One-line message for a disk or permission error, None for any other error."""
    if error.errno not in _DISK_ERRORS:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{_DISK_ERRORS[error.errno]}, then give the same command again; what was whole before still is"


class FolderLock:
    """Lets one process at a time work in a folder, on all machines that see it.

    Uses a system lock (``fcntl.lockf``), which a killed process releases at once, without any cleaning up. A folder
    that was created for the lock, and that is still empty otherwise, is removed with it. Over NFS it relies on the
    server's locks: NFS 4, or NFS 3 with its lock service and mounted without ``nolock`` or ``local_lock``. On file
    systems without locks the work continues unlocked, with a warning.

    Args:
        folder: folder to lock; created if needed.
        what: description of the locking command, for the error message.
    """

    NAME = "run.lock"

    def __init__(self, folder: Path, what: str) -> None:
        self.path, self.what = folder / self.NAME, what
        self._file: IO[str] | None = None
        self._made = False

    def take(self, say: Callable[[str], None], seconds: float = LOCK_SECONDS) -> None:
        """Acquire the lock, waiting for a short time if another process holds it.

        Args:
            say: called with a message if it has to wait, or if the file system has no locks.
            seconds: maximum waiting time.

        Raises:
            UserError: another process holds the lock.
        """
        file = self._open()
        end, told = time.monotonic() + seconds, False
        while not self._try(file, say) or not self._is_there(file):
            if time.monotonic() > end:
                holder, self._made = self._holder(file), False  # the folder belongs to the holder now
                self.release()
                raise UserError(
                    f"{self.path.parent}: {holder} is using this folder; stop it, or give another --run"
                )
            if not told:
                say(f"{self.path.parent}: waiting for {self._holder(file)} to end")
                told = True
            time.sleep(0.2)
            if not self._is_there(file):
                file.close()
                file = self._open()
        file.truncate(0)
        file.write(f"{self.what} (process {os.getpid()} on {socket.gethostname()})")
        file.flush()

    def _open(self) -> IO[str]:
        self._made = self._made or not self.path.parent.exists()
        make_folder(self.path.parent)
        self._file = self.path.open("a+")
        return self._file

    def _is_there(self, file: IO[str]) -> bool:
        """Whether it still has its name: who held the lock may have taken the file away with the folder."""
        try:
            return os.path.samestat(os.fstat(file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False

    def _try(self, file: IO[str], say: Callable[[str], None]) -> bool:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                return False
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL):
                raise
            say(f"{self.path}: this file system has no locks; make sure that only one process uses the folder")
        return True

    def _holder(self, file: IO[str]) -> str:
        # Through the open file: closing another handle of it would release the process's lock.
        file.seek(0)
        return f"another `{file.read().strip() or self.what}`"

    def release(self) -> None:
        """Release the lock."""
        if self._file is not None:
            if self._made and self._is_there(self._file) and os.listdir(self.path.parent) == [self.NAME]:
                self.path.unlink()
                self.path.parent.rmdir()
            self._file.close()
            self._file = None
