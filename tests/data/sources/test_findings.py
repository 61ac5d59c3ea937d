import pytest

from t2igan.data.sources.base import Findings, first_of, has_word, several
from t2igan.data.vocabulary import tokenize
from t2igan.errors import UserError


@pytest.mark.parametrize(
    "caption",
    ["a bird", "Bird", " .,!", "", "_", "7", "\N{KELVIN SIGN}", "красная птица", "красная x", "caf\u00e9", "\u00e9",
     "\ufffd\ufffd", "\u0130", "\uff21", "\u0663"],
)  # fmt: skip
def test_has_word_agrees_with_the_tokeniser(caption):
    assert has_word(caption) == bool(tokenize(caption))


def test_several_lines_are_counted_and_one_is_itself():
    assert several(["one"]) == "one"
    assert several(["one"], "mend it") == "one; mend it"
    assert several(["one", "two"]) == "2 faults, nothing was written:\n  one\n  two"
    assert several(["one", "two"], "repair them").startswith("2 faults, nothing was written; repair them:\n")


def test_the_first_of_many_are_named_and_the_others_counted():
    assert first_of([3, 1]) == "3, 1"
    assert first_of(list("abcdef"), 5) == "a, b, c, d, e and 1 more"
    assert first_of(range(5000), 2) == "0, 1 and 4,998 more"


def test_problems_are_said_with_the_faults_and_stop_nothing_alone():
    Findings([], ["a problem"]).stop_at_faults()
    with pytest.raises(UserError, match="2 faults, nothing was written:\n  a fault\n  a problem"):
        Findings(["a fault"], ["a problem"]).stop_at_faults()
