"""Help and mistaken keys are answered before anything heavy is imported."""

import subprocess
import sys
import time

import pytest

from t2igan.cli import quick, quick_fit

LIGHT = """
import sys
from t2igan.cli.main import main
try:
    main(sys.argv[1:])
finally:
    assert not {'torch', 'pytorch_lightning', 'jsonargparse'} & set(sys.modules), 'something heavy was imported'
"""


def without_torch(*words):
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", LIGHT, *map(str, words)], capture_output=True, text=True)
    assert "something heavy" not in done.stderr, done.stderr
    return done, time.monotonic() - started


@pytest.mark.parametrize("verb", ["fit", "validate", *(" ".join(words) for words in quick.FUNCTIONS)])
def test_help(verb):
    done, seconds = without_torch(*verb.split(), "--help")
    assert done.returncode == 0 and f"usage: t2igan {verb} " in done.stdout
    assert seconds < 5  # 0.2 on a machine with nothing else to do


def test_help_shows_what_is_required_and_what_is_default():
    text = " ".join(quick.answer("sample", ["--help"]).split())
    required = text[text.index("required:") : text.index("options:")]
    assert "--checkpoint TEXT" in required and "--out TEXT" in required and "--n" not in required
    assert "--overlay none|masks|attention" in text and "rows of an interpolation. (default: 4)" in text


def test_every_option_has_its_text():
    for module, function in quick.FUNCTIONS.values():
        assert all(option.text for option in quick.read_signature(module, function)[1])


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("sample --chekpoint x --out y", "'chekpoint' is not an option (did you mean checkpoint?)"),
        ("sample --check x --out y", "'check' is not an option"),
        ("profile --config a.yaml --set --trainer.max_steps=1 --step 2", "'step' is not an option"),
        ("sample --checkpoint x --out y --n 2 --n=3", "--n is given twice: give it once"),
        ("sample --checkpoint x --out y --interpolate A B --interpolate C D", "--interpolate is given twice"),
        ("sample", "--checkpoint is missing: checkpoint of a generator"),
        ("evaluate --checkpoint x --store y", "--protocol is missing"),
        ("fit --config c.yaml --trainer.max_step 3", "did you mean trainer.max_steps?"),
        ("fit --config c.yaml --modle SSAGAN", "'modle' is not an option (did you mean model?)"),
        ("fit --config wrong.yaml", "'lerning_rate' is not an option; its options are"),
        ("fit --config deep.yaml", "model.discriminators (OneWayDiscriminator): 'chanels'"),
        ("fit --config root.yaml", "'trainr' is not an option (did you mean trainer?) [root.yaml]"),
    ],
)
def test_a_mistake(tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    files = {
        "c": "trainer: {max_steps: 1}",
        "wrong": "model: {class_path: SSAGAN, init_args: {lerning_rate: 1}}",
        "deep": "model: {class_path: SSAGAN, init_args: {discriminators: [{class_path: OneWayDiscriminator, "
        "init_args: {chanels: 1}}]}}",
        "root": "trainr: {}",
    }
    for name, text in files.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    done, _ = without_torch(*words.split())
    assert done.returncode == 2 and told in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_option_that_takes_several_may_be_given_several_times():
    words = "--checkpoint x --store y --protocol z --damsm a --damsm b --allow m --allow n"
    assert quick.answer("evaluate", words.split()) is None


def test_what_is_no_mistake_is_left_to_the_parser(tmp_path):
    """A class of one's own, a dataclass, options of LightningCLI, keys of callbacks."""
    own = tmp_path / "own.yaml"
    own.write_text(
        "model: {class_path: mine.Model, init_args: {anything: 1}}\n"
        "data: {class_path: CUB, init_args: {batch_size: 2, words: 18}}\n"
        "trainer: {callbacks: [{class_path: ModelCheckpoint, init_args: {monitor: x}}]}\n"
    )
    words = "--trainer.callbacks+=SampleGrid --trainer.callbacks.every_n_steps 5 --print_config=comments"
    assert quick_fit.answer("fit", ["--config", str(own), *words.split(), "--ckpt_path", "last"]) is None
