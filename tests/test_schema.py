"""One line for whatever is wrong in a YAML file of ours."""

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

import pytest

from t2igan.errors import UserError
from t2igan.schema import FromFile, at_least, checked_mapping, read_as


@dataclass(frozen=True)
class Inner(FromFile):
    number: int = at_least(2)
    colour: Literal["red", "green"] = "red"


@dataclass(frozen=True)
class Outer(FromFile):
    name: str
    rate: float = at_least(0, 1.0)
    inner: Inner | None = None
    listed: list[Inner] = field(default_factory=list)
    named: dict[str, Inner] = field(default_factory=dict)


def test_a_mapping_becomes_the_dataclass():
    values = {"name": "a", "rate": 2, "inner": {"number": 2}, "named": {"k": {"number": 3, "colour": "green"}}}
    read = read_as(Outer, values, "x.yaml")
    assert read == Outer("a", 2.0, Inner(2), [], {"k": Inner(3, "green")})
    assert type(read.rate) is float, "2 and 2.0 are one value"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": 1}, "name: 1 is not a text"),
        ({"rate": "1"}, "rate: '1' is not of type float"),
        ({"rate": True}, "rate: True is not of type float"),
        ({"rate": float("nan")}, "rate: nan: Input should be a finite number"),
        ({"rate": -1}, "rate: -1.0 is below 0"),
        ({"rate": 1e20}, "rate: 1e+20 is too large"),
        ({"inner": {"number": 2**70}}, "inner.number: 1180591620717411303424 is too large"),
        ({"rat": 1}, "rat: unknown key (did you mean rate?); valid keys: name, rate, inner, listed, named"),
        ({"inner": {"number": 1.0}}, "inner.number: 1.0 is not of type int"),
        ({"inner": {"number": 1}}, "inner.number: 1 is below 2"),
        (
            {"inner": {"number": 3, "color": "red"}},
            "inner.color: unknown key (did you mean colour?); valid keys",
        ),
        ({"listed": [{"number": 2}, {}]}, "listed[1].number is missing"),
        ({"listed": [{"number": 2}, {"number": 1}]}, "listed[1].number: 1 is below 2"),
        ({"listed": "all"}, "listed: 'all' is not a list"),
        ({"named": {"k": {"number": 2, "colour": "blue"}}}, "named.k.colour: 'blue' is not one of red, green"),
        ({"named": {"k": {"number": 2, "colours": "red"}}}, "named.k.colours: unknown key (did you mean colour?)"),
        ({"named": {"k": {"number": 0}}}, "named.k.number: 0 is below 2"),
        ({"named": {"k": 3}}, "named.k: 3 is not a mapping"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(change, words):
    with pytest.raises(UserError) as error:
        read_as(Outer, {"name": "a"} | change, "x.yaml", "part.")
    assert str(error.value).startswith(f"x.yaml: part.{words}")
    assert "\n" not in str(error.value)


def test_three_mistakes_are_told_and_the_rest_counted():
    with pytest.raises(UserError) as error:
        read_as(Outer, {"a": 1, "b": 1, "c": 1}, "x.yaml")
    assert str(error.value).count("unknown key") == 2 and str(error.value).endswith("; and 1 more")


@pytest.mark.parametrize("content", [None, [], "text", 3, {}])
def test_a_file_of_something_else(content):
    with pytest.raises(UserError, match=r"x\.yaml: must hold keys and values, such as `name: a`"):
        checked_mapping(content, "x.yaml", "name: a")


@pytest.mark.parametrize("value", [date(2026, 1, 1), b"binary", {1, 2}, {date(2026, 1, 1): 2}])
def test_what_yaml_makes_of_dates_and_tags_is_refused(value):
    with pytest.raises(UserError, match=r"x\.yaml: only text, numbers, lists and mappings"):
        read_as(Outer, {"name": "a", "listed": value}, "x.yaml")


def test_text_that_is_no_unicode_is_refused_in_a_line():
    with pytest.raises(UserError) as error:
        read_as(Outer, {"name": "\ud800"}, "x.yaml")
    assert str(error.value).startswith("x.yaml: ") and "\n" not in str(error.value)


def test_only_a_real_nul_is_refused():
    for text in ("a\0b", "\\\0", "\0"):
        with pytest.raises(UserError, match="contains NUL"):
            read_as(Outer, {"name": text}, "x.yaml")
    for text in (r"\u0000", r"\\u0000", "u0000"):
        assert read_as(Outer, {"name": text}, "x.yaml").name == text
