"""Generators as ONNX draw in onnxruntime what they draw in PyTorch."""

import shlex

import pytest
import pytorch_lightning as pl
import torch

from t2igan.cli.main import main
from t2igan.models.damsm import DAMSM, InceptionImageEncoder
from t2igan.models.suite_module import load_module


@pytest.mark.parametrize("name", ["ssagan", "damsm"])
def test_safetensors_of_any_checkpoint_are_the_same_weights(name, checkpoints, tmp_path, capsys):
    source = {"ssagan": checkpoints.generator, "damsm": checkpoints.damsm}[name]
    out = tmp_path / "model.safetensors"
    main(["export", str(source), "--to", "safetensors", "--out", str(out)])
    told = capsys.readouterr().out
    assert ("next: t2igan sample" in told) == (name == "ssagan")
    before, after = load_module(source).eval(), load_module(out).eval()
    if name == "damsm":
        assert all(torch.equal(value, after.state_dict()[key]) for key, value in before.state_dict().items())
        return
    ids, lengths = torch.tensor([[1, 2, 3]]), torch.tensor([3])
    noise = torch.randn(1, before.generator.random_dim, generator=torch.Generator().manual_seed(0))
    assert torch.equal(*(module.synthesise(noise, ids, lengths).images[-1] for module in (before, after)))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--to", "safetensors", "--out", "a.bin"], ".safetensors"),
        (
            ["--to", "onnx", "--out", "a.onnx", "--part", "generator"],
            "--part has an effect with --to original only",
        ),
        (["--to", "safetensors", "--out", "a.safetensors", "--weights", "raw"], "remove --weights"),
        (["--out", "a.safetensors", "--weights", "raw"], "--to safetensors exports the averaged weights"),
        (["--to", "original", "--out", "a.safetensors"], "give --to safetensors, or a name such as netG.pth"),
        (["--to", "original", "--out", "a.onnx"], "give --to onnx"),
    ],
)
def test_mistakes_are_one_line(options, told, checkpoints, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["export", str(checkpoints.generator), *options])
    assert stop.value.code == 2 and told in capsys.readouterr().err


def test_the_suffix_decides_the_format_and_the_next_command_runs(checkpoints, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    main(["export", str(checkpoints.generator), "--out", "own weights.safetensors"])
    follow(capsys)
    assert (tmp_path / "drawn" / "grid.png").is_file()


@pytest.mark.parametrize("part", ["text_encoder", "image_encoder"])
def test_what_was_exported_for_the_original_code_comes_back(part, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    encoder = InceptionImageEncoder(dim=8, weights="random", align_corners=True)
    module = DAMSM(encoder, vocabulary_size=4)
    module.vocabulary = ["<end>", "a", "red", "bird"]
    module.configure_model()
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    trainer.strategy.connect(module)
    trainer.save_checkpoint("damsm.ckpt")
    main(["export", "damsm.ckpt", "--part", part, "--out", "own weights.pth"])
    follow(capsys)
    before = {"text_encoder": module.text_encoder, "image_encoder": encoder}[part].state_dict()
    back = load_module("own weights.t2igan.ckpt").network
    assert all(torch.equal(value, before[key]) for key, value in back.state_dict().items())
    assert getattr(back, "align_corners", True)


def follow(capsys):
    """Type the next command that was printed."""
    *_, line = capsys.readouterr().out.splitlines()
    main(shlex.split(line.removeprefix("next: t2igan "), comments=True))
