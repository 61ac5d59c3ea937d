"""Suggestions of the next command, complete and ready to be typed; where there is none, a hint in words."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from t2igan.benchmark.lacking import KEYS
from t2igan.cli.config_checks import input_files
from t2igan.data.store import Store, open_store
from t2igan.evaluation.features.networks import ClassifierSource, DamsmSource, JointSource, SegmenterSource
from t2igan.evaluation.history import read_config, run_folder_of
from t2igan.evaluation.protocol import load_protocol, protocol_names
from t2igan.evaluation.subjects.pipeline import TFIDF
from t2igan.models.drawing import DrawingModule
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
from t2igan.zoo import is_there

EXAMPLE = "a small red bird"
UNSURE = "t2igan evaluate --help  # says how it is scored"
# What uses a network without images, if its training data is unknown or gone.
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
SCORING = {
    "--damsm": DamsmSource,
    "--classifier": ClassifierSource,
    "--encoder": JointSource,
    "--segmenter": SegmenterSource,
}
# The shipped system of each data set that is proposed after a DAMSM was trained.
SYSTEM = "ssagan"
# The shipped experiment that is trained on a network of SpaText's, and the option by which a score takes it.
SPATEXT = {"SegmentEncoder": "spatext-prior", "SegmentPrior": "spatext-gan", "Segmenter": None}
SPATEXT_OPTIONS = {"SegmentEncoder": "--encoder", "Segmenter": "--segmenter"}
# Networks that score SpaText's images beside the classifier, where the shipped experiments leave them.
SPATEXT_SCORERS = {"--encoder": "scorer", "--segmenter": "segmenter"}
# Marks the run of a DAMSM that scores generators trained against another DAMSM.
INDEPENDENT = "independent"
SCORES_TOO = "t2igan evaluate with --damsm DAMSM --damsm {0}, behind the one that the generator was trained against"


class Hint(str):
    """What can be done next, in words, where no command is complete."""


def line_of(step: str) -> str:
    """The line that a verb ends with: ``next:`` before a command that can be typed as it is, and before no hint."""
    return f"{'to go on' if isinstance(step, Hint) else 'next'}: {step}"


def use_of(checkpoint: str, module: SuiteModule) -> str:
    """The command that uses a network which generates no images, else a :class:`Hint`.

    Args:
        checkpoint: file of the suite, as it is named in the command.
        module: what it holds.
    """
    kind = next((each.__name__ for each in type(module).__mro__ if each.__name__ in USES), None)
    if kind is None:
        return Hint(f"name {checkpoint} in the YAML of what needs {type(module).__name__}")
    data = (read_config(checkpoint) or {}).get("data") or {}
    told = SCORES_TOO if kind == "DAMSM" and _is_independent(checkpoint) else USES[kind]
    return _use_on(kind, checkpoint, data) or Hint(told.format(shlex.quote(checkpoint)))


def _is_independent(checkpoint: str) -> bool:
    return INDEPENDENT in (run_folder_of(checkpoint) or Path(checkpoint)).name


def _use_on(kind: str, checkpoint: str, data: Mapping[str, Any]) -> str | None:
    """The command that uses a network on its training data, None if there is none."""
    options = data.get("init_args") or {}
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
    if kind == "DAMSM" and _is_independent(checkpoint):  # no generator is trained against it: it must stay so
        networks, told = ["--damsm", checkpoint], options.get("captions", "captions")
        return scoring_on(open_store(store), options["image_size"], ["--real"], networks, "", told) or None
    if kind in SPATEXT:
        return _use_for_segments(kind, checkpoint, open_store(store))
    experiment = _system_for(data) if kind == "DAMSM" else None
    if experiment is None:
        return None
    trainer = read_yaml(Path(find_experiment(experiment)))["trainer"]
    judges = [path for _, path in input_files(trainer) if not is_there(path)]  # they score it while it trains
    if judges:
        return f"{training_of(judges[0])} --data.store {shlex.quote(store)}"
    words = ["--config", experiment, "--model.damsm", checkpoint, "--data.store", store]
    words += batch_option(experiment, len(open_store(store).split("train")))
    folder = run_folder_of(checkpoint)
    return f"t2igan fit {shlex.join([*words, '--run', str(Path(folder or '.').parent / SYSTEM)])}"


def _use_for_segments(kind: str, checkpoint: str, store: Store) -> str | None:
    """The command that uses a network of SpaText's: trains on it if its width is the shipped one's, else scores."""
    own = ((read_config(checkpoint) or {}).get("model") or {}).get("init_args") or {}
    name = f"{store.name}/{SPATEXT[kind]}"
    if found := known_experiment(name):
        theirs = read_yaml(Path(found))["model"]["init_args"]
        if kind == "SegmentEncoder":
            fits, words = own.get("dim") == theirs["network"]["init_args"]["dim"], ["--model.encoder", checkpoint]
        else:
            width = own.get("network", {}).get("init_args", {}).get("dim")
            fits = width == theirs["generator"]["init_args"]["segment_dim"]
            words = ["--model.encoder", str(own.get("encoder")), "--model.prior", checkpoint]
        if fits:
            words = ["--config", f"experiments/{name}.yaml", *words, "--data.store", str(store.path)]
            return f"t2igan fit {shlex.join(words)}"
    if kind not in SPATEXT_OPTIONS:
        return None
    networks = [SPATEXT_OPTIONS[kind], checkpoint]
    return scoring_on(store, store.image_size, ["--real"], networks, nothing="") or None


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
    told = data.get("captions", "captions")
    if store and Path(store).is_file():
        return scoring_on(open_store(store), image_size, ["--checkpoint", checkpoint], networks, told=told)
    return UNSURE


def scoring_on(
    store: Store,
    image_size: int,
    subject: Sequence[str],
    networks: Sequence[str] = (),
    nothing: str = UNSURE,
    told: str = "captions",
) -> str:
    """The command that scores a subject on a store, preferring the suite's own protocol for its data and size.

    Args:
        store: store of the data set.
        image_size: side of the subject's images; where a network scores segments, any protocol of segments fits.
        subject: options of `t2igan evaluate` that name the subject.
        networks: options of `t2igan evaluate` that name the scoring networks.
        nothing: message to return if no protocol fits.
        told: texts that the subject or the networks were trained on: ``captions`` or ``narratives``.
    """
    told = "narratives" if "--pipeline" in subject else told
    found = [each for each in map(load_protocol, protocol_names()) if each.dataset == store.name]
    if SPATEXT_SCORERS.keys() & {*networks}:
        found = [each for each in found if each.segments]
    else:
        found = [each for each in found if each.image_size == image_size]
    found.sort(key=lambda each: (each.told != told, not each.name.endswith("/t2igan")))
    if not found:
        return nothing
    protocol, networks = found[0].name, list(networks)
    if found[0].segments:
        networks += _segment_scorers(store, networks)
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


def _segment_scorers(store: Store, given: Sequence[str]) -> list[str]:
    """Options for the trained networks of the shipped experiments that score segments, without those given."""
    words: list[str] = []
    for option, name in SPATEXT_SCORERS.items():
        folders = f"runs/{store.name}/spatext-{name}", f"runs/spatext/{name}"
        trained = [each for each in folders if Path(each, "checkpoints", "last.ckpt").is_file()]
        words += [option, trained[0]] if trained and option not in given else []
    return words


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
        return Hint("docs/narratives.md says how images are made of canvases")
    checkpoint = f"runs/{name}/checkpoints/last.ckpt"
    if not Path(checkpoint).is_file():
        return f"{training_of(checkpoint)} --data.store {shlex.quote(str(store.path))}"
    return _piping(checkpoint, store)


def _piping(checkpoint: str, store: Store | None) -> str:
    """The command behind a layout generator: scores the shipped pipeline that has it, or makes its tagger."""
    pipelines = [each for each in experiment_names() if store and each.startswith(f"{store.name}/pipelines/")]
    contents = {each: read_yaml(Path(find_experiment(each))) for each in pipelines}
    fitting = [each for each, content in contents.items() if content["generator"] == checkpoint]
    if store is None or not fitting:
        return Hint(f"name {checkpoint} as the generator of a pipeline; docs/narratives.md shows how")
    if not Path(contents[fitting[-1]]["tagger"]).is_file():
        return composing(store, TFIDF)
    return scoring_on(store, store.image_size, ["--pipeline", f"experiments/{fitting[-1]}.yaml"])


def sampling(checkpoint: str, module: DrawingModule, out: str, store: Store | None = None) -> str:
    """The command that samples images of a checkpoint; of what takes layouts or segments, the one that scores it.

    Args:
        checkpoint: path of the checkpoint, or its name in the zoo.
        module: what it holds.
        out: folder for the images.
        store: store whose first test caption is used; without one, a caption of words from the module's vocabulary.
    """
    if "segments" in module.requires:
        size, subject = module.generator.image_sizes[-1], ["--checkpoint", checkpoint]
        return (store and scoring_on(store, size, subject, nothing="")) or Hint(
            f"t2igan sample with --checkpoint {shlex.quote(checkpoint)} and --scene draws a scene, whose file "
            "docs/open-vocabulary.md shows"
        )
    if "layouts" in module.requires:
        return _piping(checkpoint, store)
    if store is not None:
        caption = store.split("test").caption_text(0)
    elif set(EXAMPLE.split()) <= {*module.vocabulary}:
        caption = EXAMPLE
    else:
        caption = " ".join(module.vocabulary[1:4])
    words = ["--checkpoint", checkpoint, "--caption", caption, "--out", out, *allowed_words()]
    return f"t2igan sample {shlex.join(words)}"
