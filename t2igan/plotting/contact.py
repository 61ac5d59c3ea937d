"""The contact sheet of a store."""

import torch
from PIL import Image

from t2igan.data.annotation_card import spread_evenly
from t2igan.data.store import SPLITS, Store
from t2igan.plotting.grids import PAPER, captioned_grid


def contact_sheet(store: Store, most: int = 12, columns: int = 6, cell_pixels: int = 160) -> Image.Image:
    """Sheet of images spread evenly over each split, as stored, with their first captions.

    Args:
        store: store of the images.
        most: maximum number of images per split.
        columns: images in a row.
        cell_pixels: longer side of a displayed image in pixels.
    """
    grids = []
    for name in SPLITS:
        split = store.split(name)
        if not len(split):
            continue
        chosen = spread_evenly(len(split), most)
        images = [torch.from_numpy(split.image(image)) for image in chosen]
        captions = [split.caption_text(split.captions_of(image)[0]) for image in chosen]
        title = f"{name}: {len(chosen)} of {len(split):,} images"
        grids.append(captioned_grid(images, captions, columns, cell_pixels, title))
    sheet = Image.new("RGB", (max(grid.width for grid in grids), sum(grid.height for grid in grids)), PAPER)
    top = 0
    for grid in grids:
        sheet.paste(grid, (0, top))
        top += grid.height
    return sheet
