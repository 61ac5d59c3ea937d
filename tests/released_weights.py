"""State dicts in the form of the original code, filled by the rule of the golden vectors."""

import json
import pickle

import torch
from golden_fill import GOLDEN_FOLDER, fill_array

from t2igan.interop.kinds import KINDS
from t2igan.interop.official import official_names
from t2igan.metrics import weights
from t2igan.metrics.weights import PublishedWeights, file_sha256

CASCADE = {"image_size": 32, "channels": 2, "noise_dim": 5, "sentence_dim": 8, "eps_dim": 3}
ONE_STAGE = {"image_size": 16, "channels": 2, "noise_dim": 5, "sentence_dim": 8}

# Small networks of every kind: arguments that can be read from their tensors again.
SMALL = {
    "damsm-text-encoder": {"vocabulary_size": 9, "dim": 8, "embedding_dim": 6},
    "damsm-image-encoder": {"dim": 3},
    "stream-cnn": {"dim": 3},
    "stream-rnn": {"vocabulary_size": 9, "embedding_dim": 3, "hidden_dim": 4},
    "mirrorgan-generator": {**CASCADE, "stages": 3, "residual_blocks": 1},
    "dmgan-generator": {**CASCADE, "stages": 2, "residual_blocks": 3},
    "attndcgan-generator": {**CASCADE, "stages": 2, "residual_blocks": 0},
    "attngan-generator": {**CASCADE, "stages": 3, "residual_blocks": 2},
    "ssagan-generator": {**ONE_STAGE, "mask_channels": 7},
    "ssagan-discriminator": {"image_size": 32, "channels": 2, "sentence_dim": 8, "widest": 4},
    "dfgan": {
        "generator": {**ONE_STAGE, "image_size": 32},
        "discriminator": {"image_size": 64, "channels": 2, "sentence_dim": 8, "widest": 8},
    },
    "dfgan-legacy-generator": ONE_STAGE,
    "attngan-discriminator": {"image_size": 128, "channels": 4, "sentence_dim": 8, "conditional_only": False},
    "dmgan-discriminator": {"image_size": 256, "channels": 4, "sentence_dim": 8, "conditional_only": True},
}


def golden_fill(name, shape, gain):
    return torch.from_numpy(fill_array(name, shape, gain))


def random_fill(name, shape, _):
    """Quick, for large networks."""
    if name.endswith("num_batches_tracked"):
        return torch.randint(1000, shape)
    return torch.rand(shape) + 0.5


def released_state(kind, arguments=None, gain=1.0, prefix="", counters=True, fill=golden_fill):
    """What the original code would have saved of a network of these arguments; default: the small one.

    DF-GAN's container has an epoch and optimisers too.
    """
    with torch.device("meta"):
        network = KINDS[kind].build(SMALL[kind] if arguments is None else arguments, {})
    own = network.state_dict()
    nets = {}
    for name, key in official_names(kind, network).items():
        if name.endswith("num_batches_tracked") and not counters:
            continue
        net, _, inner = name.partition(".") if kind == "dfgan" else ("", "", name)
        nets.setdefault(net, {})[prefix + inner] = fill(inner, own[key].shape, gain)
    if kind != "dfgan":
        return nets[""]
    return {"model": nets, "optimizers": {"optimizer_G": {"state": {}, "lr": 1e-4}}, "epoch": 1220}


def manifest(component, module):
    """Name -> shape of a released network's tensors, and its number of parameters."""
    content = json.loads((GOLDEN_FOLDER / "manifests" / f"{component}.json").read_text())["modules"][module]
    return {name: tuple(shape) for name, (shape, _) in content["state"].items()}, content["parameters"]


def assert_same(one, other):
    """Nested dicts with the same keys in the same order, and equal tensors of one type."""
    assert type(one) is dict or isinstance(one, type(other))
    if not isinstance(one, dict):
        assert one == other
        return
    assert list(one) == list(other)
    for key, value in one.items():
        if isinstance(value, torch.Tensor):
            assert value.dtype == other[key].dtype
            assert torch.equal(value, other[key])
        else:
            assert_same(value, other[key])


def write_captions_pickle(path, words):
    """A ``captions.pickle`` with these words (``<end>`` first) and one caption a split."""
    captions = [[1, 2]]
    by_number = dict(enumerate(words))
    content = [captions, captions, by_number, {word: number for number, word in by_number.items()}]
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


def publish(monkeypatch, name, path):
    """Let a made-up file pass as the published one."""
    entry = PublishedWeights((path.name,), "https://nowhere", file_sha256(path)[:8])
    monkeypatch.setitem(weights.PUBLISHED, name, entry)
