import pytest
from test_datamodule import assert_same, module


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_do_not_change_what_is_seen(tiny_store, workers):
    alone, helped = (
        module(tiny_store).train_dataloader(),
        module(tiny_store, num_workers=workers).train_dataloader(),
    )
    for epoch in range(2):
        for loader in (alone, helped):
            loader.sampler.set_epoch(epoch)
        assert_same(list(alone), list(helped))
    assert_same(
        list(module(tiny_store).val_dataloader()), list(module(tiny_store, num_workers=workers).val_dataloader())
    )


@pytest.mark.parametrize(("cpus", "workers"), [(1, 0), (2, 1), (3, 2), (64, 2)])
def test_one_cpu_is_left_to_the_training(tiny_store, monkeypatch, cpus, workers):
    monkeypatch.setattr("t2igan.data.loader.available_cpus", lambda: cpus)
    assert module(tiny_store, num_workers=None).train_dataloader().num_workers == workers
    assert module(tiny_store, num_workers=5).train_dataloader().num_workers == 5, "what is asked for is done"


def test_spawned_workers_see_the_same(tiny_store):
    from torch.utils.data import DataLoader

    loader = module(tiny_store).train_dataloader()
    spawned = DataLoader(
        loader.dataset, sampler=loader.sampler, batch_size=None, num_workers=1, multiprocessing_context="spawn"
    )
    assert_same(list(spawned), list(loader))
