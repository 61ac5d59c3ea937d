import numpy as np
import pytest

from t2igan.errors import UserError
from t2igan.layout.labels import COCO_STUFF
from t2igan.layout.narratives import Narrative, Span, read_tagged, split_by_image


def write(folder, ids, words, tags=None):
    for kind, lines in (("ids", ids), ("words", words), ("cleaned_tags", tags)):
        if lines is not None:
            (folder / f"n.{kind}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "n"


def test_values_of_label_maps():
    assert (len(COCO_STUFF), COCO_STUFF.things) == (182, 91)
    # Value v is id v + 1: 0 is person, 181 wood, 91 the first stuff.
    assert [COCO_STUFF.value(name) for name in ("person", "giraffe", "hair-brush", "banner", "tree", "wood")] == [
        *(0, 24, 90, 91, 168, 181)
    ]
    assert COCO_STUFF.is_thing(90) and not COCO_STUFF.is_thing(91) and not COCO_STUFF.is_thing(255)
    assert len(set(COCO_STUFF.names)) == 182


def test_lines_of_three_files_are_one_narrative(tmp_path):
    (one, two) = read_tagged(write(tmp_path, ["139_10", "a_b_7"], ["a dog", "sky"], ["dog dog", "sky-other"]))
    assert (one.key, one.image_id, one.annotator_id, one.words, one.tags) == (
        *("139_10", "139", "10", ("a", "dog"), ("dog", "dog")),
    )
    assert (two.image_id, two.annotator_id) == ("a_b", "7")  # the last underscore separates
    (tmp_path / "n.cleaned_tags.txt").unlink()
    assert read_tagged(tmp_path / "n")[0].tags is None


@pytest.mark.parametrize(
    "ids, words, tags, said",
    [
        (["1_2"], ["a dog"], ["dog"], "line 1: 2 words and 1 tags"),
        (["1_2", "1_3"], ["a", "b"], ["dog", "unicorn"], "line 2: cleaned_tags.txt: no label unicorn"),
        (["1_2", "1_2"], ["a", "b"], ["dog", "dog"], "line 2: ids.txt: not"),
        (["12"], ["a"], ["dog"], "line 1: ids.txt: not"),
        (["1_2"], [""], [""], "line 1: words.txt: no words"),
        (["1_2"], ["a", "b"], ["dog"], "1, 2 and 1 lines"),
        (["1_2"], None, None, "n.words.txt: No such file"),
    ],
)
def test_broken_files_are_named_by_line(tmp_path, ids, words, tags, said):
    with pytest.raises(UserError) as error:
        read_tagged(write(tmp_path, ids, words, tags))
    assert said in str(error.value)


def test_many_faults_are_counted(tmp_path):
    prefix = write(tmp_path, [f"{i}_1" for i in range(13)], ["a"] * 13, ["nothing"] * 13)
    with pytest.raises(UserError, match=r"line 10: .*; and 3 more$"):
        read_tagged(prefix)


def test_bytes_that_are_no_text(tmp_path):
    prefix = write(tmp_path, ["1_2"], ["a"], ["dog"])
    (tmp_path / "n.words.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="not UTF-8"):
        read_tagged(prefix)


def test_no_image_is_in_two_parts(tmp_path):
    ids = [f"{image}_{annotator}" for image in range(200) for annotator in (1, 2)]
    parts = split_by_image(read_tagged(write(tmp_path, ids, ["a"] * 400, ["dog"] * 400)))
    images = {name: {each.image_id for each in part} for name, part in parts.items()}
    assert sum(len(each) for each in images.values()) == 200
    assert all(len(part) == 2 * len(images[name]) for name, part in parts.items())
    assert len(images["train"]) > 100 and min(len(images["val"]), len(images["test"])) > 5


def test_the_released_narratives(trecs_tags):
    narratives = read_tagged(trecs_tags)
    assert len(narratives) == 8570
    assert sum(len(each.words) for each in narratives) == 329_977
    assert len({tag for each in narratives for tag in each.tags}) == 162
    parts = split_by_image(narratives)
    assert [len(parts[name]) for name in ("train", "val", "test")] == [6854, 793, 923]


def traced(*strokes):
    spans = (Span(0, 2, 0.0, 0.5), Span(2, 3, 0.5, 1.25))
    return Narrative("139", "10", ("a", "red", "bird"), None, spans, strokes, "A red bird.")


def test_narratives_are_equal_with_their_traces():
    stroke = np.array([[0.25, 0.5, 0.0], [0.75, 0.5, 1.0]], np.float32)
    assert traced(stroke) == traced(stroke.copy()) and len({traced(stroke), traced(stroke.copy())}) == 1
    assert traced(stroke) != traced(stroke + 1) and traced(stroke) != traced()
    assert traced(stroke) != "a red bird"


def test_traces_in_a_window_of_the_image():
    stroke = np.array([[0.25, 0.5, 0.0], [0.75, 0.25, 1.0], [-0.25, 1.25, 2.0]], np.float32)
    (inside,) = traced(stroke).in_window(0.25, 0.25, 0.5, 0.75, mirrored=False).traces
    assert np.allclose(inside, [[0, 1 / 3, 0], [1, 0, 1], [-1, 4 / 3, 2]], atol=1e-6)
    (turned,) = traced(stroke).in_window(0.25, 0.25, 0.5, 0.75, mirrored=True).traces
    assert np.allclose(turned[:, 0], 1 - inside[:, 0], atol=1e-6) and np.array_equal(turned[:, 1:], inside[:, 1:])
    assert turned.dtype == np.float32
    untraced = Narrative("139", "10", ("a",))
    assert untraced.in_window(0, 0, 1, 1, mirrored=True) is untraced
