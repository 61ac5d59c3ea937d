"""The configurations of SpaText on drawn scenes, from the encoder to the images."""

from pathlib import Path

import pytest

from t2igan.cli.main import main

EXPERIMENTS = Path(__file__).parents[2] / "experiments" / "scenes"


def fit(name, store, *more):
    config = EXPERIMENTS / f"spatext-{name}.yaml"
    few = ["--trainer.max_steps", "1", "--trainer.limit_val_batches", "0", "--trainer.val_check_interval", "1"]
    small = ["--data.init_args.store", str(store), "--data.init_args.batch_size", "8"]
    main(["fit", "--config", str(config), "--run", f"runs/spatext/{name}", *small, *few, *more])


def test_the_configurations_are_trained_one_after_the_other(scenes_store, tmp_path, monkeypatch, capsys):
    pytest.importorskip("diffusers")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        fit("gan", scenes_store)
    said = capsys.readouterr().err
    assert stop.value.code == 2 and "encoder: runs/spatext/encoder" in said and "prior: runs/spatext/prior" in said
    assert not Path("runs/spatext/gan").exists()
    for name in ("encoder", "scorer", "prior", "segmenter", "gan", "gan-labels", "gan-text", "diffusion"):
        more = ["--model.init_args.steps", "2"] if name == "diffusion" else []
        fit(name, scenes_store, *more)
        assert Path(f"runs/spatext/{name}/checkpoints/last.ckpt").is_file()
    assert list(Path("runs/spatext/gan/samples").glob("step_*.png"))
    assert list(Path("runs/spatext/diffusion/samples").glob("step_*.png"))
