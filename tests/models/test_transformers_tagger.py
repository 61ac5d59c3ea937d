"""A BERT as tagger: trained, read back without its folder, and words that its tokenizer splits or drops."""

import shutil

import pytest
import torch
from bert_fixture import write_bert

from t2igan.cli.main import main
from t2igan.errors import UserError
from t2igan.layout.labels import COCO_STUFF
from t2igan.models.suite_module import load_module
from t2igan.models.tagger import Tagger
from t2igan.models.transformers_tagger import TransformersTagger

pytest.importorskip("transformers")
LABELS = {"dog": "dog", "meadow": "grass", "cloud": "sky-other"}
CONFIG = """
model:
  class_path: Tagger
  init_args:
    network: {{class_path: TransformersTagger, init_args: {{folder: {folder}}}}}
    lr: 0.01
data: {{class_path: TaggedNarratives, init_args: {{files: {files}, batch_size: 8}}}}
trainer: {{accelerator: cpu, enable_progress_bar: false, log_every_n_steps: 1, max_steps: 60}}
"""


@pytest.fixture
def bert(tmp_path):
    return write_bert(tmp_path / "bert", ["the", "dog", "meadow"])  # "cloud" is read letter by letter


def test_is_trained_and_read_back_without_its_folder(bert, tmp_path):
    nouns = list(LABELS)
    lines = [[nouns[i % 3], nouns[i // 3 % 3]] for i in range(90)]
    (tmp_path / "t.ids.txt").write_text("".join(f"{i}_1\n" for i in range(90)))
    (tmp_path / "t.words.txt").write_text("".join(f"the {' the '.join(line)}\n" for line in lines))
    tags = (" ".join(f"{LABELS[noun]} {LABELS[noun]}" for noun in line) for line in lines)
    (tmp_path / "t.cleaned_tags.txt").write_text("".join(f"{line}\n" for line in tags))
    (tmp_path / "c.yaml").write_text(CONFIG.format(folder=bert, files=tmp_path / "t"))
    main(["fit", "--config", str(tmp_path / "c.yaml"), "--run", str(tmp_path / "run")])
    shutil.rmtree(bert)
    tagger = load_module(tmp_path / "run" / "checkpoints" / "last.ckpt")
    words = [["the", "dog", "the", "cloud"], ["the", "meadow"]]
    assert tagger.tag(words) == [["dog", "dog", "sky-other", "sky-other"], ["grass", "grass"]]
    # One more narrative in the batch, and so other padding, changes nothing.
    assert tagger.tag([*words, ["the"] * 9])[:2] == tagger.tag(words)


def built(folder):
    network = TransformersTagger(str(folder))
    network.build(5, len(COCO_STUFF))
    return network.eval()


def logits(network, *texts):
    longest = max(map(len, texts))
    return network(
        torch.zeros(len(texts), longest, dtype=torch.int64), torch.tensor([len(t) for t in texts]), texts
    )


def test_a_word_is_known_by_its_first_token(bert):
    network = built(bert)
    found = logits(network, ["cloud", "dog"])
    ids = network._tokens.encode(["cloud", "dog"], is_pretokenized=True).ids
    whole = network.model(input_ids=torch.tensor([ids])).logits
    assert len(ids) == 8
    assert torch.allclose(found[0], whole[0, [1, 6]])


def test_words_without_a_token_take_the_logits_of_the_word_before(bert):
    network = built(bert)
    found = logits(network, ["dog", "\u00ad", "meadow", *["the"] * 40])
    assert found.shape == (1, 43, len(COCO_STUFF))
    assert torch.equal(found[0, 0], found[0, 1]) and not torch.equal(found[0, 1], found[0, 2])
    assert torch.equal(found[0, -1], found[0, -2])


def test_the_bodys_weights_are_those_of_the_folder(bert):
    from transformers import BertModel

    own = built(bert).model.bert.embeddings.word_embeddings.weight
    assert torch.equal(own, BertModel.from_pretrained(bert).embeddings.word_embeddings.weight)


def test_folders_without_a_network_are_refused(tmp_path, bert):
    with pytest.raises(UserError, match=r"nothing: no network of transformers here"):
        Tagger(TransformersTagger(str(tmp_path / "nothing"))).network.build(5, 7)
    (bert / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match=r"bert: not a readable network"):
        built(bert)
