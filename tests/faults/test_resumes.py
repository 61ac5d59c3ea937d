"""Every module of the suite, stopped at random moments, ends with the weights of the run that nothing stopped.

Each try is one resume. Trainings are forked from this process, which has torch loaded already; otherwise they are
the command's: ``t2igan fit`` with a YAML.
"""

import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch
import yaml
from harness import LONG, curve, fit_words, last, same_end

from t2igan.cli.main import main

DAMSM_ENCODER = {"class_path": "SmallImageEncoder", "init_args": {"dim": 16, "channels": 2, "image_size": 16}}
STEPS, BATCH = 16, 8


def network(name, **arguments):
    return {"class_path": name, "init_args": arguments}


def ssagan(text_mode, **options):
    generator = network("SSAGANGenerator", image_size=16, channels=2, sentence_dim=16)
    discriminators = [network("OneWayDiscriminator", image_size=16, channels=2, sentence_dim=16)]
    parts = {"generator": generator, "discriminators": discriminators, "text_mode": text_mode}
    return network("SSAGAN", damsm="DAMSM", **parts, **options)


def cascade(name, generator, discriminator, text_mode, **options):
    parts = {
        "generator": network(
            generator, image_size=16, stages=2, channels=2, residual_blocks=1, sentence_dim=16, eps_dim=4
        ),
        "discriminators": [
            network(discriminator, image_size=size, channels=2, sentence_dim=16) for size in (8, 16)
        ],
        "text_mode": text_mode,
    }
    return network(name, damsm="DAMSM", **parts, **options)


def dfgan(text_mode):
    generator = network("DFGANGenerator", image_size=16, channels=2, sentence_dim=16)
    return network("DFGAN", damsm="DAMSM", channels=2, generator=generator, text_mode=text_mode)


STREAM_ENCODER = network("SmallCaptionEncoder", dim=16, channels=2, image_size=16)
MODULES = {
    "DAMSM": network("DAMSM", image_encoder=DAMSM_ENCODER),
    "DAMSM, persistent": network("DAMSM", image_encoder=DAMSM_ENCODER, persistent_adam=True),
    "STREAM": network("STREAM", encoder=STREAM_ENCODER, hidden_dim=8, lr_final=1e-4),
    "classifier": network("EvaluationClassifier", image_size=16, width=2),
    "SSA-GAN, joint": ssagan("joint"),
    "SSA-GAN, frozen": ssagan("frozen", mismatch="other-class"),
    "SSA-GAN, damsm-finetune": ssagan("damsm-finetune"),
    "AttnGAN, joint": cascade("AttnGAN", "AttnGANGenerator", "AttnGANDiscriminator", "joint", accumulate=2),
    "AttnGAN, frozen": cascade("AttnGAN", "AttnGANGenerator", "AttnGANDiscriminator", "frozen"),
    "AttnGAN, damsm-finetune": cascade("AttnGAN", "AttnGANGenerator", "AttnGANDiscriminator", "damsm-finetune"),
    "DM-GAN, frozen": cascade("DMGAN", "DMGANGenerator", "DMGANDiscriminator", "frozen", clip=1.0),
    "DM-GAN, joint": cascade("DMGAN", "DMGANGenerator", "DMGANDiscriminator", "joint"),
    "DM-GAN, damsm-finetune": cascade("DMGAN", "DMGANGenerator", "DMGANDiscriminator", "damsm-finetune"),
    "MirrorGAN, frozen": cascade(
        "MirrorGAN", "MirrorGANGenerator", "AttnGANDiscriminator", "frozen", captioner="STREAM"
    ),
    "MirrorGAN, joint": cascade(
        "MirrorGAN", "MirrorGANGenerator", "AttnGANDiscriminator", "joint", captioner="STREAM"
    ),
    "MirrorGAN, damsm-finetune": cascade(
        "MirrorGAN", "MirrorGANGenerator", "AttnGANDiscriminator", "damsm-finetune", captioner="STREAM"
    ),
    "DF-GAN, frozen": dfgan("frozen"),
    "DF-GAN, joint": dfgan("joint"),
    "DF-GAN, damsm-finetune": dfgan("damsm-finetune"),
}
SETTINGS = [(0, 1), (2, 1), (0, 2), (2, 2)]  # workers, processes
CHOSEN = list(MODULES) if LONG else ["DAMSM", "STREAM", "classifier", "SSA-GAN, damsm-finetune", "AttnGAN, joint"]
STOPS = 5 if LONG else 2


class Fits:
    """Trainings of the modules; what they need of one another is trained once."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder, self.store = folder, store

    def config(self, name: str) -> Path:
        """The YAML of a module."""
        module = MODULES[name]
        needed = {"damsm", "captioner"} & module["init_args"].keys()
        files = {key: str(last(self.whole(module["init_args"][key], 1))) for key in needed}
        data = {"store": str(self.store), "image_size": 16, "batch_size": BATCH}
        kind = "DrawnBirds"
        if name == "classifier":
            kind, data["holdout"] = "ClassificationData", 0.25
        trainer = {
            # Rates that follow a length told in epochs need the loader to know it.
            **({"max_epochs": 6} if name in ("STREAM", "classifier") else {"max_steps": STEPS}),
            "limit_val_batches": 1,
            "accelerator": "cpu",
            "enable_progress_bar": False,
            "log_every_n_steps": 1,
            "callbacks": [network("RunCheckpoints", every_n_steps=2), network("SampleGrid", every_n_steps=5)],
        }
        path = self.folder / f"{name}.yaml"
        model = network(module["class_path"], **(module["init_args"] | files))
        content = {"model": model, "data": network(kind, **data), "trainer": trainer}
        path.write_text(yaml.safe_dump(content))
        return path

    def start(
        self, name: str, folder: Path, workers: int, processes: int, *more: object
    ) -> multiprocessing.Process:
        """Start or go on with a training, in a session of its own."""
        options = ["--data.num_workers", workers, "--data.batch_size", BATCH // processes, *more]
        if processes > 1:
            strategy = "ddp_fork_find_unused_parameters_true"
            options += ["--trainer.devices", processes, "--trainer.strategy", strategy]
        words = fit_words(self.config(name), folder, *options)
        child = multiprocessing.get_context("fork").Process(target=_train, args=(words, folder), daemon=False)
        child.start()
        return child

    def whole(self, name: str, processes: int) -> Path:
        """The folder of a training without workers that nothing stopped."""
        folder = self.folder / f"whole {name} {processes}"
        if not last(folder).is_file():
            self.ends_well(self.start(name, folder, 0, processes), folder)
        return folder

    @staticmethod
    def ends_well(child: multiprocessing.Process, folder: Path) -> None:
        """Wait for a training that is expected to reach its end."""
        child.join(120)
        assert child.exitcode == 0, (folder, child.exitcode, Path(f"{folder}.log").read_text()[-2000:])


def _train(words: list[str], folder: Path) -> None:
    os.setsid()
    log = os.open(f"{folder}.log", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Another test of this process may have asked for CUDA; these trainings are on the CPU and may fork anyhow.
    torch.cuda._is_in_bad_fork = lambda: False
    main(words)


def stop_at_random(child: multiprocessing.Process, folder: Path, moments: random.Random) -> None:
    """kill -9 of the whole group, or a stop signal to the process, after some of the steps that are left."""
    done = len(curve(folder))
    wanted = done + moments.randint(1, 4)
    end = time.monotonic() + 100
    while child.is_alive() and len(curve(folder)) < min(wanted, STEPS - 1) and time.monotonic() < end:
        time.sleep(0.002)
    time.sleep(moments.uniform(0, 0.05))
    if not child.is_alive():
        return
    if moments.random() < 0.5:
        _kill(child)
    else:
        os.kill(child.pid, signal.SIGTERM)
    child.join(60)
    if child.is_alive():
        _kill(child)
    child.join()


def _kill(child: multiprocessing.Process) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except ProcessLookupError:  # too young to lead a group of its own
        child.kill()


@pytest.fixture(scope="module")
def fits(tmp_path_factory, drawn_birds_store):
    return Fits(tmp_path_factory.mktemp("resumes"), drawn_birds_store)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CHOSEN)
def test_a_stopped_run_ends_as_the_whole_one(fits, tally, tmp_path, name):
    probe = tally("fit stopped (SIGKILL or SIGTERM) at random moments, per resume: equal to the last bit")
    number = CHOSEN.index(name)
    for workers, processes in SETTINGS if LONG else [SETTINGS[number % len(SETTINGS)]]:
        whole = fits.whole(name, processes)
        moments, folder = random.Random(f"{name} {workers} {processes}"), tmp_path / f"{workers}-{processes}"
        stops = 0
        for _ in range(STOPS):
            child = fits.start(name, folder, moments.choice([0, workers]), processes)
            stop_at_random(child, folder, moments)
            stops += child.exitcode != 0
        fits.ends_well(fits.start(name, folder, workers, processes), folder)
        equal = same_end(folder, whole) and curve(folder) == curve(whole)
        for _ in range(stops):
            probe.note(equal, f"{name}, {workers} workers, {processes} processes")
    probe.check()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["DAMSM", "AttnGAN, frozen"])
def test_the_command_trains_two_processes_as_one(fits, tmp_path, name):
    """Without an option for it: batch norm of all, the same weights to begin with, the same losses logged."""
    options = ("--trainer.precision", "64-true", "--trainer.max_steps", 2)
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        fits.ends_well(fits.start(name, folder, 0, processes, *options), folder)
    one, two = (torch.load(last(tmp_path / each), weights_only=True)["state_dict"] for each in "12")
    torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9)
    for mine, theirs in zip(curve(tmp_path / "1"), curve(tmp_path / "2"), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-6)
