import pytest
from PIL import Image

from t2igan.data.datamodule import COCO, Folder
from t2igan.data.prepare import prepare
from t2igan.data.sources import FolderSource
from t2igan.errors import UserError


class FolderNamedCOCO(FolderSource):
    name = "coco"


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """The same six images with captions of thirty words as a folder's store and as COCO's."""
    root = tmp_path_factory.mktemp("modules")
    (root / "images").mkdir()
    words = " ".join(f"word{number}" for number in range(30))
    lines = ["image,caption,split"]
    for number in range(6):
        Image.new("RGB", (20, 20)).save(root / "images" / f"{number}.png")
        lines.append(f"{number},{words},{'test' if number > 3 else 'train'}")
    (root / "captions.csv").write_text("\n".join(lines))
    made = {}
    for source in (FolderSource, FolderNamedCOCO):
        reader = source(root / "images", root / "captions.csv")
        prepare(reader, root / f"{reader.name}.h5", 16, workers=1)
        made[reader.name] = str(root / f"{reader.name}.h5")
    return made


def widths(data):
    data.setup()
    loaders = data.train_dataloader(), data.val_dataloader()
    return [next(iter(loader)).captions.shape[1] for loader in loaders]


def test_coco_has_the_word_limits_of_the_released_code(stores):
    options = {"image_size": 16, "batch_size": 2, "num_workers": 0}
    assert widths(COCO(stores["coco"], **options)) == [12, 20]
    assert widths(COCO(stores["coco"], words=18, eval_words=None, **options)) == [18, 18]
    assert widths(Folder(stores["folder"], **options)) == [18, 18]
    assert str(COCO().store_path) == "datasets/coco/coco-256.h5" and COCO().image_size == 256


@pytest.mark.parametrize(("module", "other"), [(COCO, "folder"), (Folder, "coco")])
def test_a_store_of_something_else_is_refused(stores, module, other):
    with pytest.raises(UserError, match=f"holds '{other}'.*t2igan prepare {module.expected_name}"):
        module(stores[other], image_size=16).setup()
