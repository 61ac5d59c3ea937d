from t2igan.data.store import open_store
from t2igan.data.vocabulary import END
from t2igan.profiling.synthetic import CAPTIONS, LENGTHS, write_scenes_store, write_synthetic_store


def test_a_store_of_noise_has_the_words_and_sizes_of_a_real_one(tmp_path):
    words = [END, "red", "small", "bird"]
    write_synthetic_store(tmp_path / "s.h5", "cub", 16, images=5, words=words)
    store = open_store(tmp_path / "s.h5")
    train, test = store.split("train"), store.split("test")
    assert (store.name, store.image_size, len(train), len(test)) == ("cub", 16, 5, 2)
    assert store.vocabulary.words == words
    said = [split.caption_text(number).split() for split in (train, test) for number in range(split.n_captions)]
    assert len(said) == 7 * CAPTIONS and {word for caption in said for word in caption} == set(words[1:])
    lengths = {len(caption) for caption in said}
    assert LENGTHS[0] == min(lengths) and max(lengths) < LENGTHS[1]


def test_a_store_of_scenes_has_layouts_and_narratives(tmp_path):
    write_scenes_store(tmp_path / "s.h5", "coco", 32, images=3)
    store = open_store(tmp_path / "s.h5")
    assert (store.name, len(store.split("train")), len(store.split("test"))) == ("coco", 3, 1)
    assert store.holds == {"captions", "layouts", "segments", "narratives"}
