import json

import pytest
from test_localized import record, utterance

from t2igan.errors import UserError
from t2igan.layout.line_faults import LineFaults
from t2igan.layout.localized import MOST_POINTS, BadLineError, iterate_localized, parse_localized, read_localized

HOSTILE = {
    "NaN": (json.dumps(record(traces=[[{"x": float("nan"), "y": 0, "t": 0}]])), "NaN is not a number"),
    "infinite": (json.dumps(record()).replace("0.2086", "1e999"), "a point at inf image sides"),
    "a number of digits": (json.dumps(record()).replace("0.2086", "9" * 5000), "not JSON"),
    "a large number": (json.dumps(record()).replace("0.2086", "9" * 30), "x, y, t are not numbers"),
    "half a character": (json.dumps(record(caption="a \ud800 bird")), "half a character"),
    "nested": ("[" * 100_000, "nested too deeply"),
    "nested points": (json.dumps(record(traces=[[[[0]]]])), "a point without x, y and t"),
    "points that are lists": (json.dumps(record(traces=[[{"x": [0], "y": [0], "t": [0]}]])), "not numbers"),
    "texts as numbers": (json.dumps(record(traces=[[{"x": "0", "y": "0", "t": "0"}]])), "not numbers"),
    "many points": (
        json.dumps(record(traces=[[{"x": 0, "y": 0, "t": 0}] * (MOST_POINTS + 1)])),
        "100,001 points, more than 100,000",
    ),
    "far outside": (
        json.dumps(record(traces=[[{"x": 7, "y": 0, "t": 0}]])),
        "a point at 7 image sides, far outside",
    ),
    "a year": (json.dumps(record(traces=[[{"x": 0, "y": 0, "t": 4e7}]])), "not within 36000 seconds"),
    "cut off": (json.dumps(record())[:70], "not JSON"),
    "a list": ("[]", "a list, not an object"),
    "no image": (json.dumps(record(image_id=None)), "image_id is not a name: None"),
    "a truth": (json.dumps(record(annotator_id=True)), "annotator_id is not a name: True"),
    "no caption": (json.dumps({"image_id": "1", "annotator_id": 1}), "caption is missing"),
    "a caption without a word": (json.dumps(record(caption=" ... ")), "caption: no word"),
    "a long caption": (json.dumps(record(caption="a " * 5000)), "caption: 5,000 words, more than 2,000"),
    "another caption": (json.dumps(record(caption="nothing of it was said")), "has 0 of the 5 words"),
    "backwards": (json.dumps(record(timed_caption=[utterance("In this image", 2, 1)])), "ends at 1 s, before"),
    "times as texts": (json.dumps(record(timed_caption=[utterance("In this", "0", "1")])), "start_time is '0'"),
    "traces of no lists": (json.dumps(record(traces=[{"x": 0, "y": 0, "t": 0}])), "not a list of lists"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_lines_are_refused_in_one_line(what, tmp_path):
    line, said = HOSTILE[what]
    with pytest.raises(BadLineError) as error:
        parse_localized(line)
    assert said in str(error.value) and "\n" not in str(error.value) and len(str(error.value)) < 200
    (tmp_path / "n.jsonl").write_text(f"{json.dumps(record())}\n{line}\n")
    with pytest.raises(UserError, match=r"n.jsonl: line 2: "):
        read_localized(tmp_path / "n.jsonl")


def test_a_line_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr("t2igan.layout.localized.LONGEST_LINE", 2000)
    path = tmp_path / "n.jsonl"
    path.write_text("x" * 5000 + "\n" + json.dumps(record()) + "\n")
    refused = LineFaults(path)
    assert len(list(iterate_localized(path, refused, LineFaults(path)))) == 1
    assert refused.listed[0][1] == "longer than 2,000 bytes"


def test_what_is_odd_is_noted_and_kept(tmp_path):
    outside = record(traces=[[{"x": 1.02, "y": 0.5, "t": t} for t in (0.1, 0.5, 1.0, 2.0)]])
    lines = [record(), outside | {"annotator_id": 1}, record(annotator_id=2, traces=[])]
    path = tmp_path / "n.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    noted = LineFaults(path)
    assert len(list(iterate_localized(path, LineFaults(path), noted))) == 3
    assert noted.listed == [
        (2, "no point of its trace lies within the image"),
        (3, "no point of its trace lies within the image"),
    ]
    path.write_text(json.dumps(record(traces=[[{"x": 0.5, "y": 0.5, "t": 0.1}]])))
    noted = LineFaults(path)
    list(iterate_localized(path, LineFaults(path), noted))
    assert noted.listed == [(1, "3 of 4 utterances have no point of the trace in their time")]
