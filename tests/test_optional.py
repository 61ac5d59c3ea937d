"""Packages that are not there, and folders of networks that are damaged."""

import sys

import pytest

from t2igan.errors import UserError
from t2igan.metrics.open_clip import OpenClipEncoder
from t2igan.models.prior import DiffusionPrior
from t2igan.models.segmenter import WEIGHTS, TransformersSegmenter
from t2igan.models.spatext_hosts import LatentHost, diffusers
from t2igan.models.transformers_tagger import _read
from t2igan.optional import library, reading
from t2igan.reporting.wandb_layout import workspace_of


def test_a_package_is_given_or_asked_for():
    assert library("json", "records", "json").loads("1") == 1
    with pytest.raises(UserError, match=r"^records need `pip install 't2igan\[x\]'`; no_such is not installed$"):
        library("no_such.part", "records", "t2igan[x]")
    with pytest.raises(UserError, match=r"^records need `pip install x`, or take paper; no_such is not installed$"):
        library("no_such", "records", "x", "take paper")


def test_a_package_that_is_there_is_not_called_missing(tmp_path, monkeypatch):
    (tmp_path / "half_a_package.py").write_text("from json import no_such_name")
    (tmp_path / "wanting.py").write_text("import no_such")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"installed but cannot be imported \(cannot import name 'no_such_name'"):
        library("half_a_package", "records", "t2igan[x]")
    with pytest.raises(UserError, match="; no_such is not installed"):
        library("wanting", "records", "t2igan[x]")


def test_what_a_library_raises_is_one_line_with_the_folder():
    with pytest.raises(UserError) as error, reading("here", "CLIP"):
        raise SystemError("a\n  long " + "x" * 200)
    assert str(error.value).startswith("here: not a readable CLIP (a long x") and len(str(error.value)) < 160


def segmenter(folder):
    (folder / WEIGHTS).write_bytes(b"")
    TransformersSegmenter(folder)


def tagger(folder):
    (folder / "config.json").write_text("{}")
    _read(folder, 3)


def host(folder):
    for name in ("unet", "vae", "text_encoder", "tokenizer"):
        (folder / name).mkdir()
    LatentHost(str(folder))


@pytest.mark.parametrize(
    ("build", "package", "remedy"),
    [
        (segmenter, "transformers", "transformers"),
        (tagger, "transformers", "transformers"),
        (host, "transformers", "'t2igan[diffusion]'"),
        (lambda folder: diffusers(), "diffusers", "'t2igan[diffusion]'"),
        (lambda folder: DiffusionPrior(), "diffusers", "'t2igan[diffusion]'"),
        (lambda folder: OpenClipEncoder(folder), "open_clip", "'t2igan[clip]'"),
        (lambda folder: workspace_of([], "me", "birds"), "wandb_workspaces", "'t2igan[wandb-layout]'"),
    ],
)
def test_a_network_without_its_package_says_what_to_install(monkeypatch, tmp_path, build, package, remedy):
    for name in [package, *(name for name in sys.modules if name.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    if package == "transformers":
        monkeypatch.setattr("t2igan.models.spatext_hosts.diffusers", lambda: None)
    with pytest.raises(UserError) as error:
        build(tmp_path)
    assert f"`pip install {remedy}`; {package} is not installed" in str(error.value)
