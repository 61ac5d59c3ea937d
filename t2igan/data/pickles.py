"""Read the pickles of the original releases without executing code in them."""

import io
import pickle
import pickletools
import re
from pathlib import Path
from typing import Any

import numpy as np

from t2igan.errors import UserError


class _NumberType:
    """Stands in for ``numpy.dtype`` while a pickle is read: a plain number type and nothing else."""

    __slots__ = ("_code",)

    def __init__(self, code: str, *_flags: int) -> None:
        if code not in {f"{kind}{size}" for kind in "iuf" for size in (1, 2, 4, 8)} | {"b1"}:
            raise pickle.UnpicklingError(f"numpy type {code!r}")
        self._code = code

    def __setstate__(self, state: tuple) -> None:
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"byte order {order!r}")
        self._code = order + self._code.lstrip("<>|=")

    def read(self, data: bytes) -> int | float | bool:
        return np.frombuffer(data, np.dtype(self._code), count=1)[0].item()


class _Scalar:
    """Stands in for ``numpy.core.multiarray.scalar``; gives a plain Python number."""

    __slots__ = ()

    def __call__(self, number_type: _NumberType, data: bytes | str) -> int | float | bool:
        if not isinstance(number_type, _NumberType):
            raise pickle.UnpicklingError("a numpy scalar without a number type")
        # Python 2 wrote the bytes as a string, which arrives decoded as latin-1.
        return number_type.read(data.encode("latin-1") if isinstance(data, str) else data)


class _Encode:
    """Stands in for ``_codecs.encode``, with which Python 3 writes bytes in protocol 2."""

    __slots__ = ()

    def __call__(self, text: str, encoding: str) -> bytes:
        if encoding != "latin1":
            raise pickle.UnpicklingError(f"encoding {encoding!r}")
        return text.encode("latin-1")


# The stand-ins have slots, so that a pickle cannot set attributes of objects that outlive it.
_ALLOWED = {
    ("numpy", "dtype"): _NumberType,
    ("numpy.core.multiarray", "scalar"): _Scalar(),
    ("numpy._core.multiarray", "scalar"): _Scalar(),
    ("_codecs", "encode"): _Encode(),
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name}")
        return _ALLOWED[module, name]


# Bytes that follow an opcode; negative: pickletools' codes for arguments that contain their length.
_ARGUMENTS = {each.code.encode("latin-1"): each.arg.n if each.arg else 0 for each in pickletools.opcodes}
_PUT, _LONG_PUT, _FRAME = b"p", b"r", b"\x95"
_COUNTS = {pickletools.TAKEN_FROM_ARGUMENT1: 1, pickletools.TAKEN_FROM_ARGUMENT4: 4}
_COUNTS |= {pickletools.TAKEN_FROM_ARGUMENT4U: 4, pickletools.TAKEN_FROM_ARGUMENT8U: 8}


def _harmless_opcodes() -> re.Pattern[bytes]:
    """A regular expression for runs of opcodes with fixed-size arguments, nearly all of a real pickle."""
    by_size: dict[int, list[bytes]] = {}
    for code, size in _ARGUMENTS.items():
        if size >= 0 and code not in (_LONG_PUT, _FRAME, pickle.STOP):
            by_size.setdefault(size, []).append(re.escape(code))
    kinds = b"|".join(b"[%s].{%d}" % (b"".join(codes), size) for size, codes in by_size.items())
    return re.compile(b"(?:%s){1,1000}" % kinds, re.DOTALL)


_HARMLESS = _harmless_opcodes()


def _check_sizes(data: bytes) -> None:
    """Refuse sizes beyond the file's own: eight bytes can make the unpickler allocate gigabytes.

    Raises:
        ValueError: a string, number or frame is longer than the rest of the file, or a memo index exceeds it.
    """
    position = 0
    while position < len(data):
        if run := _HARMLESS.match(data, position):
            position = run.end()
            continue
        code, position = data[position : position + 1], position + 1
        size = _ARGUMENTS.get(code)
        if size is None or code == pickle.STOP:  # the unpickler reports the error, or the pickle ends here
            return
        if size == pickletools.UP_TO_NEWLINE:
            # A global is named by two lines.
            ends = [position := data.find(b"\n", position) + 1 for _ in range(1 + (code in (b"c", b"i")))]
            if 0 in ends:
                return
            number = data[data.rfind(b"\n", 0, ends[-1] - 1) + 1 : ends[-1] - 1].rpartition(code)[2]
            count = int(number) if code == _PUT and number.isdigit() and len(number) < 20 else 0
        else:
            width = _COUNTS.get(size, size)
            count = int.from_bytes(data[position : position + width], "little")
            position += width + (count if size in _COUNTS else 0)
        if count > len(data) or position > len(data):
            raise ValueError("it claims to be larger than the file")


def load_plain_pickle(path: str | Path) -> Any:
    """The content of a pickle made of lists, tuples, dicts, strings, numbers and numpy scalars only.

    Strings that Python 2 wrote as bytes are read as latin-1; numpy scalars become Python numbers.

    Raises:
        UserError: the file is missing, is no complete pickle, or names any other object (it is not run).
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        _check_sizes(data)
        return _PlainUnpickler(io.BytesIO(data), encoding="latin1").load()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; put the metadata of the original release there") from None
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: refused, it holds more than lists, strings and numbers ({_first_line(error)})"
        ) from error
    except Exception as error:  # a damaged pickle raises almost anything
        raise UserError(f"{path}: not a readable pickle ({_first_line(error)}); download it again") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
