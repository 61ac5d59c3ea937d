import json

import numpy as np
import pytest

from t2igan.errors import UserError
from t2igan.layout.line_faults import LineFaults
from t2igan.layout.localized import (
    iterate_localized,
    narrative_words,
    parse_localized,
    read_localized,
)
from t2igan.layout.narratives import Span


def utterance(text, start, end):
    return {"utterance": text, "start_time": start, "end_time": end}


def record(**changes):
    """A line as the released files have them."""
    points = [{"x": 0.2086, "y": -0.0533, "t": 0.022}, {"x": 0.5, "y": 0.25, "t": 0.6}]
    own = {
        "dataset_id": "mscoco_val2017",
        "image_id": "139",
        "annotator_id": 105,
        "caption": "In this image, there's a red bird.",
        "timed_caption": [
            utterance("In this", 0.0, 0.4),
            utterance("image,", 0.4, 0.8),
            utterance("there's a", 0.8, 1.3),
            utterance("red bird.", 1.3, 2.1),
        ],
        "traces": [points, [{"x": 0.75, "y": 0.5, "t": 1.0}, {"x": 1, "y": 1.0, "t": 1.5}]],
        "voice_recording": "coco_val/1.ogg",
    }
    return own | changes


def parse(**changes):
    return parse_localized(json.dumps(record(**changes)))


def test_a_line_of_the_released_files():
    one = parse()
    assert one.key == "139_105" and one.caption == "In this image, there's a red bird."
    assert one.words == ("in", "this", "image", "there's", "a", "red", "bird")
    assert one.spans == (Span(0, 2, 0.0, 0.4), Span(2, 3, 0.4, 0.8), Span(3, 5, 0.8, 1.3), Span(5, 7, 1.3, 2.1))
    expected = np.array([[0.2086, -0.0533, 0.022], [0.5, 0.25, 0.6]]).astype(np.float32)
    assert np.array_equal(one.traces[0], expected) and one.traces[0].dtype == np.float32
    assert [len(stroke) for stroke in one.traces] == [2, 2]


def test_words_are_those_of_the_released_tags():
    assert narrative_words("The T-shirt’s  ¨stop¨ sign, on 2 (two) poles!") == (
        *("the", "t", "shirt's", "stop", "sign", "on", "2", "two", "poles"),
    )


def test_utterances_without_time_join_the_next_one():
    spans = parse(
        caption="a red bird",
        timed_caption=[utterance("a", 0, 0), utterance("red", 0.5, 1), utterance("bird", 1, 1)],
    ).spans
    assert spans == (Span(0, 3, 0, 1),)
    assert parse(caption="bird", timed_caption=[utterance("bird", 1, 1)]).spans == (Span(0, 1, 1, 1),)


def test_every_word_has_its_time_where_caption_and_utterances_differ():
    spans = parse(
        caption="here a big red bird is sitting on a tree",
        timed_caption=[
            utterance("a big", 0, 1),
            utterance("um", 1, 2),
            utterance("red bird", 2, 3),
            utterance("sitting on tree", 3, 4),
        ],
    ).spans
    assert [(span.start, span.end) for span in spans] == [(0, 3), (3, 6), (6, 10)]
    assert [span.t0 for span in spans] == [0, 2, 3]


def test_ids_of_other_data_sets_and_lines_without_traces():
    bare = {key: value for key, value in record(image_id="cd3cf64b94d73b27").items() if key in _BARE}
    one = parse_localized(json.dumps(bare))
    assert one.key == "cd3cf64b94d73b27_105" and one.spans is None and one.traces is None


_BARE = ("image_id", "annotator_id", "caption")


def test_bad_lines_are_left_out_listed_and_counted(tmp_path):
    good = [json.dumps(record(annotator_id=number)) for number in range(3)]
    bad = ["{}"] * 11 + [good[0]]
    path = tmp_path / "n.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + "\n".join([good[0], "", *bad, *good[1:]]).encode() + b"\n\xff\xfe\n")
    refused, noted = LineFaults(path), LineFaults(path)
    assert [each.annotator_id for each in iterate_localized(path, refused, noted)] == ["0", "1", "2"]
    assert refused.count == 13 and len(refused.listed) == 10 and refused.listed[0][0] == 3
    assert str(refused).endswith("; and 3 more") and refused.lines()[-1] == f"{path}: 3 more"
    assert not noted and LineFaults(path).lines() == []


def test_the_second_narrative_of_an_annotator_and_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "n.jsonl"
    path.write_bytes(json.dumps(record()).encode() + b"\n" + json.dumps(record()).encode() + b"\n\xff\xfe\n")
    refused = LineFaults(path)
    assert len(list(iterate_localized(path, refused, LineFaults(path)))) == 1
    assert refused.listed == [(2, "a second narrative of 139_105"), (3, "not UTF-8 (byte 1)")]


def test_no_such_file(tmp_path):
    with pytest.raises(UserError, match="cannot be read"):
        read_localized(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(UserError, match="holds no narrative"):
        read_localized(tmp_path / "empty.jsonl")
