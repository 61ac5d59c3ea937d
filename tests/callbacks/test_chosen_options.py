"""What a command changes of an optimiser; the whole way is in tests/cli/test_fit.py."""

import warnings
from types import SimpleNamespace

import pytest
import torch

from t2igan.callbacks.chosen_options import ChosenOptions


def begun(rate):
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    trainer = SimpleNamespace(optimizers=[optimizer])
    callback = ChosenOptions()
    callback.on_fit_start(trainer, None)
    return callback, trainer, optimizer.param_groups[0]


def test_a_checkpoint_of_an_earlier_version_keeps_its_rates_and_says_so():
    callback, trainer, group = begun(0.1)
    group["lr"] = 0.001  # as Lightning restores it
    callback.on_load_checkpoint(trainer, None, {})
    with pytest.warns(UserWarning, match="of an earlier version .* are kept"):
        callback.on_train_start(trainer, None)
    assert group["lr"] == 0.001


@pytest.mark.parametrize("kept", [{}, {ChosenOptions.KEY: [[{"lr": 0.1}]]}])
def test_what_was_not_changed_is_nothing_to_warn_of(kept):
    callback, trainer, group = begun(0.1)
    callback.on_load_checkpoint(trainer, None, kept)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        callback.on_train_start(trainer, None)
    assert group["lr"] == 0.1


def test_a_rate_on_a_schedule_is_scaled_by_its_change():
    callback, trainer, group = begun(0.2)
    group["lr"] = 0.05  # half of what it began with
    callback.on_load_checkpoint(trainer, None, {ChosenOptions.KEY: [[{"lr": 0.1}]]})
    callback.on_train_start(trainer, None)
    assert group["lr"] == pytest.approx(0.1)
