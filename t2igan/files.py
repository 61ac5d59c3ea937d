"""Files that are whole or not there, folders that one process works in, and what disks say when they fail."""

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
}
LOCK_SECONDS = 30.0
"""How long a command waits for one that is ending, such as one whose benchmark was just killed."""


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let errors of the disk name the file: a full disk is told by those that write, which come without a name."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


@contextmanager
def whole_file(path: Path, wait: bool = True) -> Iterator[Path]:
    """A place to write to, which takes the name ``path`` once all of it is on the disk.

    It lies in the same folder, so that taking the name is one move; a kill at any moment leaves either the old file
    or the new one, and at most ``<name>.new`` beside it, which the next writing replaces.

    Args:
        path: path of the finished file; its folder is made.
        wait: until it is on the disk, so that a power cut leaves it whole too; False for thousands of small files.

    Raises:
        OSError: it cannot be written; names ``path``, or the folder that cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.new")
    try:
        with naming(path):
            yield draft
            if wait:
                sync(draft)
            draft.replace(path)
    except BaseException:
        with suppress(OSError):  # a folder that cannot be written to: the first error says so
            draft.unlink(missing_ok=True)
        raise
    if wait:
        sync(path.parent)


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a :func:`whole_file`.

    Args:
        path: path of the file; its folder is made.
        content: all of it.

    Raises:
        OSError: it cannot be written; names ``path``, or the folder that cannot be made.
    """
    with whole_file(path) as draft:
        draft.write_bytes(content)


def sync(path: Path) -> None:
    """Wait until a file's content, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def disk_problem(error: OSError) -> str | None:
    """One line for an error of the disk or of permissions, None for any other."""
    if error.errno not in _DISK_ERRORS:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{_DISK_ERRORS[error.errno]}, then give the same command again; what was whole before still is"


class FolderLock:
    """Lets one process at a time work in a folder, on all machines that see it.

    A lock of the system (``fcntl.lockf``), so a process that is killed gives it up at once, and nothing has to be
    cleaned up. A folder that was made for it, and that nothing was put into, goes with it. Over NFS it relies on
    the server's locks: NFS 4, or NFS 3 with its lock service and mounted without ``nolock`` or ``local_lock``. File
    systems without locks refuse; the folder is then worked in with a warning.

    Args:
        folder: is made.
        what: that works in it, for the message.
    """

    NAME = "run.lock"

    def __init__(self, folder: Path, what: str) -> None:
        self.path, self.what = folder / self.NAME, what
        self._file: IO[str] | None = None
        self._made = False

    def take(self, say: Callable[[str], None], seconds: float = LOCK_SECONDS) -> None:
        """Take the lock, waiting for somebody who is about to end.

        Args:
            say: told once that it has to wait, or that the file system knows no locks.
            seconds: the most to wait.

        Raises:
            UserError: another process works in the folder.
        """
        file = self._open()
        end, told = time.monotonic() + seconds, False
        while not self._try(file, say) or not self._is_there(file):
            if time.monotonic() > end:
                holder, self._made = self._holder(file), False  # the folder is the holder's now
                self.release()
                raise UserError(
                    f"{self.path.parent}: {holder} works in this folder; stop it, or give another --run"
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
        self.path.parent.mkdir(parents=True, exist_ok=True)
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
            say(f"{self.path}: this file system knows no locks; see to it that one process works in the folder")
        return True

    def _holder(self, file: IO[str]) -> str:
        # Through the open file: closing another handle of the file would give up the process's lock.
        file.seek(0)
        return f"another `{file.read().strip() or self.what}`"

    def release(self) -> None:
        """Give the lock up."""
        if self._file is not None:
            if self._made and self._is_there(self._file) and os.listdir(self.path.parent) == [self.NAME]:
                self.path.unlink()
                self.path.parent.rmdir()
            self._file.close()
            self._file = None
