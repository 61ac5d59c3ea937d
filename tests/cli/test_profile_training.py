"""Where the time of a training goes, as a user asks for it; nothing of it has been prepared or trained."""

import json
import os
import shlex
import subprocess
import time

import pytest
from forked import Forked
from PIL import Image

from t2igan.cli import quick
from t2igan.cli.main import main
from t2igan.profiling import arithmetic

DAMSM = """
model:
  class_path: DAMSM
  init_args: {image_encoder: {class_path: SmallImageEncoder, init_args: {dim: 16, channels: 2, image_size: 16}}}
data: {class_path: DrawnBirds, init_args: {store: none.h5, image_size: 16, batch_size: 8, num_workers: 0}}
trainer: {max_steps: 2, accelerator: cpu}
"""
SSAGAN = """
model:
  class_path: SSAGAN
  init_args:
    damsm: runs/damsm/checkpoints/last.ckpt
    image_size: 16
    channels: 2
data: {class_path: DrawnBirds, init_args: {store: none.h5, image_size: 16, batch_size: 4, num_workers: 0}}
trainer:
  max_epochs: 3
  accelerator: cpu
  callbacks: [{class_path: Scores, init_args: {protocol: drawn-birds/quick, every_n_epochs: 1}}]
"""


def measure_peaks_soon():
    """On little work: five seconds for each profile otherwise."""
    arithmetic.SECONDS_OF_A_PEAK = 0.02
    arithmetic.SHAPES, arithmetic.SIDES = {"cpu": [(64, 64, 16)]}, {"cpu": [256]}


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    for name in ("SECONDS_OF_A_PEAK", "SHAPES", "SIDES"):
        monkeypatch.setattr(arithmetic, name, getattr(arithmetic, name))  # back again behind the test
    measure_peaks_soon()


@pytest.fixture
def experiments(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "damsm.yaml").write_text(DAMSM)
    (tmp_path / "ssagan.yaml").write_text(SSAGAN)
    return tmp_path


SPADE = """
model:
  class_path: SPADEGAN
  init_args:
    generator:
      class_path: SPADEGenerator
      init_args: {image_size: 16, channels: 2, start: 4, middle_blocks: 1, hidden: 4, embed: 4}
    discriminators:
      - class_path: PatchDiscriminator
        init_args: {image_size: 16, channels: 2, layers: 2, embed: 4}
data:
  class_path: Scenes
  init_args: {store: none.h5, image_size: 16, batch_size: 4, num_workers: 0, captions: narratives}
trainer: {max_steps: 2, accelerator: cpu}
"""
CLASSIFIER = """
model: {class_path: EvaluationClassifier, init_args: {trunk: inception-v3, image_size: 75}}
data: {class_path: ClassificationData, init_args: {store: none.h5, image_size: 16, batch_size: 2}}
trainer: {max_steps: 2, accelerator: cpu}
"""


ENCODER = """
model:
  class_path: SegmentEncoder
  init_args: {dim: 16, channels: 4, width: 16}
data: {class_path: Scenes, init_args: {store: none.h5, image_size: 64, batch_size: 4, num_workers: 0}}
trainer: {max_steps: 2, accelerator: cpu}
"""
PRIOR = """
model:
  class_path: SegmentPrior
  init_args:
    encoder: runs/spatext/encoder/checkpoints/last.ckpt
    network: {class_path: MLPPrior, init_args: {dim: 16}}
data: {class_path: Scenes, init_args: {store: none.h5, image_size: 32, batch_size: 4, num_workers: 0}}
trainer: {max_steps: 2, accelerator: cpu}
"""
DIFFUSION = """
model:
  class_path: SpaTextDiffusion
  init_args:
    encoder: runs/spatext/encoder/checkpoints/last.ckpt
    host:
      class_path: PixelHost
      init_args: {image_size: 16, segment_dim: 16, planes: 4, widths: [8, 8], layers: 1, attention: 1}
data: {class_path: Scenes, init_args: {store: none.h5, image_size: 16, batch_size: 4, num_workers: 0}}
trainer: {max_steps: 2, accelerator: cpu}
"""


def profile(folder, *words):
    main(["profile", *words, "--steps", "2", "--out", str(folder)])
    return json.loads((folder / "profile.json").read_text())


def test_a_gan_without_data_and_without_its_damsm(experiments, capsys):
    told = profile(experiments / "out", "--config", "ssagan.yaml")
    parts = {part["name"]: part for part in told["parts"]}
    networks = {"text encoder", "generator", "discriminator", "penalty", "matching loss"}
    wanted = networks | {"data", "optimiser", "average"}
    assert wanted < set(parts) and "logging, training loop" in parts
    assert all(parts[name]["seconds"] > 0 for name in wanted)
    assert all(parts[name]["gflop"] > 0 for name in networks)
    assert told["images"] == 4 and len(told["step_seconds"]) == 2
    assert told["gflop"] == pytest.approx(sum(part["gflop"] for part in told["parts"]))
    share = told["gflop"] / told["seconds"] / told["peaks"]["convolution"]
    assert 0 < told["share_of_peak"] < 1 and told["share_of_peak"] == pytest.approx(share)
    assert Image.open(experiments / "out" / "profile.png").width > 1000
    said = capsys.readouterr().out
    assert "penalty" in said and "images/s" in said and "of the convolutions' peak" in said
    assert sorted(path.name for path in experiments.iterdir()) == ["damsm.yaml", "out", "ssagan.yaml"]


def test_a_training_with_one_optimiser(experiments, capsys):
    told = profile(experiments / "out", "--config", "damsm.yaml", "--set", "--data.batch_size 6")
    _, proposed = capsys.readouterr().out.split("next: t2igan profile ")
    words = shlex.split(proposed)
    assert words[:3] == ["--config", "damsm.yaml", "--set=--data.batch_size 6"] and "--options" in words
    assert quick.answer("profile", words) is None
    parts = {part["name"]: part["gflop"] for part in told["parts"]}
    assert told["images"] == 6 and parts["image encoder"] > 0 and parts["text encoder"] > 0
    assert parts["optimiser"] == 0


def test_what_layouts_and_narratives_are_for(experiments):
    """A store of noise has none: scenes are drawn."""
    (experiments / "spade.yaml").write_text(SPADE)
    told = profile(experiments / "out", "--config", "spade.yaml")
    gflop = {part["name"]: part["gflop"] for part in told["parts"]}
    discriminators = [count for name, count in gflop.items() if name.startswith("discriminator")]
    assert gflop["generator"] > 0 and discriminators and min(discriminators) > 0


def test_an_encoder_of_segments_that_was_trained_at_more_pixels(experiments):
    (experiments / "spatext-encoder.yaml").write_text(ENCODER)
    (experiments / "spatext-prior.yaml").write_text(PRIOR)
    told = profile(experiments / "out", "--config", "spatext-prior.yaml")
    gflop = {part["name"]: part["gflop"] for part in told["parts"]}
    # What stands still is a part of its own.
    assert gflop["segment encoder"] > gflop["network"] > 0
    assert gflop.get("losses, rest of the step", 0) == 0
    told = profile(experiments / "out", "--config", "spatext-encoder.yaml")
    assert {"image encoder", "text encoder"} < {part["name"] for part in told["parts"]}


def test_what_diffuses_is_the_generator(experiments):
    (experiments / "spatext-encoder.yaml").write_text(ENCODER)
    (experiments / "spatext-diffusion.yaml").write_text(DIFFUSION)
    told = profile(experiments / "out", "--config", "spatext-diffusion.yaml")
    parts = {part["name"]: part for part in told["parts"]}
    assert parts["generator"]["gflop"] > 0.9 * told["gflop"] and parts["segment encoder"]["gflop"] > 0
    assert parts["average"]["seconds"] > 0


def test_the_better_of_two_measured_peaks_counts(experiments, monkeypatch):
    """One is taken before the steps and one after them: other processes may disturb either."""
    measured = iter([{"convolution": 1e6, "matrix": 1.0}, {"convolution": 1.0, "matrix": 1e6}])
    monkeypatch.setattr("t2igan.profiling.steps.measure_peaks", lambda *_: next(measured))
    told = profile(experiments / "out", "--config", "damsm.yaml")
    assert told["peaks"] == {"convolution": 1e6, "matrix": 1e6} and not told["peak_disturbed"]


def test_pretrained_weights_are_not_fetched(experiments):
    (experiments / "classifier.yaml").write_text(CLASSIFIER)
    assert profile(experiments / "out", "--config", "classifier.yaml")["images"] == 2


def test_parts_add_up_to_the_steps(experiments, monkeypatch):
    """Nothing of a step with the clock is counted twice or lost."""
    from t2igan.profiling.clock import PartClock

    taken = []
    start, stop = PartClock.start, PartClock.stop
    monkeypatch.setattr(PartClock, "start", lambda self: (taken.append(time.perf_counter()), start(self)))
    monkeypatch.setattr(PartClock, "stop", lambda self: (stop(self), taken.append(time.perf_counter())))
    told = profile(experiments / "out", "--config", "damsm.yaml")
    whole = 2 * sum(part["seconds"] for part in told["parts"])
    assert whole == pytest.approx(taken[1] - taken[0], rel=0.01, abs=0.002)


@pytest.mark.slow
def test_sets_of_options_take_turns(experiments, capsys, monkeypatch):
    def forked(command, **_):
        process = Forked(command[command.index("profile") :], os.environ, before=measure_peaks_soon)
        out, err = process.communicate()
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    monkeypatch.setattr("t2igan.cli.profile.subprocess.run", forked)
    monkeypatch.setattr("t2igan.cli.profile.ROUNDS", 2)
    options = ["--options", "", "--options", "--data.batch_size 4"]
    main(["profile", "--config", "damsm.yaml", "--steps", "1", "--out", "out", *options])
    rounds = json.loads((experiments / "out" / "comparison.json").read_text())
    assert [len(each) for each in rounds.values()] == [2, 2]
    assert [each[0]["images"] for each in rounds.values()] == [8, 4]
    said = capsys.readouterr().out
    assert "of peak" in said and said.index("round 1 of 2: --data") < said.index("round 2 of 2: as it is")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--config", "none.yaml"], "none.yaml is neither a file nor an experiment"),
        (["--config", "ssagan.yaml", "--steps", "0"], "steps"),
        ([], "--config is missing"),
        (["walls"], "give --config, or one of: evaluate, loader"),
    ],
)
def test_a_mistake_is_one_line(experiments, capsys, words, told):
    with pytest.raises(SystemExit) as exit_:
        main(["profile", *words])
    assert exit_.value.code == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert told in line


def test_a_damsm_that_nothing_describes(experiments, capsys):
    (experiments / "damsm.yaml").unlink()
    with pytest.raises(SystemExit):
        main(["profile", "--config", "ssagan.yaml"])
    assert "no damsm.yaml says which network it holds" in capsys.readouterr().err
    assert not (experiments / "runs").exists()  # nothing is made for what is refused
