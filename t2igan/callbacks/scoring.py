"""Scores during training: evaluate a protocol with the averaged weights at intervals, on all devices."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities.seed import isolate_rng
from torch import distributed, nn

from t2igan.callbacks.best import BestCheckpoint
from t2igan.callbacks.watching import Speed
from t2igan.data.store import Store
from t2igan.errors import UserError
from t2igan.evaluation.evaluation import Evaluation
from t2igan.evaluation.features.networks import NetworkOptions, load_classifier, load_damsms
from t2igan.evaluation.in_training import INDEPENDENT, TrainingSubject, curve_values, only_finite, smaller
from t2igan.evaluation.metrics.r_precision import DAMSMRPrecision
from t2igan.evaluation.processes import processes
from t2igan.evaluation.protocol import Protocol, load_protocol
from t2igan.evaluation.record import MetricValue, ResultRecord, append_record, read_records
from t2igan.evaluation.subjects.chosen import Choice
from t2igan.lightning_private import callbacks_of, datamodule_of
from t2igan.models.adversarial import AdversarialModule
from t2igan.ranges import Count, check_ranges
from t2igan.reporting.numbers import direction, format_number

RECORDS, FEATURES = "records.jsonl", "features"
SHARE = "speed/scoring_share"

Selection = Literal["test", "val-classes"]


class Scores(Callback):
    """Scores the generator at intervals, keeps the best checkpoint, and logs the time that scoring takes.

    Values go to every logger as ``val/<metric>``, or ``val/<metric>@<images>`` with fewer images than the protocol
    (``@<images>-val-classes`` of held-out classes), beside ``val/images_seen`` and ``speed/scoring_share``, the
    share of the training's time that scoring took; with all that they depend on they go into the run's
    ``records.jsonl``. Neither random numbers nor weights, buffers or modes of the training are touched, and the
    networks that score are no part of its checkpoints.

    Args:
        protocol: name of a protocol, or a YAML file of your own.
        every_n_steps: steps between two scorings.
        every_n_epochs: epochs between two scorings; exactly one of the two options must be given.
        images: number of generated images; None for the protocol's.
        metrics: names of the protocol's metrics to compute, None for all.
        independent_damsm: checkpoints of DAMSMs that the generator is not trained against, for R-precision.
        classifier: checkpoint of the evaluation classifier, for metrics that need it.
        best: metric by which ``checkpoints/best-<metric>.ckpt`` is kept, None keeps none.
        selection: ``test``: scores are on the protocol's own split, as the field does it. ``val-classes``: on the
            training classes that ``data.val_classes`` holds out.
        batch_size: images at a time; changes no number.
        weights: folder of the Inception weights.
        download: whether missing Inception weights may be downloaded.
        skip_missing: skip metrics whose networks are missing.
        clip: folder of a CLIP, as transformers saves it.

    Raises:
        UserError: something is missing or does not fit together; when the training starts.
    """

    def __init__(
        self,
        protocol: str,
        every_n_steps: Count | None = None,
        every_n_epochs: Count | None = None,
        images: Count | None = None,
        metrics: list[str] | None = None,
        independent_damsm: list[str] | None = None,
        classifier: str | None = None,
        best: str | None = None,
        selection: Selection = "test",
        batch_size: Count = 64,
        weights: str = "checkpoints",
        download: bool = True,
        skip_missing: bool = False,
        clip: str | None = None,
    ) -> None:
        check_ranges(type(self), dict(locals()), Scores.__init__)
        whole = load_protocol(protocol)
        self.protocol = smaller(whole, images, metrics)
        fewer = [str(self.protocol.images)] if self.protocol.images < whole.images else []
        other = [selection] if selection == "val-classes" else []
        self.suffix = f"@{'-'.join([*fewer, *other])}" if fewer or other else ""
        given = [every for every in (every_n_steps, every_n_epochs) if every is not None]
        if len(given) != 1:
            raise UserError("Scores: give every_n_steps or every_n_epochs")
        self.every_n_steps, self.every_n_epochs = every_n_steps, every_n_epochs
        self.independent_damsm, self.classifier = independent_damsm or [], classifier
        self.selection = selection
        self._options = NetworkOptions(
            batch_size,
            weights_folder=Path(weights),
            download=download,
            skip_missing=skip_missing,
            clip=Path(clip) if clip else None,
            remedy="skip_missing: true among the options of Scores in the YAML",
        )
        if best is not None:
            _require_metric(best, self.protocol)
        self.keeper = None if best is None else BestCheckpoint(best)
        self._scored: int | None = None
        self._began, self._seconds = 0.0, 0.0

    # ---------------------------------------------------------------------------------------------- set-up

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Load the networks and files that the metrics need, so that missing ones are reported before training."""
        if not isinstance(pl_module, AdversarialModule):
            raise UserError(f"Scores: {type(pl_module).__name__} generates no images to score: remove the callback")
        store, folder = self._store(datamodule_of(trainer)), Path(trainer.default_root_dir)
        options = replace(self._options, device=str(pl_module.device), cache=folder / FEATURES)
        own = [] if pl_module.damsm is None else [pl_module.damsm]
        with isolate_rng():
            damsms = load_damsms([*own, *self.independent_damsm], store)
            classifier = load_classifier(self.classifier, store) if self.classifier else None
            self._subject = TrainingSubject(pl_module, folder, self.protocol.weights)
            self._evaluation = Evaluation(self._subject, self.protocol, store, damsms, classifier, options)
        left_out = self._evaluation.not_computed
        if left_out and trainer.is_global_zero:
            print(f"scores of {self.protocol.name} without " + "; ".join(f"{k}: {v}" for k, v in left_out.items()))

    def _store(self, data: Any) -> Store:
        """The store that is scored on: the data module's, or its held-out classes."""
        if self.selection == "test":
            return data.store
        if data.held_out is None:
            raise UserError("Scores.selection: val-classes needs classes held out: set data.init_args.val_classes")
        return data.held_out

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Start the clock; score first if the previous run was stopped between a step and its scoring."""
        self._began, self._seconds = time.perf_counter(), 0.0
        if trainer.global_step == 0 and self.keeper is not None and trainer.is_global_zero:
            self.keeper.path(trainer).unlink(missing_ok=True)  # left by the run that this one replaces
        if trainer.global_step and trainer.global_step != self._scored and self._ends_a_turn(trainer):
            self._score(trainer, cast(AdversarialModule, pl_module))

    # --------------------------------------------------------------------------------------------- scoring

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Score when due, before the checkpoints of this step are saved."""
        if self._is_due(trainer):
            # For the progress display and callbacks that monitor a metric; loggers have the values already.
            pl_module.log_dict(
                self._score(trainer, cast(AdversarialModule, pl_module)), logger=False, prog_bar=True
            )

    def _is_due(self, trainer: pl.Trainer) -> bool:
        if self.every_n_steps is not None:
            return trainer.global_step % self.every_n_steps == 0
        return trainer.is_last_batch and (trainer.current_epoch + 1) % (self.every_n_epochs or 1) == 0

    def _ends_a_turn(self, trainer: pl.Trainer) -> bool:
        """Whether the step at which a resumed training begins is due for scoring."""
        if self.every_n_steps is not None:
            return self._is_due(trainer)
        return trainer.global_step % ((self.every_n_epochs or 1) * trainer.num_training_batches) == 0

    def _score(self, trainer: pl.Trainer, module: AdversarialModule) -> dict[str, float]:
        """Score, keep the checkpoint if it is the best, and log."""
        _wait_for(module.device)
        begin, step = time.perf_counter(), trainer.global_step
        self._subject.at(step)
        networks = module.generator, module.text_encoder, *module.averages.values()
        with undisturbed(), of_the_first_process(*networks):
            record = only_finite(self._evaluation.run())
        values = curve_values(record, self._evaluation.damsms, module.damsm is not None, self.suffix)
        self._scored = step
        try:
            self._take(trainer, record, values, begin)
        except BaseException:  # stop signals too: the resumed run scores again
            self._scored = None
            raise
        for callback in callbacks_of(trainer):
            if isinstance(callback, Speed):
                callback.leave_out()
        return {f"val/{name}": value.value for name, value in values.items()}

    def _take(
        self, trainer: pl.Trainer, record: ResultRecord, values: dict[str, MetricValue], begin: float
    ) -> None:
        """Write the record, keep the checkpoint if it is the best, and log the values and their cost."""
        if trainer.is_global_zero:
            _append_once(Path(trainer.default_root_dir) / RECORDS, record)
        step, training = trainer.global_step, record.subject.training
        self._keep(trainer, values, step)
        now = time.perf_counter()
        self._seconds += now - begin
        share = self._seconds / (now - self._began)
        seen = 0.0 if training is None else float(training.images_seen or 0)
        self._log(trainer, values, {"val/images_seen": seen, SHARE: share}, step)
        self._say(trainer, values, f"{now - begin:.1f} s; scoring took {share:.1%} of the training's time", step)

    def _keep(self, trainer: pl.Trainer, values: dict[str, MetricValue], step: int) -> None:
        if self.keeper is None:
            return
        name = f"{self.keeper.metric}{self.suffix}"
        if name in values:
            choice = Choice(name, values[name].value, step, self.protocol.name, self.selection)
            self.keeper.offer(trainer, choice)

    def _log(
        self, trainer: pl.Trainer, values: dict[str, MetricValue], further: dict[str, float], step: int
    ) -> None:
        """Log to every logger, at the step that was just finished."""
        row = {f"val/{name}": value.value for name, value in values.items()} | further
        if self.keeper is not None and self.keeper.choice is not None:
            row[f"best/val/{self.keeper.choice.metric}"] = self.keeper.choice.value
        for logger in trainer.loggers:
            if isinstance(logger, WandbLogger) and trainer.is_global_zero:
                for name in values:
                    better = "max" if direction(name) > 0 else "min"
                    logger.experiment.define_metric(
                        f"val/{name}", step_metric="trainer/global_step", summary=better
                    )
            logger.log_metrics(row, step=step - 1)

    @staticmethod
    def _say(trainer: pl.Trainer, values: dict[str, MetricValue], cost: str, step: int) -> None:
        """Print a line without disturbing the progress bar."""
        display = trainer.progress_bar_callback
        if display is None or not trainer.is_global_zero:
            return
        told = [
            f"{name} {format_number(name, one.value, None, one.chance is not None)}" for name, one in values.items()
        ]
        display.print(f"scores at step {step}: {', '.join(told)} ({cost})")

    # ------------------------------------------------------------------------------------------- checkpoints

    @property
    def state_key(self) -> str:
        """Key of this callback's state, so that several of them with different protocols can be used together."""
        key = {"protocol": self.protocol.hash, "selection": self.selection}
        return f"{type(self).__qualname__}{key}"

    def state_dict(self) -> dict[str, Any]:
        """The step that was scored last, and the best so far."""
        return {"scored": self._scored, "best": None if self.keeper is None else self.keeper.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the scored step and the best value."""
        self._scored = state_dict["scored"]
        if self.keeper is not None:
            self.keeper.load_state_dict(state_dict["best"])

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict) -> None:
        """Note in the best checkpoint which metric selected it."""
        if self.keeper is not None:
            self.keeper.mark(checkpoint)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Use full float32 matrix products within; restore their precision and all random states afterwards."""
    precision = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with isolate_rng():
            yield
    finally:
        torch.set_float32_matmul_precision(precision)


@contextmanager
def of_the_first_process(*networks: nn.Module) -> Iterator[None]:
    """Use the buffers (batch statistics) of rank 0 on all ranks, because those are the ones that are saved."""
    if processes()[1] == 1:
        yield
        return
    buffers = [buffer for network in networks for buffer in network.buffers()]
    own = [buffer.clone() for buffer in buffers]
    for buffer in buffers:
        distributed.broadcast(buffer, 0)
    try:
        yield
    finally:
        for buffer, before in zip(buffers, own):
            buffer.copy_(before)


def _require_metric(name: str, protocol: Protocol) -> None:
    known = [spec.name for spec in protocol.metrics]
    matching = [f"{one}-{INDEPENDENT}" for one in known if one == DAMSMRPrecision.name]
    if name not in [*known, *matching]:
        raise UserError(f"Scores.best: {name!r} is not one of {', '.join([*known, *matching])} of {protocol.name}")


def _append_once(path: Path, record: ResultRecord) -> None:
    """Append a record, unless an interrupted training already did."""
    before = read_records(path) if path.is_file() else []
    known = [(one.subject.training, one.protocol_hash, one.fingerprint, one.metrics) for one in before]
    if (record.subject.training, record.protocol_hash, record.fingerprint, record.metrics) not in known:
        append_record(path, record)


def _wait_for(device: torch.device) -> None:
    """Wait for the device to finish the step, so that its time is not counted as scoring."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
