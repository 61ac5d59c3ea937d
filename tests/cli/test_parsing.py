import pytest

from t2igan.cli.main import main


@pytest.fixture
def config(tmp_path, drawn_birds_store):
    """Writes the YAML of a small DAMSM, with one text replaced by another."""

    def write(old="", new=""):
        text = f"""
model:
  class_path: DAMSM
  init_args:
    image_encoder: {{class_path: SmallImageEncoder, init_args: {{dim: 8, channels: 2, image_size: 16}}}}
data:
  class_path: DrawnBirds
  init_args: {{store: {drawn_birds_store}, image_size: 16, batch_size: 8, num_workers: 0}}
trainer: {{max_steps: 1, limit_val_batches: 0}}
"""
        assert old in text
        path = tmp_path / "small.yaml"
        path.write_text(text.replace(old, new))
        return path

    return write


def refusal(capsys, *argv):
    """The one line that a user's mistake gets."""
    with pytest.raises(SystemExit) as exit_:
        main([str(word) for word in argv])
    assert exit_.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    return lines[-1]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("max_steps", "max_stepz", ["'trainer.max_stepz' is not an option", "did you mean trainer.max_steps?"]),
        ("dim: 8", "dimm: 8", ["model.image_encoder (SmallImageEncoder)", "'dimm'", "did you mean dim?"]),
        ("class_path: DAMSM", "class_path: DAMSMM", ["model", "no class 'DAMSMM'", "did you mean DAMSM?"]),
        ("batch_size: 8", "batch_size: many", ["data.batch_size (DrawnBirds)", "a whole number, not many"]),
        ("num_workers: 0", "num_worker: 0", ["data (DrawnBirds)", "did you mean num_workers?"]),
    ],
)
def test_a_mistake_in_the_yaml_is_named_with_its_key_and_file(config, capsys, old, new, words):
    line = refusal(capsys, "fit", "--config", config(old, new))
    assert "small.yaml" in line
    for word in words:
        assert word in line


def test_all_missing_files_are_named_before_anything_is_built(config, capsys, tmp_path):
    path = config("model:", "ckpt_path: null\nmodel:")
    line = refusal(capsys, "fit", "--config", path, "--data.store", tmp_path / "none.h5")
    assert "data.init_args.store" in line
    assert "t2igan prepare" in line


def test_a_configuration_that_is_not_there(capsys):
    assert "nowhere.yaml" in refusal(capsys, "fit", "--config", "nowhere.yaml")


def test_yaml_that_is_none(capsys, tmp_path):
    (tmp_path / "torn.yaml").write_text("model: [")
    assert "torn.yaml" in refusal(capsys, "fit", "--config", tmp_path / "torn.yaml")


def test_a_mistake_on_the_command_line(capsys):
    assert "did you mean image_size?" in refusal(capsys, "prepare", "cub", "--image_sise", "64")
    assert "drawn-birds" in refusal(capsys, "prepare", "birds")
    assert "prepare" in refusal(capsys, "prepair")


def test_trainer_arguments_that_do_not_reach_a_gan(capsys, tmp_path, config):
    path = config("class_path: DAMSM\n", "class_path: SSAGAN\n")
    text = (
        path.read_text().split("    image_encoder")[0]
        + "    damsm: null\n    damsm_weight: 0\n"
        + "data:"
        + path.read_text().split("data:")[1]
    )
    path.write_text(text)
    assert "model.init_args.clip" in refusal(capsys, "fit", "--config", path, "--trainer.gradient_clip_val", "1")
    line = refusal(capsys, "fit", "--config", path, "--trainer.accumulate_grad_batches", "2")
    assert "model.init_args.accumulate" in line
    line = refusal(capsys, "fit", "--config", path, "--trainer.gradient_clip_algorithm", "norm")
    assert "no effect without trainer.gradient_clip_val" in line
    line = refusal(capsys, "fit", "--config", path, "--trainer.min_steps", "9", "--trainer.max_steps", "3")
    assert "trainer.min_steps is 9, but trainer.max_steps is 3" in line
    line = refusal(capsys, "fit", "--config", path, "--trainer.barebones", "true")
    assert "trainer.barebones leaves out curves and checkpoints" in line
