import numpy as np
import pytest
import torch

from t2igan.errors import UserError
from t2igan.plotting.grids import captioned_grid, font, rows_grid, to_pil, wrap


def noise(count: int, size: int = 8) -> torch.Tensor:
    return torch.randint(
        0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )


def test_images_are_enlarged_with_hard_edges_by_whole_factors() -> None:
    image = noise(1)[0]
    enlarged = np.asarray(to_pil(image, 32))
    assert enlarged.shape == (32, 32, 3)
    assert np.array_equal(enlarged[::4, ::4], image.permute(1, 2, 0).numpy())
    assert np.array_equal(enlarged[3::4, 3::4], image.permute(1, 2, 0).numpy())


@pytest.mark.parametrize(
    ("shape", "size"), [((3, 8, 8), (21, 21)), ((3, 40, 20), (10, 21)), ((3, 8, 16), (21, 10))]
)
def test_longer_side_is_the_cell(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    assert to_pil(torch.zeros(shape, dtype=torch.uint8), 21).size == size


def test_float_images_are_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        to_pil(torch.zeros(3, 8, 8))


def test_wrapped_lines_fit_and_lose_nothing() -> None:
    text = "this small bird has a yellow belly and anextraordinarilylongwordwithoutanyspaceinit indeed"
    lines = wrap(text, font(12), 100)
    assert all(font(12).getlength(line) <= 100 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert wrap("", font(12), 100) == []
    assert wrap("i" * 7, font(12), 0) == ["i"] * 7


def test_a_long_word_is_measured_line_by_line() -> None:
    """3,000 letters without a space took 32 s when each line measured all that was left."""
    measured = []

    class Measuring:
        def getlength(self, text: str) -> float:
            measured.append(len(text))
            return 10.0 * len(text)

    assert [len(line) for line in wrap("x" * 1000, Measuring(), 105)] == [10] * 100
    assert sum(measured) < 100 * 1000


def test_grid_shows_every_image() -> None:
    flat = torch.zeros(5, 3, 4, 4, dtype=torch.uint8)
    for number in range(5):
        flat[number, 0] = 40 + 40 * number
    grid = np.asarray(captioned_grid(flat, ["a bird"] * 5, columns=3, cell_pixels=40))
    for number in range(5):
        color = np.array([40 + 40 * number, 0, 0])
        assert (grid == color).all(-1).sum() == 40 * 40


def test_captions_titles_and_labels_change_the_sheet() -> None:
    images = noise(4)
    plain = captioned_grid(images, ["a red bird"] * 4, columns=2, cell_pixels=64)
    other = captioned_grid(images, ["a tan bird"] * 4, columns=2, cell_pixels=64)
    assert plain.size == other.size and plain.tobytes() != other.tobytes()
    titled = captioned_grid(images, ["a red bird"] * 4, columns=2, cell_pixels=64, title="Birds")
    assert titled.height > plain.height and titled.width == plain.width
    labelled = captioned_grid(images, ["a red bird"] * 4, columns=2, cell_pixels=64, row_labels=["real", "drawn"])
    assert labelled.width > plain.width
    longer = captioned_grid(images, ["a red bird with very many words " * 3] * 4, columns=2, cell_pixels=64)
    assert longer.height > plain.height and longer.width == plain.width


def test_list_of_images_of_different_sizes() -> None:
    grid = captioned_grid([noise(1, 8)[0], noise(1, 64)[0]], ["one", "two"], columns=2, cell_pixels=48)
    assert grid.width > 2 * 48


def test_counts_must_fit() -> None:
    with pytest.raises(UserError, match="3 captions"):
        captioned_grid(noise(4), ["x"] * 3, columns=2)
    with pytest.raises(UserError, match="row_labels"):
        captioned_grid(noise(4), ["x"] * 4, columns=2, row_labels=["only one"])
    with pytest.raises(UserError, match="ssagan"):
        rows_grid([("real", noise(2)), ("ssagan", noise(3))], ["a", "b"])


def test_rows_grid_grows_with_rows_and_captions() -> None:
    one = rows_grid([("real", noise(3))], ["a", "b", "c"], cell_pixels=48)
    two = rows_grid([("real", noise(3)), ("real", noise(3))], ["a", "b", "c"], cell_pixels=48)
    assert two.height - one.height >= 48 and two.width == one.width
    changed = rows_grid([("real", noise(3))], ["a", "b", "d"], cell_pixels=48)
    assert changed.size == one.size and changed.tobytes() != one.tobytes()
