"""Packed sequences for recurrent layers, without synchronising with the device.

PyTorch's own functions copy the order of the rows from the device to the host within a step.
"""

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence


def pack(sequences: Tensor, lengths: Tensor) -> PackedSequence:
    """Pack rows into PyTorch's packed sequence, sorted from the longest to the shortest.

    Args:
        sequences: (B, T, ...), on any device.
        lengths: int64 (B,), each in 1..T, in any order; lengths on a device cause a synchronisation.
    """
    ordered, order = torch.sort(lengths.cpu(), descending=True)
    order = order.to(sequences.device, non_blocking=True)
    packed = pack_padded_sequence(sequences.index_select(0, order), ordered, batch_first=True)
    return PackedSequence(packed.data, packed.batch_sizes, order)


def unpack(packed: PackedSequence, steps: int | None = None) -> Tensor:
    """Unpack rows in their original order, padded with zeros.

    Args:
        packed: result of :func:`pack`.
        steps: length T of the result; None for that of the longest row.

    Returns:
        (B, T, ...).
    """
    plain = PackedSequence(packed.data, packed.batch_sizes)
    rows, _ = pad_packed_sequence(plain, batch_first=True, total_length=steps)
    return rows if packed.unsorted_indices is None else rows.index_select(0, packed.unsorted_indices)
