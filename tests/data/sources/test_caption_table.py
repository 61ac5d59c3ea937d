import json

import pytest

from t2igan.data.sources.base import Findings
from t2igan.data.sources.caption_table import read_rows
from t2igan.errors import UserError

WANTED = ("image", "caption")


def read(tmp_path, content, name="captions.csv", columns=WANTED):
    """(rows as (line, image, caption), faults) of a table."""
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    findings = Findings()
    rows = read_rows(path, columns, findings)
    return [(row.line, *(row.fields[column] for column in columns)) for row in rows], findings.faults


def test_csv_with_quotes_commas_and_line_breaks(tmp_path):
    content = 'image,caption\na.jpg,"a bird, small"\n\nb.jpg,"said ""hello"" \r\nand left"\n c.jpg , plain \n'
    assert read(tmp_path, content) == (
        [(2, "a.jpg", "a bird, small"), (5, "b.jpg", 'said "hello" \r\nand left'), (6, "c.jpg", "plain")],
        [],
    )


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_what_spreadsheets_write_is_read(tmp_path, start, delimiter, ending):
    lines = (("Image", " Caption", "class"), ("a.jpg", "größer", "1"), ("b.jpg", "x", "2"))
    content = start + "".join(delimiter.join(line) + ending for line in lines).encode()
    assert read(tmp_path, content) == ([(2, "a.jpg", "größer"), (3, "b.jpg", "x")], [])


def test_json_lines_with_one_or_several_captions(tmp_path):
    lines = [
        {"image": "a.jpg", "caption": "one"},
        {"image": "b.jpg", "captions": ["two", "three"], "class": 7, "split": None},
    ]
    content = "\n\n".join(json.dumps(line) for line in lines)
    assert read(tmp_path, content, "c.jsonl") == (
        [(1, "a.jpg", "one"), (3, "b.jpg", "two"), (3, "b.jpg", "three")],
        [],
    )
    assert read(tmp_path, content.split("\n")[2], "c.jsonl", ("image", "class"))[0] == [(1, "b.jpg", "7")] * 2


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("c.txt", "image,caption\n", "neither .csv nor .jsonl"),
        ("c.csv", "", "no column image and no column caption in its first line, which has nothing"),
        ("c.csv", "file,text\na,b\n", "which has file, text; expected: image,caption"),
        ("c.csv", "image;text\na;b\n", "no column image and no column caption"),
        ("c.csv", "image,text\na,b\n", "no column caption in its first line, which has image, text"),
        ("c.csv", "image,caption,image\na,b,c\n", "column image occurs more than once"),
        ("c.csv", "image,caption\n", "holds no line with image and caption"),
        ("c.csv", 'image,caption\na,b\nc,"d\ne,f\n', "line 4: not CSV"),
        ("c.csv", "image,caption\na,b\nc,caf\xe9\ne,f\xe9\n".encode("latin-1"), "lines 3, 4: not UTF-8"),
        ("c.csv", "image,caption\na,b\n".encode("utf-16"), "is UTF-16; save it as UTF-8"),
        ("c.jsonl", "\n", "holds no line with image and caption"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_line(tmp_path, name, content, words):
    with pytest.raises(UserError) as error:
        read(tmp_path, content, name)
    assert words in str(error.value) and name in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_table_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"none\.csv: no such file"):
        read_rows(tmp_path / "none.csv", WANTED, Findings())


def test_unquoted_commas_are_gathered_by_kind(tmp_path):
    rows, faults = read(tmp_path, "image,caption\na,one\nb,two, three\nc\nd,four, five\n")
    assert [row[0] for row in rows] == [2]
    assert faults[0].endswith(
        "captions.csv, lines 3, 5: 3 fields, the first line has 2; put a caption that holds ',' in double quotes"
    )
    assert "line 4: 1 fields" in faults[1] and len(faults) == 2


def test_every_bad_line_of_json_is_told(tmp_path):
    lines = [
        '{"image": "a", "caption": "b"}',
        '{"image": "a", "caption": "b"',
        "[1]",
        '{"file": "a", "caption": "b"}',
        '{"image": "a", "text": "b"}',
        '{"image": "a", "caption": "b", "image": "c"}',
        '{"image": "a", "captions": "b"}',
        '{"image": "a", "captions": []}',
        '{"image": "a", "captions": ["b", ["c"]]}',
    ]
    _, faults = read(tmp_path, "\n".join(lines), "c.jsonl")
    told = [fault.split("c.jsonl, ")[1] for fault in faults]
    assert [fault.split(":")[0] for fault in told] == [
        "line 2",
        "line 3",
        "line 4",
        "line 5",
        "line 6",
        "lines 7, 8",
        "line 9",
    ]
    for fault, words in zip(
        told,
        [
            "not JSON (",
            "not a JSON object",
            "no image; it has file, caption",
            "no caption; it has image, text",
            "the same key more than once",
            "'captions' is a list of texts",
            "'caption' is not a text",
        ],
    ):
        assert words in fault
