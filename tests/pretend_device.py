"""A device that the CPU plays: tells what would make the host wait for a GPU, or fail there, without one.

Tensors are known by their storage as lying on the device or on the host. What a device makes stays there. Tensors
of both places in one operation, NumPy's look at the device and a generator of the host there are mistakes. For who
watches for waits, so is to read the device on the host, an index of unknown size, and a copy that is not
``non_blocking``. The device is called ``cuda:0``, so that the code takes the ways that it takes on a GPU.
"""

from collections.abc import Iterable
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import torch
from pytorch_lightning.accelerators import CPUAccelerator
from pytorch_lightning.strategies import SingleDeviceStrategy
from torch import Tensor
from torch.nn.utils import clip_grad
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
BY_NUMPY = {Tensor.numpy, Tensor.__array__}
MADE_OF_DATA = {torch.tensor, torch.as_tensor, Tensor.new_tensor}
GROUPING = "_group_tensors_by_device_and_dtype"
grouping = getattr(clip_grad, GROUPING)
DEVICE, HOST = torch.device("cuda", 0), torch.device("cpu")
autocast, is_autocast_enabled = torch.autocast, torch.is_autocast_enabled


ANSWERS = {"get_device_name": "a played GPU", "synchronize": None, "current_device": 0} | {
    name: 0 for name in ("reset_peak_memory_stats", "max_memory_allocated")
}


class Waits(AssertionError):
    """The host would wait for the device."""


class Fails(Waits):
    """A GPU would refuse it: the devices differ."""


class PretendDevice:
    """Remembers what lies there, and forgets nothing: a storage that is freed could be another's tomorrow.

    Args:
        patient: waits are no mistakes.
    """

    def __init__(self, patient=False):
        self._storages = {}
        self.patient = patient
        self.within = False  # of a function of its tensors: what that makes of nothing is the device's, too

    def take(self, tensors: Iterable[Tensor]):
        """These lie on the device."""
        for tensor in tensors:
            storage = tensor.untyped_storage()
            self._storages[storage._cdata] = storage

    def give(self, tensor: Tensor) -> Tensor:
        """A copy on the host."""
        copy = tensor.clone()
        self._storages.pop(copy.untyped_storage()._cdata, None)
        return copy

    def has(self, value) -> bool:
        return isinstance(value, Tensor) and value.untyped_storage()._cdata in self._storages

    def wait(self, reason: str):
        if not self.patient:
            raise Waits(reason)

    @contextmanager
    def watched(self):
        """Raise :class:`Waits` where the host waits, and :class:`Fails` where the devices differ."""
        with ExitStack() as stack:
            stack.enter_context(patch.object(clip_grad, GROUPING, self._grouped))
            # Half precision of the device is that of the CPU.
            stack.enter_context(patch.object(torch, "autocast", lambda kind, *a, **k: autocast("cpu", *a, **k)))
            stack.enter_context(patch.object(torch, "is_autocast_enabled", lambda kind: is_autocast_enabled("cpu")))
            for name, answer in ANSWERS.items():
                stack.enter_context(patch.object(torch.cuda, name, lambda *_, answer=answer: answer))
            for mode in (_Functions(self), _Operations(self)):
                stack.enter_context(mode)
            yield self

    @contextmanager
    def trained_on(self):
        """As :meth:`watched`, and trainers whose accelerator is the CPU train on the device."""
        root = property(lambda strategy: DEVICE)
        to_none = patch.object(CPUAccelerator, "setup_device", lambda *_: None)
        with patch.object(SingleDeviceStrategy, "root_device", root), to_none, self.watched():
            yield self

    def _grouped(self, lists):
        # Its devices are told by C++, which knows of no play.
        groups = grouping(lists)
        return {(DEVICE if self.has(group[0][0][0]) else key[0], key[1]): group for key, group in groups.items()}


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
        if kwargs.get("generator") is not None:
            raise Fails(f"{func} of the device with a generator of the host")
        if packet in READ and not (packet is aten.repeat_interleave and kwargs.get("output_size") is not None):
            self.device.wait(f"{func} reads a tensor of the device")
        if packet in INDEXED and any(each is not None and each.dtype == torch.bool for each in args[1]):
            self.device.wait(f"{func} by a mask: how many rows, only the device knows")
        if packet is aten.copy_:
            if len(there) == 1 and not (kwargs.get("non_blocking") or args[2:] == (True,)):
                self.device.wait("a copy between host and device that blocks")
            return func(*args, **kwargs)
        # Places of the host are copied to the device, which waits; places of the device mean nothing to the host.
        copied = packet in INDEXED and self.device.patient and self.device.has(args[0])
        elsewhere = [each for each in tensors if each.dim() and not self.device.has(each)]
        if elsewhere and packet not in OF_HOST_LENGTHS and not copied:
            raise Fails(f"{func} of tensors of the device and of the host {[tuple(e.shape) for e in elsewhere]}")
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
        if func == Tensor.device.__get__:
            return DEVICE if own else func(*args)
        if own and func in BY_NUMPY and self.device.patient:
            raise Fails(f"{func.__name__} of a tensor of the device")
        if own and func in READ_BY_PYTHON:
            self.device.wait(f"{func.__name__} of a tensor of the device")
            if func is Tensor.cpu:
                return self.device.give(args[0])
        if func is Tensor.to:
            return self._moved(own, *args, **kwargs)
        to_device = _is_device(kwargs.get("device"))
        kwargs |= {"device": HOST} if to_device else {}
        self.device.within = any(self.device.has(each) for each in tree_leaves((args, kwargs)))
        made = func(*args, **kwargs)
        self.device.within = False
        if to_device:
            if kwargs.get("generator") is not None:
                raise Fails(f"{func.__name__} on the device with a generator of the host")
            if func in MADE_OF_DATA:
                self.device.wait(f"{func.__name__} of Python's numbers, copied to the device")
            self.device.take([made])
        return made

    def _moved(self, own, tensor, *args, **kwargs):
        target = kwargs.get("device", kwargs.get("other", args[0] if args else None))
        to_device = self.device.has(target) or _is_device(target)
        to_host = not to_device and (isinstance(target, Tensor) or target in ("cpu", HOST))
        args = tuple(HOST if _is_device(each) else each for each in args)
        made = tensor.to(*args, **{name: HOST if _is_device(each) else each for name, each in kwargs.items()})
        if (to_device and not own) or (to_host and own):
            if not kwargs.get("non_blocking"):
                self.device.wait(f"{tuple(tensor.shape)}.to({'the host' if own else DEVICE}) blocks")
            made = made.clone() if made is tensor else made
        if to_device:
            self.device.take([made])
        elif to_host and own:
            made = self.device.give(made)
        return made


def _is_device(target) -> bool:
    return isinstance(target, (str, torch.device)) and torch.device(target).type == DEVICE.type
