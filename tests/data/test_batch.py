import torch

from t2igan.data.batch import CaptionedImages
from t2igan.layout.layout import Layouts
from t2igan.layout.narratives import Narrative


def test_rows_of_a_batch_keep_layouts_and_narratives():
    maps = torch.arange(3, dtype=torch.uint8)[:, None, None].expand(3, 2, 2)
    ids = torch.arange(3)
    told = [Narrative(str(n), "0", (f"word{n}",)) for n in range(3)]
    batch = CaptionedImages(
        maps[:, None].expand(3, 3, 2, 2), ids[:, None], ids + 1, ids, list("abc"), ids,
        Layouts(maps, maps, [(f"text {n}",) for n in range(3)]), told,
    )  # fmt: skip
    picked = batch.to("cpu").select(torch.tensor([2, 0]))
    assert picked.layouts.labels[:, 0, 0].tolist() == picked.layouts.instances[:, 1, 1].tolist() == [2, 0]
    assert picked.layouts.texts == [("text 2",), ("text 0",)]
    assert [each.words for each in picked.narratives] == [("word2",), ("word0",)]
    assert batch.to("meta").layouts.labels.device.type == "meta"
