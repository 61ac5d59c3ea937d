"""Reading the pickles of the original releases without running what is in them."""

import pickle
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


# The stand-ins have slots, so that a pickle cannot set attributes on what outlives it.
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


def load_plain_pickle(path: str | Path) -> Any:
    """The content of a pickle made of lists, tuples, dicts, strings, numbers and numpy scalars only.

    Strings that Python 2 wrote as bytes are read as latin-1; numpy scalars become Python numbers.

    Raises:
        UserError: the file is missing, is no complete pickle, or names any other object (it is not run).
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return _PlainUnpickler(file, encoding="latin1").load()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; put the metadata of the original release there") from None
    except pickle.UnpicklingError as error:
        raise UserError(f"{path}: refused, it holds more than lists, strings and numbers ({error})") from error
    except Exception as error:  # a damaged pickle raises almost anything
        raise UserError(f"{path}: not a readable pickle ({error}); download it again") from error
