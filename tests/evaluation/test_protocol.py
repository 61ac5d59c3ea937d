import subprocess
import sys
from typing import get_args, get_type_hints

import pytest
import yaml

from t2igan.errors import UserError
from t2igan.evaluation.metrics.frechet import FID
from t2igan.evaluation.metrics.r_precision import DAMSMRPrecision
from t2igan.evaluation.protocol import load_protocol, protocol_names
from t2igan.metrics.backbones import Flavour, Resize
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


def test_shipped_protocols_name_their_source():
    for name in protocol_names():
        if name not in ("drawn-birds/quick", "cub/small"):
            assert load_protocol(name).source, name


def test_each_paper_has_a_protocol_for_both_data_sets():
    papers = ("attngan", "dmgan", "dfgan", "ssagan", "mirrorgan", "tise", "t2igan")
    assert {f"{data}/{paper}" for data in ("cub", "coco") for paper in papers} <= set(protocol_names())


# A change here parts the records of before from those to come: only where what is measured has changed.
HASHES = {
    "coco/attngan": "1e5d6e43fd14df56ac54928e5bad53e1d145462270ea93cf48dbaa666e3ec33b",
    "coco/dfgan": "b61a77dfe0b6893ff377d7294d6d06ad906e4da3f1c4d5c20d73446053512c57",
    "coco/dmgan": "e55ee3d10fbfcd3ca5a6ae94e122cb788141745b41e8568d3770b22511913581",
    "coco/mirrorgan": "2318ca71c0f396dd986df62e35a3225595fa3bea505b4e3251d4738711415200",
    "coco/ssagan": "6e3e4fd5814622aa9c803269dc1e63f7d42138f3605d56d6fb95de3a99529bd0",
    "coco/spatext": "7832ad66a4f19728b0fb8ad7b56ca400d3cc5adfe3a1f7db73cb9b525b883202",
    "coco/t2igan": "454c46409a889534d1aaeb19f87bde19a0818c28cb8b530197566179c5afe057",
    "coco/tise": "e7e07dce267c460701e86a3c8b8a21c50d4ed541d60f9a1f94adf5e4683b93ee",
    "coco/trecs": "b3b4f4531a9b91426369595cd6967d290bba3abcd7cbd0f03507299f467e1f10",
    "cub/attngan": "d5c3dc843c1126feae19da86eb0531db204cff447808fbeb5a57c597c37d0924",
    "cub/dfgan": "5c7c1d7f918e4138693f4820224f15fd17f42859670ba39c41ac769f7ba3d6d5",
    "cub/dmgan": "8c000856db86416bd62af93253cd6737a9e87ec4bf15d8af11580ed931b632fe",
    "cub/mirrorgan": "b769c81dbd991c8fd0983404c5b3ca9c89113d57a5e15242af89e219bc58fcd9",
    "cub/small": "5351cc2c24fe90847dd9ba4c6e758b0adcf13a10c9cb47fb3e57d86f4e6acdf7",
    "cub/ssagan": "6998086d60fdede2b34f9f93f67d65be83639169ae2c06f7d188d6c046523f3e",
    "cub/t2igan": "88a4b43b8e2e6cf127f61d913d4dc9dc7c4f40e7a41524c33ddb751ddb8d36cf",
    "cub/tise": "26bbea1497b29a12348a29639379c19c9bdcb0f1383c5a863927d7113d29c75c",
    "drawn-birds/quick": "8fb7b647c87cda7a9da90d15b802f00b9303e1b95fa997ab1a941ebfef811e10",
    "drawn-birds/zoo": "b1c20c82a334e9c69bb86ed103b8c7ad5e232b276ce53d3645e3587bd780656a",
    "folder/small": "385098cfea2ad5a75b765c6161d661d8e4c9e4c20d3a3c184bc17a6ece207092",
    "folder/t2igan": "d11c6b15e1c71eb9baae2715ef22d23a557086d25f78710b1791e24010ab2133",
    "scenes/quick": "ce1c24934d34201ce5ca3be70bfaaf9d12305921b8b7af8dfb3a11ebadb2b60c",
    "scenes/spatext": "a9693d3bb7f0de14f88aa37e3138018debe0fdda1bcd52572176c037b4b92e6b",
    "scenes/spatext-box": "685fd7f4f27fdac4f4d50b985e256ed9a002ed7190d7a157ca736d41e35de65c",
    "scenes/spatext-dilated": "66b24848f60e056b4057ea84eee5e9dc5f510f8732e02fe0411358daa6171a5c",
    "scenes/spatext-ellipse": "59f8550c6b3a86fd6238fffefdd7d2f558046fe6890b1f73a643871991953ab3",
    "scenes/spatext-eroded": "f3a809e355c470c5597d239c2237c7c8bbd49527e0f26517148d46e1dbc3026d",
    "scenes/trecs": "418cc1572793172a210e9f6a6025bc896e0ff8620e81b94ce0709b5b5251aa1e",
}


@pytest.mark.parametrize("name", protocol_names())
def test_hashes_of_shipped_protocols_are_pinned(name):
    assert load_protocol(name).hash == HASHES[name]


def test_the_source_is_no_part_of_the_hash(tmp_path):
    plain = load_protocol(write(tmp_path, BASE))
    sourced = load_protocol(write(tmp_path, BASE | {"source": "a paper"}, "sourced.yaml"))
    assert (sourced.source, sourced.hash) == ("a paper", plain.hash)


def test_a_whole_number_is_a_number(tmp_path):
    hashes = {load_protocol(write(tmp_path, BASE | {"truncation": value})).hash for value in (2, 2.0)}
    assert len(hashes) == 1


@pytest.mark.parametrize("name", protocol_names())
def test_every_protocol_names_its_source(name):
    assert load_protocol(name).source


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
        {"captions": "random"},
        {"captions_seed": 1},
        {"passes": 1},
        {"loader_batch": 10},
        {"truncation": 2.0},
        {"noise_scale": 0.88},
        {"conditioning": "zero"},
        {"reference_split": "train"},
        {"reference_images": "full"},
        {"reference_count": 5},
        {"reference_seed": 1},
        {"bootstrap": 10},
        {"bootstrap_seed": 1},
        {"confidence": 0.9},
        {"metrics": [{"name": "r-precision", "negatives": "fixed"}]},
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
        ({"metrics": [{"name": "lpips"}]}, "metrics[0].name: 'lpips' is not one of clip-r-precision"),
        ({"truncation": -1}, "truncation: -1.0 is below 0"),
        ({"metrics": [{"name": "is", "temperature": 0}]}, "metrics[0].temperature: 0.0 is below 1e-06"),
        ({"metrics": [{"name": "kid", "flavour": "fid"}]}, "metrics[0].flavour: 'fid' is not one of"),
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
    with pytest.raises(UserError, match=r"broken\.yaml, line 2: not YAML") as error:
        load_protocol(str(tmp_path / "broken.yaml"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["cub/nothing", "../protocols/cub/small", "nowhere.yaml", ""])
def test_an_unknown_protocol_is_refused_with_where_those_there_are_stand(name):
    with pytest.raises(UserError, match="t2igan list protocols has them all"):
        load_protocol(name)


@pytest.mark.parametrize(
    "change",
    [
        {"flavour": "tf-2015"},
        {"resize": "clean"},
        {"source": "float"},
        {"statistics": "x.npz"},
        {"loader_batch": 50},
    ],
)
def test_every_choice_of_a_metric_changes_the_hash(tmp_path, change):
    hashes = {
        load_protocol(write(tmp_path, BASE | {"metrics": [{"name": "fid", **options}]})).hash
        for options in ({}, change)
    }
    assert len(hashes) == 2


def test_choices_are_those_of_the_metrics():
    assert get_type_hints(FID)["flavour"] == Flavour
    assert set(get_args(get_type_hints(FID)["resize"])) == {"flavour", *get_args(Resize)}
    assert get_type_hints(DAMSMRPrecision)["fold_mode"] == FoldMode
    assert set(get_args(get_type_hints(DAMSMRPrecision)["negatives"])) == set(get_args(NegativesPolicy))


def test_protocols_are_listed_without_torch():
    code = (
        "import sys; from t2igan.evaluation.protocol import protocol_names;"
        "protocol_names(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
