from itertools import pairwise

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


def test_images_and_grid(sample, words, tmp_path, capsys):
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


def test_an_image_depends_on_seed_place_and_number_alone(sample, words, tmp_path):
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


def test_masks_lie_beside_the_images(sample, words):
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
        ({"--caption": f"{words[0]} " * 1001}, "known words, a caption has at most 1,000: shorten it"),
        ({"--caption": "qqq zzz"}, "caption 0 ('qqq zzz') has no word that the checkpoint knows"),
        ({"--caption": None}, "no caption"),
        ({"--caption": None, "--captions": tmp_path / "empty.txt"}, "no caption"),
        ({"--captions": tmp_path / "none.txt"}, "none.txt cannot be read"),
        ({"--captions": tmp_path / "latin.txt"}, "latin.txt cannot be read"),
        ({"--checkpoint": checkpoints.damsm}, "holds DAMSM, which generates no images"),
        ({"--checkpoint": None}, "--checkpoint is missing"),
        ({"--out": None}, "--out is missing"),
        ({"--n": 0}, "--n is 0, but must be"),
        ({"--seed": -1}, "--seed is -1, but must be"),
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


def images(folder):
    return np.stack([image.astype(int) for image in pixels(folder).values()])


def test_interpolation_goes_from_one_caption_and_noise_to_the_other(sample, words):
    one, two = words[0], f"{words[9]} {words[11]} {words[12]}"
    way = images(sample("--interpolate", one, two, "--frames", 4, "--n", 1, "--to_seed", 3, out="way"))
    first = images(sample("--caption", one, "--n", 1, out="first"))[0]
    last = images(sample("--caption", two, "--n", 1, "--seed", 3, out="last"))[0]
    assert len(way) == 4
    assert abs(way[0] - first).max() <= 1 and abs(way[3] - last).max() <= 1
    steps = [abs(a - b).mean() for a, b in pairwise(way)]
    assert min(steps) > 0 and max(steps) < abs(way[0] - way[3]).mean()


def test_a_sweep_changes_words_and_nothing_else(sample, words):
    folder = sample(
        "--sweep", f"{words[0]} {{{words[3]}|{words[5]}}} {{{words[9]}|{words[11]}|{words[12]}}}", "--seed", 2
    )
    table = images(folder)
    assert len(table) == 6 and len({each.tobytes() for each in table}) == 6
    alone = images(sample("--caption", f"{words[0]} {words[5]} {words[9]}", "--n", 1, "--seed", 2, out="alone"))
    assert abs(table[3] - alone[0]).max() <= 1


def test_named_slots_take_what_the_vocabulary_has(sample, words):
    from t2igan.data.vocabulary import Vocabulary
    from t2igan.evaluation.images.sampling import sweep_of

    sweep = sweep_of("a bird with {colour} {part}", Vocabulary(["<end>", "red", "blue", "wings"]))
    assert (sweep.rows, sweep.columns) == (["red", "blue"], ["wings"])
    assert sweep.captions == ["a bird with red wings", "a bird with blue wings"]


def test_a_folder_holds_images_of_one_model_and_one_call(sample, words, checkpoints, capsys):
    folder = sample("--caption", words[0], "--n", 3, "--overlay", "masks")
    assert "replace" not in capsys.readouterr().out
    (folder / "mine.png").write_bytes(b"kept")
    sample("--caption", words[0], "--n", 1)
    assert "and 1 images c000_s00.png ...; they replace 3 of an earlier call" in capsys.readouterr().out
    assert {path.name for path in folder.iterdir()} == {"c000_s00.png", "grid.png", "mine.png", "sample.json"}
    (folder / "sample.json").write_text('{"sha256": "another", "checkpoint": "zoo:birds/dfgan"}')
    for told in ("zoo:birds/dfgan", "a model that is not known"):
        with pytest.raises(SystemExit):
            sample("--caption", words[0])
        assert f"holds images of {told}; give another folder" in capsys.readouterr().err
        (folder / "sample.json").unlink(missing_ok=True)
    assert len(pixels(folder)) == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--interpolate", "a"], "--interpolate takes two captions"),
        (["--interpolate", "a", "b", "--caption", "a"], "give only one of"),
        (
            ["--interpolate", "bird", "bird", "--frames", "1"],
            "--frames is 1, but an interpolation needs at least 2",
        ),
        (["--sweep", "no slot"], "has one or two slots, 'no slot' has 0"),
        (["--sweep", "a {|} bird"], "has no words"),
    ],
)
def test_ways_that_lead_nowhere(sample, options, told, capsys):
    with pytest.raises(SystemExit) as stop:
        sample(*options)
    assert stop.value.code == 2 and told in capsys.readouterr().err
