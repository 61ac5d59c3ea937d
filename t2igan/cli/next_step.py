"""Suggestions of the next command, complete and ready to be typed."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from t2igan.benchmark.lacking import KEYS
from t2igan.data.store import Store, open_store
from t2igan.evaluation.features.networks import ClassifierSource, DamsmSource
from t2igan.evaluation.identity import read_config, run_folder_of
from t2igan.evaluation.protocol import load_protocol, protocol_names
from t2igan.models.suite_module import SuiteModule
from t2igan.nn.config import allowed_words
from t2igan.plain_files import read_yaml
from t2igan.shipped import (
    batch_option,
    damsm_training,
    experiment_names,
    find_experiment,
    known_experiment,
    training_of,
)

EXAMPLE = "a small red bird"
UNSURE = "t2igan evaluate --help says how it is scored"
# Command that uses a network without images, if its training data is unknown or gone.
USES = {
    "DAMSM": "t2igan fit with --model.damsm {0} trains a generator on it, t2igan evaluate with --damsm {0} scores",
    "STREAM": "t2igan caption --checkpoint {0} --images FOLDER; a MirrorGAN's YAML names it as `captioner`",
    "EvaluationClassifier": "t2igan evaluate with --classifier {0} scores with it",
    "SegmentEncoder": "t2igan fit with --model.encoder {0} trains a prior or a SpaText generator on it, t2igan "
    "evaluate with --encoder {0} scores with another one's",
    "SegmentPrior": "t2igan fit with --model.prior {0} trains a SpaText generator on it, t2igan evaluate with "
    "--prior none scores that without it",
    "Tagger": "t2igan tag --checkpoint {0} --narratives FILE",
    "Segmenter": "t2igan evaluate with --segmenter {0} scores with it",
}
# Options filled in here, and the kind of network that each takes.
SCORING = {"--damsm": DamsmSource, "--classifier": ClassifierSource}
# The shipped system of each data set that is proposed after a DAMSM was trained.
SYSTEM = "ssagan"
# Marks the run of a DAMSM that scores generators trained against another DAMSM.
INDEPENDENT = "independent"
SCORES_TOO = "t2igan evaluate with --damsm DAMSM --damsm {0}, behind the one that the generator was trained against"


def use_of(checkpoint: str, module: SuiteModule) -> str:
    """The command that uses a network which generates no images.

    Args:
        checkpoint: file of the suite, as it is named in the command.
        module: what it holds.
    """
    kind = next((each.__name__ for each in type(module).__mro__ if each.__name__ in USES), None)
    if kind is None:
        return f"name {checkpoint} in the YAML of what needs {type(module).__name__}"
    data = (read_config(checkpoint) or {}).get("data") or {}
    told = SCORES_TOO if kind == "DAMSM" and _is_independent(checkpoint) else USES[kind]
    return _use_on(kind, checkpoint, data) or told.format(shlex.quote(checkpoint))


def _is_independent(checkpoint: str) -> bool:
    return INDEPENDENT in (run_folder_of(checkpoint) or Path(checkpoint)).name


def _use_on(kind: str, checkpoint: str, data: Mapping[str, Any]) -> str | None:
    """The command that uses a network on its training data, None if there is none."""
    options = data.get("init_args") or {}
    if kind == "DAMSM" and _is_independent(checkpoint):
        return None  # it must stay independent: no generator is trained against it
    if kind == "Tagger" and options.get("files"):
        return f"t2igan tag {shlex.join(['--checkpoint', checkpoint, '--narratives', options['files']])}"
    store = options.get("store")
    if not store or not Path(store).is_file():
        return None
    if kind == "STREAM":
        return f"t2igan caption {shlex.join(['--checkpoint', checkpoint, '--store', store])}"
    if kind == "EvaluationClassifier":
        networks = ["--classifier", checkpoint]
        return scoring_on(open_store(store), options["image_size"], ["--real"], networks, nothing="") or None
    experiment = _system_for(data) if kind == "DAMSM" else None
    if experiment is None:
        return None
    words = ["--config", experiment, "--model.damsm", checkpoint, "--data.store", store]
    words += batch_option(experiment, len(open_store(store).split("train")))
    folder = run_folder_of(checkpoint)
    return f"t2igan fit {shlex.join([*words, '--run', str(Path(folder or '.').parent / SYSTEM)])}"


def _system_for(data: Mapping[str, Any]) -> str | None:
    """The shipped experiment that trains :data:`SYSTEM` on this data set at this size."""
    for name in experiment_names():
        if name.rpartition("/")[2].removesuffix("-64") != SYSTEM:
            continue
        theirs = read_yaml(Path(find_experiment(name)))["data"]
        same_kind = theirs["class_path"].rpartition(".")[2] == str(data.get("class_path")).rpartition(".")[2]
        keys = {"image_size", "captions"} & theirs["init_args"].keys()
        if same_kind and all(theirs["init_args"][key] == data["init_args"].get(key) for key in keys):
            return f"experiments/{name}.yaml"
    return None


def scoring(checkpoint: str, image_size: int) -> str:
    """The command that scores a checkpoint on its training store; if that is gone, a pointer to the documentation.

    Args:
        checkpoint: file of the suite, as it is named in the command.
        image_size: side of its images.
    """
    config = read_config(checkpoint) or {}
    data, model = ((config.get(key) or {}).get("init_args") or {} for key in ("data", "model"))
    store, damsm = data.get("store"), model.get("damsm")
    networks = ["--damsm", damsm] if damsm and Path(damsm).is_file() else []
    if store and Path(store).is_file():
        return scoring_on(open_store(store), image_size, ["--checkpoint", checkpoint], networks)
    return UNSURE


def scoring_on(
    store: Store, image_size: int, subject: Sequence[str], networks: Sequence[str] = (), nothing: str = UNSURE
) -> str:
    """The command that scores a subject on a store, preferring the suite's own protocol for its data and size.

    Args:
        store: store of the data set.
        image_size: side of the subject's images.
        subject: options of `t2igan evaluate` that name the subject.
        networks: options of `t2igan evaluate` that name the scoring networks.
        nothing: message to return if no protocol fits.
    """
    pinned = map(load_protocol, protocol_names())
    found = [each for each in pinned if (each.dataset, each.image_size) == (store.name, image_size)]
    if "--pipeline" in subject:
        found.sort(key=lambda each: each.told != "narratives")
    fitting = [each.name for each in found]
    if not fitting:
        return nothing
    own = [name for name in fitting if name.endswith("/t2igan") and "--pipeline" not in subject]
    protocol, networks = [*own, *fitting][0], list(networks)
    given = {kind for option, kind in SCORING.items() if option in networks}
    if all(type(spec.network()) in {*KEYS} - given for spec in load_protocol(protocol).metrics):
        classifier = _classifier_for(store)
        if classifier is None:
            return nothing
        if not Path(classifier).is_file():
            return f"{training_of(classifier)} --data.store {shlex.quote(str(store.path))}  # scores its images"
        networks += ["--classifier", classifier]
    words = [*subject, "--protocol", protocol, "--store", str(store.path), *networks, *allowed_words()]
    return f"t2igan evaluate {shlex.join(words)} --skip_missing true"


def _classifier_for(store: Store) -> str | None:
    """Where the shipped experiment of a data set's evaluation classifier leaves it, None where there is none."""
    for name in experiment_names():
        if name.rpartition("/")[2].removesuffix("-64") == "classifier":
            theirs = read_yaml(Path(find_experiment(name)))["data"]["init_args"]["store"]
            if Path(theirs).stem.rpartition("-")[0] == store.name:
                return f"runs/{name}/checkpoints/last.ckpt"
    return None


def composing(store: Store, retriever: str) -> str:
    """The command behind a retrieval: canvases of the narratives, or what these lack.

    Args:
        store: store whose images were searched.
        retriever: what searched them, as ``t2igan compose`` takes it.
    """
    tagger = f"{store.name}/trecs-tagger"
    if not {"layouts", "narratives"} <= store.holds or not known_experiment(tagger):
        own = {"drawn-birds": "quickstart"}.get(store.name, store.name)
        training = damsm_training(own if known_experiment(f"{own}/damsm") else "folder", store.image_size)
        return f"t2igan fit {training} --data.store {shlex.quote(str(store.path))}"
    checkpoint = f"runs/{tagger}/checkpoints/last.ckpt"
    if Path(checkpoint).is_file():
        words = ["--store", str(store.path), "--tagger", checkpoint, "--retriever", retriever, "--sheets", "12"]
        return f"t2igan compose {shlex.join([*words, *allowed_words()])}"
    files = read_yaml(Path(find_experiment(tagger)))["data"]["init_args"]["files"]
    if Path(f"{files}.ids.txt").is_file():
        return training_of(checkpoint)
    return f"t2igan refine {shlex.join(['--store', str(store.path), '--out', files])}"


def synthesising(store: Store) -> str:
    """The command behind canvases: trains what makes images of them, or scores its images once it is trained."""
    names = (f"{store.name}/spade", f"{store.name}/trecs-spade")
    name = next((each for each in names if known_experiment(each)), None)
    if name is None:
        return "docs/narratives.md says how images are made of canvases"
    checkpoint = f"runs/{name}/checkpoints/last.ckpt"
    pipelines = [each for each in experiment_names() if each.startswith(f"{store.name}/pipelines/")]
    fitting = [each for each in pipelines if read_yaml(Path(find_experiment(each)))["generator"] == checkpoint]
    if not Path(checkpoint).is_file():
        return f"{training_of(checkpoint)} --data.store {shlex.quote(str(store.path))}"
    if not fitting:
        return f"name {checkpoint} as the generator of a pipeline; docs/narratives.md says what that is"
    return scoring_on(store, store.image_size, ["--pipeline", f"experiments/{fitting[-1]}.yaml"])


def sampling(checkpoint: str, module: SuiteModule, out: str, store: Store | None = None) -> str:
    """The command that samples images of a checkpoint; for a layout generator, the command that uses it.

    Args:
        checkpoint: path of the checkpoint, or its name in the zoo.
        module: what it holds.
        out: folder for the images.
        store: store whose first test caption is used; without one, a caption of words from the module's vocabulary.
    """
    if "segments" in module.requires:
        return f"t2igan sample --checkpoint {checkpoint} --scene FILE; docs/open-vocabulary.md says what a scene is"
    if "layouts" in module.requires:
        return f"name {checkpoint} as the generator of a pipeline; docs/narratives.md says what that is"
    if store is not None:
        caption = store.split("test").caption_text(0)
    elif set(EXAMPLE.split()) <= {*module.vocabulary}:
        caption = EXAMPLE
    else:
        caption = " ".join(module.vocabulary[1:4])
    words = ["--checkpoint", checkpoint, "--caption", caption, "--out", out, *allowed_words()]
    return f"t2igan sample {shlex.join(words)}"
