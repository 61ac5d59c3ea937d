"""Networks that remember how they were built, so that a checkpoint alone can build them again."""

import dataclasses
import functools
import importlib
import inspect
from typing import Any

from t2igan.nn.ranges import check_ranges


class Recipe:
    """Mixin: records the arguments of the outermost constructor call (further keywords are named ``kwargs``).

    Arguments whose annotation names a range (:mod:`t2igan.nn.ranges`) are refused outside of it.

    Put it before ``nn.Module`` among the bases. The record holds plain values and further recipes only,
    so it can be stored in a checkpoint that is read with ``weights_only=True``.
    """

    # Of a class without a constructor of its own: there is nothing to record.
    _arguments: dict[str, Any] = {}  # noqa: RUF012 (never changed in place)

    def remember(self, **arguments: Any) -> None:
        """Replace recorded arguments by what was found out after construction, e.g. the vocabulary's size."""
        self._arguments = self._arguments | arguments

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            cls.__init__ = _recording(cls.__init__)


def _recording(init: Any) -> Any:
    signature = inspect.signature(init)

    @functools.wraps(init)
    def wrapper(self: Recipe, *args: Any, **kwargs: Any) -> None:
        bound = signature.bind(self, *args, **kwargs)
        check_ranges(type(self), bound.arguments, init)
        if "_arguments" not in self.__dict__:
            bound.apply_defaults()
            arguments = dict(list(bound.arguments.items())[1:])
            arguments |= arguments.pop("kwargs", {})
            self.__dict__["_arguments"] = arguments
        init(self, *args, **kwargs)

    return wrapper


def recipe_of(value: Any) -> Any:
    """``value`` as plain data: a :class:`Recipe` or dataclass becomes ``{"class_path": ..., "init_args": {...}}``.

    Raises:
        TypeError: if an argument is neither plain data nor a recipe.
    """
    if isinstance(value, Recipe):
        return _named(value, value._arguments)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _named(value, {field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    if isinstance(value, (list, tuple)):
        return [recipe_of(item) for item in value]
    if isinstance(value, dict):
        return {key: recipe_of(item) for key, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{value!r} cannot be part of a recipe: use plain values or classes derived from Recipe")


def _named(value: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    kind = type(value)
    plain = {name: recipe_of(item) for name, item in arguments.items()}
    return {"class_path": f"{kind.__module__}.{kind.__qualname__}", "init_args": plain}


def build(recipe: Any) -> Any:
    """The inverse of :func:`recipe_of`.

    Raises:
        TypeError: if a class path names neither a :class:`Recipe` nor a dataclass; nothing of it is called.
    """
    if isinstance(recipe, list):
        return [build(item) for item in recipe]
    if isinstance(recipe, dict) and set(recipe) == {"class_path", "init_args"}:
        module, _, name = recipe["class_path"].rpartition(".")
        kind = getattr(importlib.import_module(module), name)
        if not (isinstance(kind, type) and (issubclass(kind, Recipe) or dataclasses.is_dataclass(kind))):
            raise TypeError(f"{recipe['class_path']} is not a network of this suite")
        return kind(**{key: build(item) for key, item in recipe["init_args"].items()})
    if isinstance(recipe, dict):
        return {key: build(item) for key, item in recipe.items()}
    return recipe
