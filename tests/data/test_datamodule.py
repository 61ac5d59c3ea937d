import pickle
from types import SimpleNamespace

import pytest
import torch

from t2igan.data.batch import CaptionedImages
from t2igan.data.datamodule import CUB, CaptionedImagesModule, DrawnBirds
from t2igan.data.datasets import UncutBatch, resize_images
from t2igan.data.store import open_store
from t2igan.errors import UserError


def module(store, **options):
    options = {"image_size": 32, "batch_size": 4, "num_workers": 0, **options}
    return CaptionedImagesModule(str(store), **options)


def contents(batches):
    whole = [batch.cut() if isinstance(batch, UncutBatch) else batch for batch in batches]
    return [(batch.keys, batch.caption_ids.tolist(), batch.captions.tolist(), batch.images) for batch in whole]


def assert_same(first, second):
    assert len(first) == len(second) > 0
    for one, other in zip(contents(first), contents(second)):
        assert one[:3] == other[:3] and torch.equal(one[3], other[3])


def test_batches_are_whole_and_typed(tiny_store):
    data = module(tiny_store)
    batches = list(data.train_dataloader())
    assert len(batches) == 3
    for uncut in batches:
        batch = data.on_after_batch_transfer(uncut, 0)
        assert len(uncut) == 4 and isinstance(batch, CaptionedImages) and len(batch) == 4
        assert batch.images.shape == (4, 3, 32, 32) and batch.images.dtype == torch.uint8


def test_facts_are_there_before_setup(tiny_store):
    data, store = module(tiny_store), open_store(tiny_store)
    assert data.vocabulary == store.vocabulary and data.fingerprint == store.fingerprint
    assert data.num_classes == 5
    assert (len(data.train_split), len(data.test_split)) == (15, 10)


def test_validation_is_the_first_caption_of_each_test_image(tiny_store):
    data = module(tiny_store, eval_batch_size=4)
    batches = list(data.val_dataloader())
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert sorted(key for batch in batches for key in batch.keys) == sorted(data.test_split.keys)
    ids = [i for batch in batches for i in batch.caption_ids.tolist()]
    assert sorted(ids) == list(range(0, 100, 10))
    assert ids != sorted(ids)  # classes lie together in stores, and must not in batches
    assert_same(batches, list(data.val_dataloader()))
    assert_same(batches, list(data.test_dataloader()))


def test_evaluation_takes_any_captions_in_order_and_any_batch_size(tiny_store):
    data, wanted = module(tiny_store), [57, 3, 99, 3, 4]
    pairs = []
    for size in (1, 2, 5):
        batches = list(data.eval_dataloader("train", wanted, batch_size=size))
        assert [i for batch in batches for i in batch.caption_ids.tolist()] == wanted
        pairs.append(torch.cat([batch.images for batch in batches]))
    assert torch.equal(pairs[0], pairs[1]) and torch.equal(pairs[0], pairs[2])


def test_eval_words_differ_from_training_words(tiny_store):
    data = module(tiny_store, words=3, eval_words=5)
    assert next(iter(data.train_dataloader())).lengths.max() == 3
    assert next(iter(data.val_dataloader())).lengths.max() == 5


def test_a_larger_store_is_cut_at_its_size_and_resized(tiny_store):
    data = module(tiny_store, image_size=16)
    raw = next(iter(data.val_dataloader()))
    assert raw.images.shape[-1] == 32
    batch = data.on_after_batch_transfer(raw, 0)
    assert batch.images.shape == (4, 3, 16, 16) and batch.images.dtype == torch.uint8
    assert torch.equal(batch.images, resize_images(raw.images, 16)) and batch.keys == raw.keys
    assert data.on_after_batch_transfer("no batch", 0) == "no batch"


def test_a_smaller_store_is_refused_unless_asked_for(tiny_store):
    with pytest.raises(UserError, match=r"prepared for 32-pixel.*data\.image_size is 64"):
        module(tiny_store, image_size=64).setup("fit")
    data = module(tiny_store, image_size=64, allow_upsampling=True)
    batch = next(iter(data.train_dataloader()))
    assert data.on_after_batch_transfer(batch, 0).images.shape[-1] == 64


def test_another_data_set_is_refused(tiny_store):
    CUB(str(tiny_store), 32).setup()
    with pytest.raises(UserError, match="holds 'cub', not 'drawn-birds'"):
        DrawnBirds(str(tiny_store), 32).setup()


def test_a_missing_store_is_refused_in_setup_not_when_configured(tmp_path):
    data = CUB(str(tmp_path / "none.h5"))
    with pytest.raises(UserError, match="no such store"):
        data.setup("fit")


def test_a_batch_larger_than_the_data_is_refused(tiny_store):
    with pytest.raises(UserError, match=r"15 training images are fewer than data\.batch_size 16"):
        module(tiny_store, batch_size=16).train_dataloader()


def test_a_checkpoint_of_another_vocabulary_is_refused(tiny_store):
    data = module(tiny_store)
    state = pickle.loads(pickle.dumps(data.state_dict()))
    data.load_state_dict(state)
    with pytest.raises(UserError, match="the checkpoint was trained with vocabulary"):
        data.load_state_dict({**state, "vocabulary_hash": "0" * 64})
    with pytest.warns(UserWarning, match="not the store that the checkpoint was trained on"):
        data.load_state_dict({**state, "fingerprint": "0" * 64})


def test_going_on_with_other_images_under_the_old_name_is_refused(tiny_store):
    data = module(tiny_store)
    data.trainer = SimpleNamespace(state=SimpleNamespace(fn="fit"), global_rank=0, world_size=1, num_devices=1)
    state = {**data.state_dict(), "fingerprint": "0" * 64}
    with pytest.raises(UserError, match="put that one back"):
        data.load_state_dict(state)
    with pytest.warns(UserWarning, match="not the store that the checkpoint was trained on"):
        data.load_state_dict({**state, "store": "elsewhere.h5"})
    data.trainer.state.fn = "validate"
    with pytest.warns(UserWarning, match="not the store that the checkpoint was trained on"):
        data.load_state_dict(state)


def test_the_command_line_can_configure_it(tiny_store):
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(CaptionedImagesModule, "data")
    arguments = [
        "--data=t2igan.data.datamodule.CUB",
        f"--data.store={tiny_store}",
        "--data.image_size=32",
        "--data.words=7",
    ]
    data = parser.instantiate(parser.parse_args(arguments)).data
    assert isinstance(data, CUB) and data.words == data.eval_words == 7
    with pytest.raises(Exception, match="wrods"):
        parser.parse_args([*arguments, "--data.wrods=3"])
