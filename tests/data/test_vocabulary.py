import pickle
from collections import OrderedDict

import numpy as np
import pytest

from t2igan.data.vocabulary import END, Vocabulary, read_captions_pickle, subsample_words, tokenize
from t2igan.errors import UserError


@pytest.mark.parametrize(
    ("caption", "tokens"),
    [
        ("This bird's wings are RED, isn't it?", ["this", "bird", "s", "wings", "are", "red", "isn", "t", "it"]),
        ("white\ufffd\ufffdbelly", ["white", "belly"]),
        ("white\ufffdbelly", ["white", "belly"]),
        ("caf\u00e9 \u9e1f bird_1", ["caf", "bird_1"]),
        (" ,.! ", []),
    ],
)
def test_tokenize(caption, tokens):
    assert tokenize(caption) == tokens


def test_build_keeps_the_order_of_first_appearance():
    vocabulary = Vocabulary.build(["a red bird", "a blue Bird sings"])
    assert vocabulary.words == [END, "a", "red", "bird", "blue", "sings"]
    assert len(vocabulary) == 6


def test_encode_drops_unknown_words_and_decode_drops_padding():
    vocabulary = Vocabulary.build(["a red bird"])
    assert vocabulary.encode("A RED unicorn bird, end") == [1, 2, 3]
    assert vocabulary.encode(["bird", END]) == [3]
    assert vocabulary.decode([3, 1, 0, 0]) == ["bird", "a"]


def test_hash_depends_on_the_order_of_the_words():
    first, second = Vocabulary([END, "red", "bird"]), Vocabulary([END, "bird", "red"])
    assert first.hash != second.hash
    assert first == Vocabulary(first.words)
    assert len(first.hash) == 64


def test_a_vocabulary_without_end_or_with_repetitions_is_refused():
    with pytest.raises(ValueError, match="first word"):
        Vocabulary(["red"])
    with pytest.raises(ValueError, match="once"):
        Vocabulary([END, "red", "red"])


def test_subsample_keeps_order_and_is_no_truncation():
    ids = list(range(100, 130))
    chosen = subsample_words(ids, 18, np.random.default_rng(0))
    assert len(chosen) == 18 and chosen.dtype == np.int64
    assert (np.diff(chosen) > 0).all(), "positions in ascending order"
    assert chosen.tolist() != ids[:18]
    assert subsample_words(ids, 18, np.random.default_rng(0)).tolist() == chosen.tolist()
    assert subsample_words(ids, 18, np.random.default_rng(1)).tolist() != chosen.tolist()


def test_subsample_chooses_every_position_equally_often():
    generator = np.random.default_rng(3)
    counts = np.zeros(10)
    for _ in range(2000):
        counts[subsample_words(range(10), 4, generator)] += 1
    assert np.abs(counts / 2000 - 0.4).max() < 0.05


def test_short_captions_are_untouched_and_draw_nothing():
    generator = np.random.default_rng(0)
    assert subsample_words([5, 6], 2, generator).tolist() == [5, 6]
    assert generator.random() == np.random.default_rng(0).random()


def write(path, content):
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


def test_captions_pickle_gives_its_own_order(tmp_path):
    words = {0: END, 1: "zebra", 2: "a"}
    path = write(tmp_path / "captions.pickle", [[[1, 2]], [[2]], words, {w: i for i, w in words.items()}])
    vocabulary, captions = read_captions_pickle(path)
    assert vocabulary.words == [END, "zebra", "a"]
    assert captions == {"train": [[1, 2]], "test": [[2]]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([[], [], {0: END}, {END: 0}], "word list is damaged"),
        ([[], [], {0: END, 2: "a"}, {}], "word list is damaged"),
        ([[], [], {0: "a", 1: END}, {}], "word list is damaged"),
        ([[[1], [2]], [], {0: END, 1: "a"}, {}], "train caption 1"),
        ([[[1]], [[0]], {0: END, 1: "a"}, {}], "test caption 0"),
        ({"train": []}, "not a caption pickle"),
        ([[], []], "not a caption pickle"),
    ],
)
def test_damaged_captions_pickles_are_refused(tmp_path, content, message):
    path = write(tmp_path / "captions.pickle", content)
    with pytest.raises(UserError, match=message) as error:
        read_captions_pickle(path)
    assert str(path) in str(error.value)


def test_a_pickle_of_other_objects_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"collections\.OrderedDict"):
        read_captions_pickle(write(tmp_path / "captions.pickle", [[], [], OrderedDict(a=1), {}]))
