"""Networks that record their constructor arguments, so that a checkpoint is enough to rebuild them."""

import dataclasses
import functools
import importlib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard, TypeVar

from t2igan.earlier import written
from t2igan.errors import UserError
from t2igan.ranges import check_ranges
from t2igan.user_modules import (
    SUITE,
    class_paths,
    find_user_module,
    first_line,
    import_user_module,
    module_named,
    own_class,
    source_digests,
    word_for,
)

Kind = TypeVar("Kind", bound=type)
WRONG_ARGUMENTS = (TypeError, ValueError, AttributeError, RuntimeError, ArithmeticError, LookupError)
"""What networks raise that are built with arguments which do not fit them."""
NO_CONFIG = "no checkpoint could hold the arguments of"
_allowed: set[str] = set()


def allow(modules: Iterable[str]) -> None:
    """Allow checkpoints to name classes of further modules, which are searched like a user's modules.

    Args:
        modules: names, such as ``mine``, or files, such as ``folder/mine.py``.

    Raises:
        UserError: a module does not exist.
    """
    for module in map(module_named, modules):
        find_user_module(module)
        _allowed.add(module)


def allowed_words() -> list[str]:
    """The options that a command needs to read the files of this one."""
    return [word for module in sorted(_allowed) for word in ("--allow", word_for(module))]


def import_allowed() -> None:
    """Import the modules that were :func:`allow`-ed, so that their classes can register themselves.

    Raises:
        UserError: one cannot be imported.
    """
    for module in sorted(_allowed):
        import_user_module(module)


def part_of_configs(kind: Kind) -> Kind:
    """Decorator for dataclasses that may be part of configurations."""
    kind.is_part_of_configs = True
    return kind


class Configured:
    """Mixin: records the arguments of the outermost constructor call (further keywords are named ``kwargs``).

    Arguments whose annotation names a range (:mod:`t2igan.ranges`) are refused outside of it.

    Put it before ``nn.Module`` among the bases. The record holds plain values and further configurations only,
    so it can be stored in a checkpoint that is read with ``weights_only=True``.
    """

    # A class without its own constructor has nothing to record.
    _arguments: dict[str, Any] = {}  # noqa: RUF012 (never changed in place)

    def remember(self, **arguments: Any) -> None:
        """Update recorded arguments that were determined after construction, e.g. the vocabulary's size."""
        self._arguments = self._arguments | arguments

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = _recording(cls.__init__)


def _recording(init: Any) -> Any:
    signature = inspect.signature(init)

    @functools.wraps(init)
    def wrapper(self: Configured, *args: Any, **kwargs: Any) -> None:
        bound = signature.bind(self, *args, **kwargs)
        check_ranges(type(self), bound.arguments, init)
        if "_arguments" not in self.__dict__:
            bound.apply_defaults()
            arguments = dict(list(bound.arguments.items())[1:])
            arguments |= arguments.pop("kwargs", {})
            self.__dict__["_arguments"] = _apart(arguments)
        init(self, *args, **kwargs)

    return wrapper


def _apart(value: Any) -> Any:
    """Lists and dictionaries of their own, which a constructor that changes its arguments does not reach."""
    if isinstance(value, dict):
        return {key: _apart(item) for key, item in value.items()}
    return [_apart(item) for item in value] if isinstance(value, list) else value


def config_of(value: Any) -> Any:
    """Convert ``value`` to plain data; configurable objects become ``{"class_path": ..., "init_args": {...}}``.

    Raises:
        TypeError: if an argument is neither plain data, nor a :class:`Configured`, nor a :func:`part_of_configs`.
    """
    if isinstance(value, Configured):
        return _named(value, value._arguments)
    if _may_be_built(type(value)):
        return _named(value, {field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    if isinstance(value, (list, tuple)):
        return [config_of(item) for item in value]
    if isinstance(value, dict):
        return {key: config_of(item) for key, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f"{value!r} cannot be part of a config: use plain values, classes derived from Configured or "
        "dataclasses with "
        "@part_of_configs"
    )


def _named(value: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    try:
        plain = {name: config_of(item) for name, item in arguments.items()}
    except TypeError as error:
        told = str(error) if str(error).startswith(NO_CONFIG) else f"{NO_CONFIG} {class_path_of(value)}: {error}"
        raise TypeError(told) from error
    return {"class_path": class_path_of(value), "init_args": plain}


def class_path_of(value: Any) -> str:
    """Class path of an object in its stored form."""
    return written(f"{type(value).__module__}.{type(value).__qualname__}")


def build(config: Any) -> Any:
    """The inverse of :func:`config_of`.

    All class paths are checked before the first module is imported.

    Raises:
        UserError: a class path is of a module that is neither the suite's nor :func:`allow`-ed, names nothing that
            configurations may hold, or its arguments do not fit it.
    """
    for class_path in _class_paths(config):
        _check_module(class_path)
    return _build(config)


def code_of_config(config: Any) -> dict[str, str]:
    """:func:`t2igan.user_modules.source_digests` of the modules whose classes a configuration names."""
    return source_digests(path.rpartition(".")[0] for path in class_paths(config))


def changed_code(config: Any, before: Mapping[str, str]) -> str:
    """Says which files of classes of one's own are not what they were; empty where all are.

    Args:
        config: what names the classes.
        before: sha256 of the code of each file then.
    """
    files = _changed_files(config, before)
    return f"{', '.join(files)} changed since the training, it may draw otherwise than it did" if files else ""


def code_fault(own: Mapping[str, Any]) -> str:
    """What to do where a checkpoint does not fit classes of one's own that changed; empty where none did.

    Args:
        own: what the checkpoint says of itself; its ``config`` and ``inputs`` are read.
    """
    try:
        files = _changed_files(own["config"], own.get("inputs", {}))
    except UserError:  # the file is no Python or not there, which the error says already
        return ""
    told = f"{', '.join(files)} changed since the training"
    return f"; {told}: take the code that it was trained with" if files else ""


def _changed_files(config: Any, before: Mapping[str, str]) -> list[str]:
    return [file for file, now in code_of_config(config).items() if before.get(file, now) != now]


def _class_paths(config: Any) -> Iterable[Any]:
    items = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    if _is_config(config):
        yield config["class_path"]
    for item in items:
        yield from _class_paths(item)


def _is_config(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and set(value) == {"class_path", "init_args"}


def _check_module(class_path: Any) -> None:
    module, _, name = class_path.rpartition(".") if isinstance(class_path, str) else ("", "", "")
    parts = class_path.split(".") if name else []
    # Importing a module such as __main__ runs it.
    if not module or not all(part.isidentifier() and not part.startswith("__") for part in parts):
        raise UserError(f"the checkpoint names {str(class_path)[:80]!r} as a class, which it is not")
    own = parts[0] == SUITE
    if not own and not any(module == each or module.startswith(f"{each}.") for each in _allowed):
        raise UserError(
            f"the checkpoint names {class_path}, which is not of the suite; nothing of it was imported. If you "
            f"trust the module, give --allow {module} (from Python: allow=[{module!r}])"
        )


def _build(config: Any) -> Any:
    if isinstance(config, list):
        return [_build(item) for item in config]
    if not isinstance(config, dict):
        return config
    if not _is_config(config):
        return {key: _build(item) for key, item in config.items()}
    kind, arguments = _class_of(config["class_path"]), config["init_args"]
    try:
        return kind(**{key: _build(item) for key, item in arguments.items()})
    except WRONG_ARGUMENTS as error:
        what = first_line(error) or type(error).__name__
        raise UserError(f"{config['class_path']} cannot be built ({what})") from error


def _class_of(class_path: str) -> type:
    module, _, name = class_path.rpartition(".")
    own = module.partition(".")[0] != SUITE
    try:
        kind = own_class(class_path) if own else getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise UserError(f"the checkpoint names {class_path}, and {error}: it is of another version") from error
    except UserError as error:
        raise UserError(f"the checkpoint names {class_path}, and {error}") from error
    if own and isinstance(kind, type) and not _may_be_built(kind):
        told = "derive it from one, such as t2igan.models.Generator"
        raise UserError(f"the checkpoint names {class_path}, which derives from no class of the suite: {told}")
    if not (isinstance(kind, type) and _may_be_built(kind)):
        raise UserError(f"the checkpoint names {class_path}, which is not a network of this suite")
    _check_module(f"{kind.__module__}.{kind.__qualname__}")  # the class may be imported from elsewhere
    return kind


def _may_be_built(kind: type) -> bool:
    return issubclass(kind, Configured) or (dataclasses.is_dataclass(kind) and hasattr(kind, "is_part_of_configs"))
