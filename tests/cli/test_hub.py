"""push and pull with Hugging Face's client, a folder in the place of its hub."""

import shutil
import sys
from fnmatch import fnmatch
from pathlib import Path
from unittest.mock import create_autospec

import pytest
import torch
from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError

import t2igan
from t2igan.cli import hub
from t2igan.cli.main import main


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A hub that is a folder; calls are held against the client's own signatures."""
    root, api = tmp_path / "hub", create_autospec(HfApi, instance=True)

    def create(repo_id, private=False, exist_ok=False):
        if repo_id.count("/") > 1:
            raise HFValidationError(f"Repo id must be in the form 'namespace/repo_name': '{repo_id}'")
        (root / repo_id).mkdir(parents=True, exist_ok=exist_ok)

    def upload(repo_id, folder_path, allow_patterns, commit_message):
        for file in Path(folder_path).rglob("*"):
            if any(fnmatch(file.name, pattern) for pattern in allow_patterns):
                shutil.copyfile(file, root / repo_id / file.name)

    def download(repo_id, revision, local_dir, allow_patterns):
        Path(local_dir).mkdir(parents=True, exist_ok=True)
        for file in (root / repo_id).iterdir():
            if any(fnmatch(file.name, pattern) for pattern in allow_patterns):
                shutil.copyfile(file, Path(local_dir) / file.name)

    api.create_repo.side_effect, api.upload_folder.side_effect = create, upload
    api.snapshot_download.side_effect = download
    monkeypatch.setattr(hub, "_hub", lambda endpoint: api)
    monkeypatch.chdir(tmp_path)
    return root


def test_what_is_pushed_is_pulled(server, capsys):
    main(["push", "zoo:drawn-birds/ssagan", "me/birds"])
    assert "next: t2igan pull me/birds --out birds" in capsys.readouterr().out
    sent = {file.name for file in (server / "me" / "birds").iterdir()}
    assert sent == {*hub.FILES}
    card = (server / "me" / "birds" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: t2igan") and "t2igan pull me/birds" in card and "# SSA-GAN" in card
    (server / "me" / "birds" / "evil.py").write_text("raise SystemExit")
    main(["pull", "me/birds", "--out", "mine"])
    assert not Path("mine/evil.py").exists()
    words = ["a small red bird"]
    one, two = (
        t2igan.load(name, device="cpu").sample(words).images
        for name in ("zoo:drawn-birds/ssagan", "mine/model.safetensors")
    )
    assert torch.equal(one, two)


def test_a_run_is_exported_first(server, checkpoints):
    main(["push", str(checkpoints.generator), "me/ssagan", "--private"])
    assert {"model.safetensors", "README.md"} <= {f.name for f in (server / "me" / "ssagan").iterdir()}
    assert hub._hub(None).create_repo.call_args.kwargs == {"private": True, "exist_ok": True}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["push", "zoo:drawn-birds/ssagan", "a/b/c"], "a/b/c: Repo id must be"),
        (["push", "nothing.ckpt", "me/birds"], "no checkpoint at nothing.ckpt"),
        (["pull", "me/other", "--out", "x"], "me/other holds no model.safetensors"),
        (["pull", "me/other"], "--out is missing"),
    ],
)
def test_mistakes_are_one_line(server, words, told, capsys):
    (server / "me" / "other").mkdir(parents=True)
    (server / "me" / "other" / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(SystemExit) as stop:
        main(words)
    err = capsys.readouterr().err
    assert stop.value.code == 2 and told in err and len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "words", [["push", "zoo:drawn-birds/ssagan", "me/birds"], ["pull", "me/birds", "--out", "x"]]
)
def test_without_a_net_both_say_so(words, tmp_path, monkeypatch, capsys):
    """With the client itself: which errors it raises then is of its version."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main([*words, "--endpoint", "http://127.0.0.1:9"])  # nothing listens there
    err = capsys.readouterr().err
    assert stop.value.code == 2 and len(err.strip().splitlines()) == 1, err
    assert "the hub cannot be reached" in err and "--endpoint selects another" in err
    assert not (tmp_path / "x" / "model.safetensors").exists()


@pytest.mark.parametrize(
    "words", [["push", "zoo:drawn-birds/ssagan", "me/birds"], ["pull", "me/birds", "--out", "x"]]
)
def test_without_the_client_both_say_what_to_install(words, monkeypatch, capsys):
    for name in ("huggingface_hub", "huggingface_hub.errors"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SystemExit):
        main(words)
    assert "need `pip install 't2igan[hub]'`; huggingface_hub is not installed" in capsys.readouterr().err


def test_damage_on_the_way_is_noticed(server, capsys):
    main(["push", "zoo:drawn-birds/ssagan", "me/birds"])
    file = server / "me" / "birds" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(SystemExit):
        main(["pull", "me/birds", "--out", "mine"])
    assert "damaged" in capsys.readouterr().err
