import pytest
from torch.utils.data import DistributedSampler

from t2igan.data.sampler import EvaluationBatches, TrainingBatches, share_of


def images(batches):
    return [image for batch in batches for _, image in batch]


def test_an_epoch_visits_images_once_in_an_order_of_its_own():
    sampler = TrainingBatches(23, 5, seed=7)
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        batches = list(sampler)
        assert len(batches) == len(sampler) == 4
        assert {number for batch in batches for number, _ in batch} == {epoch}
        assert len(set(images(batches))) == 20
        orders.append(images(batches))
    assert orders[0] != orders[1] != orders[2]
    assert images(TrainingBatches(23, 5, seed=7)) == orders[0]
    assert images(TrainingBatches(23, 5, seed=8)) != orders[0]


def test_starting_in_the_middle_gives_the_rest_once():
    whole = list(TrainingBatches(20, 4))
    sampler = TrainingBatches(20, 4)
    sampler.start_batch = 3
    assert len(sampler) == 5, "the trainer counts the batches before, too"
    assert list(sampler) == whole[3:]
    assert list(sampler) == whole


def test_the_position_is_asked_when_the_epoch_begins():
    position = [(2, 1)]
    sampler = TrainingBatches(20, 4, position=lambda: position[0])
    begun = iter(sampler)
    position[0] = (3, 0)
    second_epoch = TrainingBatches(20, 4)
    second_epoch.set_epoch(2)
    assert list(begun) == list(second_epoch)[1:]
    assert all(epoch == 3 for batch in sampler for epoch, _ in batch)


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_the_batches_of_one_process(world_size):
    together = list(TrainingBatches(50, 4 * world_size, seed=1))
    for rank in range(world_size):
        assert list(TrainingBatches(50, 4, seed=1, rank=rank, world_size=world_size)) == together
    shares = [share_of(together[0], rank, world_size) for rank in range(world_size)]
    assert [pair for share in shares for pair in share] == together[0]
    assert {len(share) for share in shares} == {4}


def test_without_shuffling_the_order_is_the_stores():
    assert images(TrainingBatches(6, 3, shuffle=False)) == list(range(6))


@pytest.mark.parametrize(("count", "world_size"), [(10, 1), (10, 3), (2, 3), (7, 2)])
def test_evaluation_shares_are_exact(count, world_size):
    captions = [100 + 3 * number for number in range(count)]
    shares = []
    for rank in range(world_size):
        sampler = EvaluationBatches(captions, 4, rank, world_size)
        batches = list(sampler)
        assert len(batches) == len(sampler)
        shares.append([caption for batch in batches for caption in batch])
    assert sorted(caption for share in shares for caption in share) == captions, (
        "none is repeated, none is left out"
    )
    assert all(share == captions[rank::world_size] for rank, share in enumerate(shares))


def test_lightning_leaves_them_alone():
    assert isinstance(TrainingBatches(4, 2), DistributedSampler)
    assert isinstance(EvaluationBatches(range(4), 2), DistributedSampler)
