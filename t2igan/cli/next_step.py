"""The command that comes next, whole, as it can be typed."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from t2igan.data.store import Store, open_store
from t2igan.evaluation.protocol import load_protocol, protocol_names
from t2igan.identity import read_config
from t2igan.models.suite_module import SuiteModule

EXAMPLE = "a small red bird"
# What takes the checkpoint of a network that draws nothing.
USES = {
    "DAMSM": "t2igan fit with --model.damsm {0} trains a generator on it, t2igan evaluate with --damsm {0} scores",
    "STREAM": "t2igan caption --checkpoint {0} --images FOLDER; a MirrorGAN's YAML names it as `captioner`",
    "EvaluationClassifier": "t2igan evaluate with --classifier {0} scores with it",
    "Tagger": "t2igan tag --checkpoint {0} --narratives FILE",
    "Segmenter": "t2igan evaluate with --segmenter {0} scores with it",
}


def use_of(checkpoint: str, module: SuiteModule) -> str:
    """What a network that draws nothing is for.

    Args:
        checkpoint: path.
        module: what it holds.
    """
    kind = next((each.__name__ for each in type(module).__mro__ if each.__name__ in USES), None)
    if kind is None:
        return f"name {checkpoint} in the YAML of what needs {type(module).__name__}"
    return USES[kind].format(shlex.quote(checkpoint))


def scoring(checkpoint: str, image_size: int) -> str:
    """How a checkpoint is scored on the store that it was trained on; where that is gone, where to read how.

    Args:
        checkpoint: path.
        image_size: side of its images.
    """
    config = read_config(checkpoint) or {}
    data, model = ((config.get(key) or {}).get("init_args") or {} for key in ("data", "model"))
    store, damsm = data.get("store"), model.get("damsm")
    networks = ["--damsm", damsm] if damsm and Path(damsm).is_file() else []
    if store and Path(store).is_file():
        return scoring_on(open_store(store), image_size, ["--checkpoint", checkpoint], networks)
    return "t2igan evaluate --help says how it is scored"


def scoring_on(store: Store, image_size: int, subject: Sequence[str], networks: Sequence[str] = ()) -> str:
    """How a subject is scored on a store under the first protocol of its data and size, if there is one.

    Args:
        store: store of the data set.
        image_size: side of the subject's images.
        subject: options that name it.
        networks: options that name those that score.
    """
    pinned = map(load_protocol, protocol_names())
    fitting = [each.name for each in pinned if (each.dataset, each.image_size) == (store.name, image_size)]
    if not fitting:
        return "t2igan evaluate --help says how it is scored"
    words = [*subject, "--protocol", fitting[0], "--store", str(store.path), *networks]
    return f"t2igan evaluate {shlex.join(words)} --skip_missing true"


def sampling(checkpoint: str, module: SuiteModule, out: str, store: Store | None = None) -> str:
    """How images of a checkpoint are drawn; of a generator of layouts, what takes it.

    Args:
        checkpoint: path, or name of the zoo.
        module: what it holds.
        out: folder for the images.
        store: whose first test caption is drawn; without one a caption of words that the module knows.
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
    return f"t2igan sample {shlex.join(['--checkpoint', checkpoint, '--caption', caption, '--out', out])}"
