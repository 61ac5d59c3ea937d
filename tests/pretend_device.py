"""A device that the CPU plays: tells what would make the host wait for a GPU, without one.

Tensors are known by their storage as lying on the device or on the host. What a device makes stays there. To read
it on the host, an index of unknown size, and a copy that is not ``non_blocking`` are waits; tensors of both places
in one operation are a mistake.
"""

from collections.abc import Iterable
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
READ = {
    *(aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal, aten._unique2, aten.unique_dim),
    *(aten.unique_consecutive, aten.bincount, aten.is_nonzero, aten.repeat_interleave),
}
INDEXED = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_, aten._unsafe_index}
# These take lengths on the host whatever the device.
OF_HOST_LENGTHS = {aten._pack_padded_sequence, aten._pack_padded_sequence_backward, aten._pad_packed_sequence}
READ_BY_PYTHON = {Tensor.tolist, Tensor.numpy, Tensor.cpu, Tensor.__array__, Tensor.item}
MADE_OF_DATA = {torch.tensor, torch.as_tensor, Tensor.new_tensor}


class Waits(AssertionError):
    """The host would wait for the device, or the devices would differ."""


class PretendDevice:
    """Remembers what lies there, and forgets nothing: a storage that is freed could be another's tomorrow."""

    def __init__(self):
        self._storages = {}
        self.within = False  # of a function of its tensors: what that makes of nothing is the device's, too

    def take(self, tensors: Iterable[Tensor]):
        """These lie on the device."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            self._storages[storage._cdata] = storage

    def has(self, value) -> bool:
        return isinstance(value, Tensor) and value.untyped_storage()._cdata in self._storages

    @contextmanager
    def watched(self):
        """Raise :class:`Waits` where the host waits."""
        with _Functions(self), _Operations(self):
            yield self


class _Operations(TorchDispatchMode):
    def __init__(self, device):
        super().__init__()
        self.device = device

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs, packet = kwargs or {}, func._overloadpacket
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        there = [each for each in tensors if self.device.has(each)]
        if not there:
            made = func(*args, **kwargs)
            if not tensors and self.device.within:
                self.device.take(each for each in tree_leaves(made) if isinstance(each, Tensor))
            return made
        if packet in READ and not (packet is aten.repeat_interleave and kwargs.get("output_size") is not None):
            raise Waits(f"{func} reads a tensor of the device")
        if packet in INDEXED and any(each is not None and each.dtype == torch.bool for each in args[1]):
            raise Waits(f"{func} by a mask: how many rows, only the device knows")
        if packet is aten.copy_:
            if len(there) == 1 and not (kwargs.get("non_blocking") or args[2:] == (True,)):
                raise Waits("a copy between host and device that blocks")
            return func(*args, **kwargs)
        elsewhere = [each for each in tensors if each.dim() and not self.device.has(each)]
        if elsewhere and packet not in OF_HOST_LENGTHS:
            raise Waits(f"{func} of tensors of the device and of the host {[tuple(e.shape) for e in elsewhere]}")
        made = func(*args, **kwargs)
        # Of a packed sequence the sizes stay on the host.
        there = made[:1] if packet is aten._pack_padded_sequence else made
        self.device.take(each for each in tree_leaves(there) if isinstance(each, Tensor))
        return made


class _Functions(TorchFunctionMode):
    def __init__(self, device):
        super().__init__()
        self.device = device

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        own = bool(args) and self.device.has(args[0])
        if own and func in READ_BY_PYTHON:
            raise Waits(f"{func.__name__} of a tensor of the device")
        if func is Tensor.to:
            return self._moved(own, *args, **kwargs)
        self.device.within = any(self.device.has(each) for each in tree_leaves((args, kwargs)))
        made = func(*args, **kwargs)
        self.device.within = False
        if isinstance(kwargs.get("device"), torch.device):  # the host has no need to be named
            if func in MADE_OF_DATA:
                raise Waits(f"{func.__name__} of Python's numbers, copied to the device")
            self.device.take([made])
        return made

    def _moved(self, own, tensor, *args, **kwargs):
        target = kwargs.get("device", kwargs.get("other", args[0] if args else None))
        to_device = isinstance(target, torch.device) or self.device.has(target)
        to_host = target == "cpu" if isinstance(target, str) else isinstance(target, Tensor) and not to_device
        made = tensor.to(*args, **kwargs)
        if (to_device and not own) or (to_host and own):
            if not kwargs.get("non_blocking"):
                raise Waits(f"{tuple(tensor.shape)}.to({target if not isinstance(target, Tensor) else ''}) blocks")
            made = made.clone() if made is tensor else made
        if to_device:
            self.device.take([made])
        return made
