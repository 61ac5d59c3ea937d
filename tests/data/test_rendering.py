import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from t2igan.data.rendering import RenderJob, box_problem, crop_window, open_upright_rgb, short_side


def rendered(path: Path, box=None, size=20, encoding="raw"):
    result = RenderJob("key", path, box, size, encoding).render()
    assert result.problem is None
    if encoding == "jpeg":
        return np.asarray(Image.open(io.BytesIO(result.payload)))
    return np.frombuffer(result.payload, np.uint8).reshape(*result.shape, 3)


@pytest.mark.parametrize(("size", "short"), [(64, 76), (128, 152), (256, 304), (299, 355)])
def test_short_side(size, short):
    assert short_side(size) == short


@pytest.mark.parametrize(
    ("box", "window"),
    [
        ((60.0, 27.0, 325.0, 304.0), (0, 0, 465, 422)),  # r 243, centre (222, 179)
        ((100.0, 100.0, 40.0, 20.0), (90, 80, 150, 140)),  # r 30, centre (120, 110)
        ((10.9, 10.9, 5.9, 5.9), (9, 9, 15, 15)),  # fractions dropped first: r 3, centre (12, 12)
    ],
)
def test_crop_window(box, window):
    assert crop_window(box, 500, 500) == window


def test_crop_window_stops_at_the_border():
    assert crop_window((0.0, 0.0, 30.0, 40.0), 35, 45) == (0, 0, 35, 45)


@pytest.mark.parametrize(
    ("box", "problem"),
    [
        ((0.0, 0.0, 100.0, 80.0), None),
        ((-1.0, 5.0, 50.0, 80.0), None),
        ((60.0, 0.0, 100.0, 80.0), "outside"),
        ((200.0, 10.0, 10.0, 10.0), "outside"),
        ((5.0, 5.0, 0.0, 10.0), "no area"),
    ],
)
def test_box_problem(box, problem):
    found = box_problem(box, 100, 80)
    assert found is None if problem is None else problem in found


def test_short_side_is_resized_and_the_aspect_kept(tmp_path):
    for name, size, shape in (("wide", (100, 50), (20, 40)), ("tall", (50, 101), (40, 20))):
        Image.new("RGB", size, (10, 20, 30)).save(tmp_path / f"{name}.png")
        image = rendered(tmp_path / f"{name}.png")
        assert image.shape == (*shape, 3)
        assert (image == (10, 20, 30)).all()


def test_resize_is_pils_bilinear(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (45, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    expected = Image.fromarray(noise).resize((26, 20), Image.Resampling.BILINEAR)
    assert (rendered(tmp_path / "noise.png") == np.asarray(expected)).all()


def test_an_image_of_the_right_size_is_untouched(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (20, 33, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")
    assert (rendered(tmp_path / "noise.png") == noise).all()


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA", "1"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    Image.new("RGB", (40, 40), "white").convert(mode).save(path)
    assert (rendered(path) == 255).all()


def quadrants():
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:20, :30], pixels[:20, 30:], pixels[20:, :30] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("orientation", range(9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned.png"
    quadrants().save(path, exif=exif)
    upright = ImageOps.exif_transpose(Image.open(path))
    assert (rendered(path, size=40) == np.asarray(upright)).all()


def test_box_counts_pixels_before_the_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.png"
    quadrants().save(path, exif=exif)
    assert (rendered(path, box=(3.0, 3.0, 12.0, 12.0), size=18) == (255, 0, 0)).all()


def test_jpeg_is_close_to_raw(tmp_path):
    x, y = np.meshgrid(np.arange(64), np.arange(48))
    smooth = np.stack([4 * x, 5 * y, 2 * (x + y)], -1).clip(0, 255).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "smooth.png")
    raw = rendered(tmp_path / "smooth.png", size=40)
    jpeg = rendered(tmp_path / "smooth.png", size=40, encoding="jpeg")
    assert raw.shape == jpeg.shape
    assert np.abs(raw.astype(int) - jpeg).mean() < 2


@pytest.mark.parametrize("content", [b"", b"no image at all", "cut"])
def test_a_bad_file_is_a_problem_not_an_exception(tmp_path, content):
    path = tmp_path / "bad.jpg"
    if content == "cut":
        quadrants().resize((300, 300)).save(path)
        content = path.read_bytes()[:2000]
    path.write_bytes(content)
    result = RenderJob("key", path, None, 20, "raw").render()
    assert "bad.jpg: does not decode" in result.problem


def test_a_box_outside_is_a_problem(tmp_path):
    quadrants().save(tmp_path / "image.png")
    result = RenderJob("key", tmp_path / "image.png", (100.0, 100.0, 9.0, 9.0), 20, "raw").render()
    assert "image.png: box" in result.problem and "outside" in result.problem


def test_transparent_places_are_white_and_deep_greys_keep_their_level(tmp_path):
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    clear.putpixel((0, 0), (200, 10, 10, 255))
    clear.save(tmp_path / "clear.png")
    rgb = open_upright_rgb(tmp_path / "clear.png", None)
    assert rgb.getpixel((0, 0)) == (200, 10, 10) and rgb.getpixel((3, 3)) == (255, 255, 255)
    Image.fromarray(np.full((4, 4), 0x8000, np.uint16)).save(tmp_path / "deep.png")
    assert open_upright_rgb(tmp_path / "deep.png", None).getpixel((0, 0)) == (128, 128, 128)


@pytest.mark.parametrize(
    ("image", "line"),
    [
        (Image.fromarray(np.linspace(0, 1, 900, dtype=np.float32).reshape(30, 30)), "its levels are fractions"),
        (Image.fromarray(np.full((30, 30), 2**20, np.int32)), "its levels are of 32 bits"),
        (Image.new("RGB", (1, 20000)), "1x20000 is too long and thin"),
        (Image.new("1", (9000, 9000)), "9000x9000 is more than 67,108,864 pixels"),
    ],
)
def test_what_is_no_image_is_refused(tmp_path, image, line):
    image.save(tmp_path / "odd.tif")
    result = RenderJob("odd", tmp_path / "odd.tif", None, 38, "raw").render()
    assert line in result.problem and str(tmp_path / "odd.tif") in result.problem and "\n" not in result.problem
