import re
from pathlib import Path

import numpy as np
import pytest
import torch

from t2igan.cli.main import main
from t2igan.errors import UserError
from t2igan.interop.onnx import UnpackedEncoder, write_onnx
from t2igan.models.suite_module import load_module
from t2igan.text.encoder import TextEncoder
from t2igan.zoo import zoo_names

onnxruntime = pytest.importorskip("onnxruntime")


PAGE = Path(__file__).parents[2] / "docs" / "export.md"


WORDS = 7


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_encoder_without_packing_is_the_encoder(cell):
    torch.manual_seed(3)
    encoder = TextEncoder(vocabulary_size=20, dim=12, embedding_dim=5, cell=cell).eval()
    lengths = torch.tensor([6, 1, 4])
    captions = torch.randint(1, 20, (3, 6)) * (torch.arange(6) < lengths[:, None])
    wanted, given = encoder(captions, lengths), UnpackedEncoder(encoder).eval()(captions, lengths)
    for name in ("sentence", "words", "padding"):
        torch.testing.assert_close(getattr(given, name), getattr(wanted, name), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in zoo_names() if "gan" in name])
def test_onnxruntime_draws_the_same_image(name, tmp_path):
    module, file = load_module(name).eval(), tmp_path / "model.onnx"
    assert write_onnx(module, file, "ema", WORDS) == file.stat().st_size
    session = onnxruntime.InferenceSession(str(file))
    images = []
    for length in (WORDS, 1, 4):
        captions = torch.zeros(1, WORDS, dtype=torch.int64)
        captions[0, :length] = torch.arange(3, 3 + length)
        noise = torch.randn(1, module.generator.random_dim, generator=torch.Generator().manual_seed(length))
        lengths = torch.tensor([length])
        wanted = module.synthesise(noise, captions[:, :length], lengths).images[-1].numpy()
        fed = {"noise": noise.numpy(), "captions": captions.numpy(), "lengths": lengths.numpy()}
        (drawn,) = session.run(["images"], fed)
        assert np.abs(drawn - wanted).max() < 1e-4
        images.append(drawn)
    assert np.abs(images[0] - images[1]).max() > 0.1


def test_the_page_s_lines_draw(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["export", "zoo:drawn-birds/ssagan", "--to", "onnx", "--out", "model.onnx"])
    told = capsys.readouterr().out
    assert "SSAGAN of captions of at most 18 words" in told
    assert "next:" not in told and "to go on: docs/export.md" in told
    (lines,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    said: dict = {}
    exec(lines, said)  # of this repository
    images = said["images"]
    assert images.shape == (1, 3, 64, 64) and np.abs(images).max() <= 1
    assert said["words"][said["ids"][2]] == "red" and images[0, 0].mean() != images[0, 2].mean()


def test_what_is_no_gan_of_captions_is_refused(tmp_path):
    with pytest.raises(UserError, match="not EvaluationClassifier"):
        write_onnx(load_module("zoo:drawn-birds/classifier"), tmp_path / "a.onnx", "ema", 5)
    assert not list(tmp_path.iterdir())
