import shutil

import h5py
import pytest
from pytorch_lightning import Trainer

from t2igan.data.checksums import description_checksum, read_content
from t2igan.data.datamodule import CaptionedImagesModule
from t2igan.data.store import open_store
from t2igan.data.tagged import TaggedNarratives
from t2igan.errors import UserError
from t2igan.models.suite_module import SuiteModule


class LayoutModel(SuiteModule):
    requires = frozenset({"layouts", "narratives"})

    def training_step(self, batch, batch_idx):
        raise AssertionError("training began")

    def configure_optimizers(self):
        return []


def test_a_data_set_without_layouts_is_refused_before_training(tiny_store, tmp_path):
    data = CaptionedImagesModule(str(tiny_store), 32, batch_size=4, num_workers=0)
    trainer = Trainer(max_steps=1, logger=False, accelerator="cpu", default_root_dir=tmp_path)
    with pytest.raises(UserError, match=r"LayoutModel needs layouts and narratives, which .*tiny.h5 \(cub\)"):
        trainer.fit(LayoutModel(), datamodule=data)


def test_a_store_of_an_earlier_version_is_read_and_says_how_to_get_layouts(tiny_store, tmp_path):
    path = tmp_path / "older.h5"
    shutil.copyfile(tiny_store, path)
    with h5py.File(path, "r+") as file:
        file.attrs["schema_version"] = 3
        file.attrs["description_xxh3"] = description_checksum(file, read_content(file))
    assert open_store(path).fingerprint == open_store(tiny_store).fingerprint
    assert (
        len(next(iter(CaptionedImagesModule(str(path), 32, num_workers=0, batch_size=4).train_dataloader()))) == 4
    )
    with pytest.raises(
        UserError, match=r"which .*older.h5 \(cub, schema version 3: prepare it again\) does not contain"
    ):
        CaptionedImagesModule(str(path), 32).require({"layouts"}, "SPADE")


def test_captions_are_there_and_tags_are_not(tiny_store, tmp_path):
    CaptionedImagesModule(str(tiny_store), 32).require({"captions"}, "SSAGAN")
    with pytest.raises(UserError, match="Tagger needs tags"):
        CaptionedImagesModule(str(tiny_store), 32).require({"tags"}, "Tagger")
    with pytest.raises(UserError, match="SSAGAN needs captions"):
        TaggedNarratives(str(tmp_path / "val")).require({"captions"}, "SSAGAN")
