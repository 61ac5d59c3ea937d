import json
import re
import struct

import numpy as np
import pytest
import torch
import yaml
from evaluation_fixtures import write_protocol
from PIL import Image

from t2igan import zoo
from t2igan.cli.main import main
from t2igan.data.store import open_store
from t2igan.errors import UserError
from t2igan.evaluation.record import read_records
from t2igan.evaluation.subjects.generated import load_checkpoint_subject
from t2igan.interop.averaged import averaged_checkpoint
from t2igan.models.digest import seal
from t2igan.models.suite_module import SELECTED, load_module
from t2igan.models.weights_file import write_weights

NAME = "zoo:birds/ssagan"


@pytest.fixture
def own_zoo(checkpoints, tmp_path, monkeypatch):
    """A zoo with the generator in it."""
    monkeypatch.setattr(zoo, "_PACKAGE", tmp_path / "t2igan")
    main(["export", str(checkpoints.generator), "--to", "zoo", "--out", str(folder(tmp_path))])
    return tmp_path


def folder(root):
    return root / "checkpoints" / "zoo" / "birds" / "ssagan"


def sample(checkpoint, words, out):
    main(["sample", "--checkpoint", str(checkpoint), "--caption", words, "--n", "2", "--out", str(out)])
    return np.stack([np.array(Image.open(out / f"c000_s0{number}.png")) for number in range(2)]).astype(int)


def test_a_name_draws_as_the_averaged_weights_do(own_zoo, checkpoints, capsys):
    words = " ".join(open_store(checkpoints.store).vocabulary.words[1:4])
    told = sample(NAME, words, own_zoo / "zoo")
    assert abs(told - sample(checkpoints.generator, words, own_zoo / "run")).max() <= 3  # half precision
    capsys.readouterr()
    main(["list", "zoo"])
    assert re.fullmatch(rf"{NAME} +0\.\d\d MB  SSA-GAN, drawn-birds, 32 px\n", capsys.readouterr().out)


def test_training_is_left_behind_and_known(own_zoo, checkpoints):
    whole, small = load_module(checkpoints.generator), load_module(NAME)
    assert small.averaged and not small.averages and not small.discriminators
    assert (small.vocabulary, small.trained, small.inputs) == (whole.vocabulary, whole.trained, whole.inputs)
    average = whole.averages["generator"].module.state_dict()
    for name, value in small.generator.state_dict().items():
        torch.testing.assert_close(value, average[name], atol=2e-3, rtol=2e-3)
    assert (folder(own_zoo) / zoo.WEIGHTS).stat().st_size < checkpoints.generator.stat().st_size / 6


def test_scores_come_into_the_card(own_zoo, checkpoints):
    records = folder(own_zoo) / zoo.RECORDS
    protocol = write_protocol(own_zoo / "small.yaml", metrics=[{"name": "fd-classifier"}])
    line = ["evaluate", "--checkpoint", NAME, "--protocol", protocol, "--store", checkpoints.store]
    main([*map(str, line), "--classifier", str(checkpoints.classifier), "--records", str(records)])
    (record,) = read_records(records)
    assert (record.subject.name, record.subject.path, record.subject.weights) == ("ssagan (zoo)", NAME, "ema")
    assert "FD, classifier" not in (folder(own_zoo) / zoo.CARD).read_text()
    main(["export", str(checkpoints.generator), "--to", "zoo", "--out", str(folder(own_zoo))])
    assert (
        f"| FD, classifier | {record.metrics['fd-classifier'].value:.2f} |"
        in (folder(own_zoo) / zoo.CARD).read_text()
    )


def test_the_sheet_is_that_of_the_weights(own_zoo, checkpoints):
    """The last of the run was taken, beside weights of an earlier step that a score had chosen."""
    run, out = own_zoo / "run", folder(own_zoo)
    steps = load_module(checkpoints.generator).steps
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "best-fid.ckpt").write_bytes(checkpoints.generator.read_bytes())
    (run / "samples").mkdir()
    for step in (steps, steps + 1):
        (run / "samples" / f"step_{step:06d}.png").write_text(f"of step {step}")
    main(["export", str(run), "--to", "zoo", "--out", str(out)])
    assert (out / "sheet.png").read_text() == f"of step {steps}"
    for again in (out / zoo.WEIGHTS, NAME):  # exported again, it is still there
        main(["export", str(again), "--to", "zoo", "--out", str(out)])
        assert (out / "sheet.png").read_text() == f"of step {steps}"
    (run / "samples" / f"step_{steps:06d}.png").unlink()
    main(["export", str(run), "--to", "zoo", "--out", str(out)])
    assert not (out / "sheet.png").exists() and "sheet.png" not in (out / zoo.CARD).read_text()


def test_files_of_other_weights_do_not_stay(own_zoo, checkpoints):
    """By a config.yaml that was there before, a record would name another training."""
    for name in ("config.yaml", "metrics.csv", "sheet.png"):
        (folder(own_zoo) / name).write_text("of others")
    lone = own_zoo / "lone.ckpt"
    lone.write_bytes(checkpoints.generator.read_bytes())
    main(["export", str(lone), "--to", "zoo", "--out", str(folder(own_zoo))])
    assert sorted(file.name for file in folder(own_zoo).iterdir()) == [zoo.CARD, zoo.WEIGHTS]


def test_the_card_says_that_a_score_chose_the_weights(own_zoo, checkpoints):
    assert "chosen" not in (folder(own_zoo) / zoo.CARD).read_text()
    checkpoint = torch.load(checkpoints.generator, weights_only=True)
    choice = {"metric": "fid", "value": 3.0, "step": 2, "protocol": "birds", "selection": "test"}
    checkpoint[SELECTED] = choice
    seal(checkpoint)
    torch.save(checkpoint, own_zoo / "best.ckpt")
    main(["export", str(own_zoo / "best.ckpt"), "--to", "zoo", "--out", str(folder(own_zoo))])
    assert "| chosen by a score | test: best fid of birds |" in (folder(own_zoo) / zoo.CARD).read_text()


def test_the_card_says_which_losses_the_configuration_lists(own_zoo, checkpoints):
    run = own_zoo / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "last.ckpt").write_bytes(checkpoints.generator.read_bytes())
    terms = [{"class_path": "t2igan.models.generator_losses.DAMSMLoss", "init_args": {"weight": 0.3}}]
    for listed, told in (
        (None, ""),
        (terms, "adversarial, DAMSMLoss of weight 0.3 (listed in its configuration) |"),
    ):
        model = {"class_path": "SSAGAN", "init_args": {"generator_losses": listed}}
        data = {"class_path": "DrawnBirds", "init_args": {"store": str(checkpoints.store)}}
        (run / "config.yaml").write_text(yaml.safe_dump({"model": model, "data": data, "trainer": {}}))
        main(["export", str(run), "--to", "zoo", "--out", str(folder(own_zoo))])
        card = (folder(own_zoo) / zoo.CARD).read_text()
        assert f"| losses of the generator | {told}" in card if told else "losses of the generator" not in card


def test_what_is_in_the_zoo_is_not_called_unfinished(own_zoo, checkpoints, recwarn):
    checkpoint = torch.load(checkpoints.generator, weights_only=True)
    checkpoint["t2igan"]["progress"] |= {"finished": False}
    seal(checkpoint)
    torch.save(checkpoint, own_zoo / "half.ckpt")
    main(["export", str(own_zoo / "half.ckpt"), "--to", "zoo", "--out", str(folder(own_zoo))])
    recwarn.clear()
    subject = load_checkpoint_subject(NAME, "ema")
    assert not subject.module.trained.finished and not subject.module.selected
    assert subject.notes == [] and not [each for each in recwarn if "not finished" in str(each.message)]


@pytest.mark.parametrize("name", ["zoo:birds/ssagn", "zoo:../birds/ssagan", "zoo:birds/../birds/ssagan"])
def test_other_names_lead_nowhere(own_zoo, name):
    with pytest.raises(UserError, match="the zoo has no such weights"):
        load_module(name)


def test_every_flipped_byte_is_noticed(own_zoo):
    file = folder(own_zoo) / zoo.WEIGHTS
    content = file.read_bytes()
    for place in np.linspace(0, len(content) - 1, 40).astype(int):
        harmed = bytearray(content)
        harmed[place] ^= 4
        file.write_bytes(harmed)
        with pytest.raises(UserError):
            load_module(NAME)


def test_a_header_that_names_a_foreign_class_imports_nothing(own_zoo, checkpoints):
    checkpoint = averaged_checkpoint(checkpoints.generator)
    checkpoint["t2igan"]["config"]["class_path"] = "antigravity.Generator"
    write_weights(folder(own_zoo) / zoo.WEIGHTS, checkpoint)
    with pytest.raises(UserError, match="nothing of it was imported"):
        load_module(NAME)


def test_what_is_no_such_file_is_refused(own_zoo, checkpoints):
    file = folder(own_zoo) / zoo.WEIGHTS
    header = json.dumps({"weight": {"dtype": "F16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    for content in (checkpoints.generator.read_bytes(), b"", struct.pack("<Q", len(header)) + header + b"12"):
        file.write_bytes(content)
        with pytest.raises(UserError, match=r"safetensors|its header says nothing"):
            load_module(NAME)


def test_one_network_alone_is_no_entry(own_zoo, checkpoints, capsys):
    with pytest.raises(SystemExit):
        main(["export", str(checkpoints.generator), "--to", "zoo", "--out", "x", "--part", "generator"])
    assert "--part has an effect with --to original only" in capsys.readouterr().err
