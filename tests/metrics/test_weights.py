import hashlib
import socket
import time
from pathlib import Path

import pytest
import torch

from t2igan.errors import UserError
from t2igan.metrics import weights
from t2igan.metrics.weights import PUBLISHED, PublishedWeights, file_sha256, resolve_weights

CONTENT = b"weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A published file at tmp_path/origin, an empty folder and an empty cache of torch.hub."""
    origin = tmp_path / "origin" / "net-abc.pth"
    origin.parent.mkdir()
    origin.write_bytes(CONTENT)
    published = PublishedWeights(("net-abc.pth", "other-name.pth"), origin.as_uri(), SHA256[:8])
    monkeypatch.setitem(weights.PUBLISHED, "net", published)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub_home"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    cache = tmp_path / "hub_home" / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    return origin, tmp_path / "checkpoints", cache


def test_sha256_of_a_file(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(CONTENT * 500)
    assert file_sha256(path) == hashlib.sha256(CONTENT * 500).hexdigest()


def test_explicit_path_comes_first(places):
    origin, folder, _ = places
    assert resolve_weights("net", folder, path=origin) == (origin, SHA256)
    with pytest.raises(UserError, match=r"missing\.pth: no such file"):
        resolve_weights("net", folder, path=folder / "missing.pth")


@pytest.mark.parametrize("file", ["net-abc.pth", "other-name.pth"])
def test_folder_comes_before_the_cache_and_the_cache_before_the_net(places, file):
    origin, folder, cache = places
    origin.unlink()
    (cache / file).write_bytes(CONTENT)
    assert resolve_weights("net", folder) == (cache / file, SHA256)
    folder.mkdir()
    (folder / file).write_bytes(CONTENT)
    assert resolve_weights("net", folder) == (folder / file, SHA256)


def test_download_goes_to_the_folder(places):
    _, folder, _ = places
    path, sha256 = resolve_weights("net", folder)
    assert (path, sha256) == (folder / "net-abc.pth", SHA256)
    assert path.read_bytes() == CONTENT


def test_nowhere_is_one_line_with_file_source_and_folder(places):
    origin, folder, cache = places
    origin.unlink()
    for download in (True, False):
        with pytest.raises(UserError) as raised:
            resolve_weights("net", folder, download=download)
        line = str(raised.value)
        assert "\n" not in line
        for part in ("net-abc.pth", origin.as_uri(), str(folder), str(cache)):
            assert part in line
    assert not list(folder.glob("*"))


def test_a_net_that_does_not_answer_is_given_up_soon(places, monkeypatch):
    _, folder, _ = places
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/net-abc.pth"
        monkeypatch.setitem(weights.PUBLISHED, "net", PublishedWeights(("net-abc.pth",), url, SHA256[:8]))
        monkeypatch.setattr(weights, "DOWNLOAD_TIMEOUT", 0.3)
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        start = time.perf_counter()
        with pytest.raises(UserError, match="download failed"):
            resolve_weights("net", folder)
        assert time.perf_counter() - start < 5
    assert socket.getdefaulttimeout() is None


def test_wrong_content_is_refused_wherever_it_lies(places):
    origin, folder, cache = places
    truncated = CONTENT[:-1]
    origin.write_bytes(truncated)
    with pytest.raises(UserError, match=r"download failed.*invalid hash"):
        resolve_weights("net", folder)
    assert not (folder / "net-abc.pth").exists()
    (cache / "net-abc.pth").write_bytes(truncated)
    with pytest.raises(UserError, match="truncated or another"):
        resolve_weights("net", folder)
    with pytest.raises(UserError, match="truncated or another"):
        resolve_weights("net", folder, path=origin)


def test_own_weights_pass_when_asked(places):
    origin, folder, _ = places
    origin.write_bytes(b"mine")
    expected = hashlib.sha256(b"mine").hexdigest()
    assert resolve_weights("net", folder, path=origin, verify=False) == (origin, expected)


def test_the_readme_of_the_folder_names_every_file():
    page = (Path(__file__).parents[2] / "checkpoints" / "README.md").read_text()
    assert [each.files[0] for each in PUBLISHED.values() if f"`{each.files[0]}`" not in page] == []
