"""Generators as ONNX draw in onnxruntime what they draw in PyTorch."""

import pytest
import torch

from t2igan.cli.main import main
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
    ],
)
def test_mistakes_are_one_line(options, told, checkpoints, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["export", str(checkpoints.generator), *options])
    assert stop.value.code == 2 and told in capsys.readouterr().err
