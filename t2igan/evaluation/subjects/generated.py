"""The images of a module: of a checkpoint, or of the same network untrained."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import torch

from t2igan.data.requirements import refuse_lack
from t2igan.data.selection import Numbers
from t2igan.data.store import Store
from t2igan.data.vocabulary import Vocabulary
from t2igan.errors import UserError
from t2igan.evaluation.images.generate import NumberedImages, generate_images
from t2igan.evaluation.plan import ImagePlan
from t2igan.evaluation.protocol import Protocol
from t2igan.evaluation.record import SubjectCard, TrainingCard
from t2igan.evaluation.subjects.base import Subject
from t2igan.evaluation.subjects.chosen import Choice
from t2igan.identity import read_changes, read_config, read_identity
from t2igan.models.conditioner import Conditioner
from t2igan.models.damsm import DAMSM
from t2igan.models.drawing import DrawingModule
from t2igan.models.suite_module import SuiteModule, build_module, content_sha256, load_module, read_checkpoint
from t2igan.models.text_conditioned import TextConditioned
from t2igan.nn.config import class_path_of
from t2igan.zoo import is_zoo_name

GENERIC_STEMS = ("last", "best", "epoch", "step", "model")


class GeneratedSubject(Subject):
    """The images of a module.

    Args:
        module: draws.
        card: for the record.
    """

    has_floats = True

    def __init__(self, module: DrawingModule, card: SubjectCard) -> None:
        self.module, self.card, self.notes = module, card, []

    def check(self, protocol: Protocol, store: Store) -> None:
        """The generator must draw the protocol's size, and know the store's words in their order."""
        size, who = self.module.generator.image_sizes[-1], str(self.card.path)
        if size != protocol.image_size:
            raise UserError(
                f"{who} draws {size} px, protocol {protocol.name} is for {protocol.image_size} px: "
                "choose a protocol of that size"
            )
        require_same_words(self.module, store, who)
        refuse_lack(self.module.requires, store.holds, who, f"{store.path} ({store.name})")
        trained_on = self.module.dataset.get("fingerprint")
        if trained_on and trained_on != store.fingerprint:
            self.notes.append(f"trained on a store of fingerprint {trained_on[:12]}, not on this one")

    def images(
        self,
        protocol: Protocol,
        store: Store,
        plan: ImagePlan,
        numbers: Numbers,
        batch_size: int,
        device: torch.device,
    ) -> Iterator[NumberedImages]:
        """Draw."""
        module, split = self.module.to(device), store.split(protocol.split)
        yield from generate_images(module, split, plan, protocol, numbers, batch_size, device, store.image_size)


def require_same_words(module: SuiteModule, store: Store, who: str) -> None:
    """Refuse a module that was trained on another vocabulary than the store's.

    Raises:
        UserError: it was, or it was never trained.
    """
    if not module.vocabulary:
        raise UserError(f"{who} holds no vocabulary, it never saw a data set; train it with t2igan fit")
    store.require_vocabulary(Vocabulary(module.vocabulary).hash, who)


def label_of(path: str | Path) -> str:
    """A name for tables: that of the run's folder where the file is called ``last``, ``epoch=...`` and the like."""
    if is_zoo_name(path):
        return f"{Path(path).name} (zoo)"
    path = Path(path)
    if not path.stem.startswith(GENERIC_STEMS):
        return path.stem
    folder = path.absolute().parent
    return (folder.parent if folder.name == "checkpoints" else folder).name or path.stem


def load_generator(path: str | Path) -> DrawingModule:
    """The module of a generator's checkpoint.

    Raises:
        UserError: it cannot be read, or is of another kind of module.
    """
    return _adversarial(load_module(path), path)


def load_checkpoint_subject(path: str | Path, weights: str, prior: bool = True) -> GeneratedSubject:
    """The subject in a checkpoint.

    Args:
        path: path of the checkpoint.
        weights: averaged weights, or those that training moved.
        prior: False takes SpaText's prior from it: texts stand for themselves.

    Raises:
        UserError: it cannot be read, is of another kind of module, or has no prior to take.
    """
    module = load_generator(path)
    if not prior:
        _take_prior(module, path)
    used = weights if module.averages else "ema" if module.averaged else "raw"
    fingerprint = module.dataset.get("fingerprint")
    identity = read_identity(path, fingerprint, module.inputs, selected=bool(module.selected))
    # Weights that were imported have no steps, and what they had seen is not known.
    seen = module.images_seen if module.steps else None
    card = SubjectCard(
        "checkpoint",
        label_of(path) + ("" if prior else ", without prior"),
        str(path),
        content_sha256(module),
        class_path_of(module),
        used,
        generator=class_path_of(module.generator),
        # Without its prior it is no repetition of those that have theirs.
        experiment=identity.experiment if prior else None,
        training_seed=identity.training_seed if prior else None,
        training=TrainingCard(
            read_config(path),
            module.steps or None,
            seen,
            module.global_batch,
            fingerprint,
            module.inputs,
            None if module.trained is None else module.trained.to_dict(),
            read_changes(path),
        ),
        selection=Choice(**module.selected).rule if module.selected else None,
    )
    subject = GeneratedSubject(module, card)
    # The best of a run was chosen before its end on purpose, and what is in the zoo is what there is.
    unfinished = module.trained is not None and not module.trained.finished
    if unfinished and not module.selected and not is_zoo_name(path):
        subject.notes.append(f"its training is not finished: {module.trained}")
        warnings.warn(f"{path}: {subject.notes[-1]}", stacklevel=2)
    return subject


def _take_prior(module: DrawingModule, path: str | Path) -> None:
    conditioner = getattr(module, "conditioner", None)
    if not isinstance(conditioner, Conditioner) or conditioner.prior is None:
        raise UserError(f"--prior none: {path} has no prior; leave it out")
    conditioner.prior = None
    module.remember(prior=None)


def build_untrained_subject(path: str | Path, seed: int, damsm: DAMSM | None = None) -> GeneratedSubject:
    """What the training that gave a checkpoint began with: its config built anew.

    Args:
        path: path of the checkpoint; only its config and vocabulary are used.
        seed: seed of the new weights.
        damsm: gives the text encoder where the config takes it from a DAMSM.

    Raises:
        UserError: the checkpoint cannot be read, is of another kind, or the DAMSM's text encoder does not fit.
    """
    checkpoint = read_checkpoint(path)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        module = _adversarial(build_module(path, checkpoint), path)
    taught = module if isinstance(module, TextConditioned) and module.damsm is not None else None
    if damsm is not None and taught is not None:
        try:
            taught.text_encoder.load_state_dict(damsm.text_encoder.state_dict())
        except RuntimeError as error:
            raise UserError(
                f"{path} was not trained with the text encoder of the first --damsm (other sizes): "
                "name the one that it was trained against first"
            ) from error
    module.averages.clear()  # they were taken before the text encoder came
    card = SubjectCard(
        "untrained",
        f"{label_of(path)}, untrained",
        str(path),
        content_sha256(module),
        module=class_path_of(module),
        weights="raw",
        seed=seed,
    )
    subject = GeneratedSubject(module.eval().requires_grad_(False), card)
    if damsm is None and taught is not None:
        subject.notes.append("its text encoder is random, because no --damsm was given")
    return subject


def _adversarial(module: SuiteModule, path: str | Path) -> DrawingModule:
    if not isinstance(module, DrawingModule):
        raise UserError(f"{path} holds {type(module).__name__}, which draws nothing; give a generator")
    return module
