"""``t2igan import`` and ``t2igan export`` as they are typed."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from evaluation_fixtures import write_protocol
from PIL import Image
from released_weights import SMALL, assert_same, released_state, write_captions_pickle

from t2igan.cli import export, import_, parsing
from t2igan.cli.main import main
from t2igan.data.store import open_store
from t2igan.evaluation.record import read_records
from t2igan.interop.assemble import System, write_checkpoint
from t2igan.interop.files import read_weights
from t2igan.interop.kinds import KINDS
from t2igan.models.damsm import DAMSM, SmallImageEncoder
from t2igan.models.suite_module import read_checkpoint

WORDS = ["<end>", "a", "small", "red", "bird", "with", "blue", "wings", "beak"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with released files, in which commands are typed."""
    monkeypatch.chdir(tmp_path)
    torch.save(released_state("attngan-generator"), "bird_AttnGAN2.pth")
    torch.save(released_state("damsm-text-encoder", {"vocabulary_size": 9, "dim": 8}), "text_encoder200.pth")
    write_captions_pickle(tmp_path / "captions.pickle", WORDS)
    return tmp_path


def type_in(line):
    main(line.split())


def fails(capsys, line):
    """The one line that a wrong command prints."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        type_in(line)
    assert stop.value.code == 2
    (said,) = capsys.readouterr().err.splitlines()
    return said


WHOLE = "import bird_AttnGAN2.pth --with text_encoder200.pth --captions_pickle captions.pickle --out attngan.ckpt"


def test_an_imported_generator_draws(folder, capsys):
    type_in(f"{WHOLE} --as attngan-generator --legacy_mask true")
    said = capsys.readouterr().out
    for part in ("attngan-generator", "damsm-text-encoder", "3,862", "residual_blocks 2", "vocabulary_size 9"):
        assert part in " ".join(said.split())
    assert "wrote attngan.ckpt: AttnGAN of attngan-generator, damsm-text-encoder, 9 words" in said
    generator = read_checkpoint("attngan.ckpt")["t2igan"]["config"]["init_args"]["generator"]
    assert generator["init_args"]["legacy_mask"] is True
    command = said.partition("next: t2igan ")[2].strip()
    assert command == "sample --checkpoint attngan.ckpt --caption 'a small red bird' --out images"
    main(["sample", "--checkpoint", "attngan.ckpt", "--caption", "a small red bird", "--out", "drawn", "--n", "2"])
    images = [np.array(Image.open(folder / "drawn" / f"c000_s0{number}.png")) for number in (0, 1)]
    assert {image.shape for image in images} == {(32, 32, 3)}
    assert (images[0] != images[1]).any()


def test_a_network_by_itself_says_what_is_missing(folder, capsys):
    type_in("import bird_AttnGAN2.pth --as auto --out lone.ckpt")
    said = capsys.readouterr().out
    assert "wrote lone.ckpt: LoneNetwork of attngan-generator, by itself" in said
    assert "import bird_AttnGAN2.pth --as attngan-generator --with text_encoder.pth --captions_pickle" in said
    assert "LoneNetwork, which generates no images" in fails(
        capsys, "sample --checkpoint lone.ckpt --caption a --out images"
    )
    type_in("import text_encoder200.pth --captions_pickle captions.pickle --out text.ckpt")
    assert "--with image_encoder.pth" in capsys.readouterr().out


def test_an_image_encoder_needs_to_be_told_how_it_saw_images(folder, capsys):
    """Released files of all papers are alike; R-precision depends on it."""
    torch.save(released_state("damsm-image-encoder"), "image_encoder.pth")
    said = fails(capsys, "import image_encoder.pth --out image.ckpt")
    assert "--align_corners is missing" in said and "true for AttnGAN, MirrorGAN and DM-GAN" in said
    for value in ("true", "false"):
        type_in(f"import image_encoder.pth --align_corners {value} --out image.ckpt")
        config = torch.load("image.ckpt", weights_only=True)["t2igan"]["config"]
        assert config["init_args"]["network"]["init_args"]["align_corners"] is (value == "true")


def test_export_hands_back_what_was_imported(folder, capsys):
    type_in(f"{WHOLE} --with=text_encoder200.pth".replace("--with text_encoder200.pth ", ""))
    type_in("export attngan.ckpt --out netG.pth")
    assert "wrote netG.pth: AttnGANGenerator, 79 tensors" in capsys.readouterr().out
    assert_same(read_weights("netG.pth"), released_state("attngan-generator"))
    type_in("export attngan.ckpt --part text_encoder --out text.pth")
    assert_same(read_weights("text.pth"), read_weights("text_encoder200.pth"))
    assert "no part 'judge'; AttnGAN has generator, text_encoder" in fails(
        capsys, "export attngan.ckpt --part judge --out x.pth"
    )
    assert "--out is missing" in fails(capsys, "export attngan.ckpt")
    assert "is the input file" in fails(capsys, "export attngan.ckpt --out attngan.ckpt")
    assert "attngan.ckpt is already a checkpoint of the suite" in fails(capsys, "import attngan.ckpt --out x.ckpt")


@pytest.mark.parametrize(
    ("line", "say"),
    [
        ("import bird_AttnGAN2.pth", "--out is missing"),
        ("import none.pth --out x.ckpt", "no file none.pth"),
        ("import bird_AttnGAN2.pth --as attngan --out x.ckpt", "no released network is called 'attngan'"),
        ("import bird_AttnGAN2.pth --as dmgan-generator --out x.ckpt", "The file looks like attngan-generator"),
        ("import bird_AttnGAN2.pth --legacymask true --out x.ckpt", "'legacymask' is not an option"),
        (
            "import bird_AttnGAN2.pth --align_corners true --out x.ckpt",
            "no network here has the option align_corners",
        ),
        ("import bird_AttnGAN2.pth --with text_encoder200.pth --out x.ckpt", "--captions_pickle is missing"),
        ("import captions.pickle --out x.ckpt", "captions.pickle"),
        (
            "import text_encoder200.pth --out ./text_encoder200.pth",
            "--out: ./text_encoder200.pth is the input file",
        ),
        (WHOLE.replace("captions.pickle", "none.pickle"), "none.pickle: no such file"),
    ],
)
def test_mistakes_are_one_line(folder, capsys, line, say):
    said = fails(capsys, line)
    assert say in said
    assert said.startswith("t2igan import: ")
    assert not (folder / "x.ckpt").exists()


def test_a_vocabulary_of_another_size_is_refused_with_both(folder, capsys):
    write_captions_pickle(folder / "captions.pickle", [*WORDS, "pad", "start", "unknown"])
    assert "was trained on 9 words, captions.pickle has 12" in fails(capsys, WHOLE)


def test_help_names_every_kind(capsys):
    type_in("import --help")
    described = " ".join(import_.import_verb.__doc__.replace("\n", " ").split())
    assert all(f" {kind}" in described for kind in KINDS)
    assert "--as" in capsys.readouterr().out


def test_an_imported_generator_is_scored(drawn_birds_store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = open_store(drawn_birds_store).vocabulary.words
    write_captions_pickle(tmp_path / "captions.pickle", words)
    torch.save(released_state("ssagan-generator", SMALL["ssagan-generator"] | {"image_size": 32}), "netG_550.pth")
    torch.save(released_state("damsm-text-encoder", {"vocabulary_size": len(words), "dim": 8}), "text.pth")
    type_in("import netG_550.pth --with text.pth --captions_pickle captions.pickle --out ssagan.ckpt")
    damsm = DAMSM(SmallImageEncoder(8, 2, 32))
    damsm.vocabulary = words
    damsm.configure_model()
    write_checkpoint(System(damsm, {}), "damsm.ckpt")
    write_protocol(
        tmp_path / "tiny.yaml", images=20, metrics=[{"name": "r-precision", "candidates": 5, "folds": 2}]
    )
    type_in(
        f"evaluate --checkpoint ssagan.ckpt --protocol tiny.yaml --store {drawn_birds_store} "
        "--damsm damsm.ckpt --records records.jsonl --device cpu"
    )
    (record,) = read_records(tmp_path / "records.jsonl")
    assert record.subject.module == "t2igan.models.ssagan.SSAGAN"
    assert any(name.startswith("r-precision") for name in record.metrics)


def commands_of_the_readme():
    text = (Path(__file__).parents[2] / "checkpoints" / "README.md").read_text()
    blocks = re.findall(r"```bash\n(.*?)```", text, re.S)
    return [line.split()[1:] for line in "".join(blocks).splitlines()]


@pytest.mark.parametrize("words", commands_of_the_readme(), ids=" ".join)
def test_commands_of_the_readme_are_accepted(words, monkeypatch):
    taken = {}
    for module in (import_, export):
        monkeypatch.setattr(module, "call", lambda *call: taken.update(parsing.parse(*call)))
    main(words)
    assert taken["out"]
