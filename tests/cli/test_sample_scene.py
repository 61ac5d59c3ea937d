import json

import numpy as np
import pytest
import torch
from PIL import Image
from segment_fixture import train_on_scenes

from t2igan.cli.main import main
from t2igan.cli.sample_scene import SceneSegment, read_scene
from t2igan.errors import UserError
from t2igan.models.joint_encoder import SegmentEncoder
from t2igan.plotting.segments import segment_colour
from tests.models.test_spatext import small

SEGMENTS = [
    {"text": "a dark sky", "polygon": [[0, 0], [1, 0], [1, 0.5], [0, 0.5]], "label": "sky-other"},
    {"text": "a red disc", "mask": "disc.png"},
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    encoder = train_on_scenes(SegmentEncoder(dim=8, channels=4, width=8), 2, folder)
    module = small(encoder=str(encoder))
    with torch.no_grad():
        # At the start noise hardly shows; moved weights let it without long training.
        for parameter in module.generator.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape))
    return train_on_scenes(module, 2, folder)


def write_scene(folder, **changes):
    mask = np.zeros((40, 40), np.uint8)
    mask[22:34, 10:20] = 255
    Image.fromarray(mask).save(folder / "disc.png")
    scene = {"caption": "a red disc on sand under a dark sky", "segments": SEGMENTS} | changes
    path = folder / "scene.json"
    path.write_text(json.dumps({key: value for key, value in scene.items() if value is not None}))
    return path


def sample(checkpoint, scene, out, *more):
    main(["sample", "--checkpoint", str(checkpoint), "--scene", str(scene), "--out", str(out), *more])


def refused(capsys, *arguments):
    """What is said of a call that is refused."""
    with pytest.raises(SystemExit) as stop:
        sample(*arguments)
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_several_images_with_outlines_and_texts(checkpoint, tmp_path, capsys):
    scene, out = write_scene(tmp_path), tmp_path / "out"
    sample(checkpoint, scene, out, "--n", "3")
    assert "3 images" in capsys.readouterr().out
    images = [np.asarray(Image.open(out / f"c000_s{draw:02d}.png")) for draw in range(3)]
    assert images[0].shape == (32, 32, 3) and not np.array_equal(images[0], images[1])
    sheet = np.asarray(Image.open(out / "grid.png"))
    assert sheet.shape[1] > 4 * 192
    colours = {tuple(colour) for colour in sheet.reshape(-1, 3)}
    assert {segment_colour(1), segment_colour(2)} <= colours


def test_several_captions_over_one_scene(checkpoint, tmp_path):
    scene, out = (
        write_scene(tmp_path, caption=None, captions=["a red disc", "sand under a clear sky"]),
        tmp_path / "a",
    )
    sample(checkpoint, scene, out, "--n", "1")
    assert {path.name for path in out.glob("c*.png")} == {"c000_s00.png", "c001_s00.png"}
    sample(checkpoint, scene, tmp_path / "b", "--n", "1", "--caption", "a blue box")
    assert len(list((tmp_path / "b").glob("c*.png"))) == 1


def test_masks_are_where_they_were_drawn(tmp_path):
    layouts = read_scene(str(write_scene(tmp_path))).layouts(20, 2)
    assert layouts.instances.shape == (2, 20, 20) and layouts.texts == [("a dark sky", "a red disc")] * 2
    expected = torch.zeros(20, 20, dtype=torch.uint8)
    expected[:11] = 1  # PIL's polygons have their lower edge
    expected[11:17, 5:10] = 2
    assert (layouts.instances[0] != expected).sum() <= 20
    assert set(layouts.labels[0].unique().tolist()) == {156, 255}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"segments": []}, "must hold"),
        ({"segments": [{"polygon": [[0, 0], [1, 0], [1, 1]]}]}, "needs a text"),
        ({"segments": [{"text": "a", "polygon": [[0, 0], [1, 0]]}]}, "at least three points"),
        ({"segments": [{"text": "a", "polygon": [[0, 0], [1, 0], [1, 3]]}]}, "at least three points"),
        ({"segments": [{"text": "a", "mask": "none.png"}]}, "is not a file in the folder of the scene"),
        ({"segments": [{"text": "a"}]}, "a polygon or a mask"),
        ({"segments": [{**SEGMENTS[0], "colour": "red"}]}, "colour: unknown key"),
        ({"segments": [{**SEGMENTS[0], "label": "unicorn"}]}, "not a name of COCO-Stuff"),
        ({"caption": 3}, '"caption"'),
    ],
)
def test_what_is_wrong_is_named(changes, said, tmp_path):
    with pytest.raises(UserError, match="--scene") as raised:
        read_scene(str(write_scene(tmp_path, **changes)))
    assert said in str(raised.value)


def test_a_harmed_mask_is_named(tmp_path):
    mask = tmp_path / "mask.png"
    Image.effect_noise((32, 32), 60).save(mask)
    mask.write_bytes(mask.read_bytes().replace(b"IDAT", b"\x04\x040\xc4"))
    with pytest.raises(UserError, match=r"mask\.png: not a readable image of a mask"):
        SceneSegment("a red boat", mask).mask(16)


def test_a_segment_without_a_pixel_and_a_missing_caption_are_refused(checkpoint, tmp_path, capsys):
    whole = {"text": "sand", "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}
    covered, out = write_scene(tmp_path, segments=[*SEGMENTS, whole]), tmp_path / "out"
    assert "segment 1 ('a dark sky') has no visible pixel" in refused(capsys, checkpoint, covered, out)
    assert "no caption of the whole" in refused(capsys, checkpoint, write_scene(tmp_path, caption=None), out)
