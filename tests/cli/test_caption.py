"""``t2igan caption`` as a user types it."""

import json

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image

from t2igan.cli.main import main
from t2igan.data.datamodule import DrawnBirds
from t2igan.models.ssagan import SSAGAN, OneWayDiscriminator, SSAGANGenerator
from t2igan.models.stream import STREAM, SmallCaptionEncoder


@pytest.fixture(scope="module")
def trained(drawn_birds_store, tmp_path_factory):
    """Checkpoints of a captioner and of a generator after one step each."""
    folder = tmp_path_factory.mktemp("trained")
    torch.manual_seed(0)
    generator = SSAGANGenerator(16, 4, noise_dim=8, sentence_dim=16)
    modules = {
        "stream": STREAM(SmallCaptionEncoder(dim=16, channels=4, image_size=16), hidden_dim=16, max_words=6),
        "gan": SSAGAN(
            damsm_weight=0, generator=generator, discriminators=[OneWayDiscriminator(16, 4, sentence_dim=16)]
        ),
    }
    for name, module in modules.items():
        trainer = pl.Trainer(
            max_steps=1, accelerator="cpu", logger=False, enable_checkpointing=False, limit_val_batches=0
        )
        data = DrawnBirds(str(drawn_birds_store), image_size=16, batch_size=8, num_workers=0)
        trainer.fit(module, datamodule=data)
        trainer.save_checkpoint(folder / f"{name}.ckpt")
    return folder


def test_captions_of_files(trained, tmp_path, capsys):
    images = tmp_path / "images"
    images.mkdir()
    for name, shape in (("wide.png", (20, 40, 3)), ("grey.jpg", (30, 30))):
        Image.fromarray(np.full(shape, 128, np.uint8)).save(images / name)
    out = tmp_path / "captions.jsonl"
    stream = str(trained / "stream.ckpt")
    main(["caption", "--checkpoint", stream, "--images", str(images), "--out", str(out), "--device", "cpu"])
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["image"] for row in rows] == [str(images / "grey.jpg"), str(images / "wide.png")]
    assert all(row["log_probability"] < 0 and len(row["caption"].split()) <= 6 for row in rows)
    assert "next: t2igan caption" in capsys.readouterr().out


def test_quality_on_drawn_and_real_pictures(trained, drawn_birds_store, tmp_path):
    results = []
    for batch_size in ("3", "50"):
        out = tmp_path / f"quality-{batch_size}.jsonl"
        words = ["caption", "--checkpoint", str(trained / "stream.ckpt"), "--store", str(drawn_birds_store)]
        words += ["--generator", str(trained / "gan.ckpt"), "--count", "7", "--batch_size", batch_size]
        main([*words, "--out", str(out), "--device", "cpu"])
        results.append([json.loads(line) for line in out.read_text().splitlines()])
    for row, again in zip(*results):
        assert row["images"] == again["images"] and row["count"] == 7
        assert row["loss"] == pytest.approx(again["loss"], rel=1e-4)
        assert row["perplexity"] == pytest.approx(np.exp(row["loss"]), rel=1e-4)
        assert 0 <= row["bleu_4"] <= 1 and 0 <= row["rouge_l"] <= 1
    assert [row["images"] for row in results[0]] == [
        "drawn by gan",
        "real images",
        "real images of other captions",
    ]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ([], "--checkpoint is missing"),
        (["--checkpoint", "{stream}"], "give either --images"),
        (["--checkpoint", "{stream}", "--images", "nowhere"], "no such file or folder"),
        (["--checkpoint", "{gan}", "--images", "nowhere"], "holds SSAGAN, which tells nothing"),
        (["--checkpoint", "{stream}", "--images", "{broken}"], "not readable as images"),
        (["--checkpoint", "{stream}", "--images", "{broken}", "--generator", "{gan}"], "give their --store"),
        (
            ["--checkpoint", "{stream}", "--images", "{broken}", "--batch_size", "0"],
            "--batch_size must be at least 1",
        ),
    ],
)
def test_bad_input_is_one_line(trained, tmp_path, capsys, options, line):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    places = {"stream": trained / "stream.ckpt", "gan": trained / "gan.ckpt", "broken": broken}
    with pytest.raises(SystemExit) as stopped:
        main(["caption", *(option.format(**places) for option in options)])
    assert stopped.value.code == 2
    said = capsys.readouterr().err.strip()
    assert line in said and "\n" not in said
