import csv
import json
import shlex
from pathlib import Path

import pytest
from PIL import Image

from t2igan.cli.main import main
from t2igan.data.store import open_store
from t2igan.shipped import batch_option, damsm_training

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"


def run(capsys, *argv):
    """What a command prints."""
    main(["prepare", *map(str, argv)])
    return capsys.readouterr().out


def refusal(capsys, *argv):
    """What a user's mistake gets."""
    with pytest.raises(SystemExit) as exit_:
        main(["prepare", *map(str, argv)])
    assert exit_.value.code == 2
    return capsys.readouterr().err.strip()


def left(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.fixture
def coco(tmp_path):
    """Thirty training images and one validation image of COCO 2017; yours to damage."""
    root = tmp_path / "coco"
    for part, numbers in (("train", range(1, 31)), ("val", (42,))):
        (root / f"{part}2017").mkdir(parents=True)
        content = {"images": [], "annotations": []}
        for number in numbers:
            name = f"{number:012d}.jpg"
            Image.new("RGB", (24, 20), (number, 90, 90)).save(root / f"{part}2017" / name)
            content["images"].append({"id": number, "file_name": name})
            content["annotations"].append({"id": number, "image_id": number, "caption": f"thing {number}"})
        (root / f"captions_{part}2017.json").write_text(json.dumps(content))
    return root


@pytest.fixture
def flowers(tmp_path):
    """A folder of eleven flowers and a table beside it; yours to damage."""
    folder = tmp_path / "flowers"
    folder.mkdir()
    lines = ["image,caption"]
    for number in range(11):
        Image.new("RGB", (24, 20), (9 * number, 90, 90)).save(folder / f"{number}.png")
        lines.append(f"{number}.png,a flower of {number} petals")
    (tmp_path / "captions.csv").write_text("\n".join(lines) + "\n")
    return folder


def folder_options(flowers):
    out = flowers.parent / "out" / "s.h5"
    return ["folder", "--images", flowers, "--captions", flowers.parent / "captions.csv", "--image_size", 16,
            "--workers", 1, "--out", out]  # fmt: skip


def test_coco_gives_a_store_and_its_card(coco, capsys):
    printed = run(capsys, "coco", "--root", coco, "--image_size", 16, "--workers", 1)
    store = open_store(coco / "coco-16.h5")
    assert (store.name, len(store.split("train")), len(store.split("test"))) == ("coco", 30, 1)
    assert left(coco / "coco-16.card") == ["card.json", "card.md", "contact-sheet.png"]
    for part in (
        "split official-2017",
        "train: 1 captions an image, 2.0 words",
        "1 of 32 words are in test captions only: 42",
        f"wrote {coco}/coco-16.h5 and {coco}/coco-16.card/card.md",
        "next: t2igan fit --config experiments/coco/damsm.yaml --data.image_size 16 --data.store ",
    ):
        assert part in printed
    before = (coco / "coco-16.h5").stat().st_mtime_ns
    (coco / "coco-16.card" / "card.json").unlink()
    assert "exists already (coco, 16 px)" in run(capsys, "coco", "--root", coco, "--image_size", 16)
    assert (coco / "coco-16.h5").stat().st_mtime_ns == before
    assert (coco / "coco-16.card" / "card.json").is_file(), "a store without a card gets one"


def test_what_coco_lacks_is_listed_and_fatal_only_if_asked(coco, capsys):
    for number in range(5, 30):
        (coco / "train2017" / f"{number:012d}.jpg").unlink()
    (coco / "train2017" / f"{4:012d}.jpg").write_bytes(b"broken")
    before = left(coco)
    options = ["coco", "--root", coco, "--image_size", 16, "--workers", 1]
    error = refusal(capsys, *options, "--strict", "true")
    assert error.splitlines()[0].endswith(
        "25 faults, nothing was written; repair them, or skip them with --strict false:"
    )
    assert error.count("image missing") == 25 and left(coco) == before
    printed = run(capsys, *options)
    assert printed.count("left out: ") == 21
    assert f"left out: 6 more, see {coco}/coco-16.card/left-out.txt" in printed
    lines = (coco / "coco-16.card" / "left-out.txt").read_text().splitlines()
    assert len(lines) == 26 and "4.jpg: does not decode" in lines[-1]
    assert len(open_store(coco / "coco-16.h5").split("train")) == 4


def test_a_folder_goes_below_datasets_under_its_own_name(flowers, capsys, monkeypatch):
    monkeypatch.chdir(flowers.parent)
    printed = run(capsys, "folder", "--images", "flowers", "--captions", "captions.csv", "--image_size", 16)
    store = open_store("datasets/flowers/flowers-16.h5")
    assert (store.name, len(store.split("train")), len(store.split("test"))) == ("folder", 10, 1)
    assert "split random-by-image-0.1-seed-0" in printed
    assert left(Path("datasets/flowers")) == ["flowers-16.card", "flowers-16.h5"]


def test_the_command_that_comes_next_can_be_given(flowers, capsys, monkeypatch):
    printed = run(capsys, *folder_options(flowers))
    command = printed.split("next: t2igan ")[1].splitlines()[0]
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as exit_:
        main([*shlex.split(command), "--print_config"])
    assert exit_.value.code == 0
    config = capsys.readouterr().out
    assert "t2igan.data.datamodule.Folder" in config and f"store: {flowers.parent}/out/s.h5" in config


def test_few_images_train_with_the_commands_as_printed(flowers, capsys, monkeypatch):
    """Ten training images are fewer than a batch of damsm-64.yaml (32), and of ssagan-64.yaml (16) behind it."""
    monkeypatch.chdir(flowers.parent)
    options = ["--images", "flowers", "--captions", "captions.csv", "--image_size", 64]
    few = ["--trainer.accelerator=cpu", "--data.num_workers=0", "--trainer.max_steps=1"]
    printed = run(capsys, "folder", *options)
    assert run(capsys, "folder", *options).splitlines()[-1] == printed.splitlines()[-1]
    for model in ("damsm", "ssagan"):
        main([*shlex.split(printed.split("next: t2igan ")[1].splitlines()[0]), *few])
        printed = capsys.readouterr().out
        assert Path(f"runs/flowers/{model}/checkpoints/last.ckpt").is_file()


@pytest.mark.parametrize(("images", "words"), [(31, ["--data.batch_size", "31"]), (32, [])])
def test_a_batch_is_made_smaller_only_where_it_must(images, words):
    assert batch_option("folder/damsm-64", images) == words


def test_a_store_may_lie_among_its_images(flowers, capsys):
    out = flowers / "my flowers ü.h5"
    options = [*folder_options(flowers)[:-1], out, "--force", "true"]
    for _ in range(2):
        printed = run(capsys, *options)
    assert len(open_store(out).split("train")) == 10
    command = shlex.split(printed.split("next: ")[1].splitlines()[0])
    assert command[-4:] == ["--data.store", str(out), "--data.batch_size", "10"]
    renamed = flowers.rename(flowers.parent / "my flowers")
    printed = run(capsys, *options[:2], renamed, *options[3:-3], renamed.parent / "other.h5")
    assert "--run 'runs/my flowers/damsm'" in printed


@pytest.mark.parametrize(("folder", "size"), [("cub", 64), ("cub", 256), ("folder", 32), ("coco", 64)])
def test_the_configuration_that_comes_next_takes_the_store_s_size(folder, size, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as exit_:
        main(["fit", *shlex.split(damsm_training(folder, size)), "--print_config"])
    assert exit_.value.code == 0
    config = capsys.readouterr().out
    assert f"image_size: {size}\n" in config and ("SmallImageEncoder" in config) == (
        size <= 64 and folder != "coco"
    )


@pytest.mark.slow
def test_small_images_train_and_score_without_a_download(tmp_path, monkeypatch, capsys):
    """As printed, one step each: DAMSM, GAN, scores; guessing among five test captions is 20 %, among four 25 %."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the net was asked"))
    Path("things").mkdir()
    shades = [(red, blue) for red in range(7) for blue in range(7)] + [(7, 7)]
    for number, (red, blue) in enumerate(shades):
        Image.new("RGB", (80, 80), (30 * red, 90, 30 * blue)).save(f"things/{number:03d}.png")
    lines = [f"{number:03d}.png,red{red} blue{blue}" for number, (red, blue) in enumerate(shades)]
    Path("t.csv").write_text("\n".join(["image,caption", *lines]))
    printed = run(capsys, "folder", "--images", "things", "--captions", "t.csv", "--image_size", 64)
    command = shlex.split(printed.split("next: t2igan ")[1].splitlines()[0])
    few = ["--trainer.accelerator=cpu", "--data.num_workers=0", "--trainer.enable_model_summary=false"]
    main([*command, *few, "--trainer.max_epochs=1"])
    damsm, store = "runs/things/damsm/checkpoints/last.ckpt", "datasets/things/things-64.h5"
    gan = ["fit", "--config", "folder/ssagan-64", "--run", "runs/things/ssagan", "--model.damsm", damsm]
    main([*gan, "--data.store", store, *few, "--trainer.max_steps=1"])
    scored = ["--checkpoint", "runs/things/ssagan/checkpoints/last.ckpt", "--store", store, "--damsm", damsm]
    options = ["--protocol", "folder/small", "--skip_missing", "true", "--real", "true", "--device", "cpu"]
    main(["evaluate", *scored, *options, "--records", "records.jsonl"])
    assert "--data.batch_size" not in command
    generated, _ = [json.loads(line)["metrics"] for line in Path("records.jsonl").read_text().splitlines()]
    assert generated["r-precision@damsm"]["chance"] == pytest.approx(1 / 5, abs=1e-3)
    assert generated["r-precision-shuffled@damsm"]["chance"] == pytest.approx(1 / 4, abs=1e-3)
    assert generated["r-precision-shuffled@damsm"]["value"] == pytest.approx(1 / 4, abs=0.06)


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda f, t: write(t, "file,text\n0.png,x\n"), ["which has file, text; expected: image,caption"]),
        (lambda f, t: write(t, "image,caption\n0,ros\xe9\n".encode("latin-1")), ["line 2: not UTF-8"]),
        (lambda f, t: write(t, "image,caption\n0,a, b\n1,c, d\n"), ["lines 2, 3: 3 fields", "in double quotes"]),
        (lambda f, t: write(t, t.read_text() + "77.png,x\n"), ["line 13: no image '77.png'", "--strict false"]),
        (lambda f, t: write(t, t.read_text() + "7.png,!\n"), ["line 13: no word of a-z or 0-9 in caption '!'"]),
        (lambda f, t: (f / "3.png").rename(f / "three.png"), ["2 faults", "'3.png'", "1 image without a caption"]),
        (lambda f, t: write(f / "3.png", b""), ["3.png: does not decode"]),
        (lambda f, t: [path.unlink() for path in f.iterdir()], ["flowers: holds no image (.jpg"]),
        (lambda f, t: write(t, t.read_text() + "3,again\n") or (f / "3.png").rename(f / "3.jpg"), ["'3.png'"]),
        (
            lambda f, t: write(t, t.read_text() + "3.jpg,x\n") or Image.new("RGB", (9, 9)).save(f / "3.jpg"),
            ["3.png and", "3.jpg: differ only in the extension"],
        ),
        (
            lambda f, t: write(t, "image,caption\n0,a\n9.jpg,b\n0,?\n1,c, d\n"),
            ["3 faults, nothing was written", "line 5: 3 fields", "'9.jpg'", "caption '?'"],
        ),
    ],
)  # fmt: skip
def test_bad_input_is_said_clearly_and_leaves_nothing(flowers, capsys, damage, expected):
    damage(flowers, flowers.parent / "captions.csv")
    error = refusal(capsys, *folder_options(flowers))
    for words in expected:
        assert words in error
    assert "Traceback" not in error and left(flowers.parent) == ["captions.csv", "flowers"]


def test_bad_lines_are_left_out_if_asked(flowers, capsys):
    table = flowers.parent / "captions.csv"
    write(table, table.read_text() + "77.png,x\n7.png,!\n")
    (flowers / "3.png").write_bytes(b"")
    printed = run(capsys, *folder_options(flowers), "--strict", "false")
    assert printed.count("left out: ") == 3
    store = open_store(flowers.parent / "out" / "s.h5")
    assert len(store.split("train")) + len(store.split("test")) == 10


def test_a_file_that_breaks_off_costs_only_itself(flowers, capsys):
    Image.effect_noise((200, 200), 90).save(flowers / "3.png")
    whole = (flowers / "3.png").read_bytes()
    (flowers / "3.png").write_bytes(whole[:9000])
    error = refusal(capsys, *folder_options(flowers))
    assert "3.png: does not decode" in error and "--strict false" in error
    assert not (flowers.parent / "out" / "s.h5").exists()
    (flowers / "3.png").write_bytes(whole)
    assert "10 images kept from the interrupted run" in run(capsys, *folder_options(flowers))
    assert left(flowers.parent / "out") == ["s.card", "s.h5"]


def test_the_command_says_what_it_wants(tmp_path, capsys):
    printed = run(capsys, "--help")
    for name in ("cub", "drawn-birds", "scenes", "coco", "folder"):
        assert f"\n  {name} " in printed
    assert "choose one of cub, drawn-birds, scenes, coco, folder" in refusal(capsys, "birds")
    assert "choose one of" in refusal(capsys, "--root", tmp_path)
    assert "--images is missing: folder of the images" in refusal(capsys, "folder")
    assert "--captions is missing: UTF-8" in refusal(capsys, "folder", "--images", tmp_path)
    assert "'root' is not an option" in refusal(capsys, "folder", "--root", tmp_path)
    assert "did you mean year?" in refusal(capsys, "coco", "--yaer", 2014)
    assert "year" in refusal(capsys, "coco", "--year", 2015)
    assert "no COCO here" in refusal(capsys, "coco", "--root", tmp_path) and left(tmp_path) == []


def test_the_real_sample_of_coco(tmp_path, capsys):
    if not (SHARED / "coco_sample" / "annotations").is_dir():
        pytest.skip("the real COCO sample (../shared/data/coco_sample beside the repository) is not here")
    out = tmp_path / "coco-64.h5"
    printed = run(
        capsys, "coco", "--root", SHARED / "coco_sample", "--image_size", 64, "--workers", 1, "--out", out
    )
    assert "left out" not in printed
    card = json.loads((tmp_path / "coco-64.card" / "card.json").read_text())
    assert card["splits"]["train"]["captions"] == 400 and card["splits"]["test"]["captions"] == 1065
    assert card["raw_sizes"]["looked_at"] == 293
    split = open_store(out).split("test")
    assert min(min(split.shape(image)) for image in range(len(split))) == 76


def test_a_table_of_real_birds(cub10_root, tmp_path, capsys):
    table = tmp_path / "birds.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "caption", "class"])
        for path in sorted((cub10_root / "text" / "006.Least_Auklet").glob("*.txt")):
            lines = [line for line in path.read_text("utf-8").split("\n") if line.strip()][:10]
            writer.writerows([(f"{path.stem}.jpg", line, "auklet") for line in lines])
    images = cub10_root / "CUB_200_2011" / "images" / "006.Least_Auklet"
    printed = run(capsys, "folder", "--images", images, "--captions", table, "--image_size", 32, "--workers", 1,
                  "--out", tmp_path / "s.h5")  # fmt: skip
    assert "left out" not in printed and "train: 10 captions an image" in printed
    assert len(open_store(tmp_path / "s.h5").class_names) == 1
