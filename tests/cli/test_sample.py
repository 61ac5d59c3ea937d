import numpy as np
import pytest
from PIL import Image

from t2igan.cli.main import main
from t2igan.data.store import open_store


@pytest.fixture
def words(checkpoints):
    """Words that the checkpoint knows."""
    return open_store(checkpoints.store).vocabulary.words[1:]


@pytest.fixture
def sample(checkpoints, tmp_path):
    def run(*argv, out="drawn"):
        folder = tmp_path / out
        arguments = ("--checkpoint", checkpoints.generator, "--device", "cpu", "--out", folder, *argv)
        main(["sample", *map(str, arguments)])
        return folder

    return run


def pixels(folder):
    return {path.name: np.array(Image.open(path)) for path in sorted(folder.glob("c*_s??.png"))}


def test_pictures_and_grid(sample, words, tmp_path, capsys):
    (tmp_path / "captions.txt").write_text(f"{words[3]} {words[4]}\n\n{words[5]}\n")
    folder = sample("--caption", " ".join(words[:3]), "--captions", tmp_path / "captions.txt", "--n", 2)
    images = pixels(folder)
    assert list(images) == [f"c00{caption}_s0{number}.png" for caption in range(3) for number in range(2)]
    assert {image.shape for image in images.values()} == {(32, 32, 3)}
    assert Image.open(folder / "grid.png").width > 2 * 100
    printed = capsys.readouterr().out
    assert f"wrote {folder}/grid.png and 6 images" in printed
    assert "next: t2igan evaluate" in printed
    assert "dropped" not in printed


def test_a_picture_depends_on_seed_place_and_number_alone(sample, words, tmp_path):
    (tmp_path / "two.txt").write_text(f"{words[0]}\n{words[0]}\n")
    many = pixels(sample("--captions", tmp_path / "two.txt", "--n", 3, out="many"))
    few = pixels(sample("--caption", words[0], "--n", 1, out="few"))
    other = pixels(sample("--caption", words[0], "--n", 1, "--seed", 1, out="other"))
    first = many["c000_s00.png"].astype(int)
    assert abs(few["c000_s00.png"] - first).max() <= 1  # another batch size: float32 round-off before rounding
    assert len({image.tobytes() for image in many.values()}) == 6
    assert abs(other["c000_s00.png"] - first).max() > 1


def test_the_caption_matters_and_so_do_the_weights(sample, words):
    one = pixels(sample("--caption", words[0], "--n", 1, out="one"))["c000_s00.png"]
    two = pixels(sample("--caption", f"{words[9]} {words[11]}", "--n", 1, out="two"))["c000_s00.png"]
    raw = pixels(sample("--caption", words[0], "--n", 1, "--weights", "raw", out="raw"))["c000_s00.png"]
    assert (one != two).any()
    assert (one != raw).any()


def test_unknown_words_are_dropped_and_said(sample, words, capsys):
    plain = pixels(sample("--caption", words[0], "--n", 1, out="plain"))
    mixed = pixels(sample("--caption", f"Qwertz {words[0]}, zyx!", "--n", 1, out="mixed"))
    assert "caption 0: words the checkpoint does not know were dropped: qwertz, zyx" in capsys.readouterr().out
    assert (plain["c000_s00.png"] == mixed["c000_s00.png"]).all()


def test_masks_lie_beside_the_pictures(sample, words):
    folder = sample("--caption", words[0], "--n", 2, "--overlay", "masks")
    strips = sorted(path.name for path in folder.glob("*_masks.png"))
    assert strips == ["c000_s00_masks.png", "c000_s01_masks.png"]
    # The image and its masks of 4, 8, 16 and 32 pixels, side by side.
    assert Image.open(folder / strips[0]).width > 5 * 100
    assert (folder / "grid.png").is_file()


def test_mistakes_are_one_line(checkpoints, words, tmp_path, capsys):
    good = {"--checkpoint": checkpoints.generator, "--caption": words[0], "--out": tmp_path / "drawn"}
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "latin.txt").write_bytes(b"\xff\xfe\xfa")
    for change, part in (
        ({"--caption": "qqq zzz"}, "caption 0 ('qqq zzz') has no word that the checkpoint knows"),
        ({"--caption": None}, "no caption"),
        ({"--caption": None, "--captions": tmp_path / "empty.txt"}, "no caption"),
        ({"--captions": tmp_path / "none.txt"}, "none.txt cannot be read"),
        ({"--captions": tmp_path / "latin.txt"}, "latin.txt cannot be read"),
        ({"--checkpoint": checkpoints.damsm}, "holds DAMSM, which draws nothing"),
        ({"--checkpoint": None}, "--checkpoint is missing"),
        ({"--out": None}, "--out is missing"),
        ({"--n": 0}, "--n is 0, it takes"),
        ({"--seed": -1}, "--seed is -1, it takes"),
        ({"--overlay": "attention"}, "this generator has no attention"),
        ({"--overlay": "heat"}, "overlay"),
    ):
        options = {key: value for key, value in (good | change).items() if value is not None}
        with pytest.raises(SystemExit) as stop:
            main(["sample", *(str(part) for pair in options.items() for part in pair)])
        assert stop.value.code == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and part in lines[0], lines
    assert not (tmp_path / "drawn").exists()
