"""The tagger: learns, resumes, is read back; on the released tags where they are at hand."""

import json

import pytest
import torch

from t2igan.cli import tag
from t2igan.cli.main import main
from t2igan.data.tagged import UNTAGGED, TaggedNarratives
from t2igan.errors import UserError
from t2igan.models.suite_module import load_module

COLOURS = {"dog": "dog", "meadow": "grass", "cloud": "sky-other", "tree": "tree"}
CONFIG = """
model:
  class_path: Tagger
  init_args:
    network: {{class_path: BiLSTMTagger, init_args: {{embedding_dim: 8, hidden_dim: 8, dropout: 0.1}}}}
    lr: 0.03
data: {{class_path: TaggedNarratives, init_args: {{files: {files}, batch_size: 8}}}}
trainer: {{accelerator: cpu, enable_progress_bar: false, log_every_n_steps: 1}}
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Narratives in which each noun, and the article before it, have the noun's label."""
    folder = tmp_path_factory.mktemp("tags")
    generator = torch.Generator().manual_seed(0)
    words, tags = [], []
    for _ in range(150):
        nouns = [list(COLOURS)[place] for place in torch.randint(4, (3,), generator=generator)]
        words.append(" ".join(f"the {noun}" for noun in nouns))
        tags.append(" ".join(f"{COLOURS[noun]} {COLOURS[noun]}" for noun in nouns))
    (folder / "t.ids.txt").write_text("".join(f"{image}_1\n" for image in range(150)))
    (folder / "t.words.txt").write_text("\n".join(words) + "\n")
    (folder / "t.cleaned_tags.txt").write_text("\n".join(tags) + "\n")
    (folder / "tagger.yaml").write_text(CONFIG.format(files=folder / "t"))
    return folder


def fit(files, run, steps):
    command = ["fit", "--config", str(files / "tagger.yaml"), "--run", str(run), "--trainer.max_steps", str(steps)]
    main(command)
    return load_module(run / "checkpoints" / "last.ckpt")


def test_learns_and_is_read_back(files, tmp_path):
    tagger = fit(files, tmp_path / "run", 150)
    assert tagger.tag([["the", "dog", "the", "cloud"], ["the", "meadow"]]) == [
        ["dog", "dog", "sky-other", "sky-other"],
        ["grass", "grass"],
    ]
    assert len(tagger.tag([["never", "heard"]])[0]) == 2
    assert tagger.vocabulary[:2] == ["<end>", "<unk>"]


def test_a_resumed_run_equals_the_uninterrupted_one(files, tmp_path):
    fit(files, tmp_path / "parts", 9)
    one, two = fit(files, tmp_path / "parts", 20), fit(files, tmp_path / "whole", 20)
    weights = two.state_dict()
    assert all(value.equal(weights[key]) for key, value in one.state_dict().items())


def test_padding_changes_nothing(files, tmp_path):
    tagger = fit(files, tmp_path / "run", 10)
    words, lengths = torch.tensor([[2, 3, 4]]), torch.tensor([3])
    alone = tagger.network(words, lengths, [])
    padded = torch.tensor([[2, 3, 4, 0, 0], [3, 2, 4, 5, 2]])
    together = tagger.network(padded, torch.tensor([3, 5]), [])
    assert torch.allclose(alone[0], together[0, :3], atol=1e-6)
    batch = TaggedNarratives(str(files / "t"), batch_size=8)
    first = next(iter(batch.val_dataloader()))
    assert ((first.tags == UNTAGGED) == (first.words == 0)).all()


def test_narratives_without_tags_teach_nothing(files, tmp_path):
    for kind in ("ids", "words"):
        (tmp_path / f"t.{kind}.txt").write_text((files / f"t.{kind}.txt").read_text())
    with pytest.raises(UserError, match=r"cleaned_tags\.txt does not exist"):
        _ = TaggedNarratives(str(tmp_path / "t")).vocabulary


def test_a_training_without_its_files_begins_no_folder(tmp_path, capsys):
    (tmp_path / "tagger.yaml").write_text(CONFIG.format(files=tmp_path / "t"))
    with pytest.raises(SystemExit):
        main(["fit", "--config", str(tmp_path / "tagger.yaml"), "--run", str(tmp_path / "run")])
    assert "t.ids.txt" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_verb_prints_the_references_beside_the_tagger(files, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tag.console, "width", 160)
    fit(files, tmp_path / "run", 150)
    run = str(tmp_path / "run")  # it stands for its last checkpoint
    capsys.readouterr()
    main(["tag", "--checkpoint", run, "--narratives", str(files / "t"), "--out", str(tmp_path / "tags.jsonl")])
    said = capsys.readouterr().out
    rows = {line.split("│")[1].strip(): line.split("│")[2:-1] for line in said.splitlines() if "│" in line}
    accuracy = {name: float(cells[0]) for name, cells in rows.items()}
    assert list(accuracy)[-1] == "BiLSTMTagger"
    # Only what looks ahead knows the article's label.
    assert accuracy["BiLSTMTagger"] > 0.95 > accuracy["most frequent label of each word"]
    lines = [json.loads(line) for line in (tmp_path / "tags.jsonl").read_text().splitlines()]
    assert len(lines) == 150 and len(lines[0]["tags"]) == len(lines[0]["words"]) == 6


def test_the_table_of_references_fits_a_narrow_terminal(files, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tag.console, "width", 80)
    rows = tag.reference_rows(TaggedNarratives(str(files / "t")), fit(files, tmp_path / "run", 1))
    capsys.readouterr()
    tag._print(rows)
    table = capsys.readouterr().out.splitlines()[1:]
    assert all(line[-1] in "┓┃┩│┘" and len(line) <= 80 for line in table), table


def test_nothing_to_do_is_said(files, tmp_path, capsys):
    """Narratives without tags, and no file for those of the tagger."""
    fit(files, tmp_path / "run", 1)
    for kind in ("ids", "words"):
        (tmp_path / f"t.{kind}.txt").write_text((files / f"t.{kind}.txt").read_text())
    with pytest.raises(SystemExit):
        main(
            [
                *("tag", "--checkpoint", str(tmp_path / "run" / "checkpoints" / "last.ckpt")),
                *("--narratives", str(tmp_path / "t")),
            ]
        )
    assert "t.cleaned_tags.txt does not exist, nothing can be scored: give --out FILE" in capsys.readouterr().err


@pytest.mark.slow
def test_an_epoch_on_the_released_tags_beat_the_most_frequent_label(trecs_tags, tmp_path):
    """Always `person`: 0.29; the most frequent label of each word: 0.387."""
    config = "experiments/coco/trecs-tagger.yaml"
    short = ["--trainer.max_epochs", "1", "--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"]
    main(["fit", "--config", config, "--run", str(tmp_path), "--data.files", str(trecs_tags), *short])
    data = TaggedNarratives(str(trecs_tags))
    tagger = load_module(tmp_path / "checkpoints" / "last.ckpt")
    test = data.parts["test"]
    tagged = tagger.tag([each.words for each in test])
    hits = [guess == tag for guesses, each in zip(tagged, test) for guess, tag in zip(guesses, each.tags)]
    assert sum(hits) / len(hits) > 0.42
