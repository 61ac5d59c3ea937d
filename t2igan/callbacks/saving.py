"""Checkpoints of a run: atomic writes, saving by steps and minutes, and a search for the newest readable one."""

import io
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Checkpoint
from pytorch_lightning.plugins.io import TorchCheckpointIO

from t2igan.errors import UserError
from t2igan.evaluation.subjects.chosen import BEST
from t2igan.files import whole_file
from t2igan.lightning_private import log_every_n_steps
from t2igan.models.checkpoint_form import require_finite
from t2igan.models.suite_module import read_checkpoint
from t2igan.nn.finite import tensors_in
from t2igan.progress import LAST
from t2igan.ranges import Positive, Whole, check_ranges

PREVIOUS = "previous.ckpt"


def last_checkpoint(folder: Path) -> Path:
    """Path of a run's ``last.ckpt``."""
    return folder / LAST


class WholeFiles(TorchCheckpointIO):
    """Checkpoint IO plugin that writes to a temporary name, syncs the disk, and renames the file.

    The former ``last.ckpt`` stays as ``previous.ckpt``.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a checkpoint atomically."""
        content = io.BytesIO()
        torch.save(checkpoint, content)
        path = Path(path)
        with whole_file(path) as draft:
            draft.write_bytes(content.getbuffer())
            if path.name == LAST.name and path.is_file():
                _keep(path)


def _keep(last: Path) -> None:
    """Link the checkpoint that is about to be replaced to a second name, so that ``last.ckpt`` always exists."""
    draft = last.with_name(f"{PREVIOUS}.new")
    draft.unlink(missing_ok=True)
    try:
        draft.hardlink_to(last)
        draft.replace(last.with_name(PREVIOUS))
    except OSError:
        draft.unlink(missing_ok=True)  # a file system without links: the last checkpoint alone is kept


class RunCheckpoints(Checkpoint):
    """Saves ``last.ckpt`` every so many steps and minutes, and at the end.

    Args:
        every_n_steps: steps between two checkpoints; 0 saves by time only.
        every_minutes: the longest time between two checkpoints, which bounds what a kill can lose.
    """

    def __init__(self, every_n_steps: Whole = 500, every_minutes: Positive = 10.0) -> None:
        given = {"every_n_steps": every_n_steps, "every_minutes": every_minutes}
        check_ranges(type(self), given, RunCheckpoints.__init__)
        self.every_n_steps, self.every_minutes = every_n_steps, every_minutes
        self._since = 0.0
        self._step = 0
        self._anew = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock; take away what a run left that this one begins anew: it would pass for its own."""
        self._since, self._step = time.monotonic(), trainer.global_step
        self._anew = trainer.is_global_zero and trainer.global_step == 0
        if self._anew:
            for path in _left_by_a_run(Path(trainer.default_root_dir)):
                path.unlink()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save when due, but never between accumulated batches: their gradients are in no checkpoint."""
        step = trainer.global_step
        if step == self._step:
            return
        self._step = step
        if (self.every_n_steps and step % self.every_n_steps == 0) or self._time_is_up(trainer):
            self.save(trainer)

    def _time_is_up(self, trainer: pl.Trainer) -> bool:
        late = time.monotonic() - self._since > 60 * self.every_minutes
        # Clocks of processes differ, and comparing them at every step would make the devices wait.
        if trainer.world_size > 1:
            return self._step % log_every_n_steps(trainer) == 0 and trainer.strategy.broadcast(late)
        return late

    def save(self, trainer: pl.Trainer) -> Path:
        """Save ``last.ckpt`` now; call on all ranks."""
        path = last_checkpoint(Path(trainer.default_root_dir))
        trainer.save_checkpoint(path)
        if self._anew:  # the old run's last checkpoint was kept until now, when a new one exists
            path.with_name(PREVIOUS).unlink(missing_ok=True)
            self._anew = False
        self._since = time.monotonic()
        return path

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save the final state, however recent the last regular checkpoint is."""
        vars(pl_module)["finished"] = True
        self.save(trainer)


def _left_by_a_run(folder: Path) -> list[Path]:
    """Best checkpoints and samples in a folder, which verbs take for those of the run that is there."""
    return [*last_checkpoint(folder).parent.glob(BEST), *(folder / "samples").glob("step_*")]


def newest_readable(folder: Path, say: Callable[[str], None]) -> Path | None:
    """Find the checkpoint from which a run resumes.

    Args:
        folder: folder of the run.
        say: called with a message when a checkpoint is unreadable and another one is taken.

    Returns:
        ``last.ckpt``, or the newest other one if that is missing or damaged; None in a folder without checkpoints.

    Raises:
        UserError: there are checkpoints, and none can be read.
    """
    last = last_checkpoint(folder)
    # These come first: other files beside them may be foreign, and the best checkpoint may be old.
    ranked = sorted(last.parent.glob("*.ckpt"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    first = [path for path in (last, last.with_name(PREVIOUS)) if path in ranked]
    problems = []
    for path in first + [path for path in ranked if path not in first]:
        try:
            checkpoint = read_resumable(path)
        except UserError as error:
            problems.append(str(error))
            continue
        if problems:
            say(f"{'; '.join(problems)}; resuming from {path}, step {checkpoint['global_step']}, instead")
        return path
    if problems:
        raise UserError(f"{'; '.join(problems)}: there is no checkpoint to resume from; --fresh true starts anew")
    return None


def read_resumable(path: str | Path) -> dict[str, Any]:
    """Read a checkpoint from which a training can resume.

    Raises:
        UserError: it cannot be read, holds no training, or weights or states of optimisers that are not finite.
    """
    checkpoint = read_checkpoint(path)
    loops, states = checkpoint.get("loops"), checkpoint.get("optimizer_states")
    held = {"loops": isinstance(loops, dict) and "fit_loop" in loops, "global_step": "global_step" in checkpoint}
    held["optimizer_states"] = isinstance(states, list) and all(map(_is_state, states)) and bool(states)
    wanting = [key for key, whole in held.items() if not whole]
    if wanting:
        raise UserError(f"{path} holds no training to resume (it has no {', '.join(wanting)})")
    named = {f"the state of optimiser {number}": each for number, each in enumerate(states or [])}
    require_finite(path, checkpoint["state_dict"] | dict(tensors_in(named)))
    for name, state in named.items():
        for rate in (group.get("lr") for group in state["param_groups"]):
            if not (isinstance(rate, float | int) and 0 <= rate < math.inf):
                raise UserError(f"{path}: {name} has the learning rate {rate!r:.40}; take an earlier checkpoint")
    return checkpoint


def _is_state(state: Any) -> bool:
    groups = state.get("param_groups") if isinstance(state, dict) else None
    return isinstance(groups, list) and all(isinstance(each, dict) for each in groups) and "state" in state
