import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from t2igan.nn.sequences import pack, unpack

LENGTHS = torch.tensor([2, 5, 1, 5, 3])


def test_rows_are_packed_as_pytorch_packs_them():
    rows = torch.randn(5, 5, 3)
    own, theirs = pack(rows, LENGTHS), pack_padded_sequence(rows, LENGTHS, batch_first=True, enforce_sorted=False)
    assert all(torch.equal(one, other) for one, other in zip(own, theirs))


def test_and_come_back():
    rows = torch.randn(5, 6, 3, requires_grad=True)
    theirs, _ = pad_packed_sequence(
        pack_padded_sequence(rows, LENGTHS, batch_first=True, enforce_sorted=False), batch_first=True
    )
    own = unpack(pack(rows, LENGTHS))
    assert own.shape == (5, 5, 3) and torch.equal(own, theirs)
    assert unpack(pack(rows, LENGTHS), 6).shape == rows.shape
    there = (torch.arange(6) < LENGTHS[:, None])[:, :, None].expand_as(rows)
    (gradient,) = torch.autograd.grad(own.sum(), rows)
    assert torch.equal(gradient, there.float())
