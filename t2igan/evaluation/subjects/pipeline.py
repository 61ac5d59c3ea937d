"""Load a ``trecs-lite`` pipeline from a YAML file, and score its images."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from t2igan.data.selection import Numbers
from t2igan.data.store import Store, open_store
from t2igan.errors import UserError
from t2igan.evaluation.images.gallery import Gallery
from t2igan.evaluation.images.generate import NumberedImages, batches, protocol_noise, whole_rows
from t2igan.evaluation.plan import ImagePlan
from t2igan.evaluation.protocol import Protocol, hash_of
from t2igan.evaluation.record import SubjectCard
from t2igan.evaluation.subjects.base import Subject
from t2igan.evaluation.subjects.chosen import checkpoint_of, checkpoint_or_folder
from t2igan.evaluation.subjects.generated import load_generator
from t2igan.layout.composing import Composer, Scale
from t2igan.layout.mask_bank import MaskBank
from t2igan.layout.retrieval import TfidfIndex
from t2igan.models.drawing import DrawingModule
from t2igan.models.dual_encoders import EncodedImages, load_dual_encoder
from t2igan.models.suite_module import content_sha256, load_module
from t2igan.models.tagger import Tagger
from t2igan.models.trecs import Retriever, Trace, TrecsPipeline
from t2igan.nn.config import class_path_of
from t2igan.nn.images import generated_uint8
from t2igan.plain_files import read_yaml
from t2igan.schema import FromFile, at_least, checked_mapping, read_as

TFIDF = "tfidf"


@dataclass(frozen=True)
class PipelineFile(FromFile):
    """Schema of a pipeline's YAML file.

    Attributes:
        tagger: checkpoint or run of a tagger.
        bank: store whose training images are searched and provide the masks.
        generator: checkpoint or run of a layout generator.
        retriever: ``tfidf``, the checkpoint or run of a DAMSM, or the folder of a CLIP.
        trace: source of the hulls: ``real``, ``oracle`` or ``none``.
        k: retrieved images whose masks are candidates.
        scale: scale of things: ``kept`` or ``fitted``.
    """

    tagger: str
    bank: str
    generator: str
    retriever: str = TFIDF
    trace: Trace = "real"
    k: int = at_least(1, 5)
    scale: Scale = "kept"


def read_pipeline_file(path: str | Path) -> PipelineFile:
    """Read a pipeline's YAML file.

    Raises:
        UserError: the file is missing, or a key is missing, unknown or of a wrong kind.
    """
    example = "tagger: runs/tagger/checkpoints/last.ckpt"
    return read_as(PipelineFile, checked_mapping(read_yaml(path), path, example), path)


def load_tagger(path: str | Path) -> Tagger:
    """Load the tagger from a checkpoint or the folder of its run.

    Raises:
        UserError: the checkpoint holds something else.
    """
    module = load_module(checkpoint_of(path))
    if not isinstance(module, Tagger):
        raise UserError(f"{path} holds a {type(module).__name__}, not a Tagger")
    return module


def load_retriever(name: str, gallery: Gallery) -> tuple[Retriever, str]:
    """Load a text-to-image retriever over a gallery; returns it with the sha256 of its network.

    Args:
        name: ``tfidf``, the checkpoint or run of a DAMSM, or the folder of a CLIP.
        gallery: images to search.
    """
    if name == TFIDF:
        return TfidfIndex(gallery.texts()), hash_of({"retriever": TFIDF})
    encoder = load_dual_encoder(checkpoint_or_folder(name))
    return EncodedImages(encoder, gallery.batches()), encoder.sha256


@dataclass(frozen=True)
class LoadedPipeline:
    """A pipeline with the identity of its parts.

    Attributes:
        pipeline: ready to run.
        generator: generator of the pipeline.
        parts: sha256 (hex) of each part's content by name; ``bank`` is a store's fingerprint.
        options: the other options of its file.
    """

    pipeline: TrecsPipeline
    generator: DrawingModule
    parts: dict[str, str]
    options: dict[str, Any]

    @property
    def sha256(self) -> str:
        """sha256 of everything that its images depend on."""
        return hash_of({"parts": self.parts, "options": self.options})


def load_pipeline(path: str | Path) -> LoadedPipeline:
    """Load the pipeline whose parts a YAML file names.

    Raises:
        UserError: the file or one of its parts is missing, damaged or of another kind; or they do not fit together.
    """
    named = read_pipeline_file(path)
    generator, tagger = load_generator(named.generator), load_tagger(named.tagger)
    gallery = Gallery(open_store(named.bank), "train", generator.generator.image_sizes[-1])
    retriever, retriever_sha256 = load_retriever(named.retriever, gallery)
    pipeline = TrecsPipeline(
        tagger,
        retriever,
        MaskBank(gallery, gallery.size),
        Composer(named.k, named.scale),
        named.trace,
        generator,
    )
    parts = {
        "tagger": content_sha256(tagger),
        "retriever": retriever_sha256,
        "bank": gallery.store.fingerprint,
        "generator": content_sha256(generator),
    }
    options = {key: value for key, value in asdict(named).items() if key in ("trace", "k", "scale")}
    return LoadedPipeline(pipeline, generator, parts, options)


class PipelineSubject(Subject):
    """Images generated by a pipeline from a narrative of each planned caption's image.

    The j-th caption of an image corresponds to its j-th narrative, cyclically.

    Args:
        path: path of the YAML file.
        weights: weights of the generator, ``ema`` or ``raw``.
    """

    has_floats = True

    def __init__(self, path: str | Path, weights: Literal["ema", "raw"]) -> None:
        self._loaded = load_pipeline(path)
        module = self._loaded.generator
        self._noise_dims = module.generator.noise_dim, module.generator.eps_dim
        self._weights: Literal["ema", "raw"] = weights if module.averages else "raw"
        self.card = SubjectCard(
            "pipeline",
            Path(path).stem,
            str(path),
            self._loaded.sha256,
            class_path_of(self._loaded.pipeline),
            self._weights,
            generator=class_path_of(module.generator),
            parts=self._loaded.parts,
        )
        self.notes = [f"{name}: {value}" for name, value in self._loaded.options.items()]
        if self._loaded.pipeline.trace == "oracle":
            self.notes.append("hulls come from the gold maps of the very images that are scored")

    def check(self, protocol: Protocol, store: Store) -> None:
        """Check the canvas size, and that all images of the split have narratives."""
        size = self._loaded.pipeline.bank.size
        if size != protocol.image_size:
            raise UserError(
                f"{self.card.path} generates {size} px, but protocol {protocol.name} is for {protocol.image_size} "
                "px: choose a protocol of that size"
            )
        split = store.split(protocol.split)
        told = Gallery(store, protocol.split, size)
        if len(told) < len(split):
            raise UserError(
                f"{store.path}: {len(split) - len(told)} of {len(split)} {protocol.split} images have no "
                "narrative or no layout; prepare a store where all have"
            )

    def images(
        self,
        protocol: Protocol,
        store: Store,
        plan: ImagePlan,
        numbers: Numbers,
        batch_size: int,
        device: torch.device,
    ) -> Iterator[NumberedImages]:
        """Tag, retrieve, compose and synthesise each narrative."""
        pipeline = self._loaded.pipeline
        pipeline.to(device)
        told_of = Gallery(store, protocol.split, pipeline.bank.size)
        for batch in batches(numbers, batch_size):
            told = [told_of.narrative(int(caption)) for caption in plan.captions[batch]]
            gold = None
            if pipeline.trace == "oracle":
                gold = [told_of[int(image)] for image in told_of.split.caption_images[plan.captions[batch]]]
            whole = whole_rows(np.arange(len(batch)))
            composed = pipeline.compose(told, gold)
            rows = batch[whole]
            noise = protocol_noise(plan.captions[rows], plan.draws[rows], *self._noise_dims, protocol)
            texts = [told[place].words for place in whole]
            images = pipeline.synthesise([composed[place] for place in whole], noise, texts, self._weights)
            images = images[: len(batch)]
            yield NumberedImages(
                torch.from_numpy(batch), generated_uint8(images, protocol.quantisation), images.float()
            )
