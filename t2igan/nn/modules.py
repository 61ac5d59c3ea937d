"""Typed containers of modules."""

from collections.abc import ItemsView, Iterator, ValuesView
from typing import Generic, TypeVar, cast

from torch import nn

M = TypeVar("M", bound=nn.Module)


class Modules(nn.ModuleList, Generic[M]):
    """:class:`torch.nn.ModuleList` with the type of its modules."""

    def __iter__(self) -> Iterator[M]:
        return cast(Iterator[M], super().__iter__())


class NamedModules(nn.ModuleDict, Generic[M]):
    """:class:`torch.nn.ModuleDict` with the type of its modules."""

    def __getitem__(self, key: str) -> M:
        return cast(M, super().__getitem__(key))

    def items(self) -> ItemsView[str, M]:
        """Names and modules, in insertion order."""
        return cast(ItemsView[str, M], super().items())

    def values(self) -> ValuesView[M]:
        """The contained modules, in insertion order."""
        return cast(ValuesView[M], super().values())
