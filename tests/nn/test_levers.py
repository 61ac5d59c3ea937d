from dataclasses import fields

import torch

from t2igan.nn.levers import EXACT, PLAIN, Levers, permit_tf32, settle


def test_presets_and_what_is_named_beside_them():
    assert settle("plain", Levers(), cuda=False) == PLAIN and not PLAIN.pulled
    assert settle("exact", Levers(), cuda=True) == EXACT == settle("fast", Levers(), cuda=False)
    assert {"bf16", "tf32", "compile"}.isdisjoint(EXACT.pulled)
    assert settle("fast", Levers(), cuda=True).bf16
    assert settle("plain", Levers(doubling=True), cuda=False).pulled == ["doubling"]
    assert "allocator" not in settle("exact", Levers(allocator=False), cuda=False).pulled
    assert not settle("fast", Levers(bf16=False), cuda=True).bf16


def test_each_lever_can_be_pulled_alone():
    for lever in fields(Levers):
        assert settle("plain", Levers(**{lever.name: True}), cuda=False).pulled == [lever.name]


def test_tf32_is_off_unless_it_is_named():
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    try:
        for permitted in (True, False):
            permit_tf32(permitted)
            assert torch.backends.cuda.matmul.allow_tf32 is torch.backends.cudnn.allow_tf32 is permitted
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
