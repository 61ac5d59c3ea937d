"""Options of all verbs: one name has one meaning, and help and parser know the same ones."""

from collections import defaultdict

import pytest

from t2igan.cli import quick
from t2igan.errors import UserError

# Names that mean one thing in several spellings, with the reason.
SEVERAL_KINDS = {"split": "how prepare divides a data set: each has its own ways"}
# A word that begins the text of an option wherever it is: what a new verb must not use the name for.
MEANINGS = {
    "records": "file that the records are appended to",
    "weights": "or those that training moved (raw)",
    "device": "auto, cpu, cuda, cuda:1",
    "retriever": "tfidf, the checkpoint or run of a DAMSM",
    "captions_per_image": "captions kept of each image",
    "image_size": "training resolution S",
    "strict": "stop if anything is missing",
}


def options():
    """Name -> [(words of the command, option)] of all verbs."""
    found = defaultdict(list)
    for words, (module, function) in quick.FUNCTIONS.items():
        for option in quick.read_signature(module, function)[1]:
            if not option.positional:
                found[option.name].append((" ".join(words), option))
    return found


def test_a_name_takes_one_kind_of_value():
    kinds = {name: {one.kind for _, one in every} for name, every in options().items()}
    assert {name for name, several in kinds.items() if len(several) > 1} == {*SEVERAL_KINDS}


@pytest.mark.parametrize("name", MEANINGS)
def test_a_name_means_one_thing(name):
    every = [(verb, one.text) for verb, one in options()[name] if verb != "profile loader"]
    said = {verb: text for verb, text in every if MEANINGS[name] not in text}
    assert len(every) > 1 and not said


def test_what_a_verb_gives_itself_is_no_option_of_it():
    """An evaluation that is measured keeps nothing, whatever it is told; all three have one name for the folder."""
    found = options()
    for name in ("records", "cache", "timing", "timing_folder"):
        assert "profile evaluate" not in {verb for verb, _ in found[name]}
    profiled = {verb for verb, _ in found["out"]} & {"profile", "profile evaluate", "profile loader"}
    assert len(profiled) == 3
    shown = quick.answer("profile", ["--help"])
    assert shown and "t2igan profile evaluate" in shown and "t2igan profile loader" in shown


def test_names_of_before_are_gone():
    """Each of these had two meanings."""
    where = {name: {verb.split()[0] for verb, _ in every} for name, every in options().items()}
    assert where["steps"] == {"profile"} and where["split"] == {"prepare"}
    assert where["classes"] == {"prepare"} and "fresh" not in where
    assert [verb for verb, _ in options()["classes"]] == ["prepare folder"]


def test_an_option_of_before_is_answered_with_its_name_of_now():
    with pytest.raises(UserError, match=r"^--timings is called --timing_folder now$"):
        quick.answer("evaluate", ["--timings", "x"])
    with pytest.raises(UserError, match=r"^'timings' is not an option"):
        quick.answer("sample", ["--timings", "x"])


def test_every_verb_is_known():
    """Every verb of the command but those with a parser of their own is answered without torch."""
    from t2igan.cli.main import VERBS

    own = {"fit", "validate", "test", "predict", "doctor", "list"}
    assert {words[0] for words in quick.FUNCTIONS} == {*VERBS} - own


@pytest.mark.parametrize("verb", ["prepare coco", "prepare folder", "tag", "compose", "benchmark"])
def test_help_has_what_the_parser_has(verb):
    import importlib

    from t2igan.cli import parsing

    module, name = quick.FUNCTIONS[tuple(verb.split())]
    function = getattr(importlib.import_module(f"t2igan.cli.{module}"), name)
    there = {option.name for option in quick.read_signature(module, name)[1]}
    assert set(parsing.make_parser(function, verb)._option_string_actions) >= {
        f"--{option.name}" for option in quick.read_signature(module, name)[1] if not option.positional
    }
    assert {action.dest for action in parsing.make_parser(function, verb)._actions} == there | {"help", "allow"}


def test_a_flag_by_itself_is_true():
    words = ["--real", "--store", "x", "--download", "false", "--once"]
    spelt = [*quick.flags_spelt_out(words, {"real", "download", "once"})]
    assert spelt == ["--real", "true", "--store", "x", "--download", "false", "--once", "true"]


def test_records_may_stand_behind_options():
    words = ["--compare", "ssagan", "dfgan", "a.jsonl", "--out", "x"]
    assert quick.answer("report", words) is None and quick.answer("report", ["a.jsonl", *words[:3]]) is None
    with pytest.raises(UserError, match="RECORDS is missing"):
        quick.answer("report", words[:3])
