import time

import pytest

from t2igan.errors import UserError
from t2igan.plain_files import parse_json, parse_yaml, read_json, read_text, read_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{this}: &{this} [{', '.join([f'*{before}'] * 9)}]\n" for before, this in zip("abcdefgh", "bcdefghi")
)


def test_what_people_write_is_read():
    text = "lr: 1.5\nnames: [a, b]\nbase: &base {x: 1}\nmore:\n  <<: *base\n  y: null\n1: one\n"
    assert parse_yaml(text, "f") == {
        "lr": 1.5,
        "names": ["a", "b"],
        "base": {"x": 1},
        "more": {"x": 1, "y": None},
        1: "one",
    }
    assert parse_yaml("", "f") is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", r"f\.yaml, line 3: the key 'a' is given twice"),
        ("a:\n  b: {c: 1, c: 1}\n", "line 2: the key 'c'"),
        (BOMB, "line .: its aliases stand for more than 100,000 values"),
        ("a: &a [*a]\n", "line 1: a value that holds itself"),
        ("[" * 5000, "nested"),
        ("[" * 100 + "]" * 100, "nested more than 60 deep"),
        ("a: !!python/object/apply:os.system ['true']\n", "not YAML .*python/object/apply"),
        ("a: !new {}\n", "could not determine a constructor"),
        ("? [a, b]\n: 1\n", "a key that is not text"),
        ("a: b: c\n", "line 1: not YAML"),
        ("a: 1\n---\nb: 2\n", "found another document"),
        ("a: 2001-99-99\n", "month must be in"),
        ("a: \x00\n", "not YAML"),
        ("a: *b\n", "undefined alias"),
    ],
)
def test_what_could_mean_two_things_is_refused(tmp_path, text, line):
    (tmp_path / "f.yaml").write_text(text)
    start = time.monotonic()
    with pytest.raises(UserError, match=line) as refused:
        read_yaml(tmp_path / "f.yaml")
    assert "\n" not in str(refused.value) and str(tmp_path / "f.yaml") in str(refused.value)
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_other_encodings_are_named(tmp_path, encoding):
    (tmp_path / "f.yaml").write_bytes("name: é\n".encode(encoding))
    with pytest.raises(UserError, match=r"f\.yaml.*(UTF-16|not UTF-8|not YAML)"):
        read_yaml(tmp_path / "f.yaml")
    (tmp_path / "f.yaml").write_bytes("name: é\n".encode("utf-8-sig"))
    assert read_yaml(tmp_path / "f.yaml") == {"name": "é"}


def test_files_that_are_none(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_text(tmp_path / "none")
    with pytest.raises(UserError, match="cannot be read"):
        read_text(tmp_path)
    with pytest.raises(UserError, match="NUL"):
        read_text("a\0b")
    (tmp_path / "large").write_bytes(b"#" * 2**23)
    with pytest.raises(UserError, match="larger than"):
        read_yaml(tmp_path / "large")


def test_json(tmp_path):
    assert parse_json('{"a": "\\ud83d\\ude00"}', "f") == {"a": "\U0001f600"}
    for text, line in [
        ('{"a": ["\\ud800"]}', "half a character"),
        ('{"\\udfff": 1}', "half a character"),
        ("[" * 10**5, "nested"),
        ("{", "not JSON"),
        ("9" * 5000, "not JSON"),
    ]:
        (tmp_path / "f.json").write_text(text)
        with pytest.raises(UserError, match=rf"f\.json: .*{line}"):
            read_json(tmp_path / "f.json")
