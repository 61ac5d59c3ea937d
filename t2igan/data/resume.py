"""Resuming within an epoch: the position of a training according to Lightning's counters.

Written against the loops of pytorch-lightning 2.6 (``loops/fit_loop.py``, ``loops/training_epoch_loop.py``). All of
it counts batches, not ``global_step``, which grows by two per batch where two optimisers are stepped by hand.

The relevant behaviour of those loops:

* ``FitLoop.setup_data`` asks for the loader and makes its iterator after the checkpoint's counters are loaded,
  but before ``set_epoch`` is called; the first epoch after a resume uses this iterator, and workers fetch from
  it at once. So the position must be right when the iterator is made.
* On a resume in mid-epoch the trainer counts the batches that were done as fetched already: the loader must keep
  its whole length and deliver the rest only.
"""

from functools import partial
from typing import cast

from pytorch_lightning import Trainer
from pytorch_lightning.loops.fit_loop import _FitLoop
from pytorch_lightning.loops.loop import _Loop
from pytorch_lightning.loops.progress import _ProcessedTracker, _Progress

from t2igan.data.sampler import Position


def resumable_position(trainer: Trainer | None) -> Position | None:
    """A function that returns the position at which training resumes; None outside of a trainer."""
    if trainer is None:
        return None
    settle_counters(trainer.fit_loop)
    return partial(training_position, trainer.fit_loop)


def training_position(fit_loop: _FitLoop) -> tuple[int, int]:
    """(epoch, batch) with which training resumes, according to the loop's counters."""
    epoch, batches = _current(fit_loop.epoch_progress), fit_loop.epoch_loop.batch_progress
    if epoch.started == epoch.processed:
        return epoch.processed, 0
    if batches.is_last_batch:
        return epoch.started, 0
    return epoch.processed, _current(batches).processed


def _current(progress: _Progress) -> _ProcessedTracker:
    # Lightning makes counters of this class and declares their base.
    return cast(_ProcessedTracker, progress.current)


def _total(progress: _Progress) -> _ProcessedTracker:
    return cast(_ProcessedTracker, progress.total)


def settle_counters(fit_loop: _FitLoop) -> None:
    """Bring counters just loaded from a checkpoint into a state that Lightning resumes from correctly.

    Lightning resumes two kinds of checkpoints incorrectly:

    * saved after the last batch of an epoch, before the epoch's end: the next epoch is run without being counted
      as started, so that a second interruption would repeat it from its first batch;
    * saved at an epoch's end that was no end, because ``max_steps`` (or a stop signal) came first: the epoch counts
      as done although batches of it are left.

    The first becomes a clean boundary between epochs, the second an epoch under way.
    """
    if not fit_loop.is_resuming:
        return
    epoch, batches = fit_loop.epoch_progress, fit_loop.epoch_loop.batch_progress
    counted_as_done = _current(epoch).started == _current(epoch).processed
    if batches.is_last_batch:
        before_epoch_end = _total(batches).completed < _total(batches).processed
        if before_epoch_end or counted_as_done:
            _close_epoch(fit_loop)
    elif counted_as_done and _current(batches).processed > 0:
        for counter in (_current(epoch), _total(epoch)):
            counter.processed = counter.completed = counter.started - 1
        _Loop.restarting.__set__(fit_loop, True)


def _close_epoch(fit_loop: _FitLoop) -> None:
    epoch, batches = fit_loop.epoch_progress, fit_loop.epoch_loop.batch_progress
    for counter in (_current(epoch), _total(epoch)):
        counter.processed = counter.completed = counter.started
    _total(batches).completed = _total(batches).processed
    batches.reset_on_run()
    # Not through the property: its setter keeps a run that is limited by max_steps restarting.
    _Loop.restarting.__set__(fit_loop, False)
