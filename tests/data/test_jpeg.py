import pytest
import torch
from test_augmentation import DEVICES

from t2igan.data.augmentation import EncodedWindows
from t2igan.data.datamodule import CaptionedImagesModule
from t2igan.data.prepare import prepare
from t2igan.data.sources import make_source
from t2igan.errors import UserError


@pytest.fixture(scope="module")
def jpeg_store(drawn_birds_root, tmp_path_factory):
    path = tmp_path_factory.mktemp("jpeg") / "store.h5"
    prepare(make_source("drawn-birds", drawn_birds_root), path, 64, "jpeg", workers=1)
    return path


def batches(store, device, **options):
    data = CaptionedImagesModule(str(store), 64, batch_size=8, **options)
    for batch in data.train_dataloader():
        yield data.on_after_batch_transfer(data.transfer_batch_to_device(batch, torch.device(device), 0), 0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("workers", [0, 1])
def test_the_device_decodes_what_the_worker_decodes(jpeg_store, device, workers):
    by_worker = list(batches(jpeg_store, "cpu", num_workers=0))
    by_device = list(batches(jpeg_store, device, num_workers=workers, decode="device"))
    assert len(by_worker) == len(by_device) == 3
    for one, other in zip(by_worker, by_device):
        assert other.images.device.type == device and one.keys == other.keys
        assert torch.equal(one.captions, other.captions.cpu())
        difference = (one.images.int() - other.images.cpu().int()).abs()
        assert difference.max() == 0 if device == "cpu" else difference.float().mean() < 1


def test_a_device_that_cannot_decode_is_one_line():
    no_file = torch.zeros(50, dtype=torch.uint8)
    windows = EncodedWindows(no_file, torch.tensor([50]), torch.zeros(1, 2).long(), torch.tensor([False]), 8)
    with pytest.raises(UserError, match=r"JPEG does not decode on cpu .*data\.decode: worker"):
        windows.to("cpu")
