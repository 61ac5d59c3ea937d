from pathlib import Path

import pytest
from PIL import Image

from t2igan.image_files import UndecodableImageError, decoding


@pytest.mark.parametrize("raised", [OSError, SyntaxError, ValueError, Image.DecompressionBombError])
@pytest.mark.parametrize("kind", [UndecodableImageError, KeyError])
def test_whatever_pil_raises_is_one_kind_with_the_file(raised, kind):
    with pytest.raises(kind, match=r"a\.png: does not decode \(why\)"), decoding(Path("a.png"), kind):
        raise raised("why")


def test_an_image_that_decodes_is_let_through(tmp_path):
    Image.new("L", (2, 3)).save(tmp_path / "a.png")
    with decoding(tmp_path / "a.png"), Image.open(tmp_path / "a.png") as image:
        assert image.size == (2, 3)
