"""Every module of the suite: stopped at random moments, at numbers that are not finite, read with such weights.

Stopped, it ends with the weights of the run that nothing stopped; each try is one resume. Trainings are forked from
this process, which has torch loaded already; otherwise they are the command's: ``t2igan fit`` with a YAML.
"""

import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from bad_input import outcome_of
from bert_fixture import write_bert
from harness import LONG, curve, fit_words, last, same_end

from t2igan.cli.config_checks import TRIED
from t2igan.cli.main import main
from t2igan.models.digest import seal
from t2igan.models.suite_module import SuiteModule
from t2igan.progress import read_progress

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


def spatext(name, **parts):
    return network(name, encoder="segment encoder", prior="prior", **parts)


SPADE = {
    "generator": network("SPADEGenerator", image_size=16, channels=2, hidden=4, embed=4),
    "discriminators": [
        network("PatchDiscriminator", image_size=16, channels=2, layers=1, embed=4, scale=scale) for scale in (1, 2)
    ],
}
SPATEXT_GAN = {
    "generator": network(
        "SpaTextGenerator", image_size=16, channels=2, noise_dim=8, sentence_dim=16, segment_dim=16, planes=4
    ),
    "discriminators": [
        network("OneWayDiscriminator", image_size=16, channels=2, sentence_dim=16),
        network("SegmentDiscriminator", image_size=16, channels=4, segment_dim=16, side=8),
    ],
    "generator_losses": [network("FeatureMatching", weight=10.0)],
}
PIXELS = network("PixelHost", image_size=16, segment_dim=16, planes=4, widths=[8, 16])
STREAM_ENCODER = network("SmallCaptionEncoder", dim=16, channels=2, image_size=16)
MODULES = {
    "DAMSM": network("DAMSM", image_encoder=DAMSM_ENCODER),
    "DAMSM, persistent": network("DAMSM", image_encoder=DAMSM_ENCODER, persistent_adam=True),
    "DAMSM of scenes": network("DAMSM", image_encoder=DAMSM_ENCODER),
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
    "SPADE": network("SPADEGAN", **SPADE),
    "segment encoder": network("SegmentEncoder", dim=16, channels=4, width=8, crop_size=16),
    "prior": network("SegmentPrior", encoder="segment encoder", network=network("MLPPrior", dim=16, width=16)),
    "prior, diffusion": network(
        "SegmentPrior",
        encoder="segment encoder",
        network=network("DiffusionPrior", dim=16, layers=1, heads=2, head_dim=8),
    ),
    "SpaText GAN, joint": spatext("SpaTextGAN", **SPATEXT_GAN, text_mode="joint"),
    "SpaText GAN, frozen": spatext(
        "SpaTextGAN", **SPATEXT_GAN, text_mode="frozen", damsm="DAMSM of scenes", mismatch="roll"
    ),
    "SpaText diffusion": spatext("SpaTextDiffusion", host=PIXELS, steps=2),
    "segmenter": network("Segmenter", image_size=16, channels=2),
    "tagger": network("Tagger", network=network("BiLSTMTagger", embedding_dim=8, hidden_dim=8)),
    "tagger, BERT": network("Tagger", network=network("TransformersTagger", folder="BERT")),
    "DF-GAN, frozen": dfgan("frozen"),
    "DF-GAN, joint": dfgan("joint"),
    "DF-GAN, damsm-finetune": dfgan("damsm-finetune"),
}
SETTINGS = [(0, 1), (2, 1), (0, 2), (2, 2)]  # workers, processes
OF_SCENES = ("SPADE", "segment encoder", "prior", "SpaText", "segmenter", "DAMSM of scenes")
CHOSEN = [
    *("DAMSM", "STREAM", "classifier", "SSA-GAN, damsm-finetune", "AttnGAN, joint"),
    *("SPADE", "SpaText GAN, joint", "SpaText diffusion", "tagger"),
]
CHOSEN = list(MODULES) if LONG else CHOSEN
STOPS = 5 if LONG else 2


class Fits:
    """Trainings of the modules; what they need of one another is trained once."""

    def __init__(self, folder: Path, birds: Path, scenes: Path, tags: Path) -> None:
        self.folder, self.birds, self.scenes, self.tags = folder, birds, scenes, tags

    def config(self, name: str) -> Path:
        """The YAML of a module."""
        module = MODULES[name]
        needed = {"damsm", "captioner", "encoder", "prior"} & module["init_args"].keys()
        named = {key: module["init_args"][key] for key in needed}
        files = {key: str(last(self.whole(of, 1))) for key, of in named.items() if isinstance(of, str)}
        if name == "tagger, BERT":
            pytest.importorskip("transformers")
            files["network"] = network("TransformersTagger", folder=str(self.bert()))
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
        path.write_text(yaml.safe_dump({"model": model, "data": self.data(name), "trainer": trainer}))
        return path

    def data(self, name: str) -> dict:
        """What a module is trained on."""
        if name.startswith("tagger"):
            return network("TaggedNarratives", files=str(self.tags), batch_size=BATCH, min_uses=1)
        sizes = {"image_size": 16, "batch_size": BATCH}
        if name.startswith(OF_SCENES):
            return network("Scenes", store=str(self.scenes), **sizes)
        if name == "classifier":
            return network("ClassificationData", store=str(self.birds), holdout=0.25, **sizes)
        return network("DrawnBirds", store=str(self.birds), **sizes)

    def bert(self) -> Path:
        """The folder of a tiny BERT."""
        folder = self.folder / "bert"
        return folder if folder.is_dir() else write_bert(folder, ["bird", "tree", "grass"])

    def start(
        self, name: str, folder: Path, workers: int, processes: int, *more: object
    ) -> multiprocessing.Process:
        """Start or go on with a training; what it needs is trained before."""
        return self.begin(self.config(name), name, folder, workers, processes, *more)

    def begin(
        self, config: Path, name: str, folder: Path, workers: int, processes: int, *more: object
    ) -> multiprocessing.Process:
        """Start or go on with the training of a YAML, in a session of its own."""
        options = ["--data.batch_size", BATCH // processes, *more]
        if not name.startswith("tagger"):  # which reads what it has in memory
            options += ["--data.num_workers", workers]
        if processes > 1:
            strategy = "ddp_fork_find_unused_parameters_true"
            options += ["--trainer.devices", processes, "--trainer.strategy", strategy]
        words = fit_words(config, folder, *options)
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
    sys.stdout = sys.stderr = os.fdopen(log, "w", buffering=1)  # in place of those of pytest
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
        child.sent_sigterm, child.stepped = True, len(curve(folder)) > done
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
def fits(tmp_path_factory, drawn_birds_store, scenes_store, scenes_root):
    tags = scenes_root / "tagged" / "train"
    return Fits(tmp_path_factory.mktemp("resumes"), drawn_birds_store, scenes_store, tags)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CHOSEN)
def test_a_stopped_run_ends_as_the_whole_one(fits, tally, tmp_path, name):
    probe = tally("fit stopped (SIGKILL or SIGTERM) at random moments, per resume: equal to the last bit")
    codes = tally("fit of every module sent SIGTERM: exit code 143, or it had ended")
    number = CHOSEN.index(name)
    for workers, processes in SETTINGS if LONG else [SETTINGS[number % len(SETTINGS)]]:
        whole = fits.whole(name, processes)
        moments, folder = random.Random(f"{name} {workers} {processes}"), tmp_path / f"{workers}-{processes}"
        stops = 0
        for _ in range(STOPS):
            child = fits.start(name, folder, moments.choice([0, workers]), processes)
            stop_at_random(child, folder, moments)
            stops += child.exitcode != 0
            if hasattr(child, "sent_sigterm"):
                ended = last(folder).is_file() and read_progress(last(folder)).finished
                # Whoever has not begun does not listen yet, and whoever is done no more.
                deaf = child.exitcode == -signal.SIGTERM and (ended or not child.stepped)
                told = child.exitcode == 143 or (child.exitcode == 0 and ended)
                codes.note(told or deaf, f"{name}: {child.exitcode}")
        fits.ends_well(fits.start(name, folder, workers, processes), folder)
        equal = same_end(folder, whole) and curve(folder) == curve(whole)
        for _ in range(stops):
            probe.note(equal, f"{name}, {workers} workers, {processes} processes")
    probe.check()
    assert not codes.failures


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CHOSEN)
def test_the_configuration_of_a_run_trains_the_same_again(fits, tally, tmp_path, name):
    """Defaults without effect were refused, and a run that had gone on led another one to its last state."""
    probe = tally("config.yaml of a run that was resumed, given again for another folder: equal to the last bit")
    run, again = tmp_path / "run", tmp_path / "again"
    shutil.copytree(fits.whole(name, 1), run)
    fits.ends_well(fits.start(name, run, 0, 1), run)
    fits.ends_well(fits.begin(run / "config.yaml", name, again, 0, 1), again)
    said = [yaml.safe_load((folder / "config.yaml").read_text()) for folder in (run, again)]
    for config in said:
        del config["run"], config["trainer"]["default_root_dir"]
    probe.note(same_end(run, again) and curve(run) == curve(again) and said[0] == said[1], name)
    probe.check()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CHOSEN)
def test_a_weight_that_is_no_number_stops_every_training(fits, tally, tmp_path, monkeypatch, name):
    probe = tally("fit of every module, a weight made NaN: exit code 2, by name, the last good checkpoint kept")
    original = SuiteModule.on_train_batch_start

    def start(self, batch, batch_idx):
        original(self, batch, batch_idx)
        if self.global_step == 6:
            with torch.no_grad():
                next(each for each in self.parameters() if each.requires_grad).fill_(torch.nan)

    config = fits.config(name)  # what it needs is trained before
    monkeypatch.setattr(SuiteModule, "on_train_batch_start", start)
    child = fits.begin(config, name, tmp_path / "run", 0, 1)
    child.join(120)
    said = Path(f"{tmp_path}/run.log").read_text().strip().splitlines()[-1]
    weights = torch.load(last(tmp_path / "run"), weights_only=True)["state_dict"].values()
    finite = all(each.isfinite().all() for each in weights if each.is_floating_point())
    told = "at step" in said and f"the last good checkpoint is {last(tmp_path / 'run')}" in said
    probe.note(child.exitcode == 2 and told and finite, f"{name}: {child.exitcode}, finite {finite}, {said}")
    probe.check()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", CHOSEN)
def test_no_verb_reads_weights_that_are_no_numbers(fits, tally, tmp_path, name):
    probe = tally("a weight of every module made NaN, in sample, evaluate, export, tag: refused in one line")
    checkpoint = torch.load(last(fits.whole(name, 1)), weights_only=True)
    next(each for each in checkpoint["state_dict"].values() if each.is_floating_point()).view(-1)[-1] = torch.nan
    seal(checkpoint)
    bad = tmp_path / "bad.ckpt"
    torch.save(checkpoint, bad)
    for words in (
        ("sample", "--checkpoint", bad, "--caption", "a bird", "--out", tmp_path / "drawn"),
        ("evaluate", "--checkpoint", bad, "--protocol", "drawn-birds/quick", "--store", fits.birds),
        ("export", bad, "--out", tmp_path / "weights.pth"),
        ("tag", "--checkpoint", bad, "--narratives", fits.tags),
    ):
        outcome = outcome_of(*words)
        fault = outcome.fault(["bad.ckpt: "])
        probe.note(not fault and "is not finite" in outcome.line, f"{name}, {words[0]}: {outcome.line} {fault}")
    probe.check()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["DAMSM", "AttnGAN, frozen", *(["SPADE", "SpaText diffusion"] if LONG else [])])
def test_the_command_trains_two_processes_as_one(fits, tmp_path, monkeypatch, name):
    """Without an option for it: batch norm of all, the same weights to begin with, the same losses logged.

    In double precision, which users are refused: in single, Adam's first steps make rounding as large as a step.
    """
    monkeypatch.setitem(TRIED, "precision", ("64-true",))  # the processes are forks of this one
    options = ("--trainer.precision", "64-true", "--trainer.max_steps", 2)
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        fits.ends_well(fits.start(name, folder, 0, processes, *options), folder)
    one, two = (torch.load(last(tmp_path / each), weights_only=True)["state_dict"] for each in "12")
    torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9)
    for mine, theirs in zip(curve(tmp_path / "1"), curve(tmp_path / "2"), strict=True):
        assert mine == pytest.approx(theirs, rel=1e-6)
