import subprocess
import sys
from typing import get_args, get_type_hints

import pytest
import yaml

from t2igan.errors import UserError
from t2igan.evaluation.protocol import FID, RPrecision, load_protocol, protocol_names
from t2igan.metrics.backbones import Flavour
from t2igan.metrics.negatives import NegativesPolicy
from t2igan.metrics.r_precision import FoldMode

BASE = {"dataset": "cub", "image_size": 64, "images": 100, "metrics": [{"name": "r-precision"}]}


def write(tmp_path, content, name="own.yaml"):
    path = tmp_path / name
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.mark.parametrize("name", protocol_names())
def test_shipped_protocols_load(name):
    protocol = load_protocol(name)
    assert protocol.name == name
    assert protocol.dataset == name.split("/")[0]


def test_shipped_protocols_differ():
    assert {"drawn-birds/quick", "cub/t2igan", "cub/small"} <= set(protocol_names())
    assert len({load_protocol(name).hash for name in protocol_names()}) == len(protocol_names())


def test_the_hash_is_of_the_content(tmp_path):
    plain = load_protocol(write(tmp_path, BASE))
    spelled = {"metrics": [{"candidates": 100, "name": "r-precision"}], "words": 18, **BASE}
    assert load_protocol(write(tmp_path, spelled, "renamed.yaml")).hash == plain.hash


@pytest.mark.parametrize(
    "change",
    [
        {"images": 101},
        {"dataset": "drawn-birds"},
        {"image_size": 65},
        {"split": "train"},
        {"words": 17},
        {"words_seed": 1},
        {"noise_seed": 101},
        {"weights": "raw"},
        {"quantisation": "truncate"},
        {"reference": "halves"},
        {"metrics": [{"name": "r-precision", "seed": 1}]},
        {"metrics": [{"name": "r-precision"}, {"name": "fid"}]},
    ],
)
def test_every_choice_changes_the_hash(tmp_path, change):
    before = load_protocol(write(tmp_path, BASE)).hash
    assert load_protocol(write(tmp_path, BASE | change)).hash != before


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"image": 5}, "image: unknown key"),
        ({"images": "many"}, "images: 'many' is not of type int"),
        ({"images": True}, "images: True is not of type int"),
        ({"images": 1}, "images: 1 is below 2"),
        ({"weights": "best"}, "weights: 'best' is not one of ema, raw"),
        ({"metrics": []}, "metrics: must be a list"),
        ({"metrics": [{"name": "lpips"}]}, "metrics[0].name: 'lpips' is not one of fid"),
        ({"metrics": [{"name": "fid", "flavor": "tf"}]}, "metrics[0].flavor: unknown key"),
        ({"metrics": [{"name": "fid", "flavour": "tf"}]}, "metrics[0].flavour: 'tf' is not one of"),
        ({"metrics": [{"name": "r-precision", "candidates": 1}]}, "metrics[0].candidates: 1 is below 2"),
        ({"metrics": [{"name": "fid"}, {"name": "fid"}]}, "metrics: each may come once"),
        ({"name": "mine"}, "name: a protocol is named by its file"),
    ],
)
def test_wrong_keys_and_values_are_one_line(tmp_path, change, key):
    path = write(tmp_path, BASE | change)
    with pytest.raises(UserError) as error:
        load_protocol(path)
    assert str(error.value).startswith(f"{path}: {key}")
    assert "\n" not in str(error.value)


def test_a_missing_key_and_broken_yaml_are_one_line(tmp_path):
    with pytest.raises(UserError, match=r"own\.yaml: images is missing"):
        load_protocol(write(tmp_path, {key: value for key, value in BASE.items() if key != "images"}))
    (tmp_path / "broken.yaml").write_text("images: [1\nmetrics: }")
    with pytest.raises(UserError, match=r"broken\.yaml: not readable as YAML") as error:
        load_protocol(str(tmp_path / "broken.yaml"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["cub/nothing", "../protocols/cub/small", "nowhere.yaml", ""])
def test_an_unknown_protocol_is_refused_with_those_there_are(name):
    with pytest.raises(UserError, match="cub/small"):
        load_protocol(name)


def test_choices_are_those_of_the_metrics():
    assert get_type_hints(FID)["flavour"] == Flavour
    assert get_type_hints(RPrecision)["fold_mode"] == FoldMode
    assert set(get_args(get_type_hints(RPrecision)["negatives"])) == set(get_args(NegativesPolicy))


def test_protocols_are_listed_without_torch():
    code = (
        "import sys; from t2igan.evaluation.protocol import protocol_names;"
        "protocol_names(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
