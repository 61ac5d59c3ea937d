import pytest

from t2igan.cli.main import main
from t2igan.data.datamodule import Scenes
from t2igan.data.store import open_store


def options(folder, val_images=3):
    counts = ("--train_images", 6, "--val_images", val_images, "--image_size", 32, "--workers", 1)
    return [*map(str, ("prepare", "scenes", "--root", folder, *counts))]


def test_scenes_are_drawn_and_a_store_is_written(tmp_path, capsys):
    main(options(tmp_path / "scenes"))
    store = open_store(tmp_path / "scenes" / "scenes-32.h5")
    assert (store.name, len(store.split("train")), len(store.split("test"))) == ("scenes", 6, 3)
    printed = capsys.readouterr().out
    assert "split held-out-pairs" in printed
    assert "next: t2igan fit --config experiments/scenes/damsm.yaml" in printed
    assert "--data.image_size 32" in printed
    module = Scenes(str(store.path), image_size=32, batch_size=3, num_workers=0)
    module.setup("fit")
    batch = module.on_after_batch_transfer(next(iter(module.train_dataloader())), 0)
    assert batch.images.shape == (3, 3, 32, 32)
    main(options(tmp_path / "scenes"))
    assert "exists already (scenes, 32 px)" in capsys.readouterr().out


def test_other_scenes_in_the_folder_are_refused(tmp_path, capsys):
    main(options(tmp_path / "scenes"))
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        main([*options(tmp_path / "scenes", val_images=4), "--force", "true"])
    error = capsys.readouterr().err
    assert exit_.value.code == 2 and "val_images 3 instead of 4" in error and error.strip().count("\n") == 0
