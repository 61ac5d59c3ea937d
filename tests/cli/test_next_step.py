import re
import shlex
import shutil
from types import SimpleNamespace

import pytest
import yaml

from t2igan.cli import evaluate, fit, quick, quick_fit
from t2igan.cli.next_step import USES, composing, line_of, sampling, scoring, scoring_on, synthesising, use_of
from t2igan.cli.parsing import parse
from t2igan.data.store import open_store
from t2igan.models.suite_module import SuiteModule


def test_the_command_that_scores_is_whole(tmp_path, drawn_birds_store, monkeypatch):
    run = tmp_path / "a run"
    (run / "checkpoints").mkdir(parents=True)
    (tmp_path / "damsm.ckpt").write_bytes(b"")
    model = {"class_path": "SSAGAN", "init_args": {"damsm": str(tmp_path / "damsm.ckpt")}}
    data = {"class_path": "DrawnBirds", "init_args": {"store": str(drawn_birds_store)}}
    (run / "config.yaml").write_text(yaml.safe_dump({"model": model, "data": data}))
    checkpoint = str(run / "checkpoints" / "last.ckpt")
    taken = {}
    monkeypatch.setattr(evaluate, "call", lambda function, words, verb: taken.update(parse(function, words, verb)))
    verb, *words = shlex.split(scoring(checkpoint, 32).removeprefix("t2igan "))
    evaluate.run(verb, words)
    assert (taken["checkpoint"], taken["store"]) == (checkpoint, str(drawn_birds_store))
    assert (taken["protocol"], taken["damsm"]) == ("drawn-birds/quick", [str(tmp_path / "damsm.ckpt")])
    assert scoring(checkpoint, 48) == "t2igan evaluate --help  # says how it is scored"


@pytest.fixture(autouse=True)
def nothing_allowed(monkeypatch):
    """Whatever other tests of this process have allowed is in no next command."""
    monkeypatch.setattr("t2igan.nn.config._allowed", set())


def test_the_caption_that_is_drawn_is_of_the_data_at_hand(drawn_birds_store):
    module = SimpleNamespace(
        requires=frozenset({"captions"}), vocabulary=["<end>", "man", "it's", "riding", "bike"]
    )
    with_store = sampling("a.ckpt", module, "out", open_store(drawn_birds_store))
    first = open_store(drawn_birds_store).split("test").caption_text(0)
    assert shlex.split(with_store)[2:] == ["--checkpoint", "a.ckpt", "--caption", first, "--out", "out"]
    assert shlex.split(sampling("a.ckpt", module, "out"))[5] == "man it's riding"
    module.vocabulary += ["a", "small", "red", "bird"]
    assert shlex.split(sampling("a.ckpt", module, "out"))[5] == "a small red bird"


def test_what_takes_layouts_is_not_told_to_draw_a_caption():
    for requires, told in (({"captions", "layouts"}, "pipeline"), ({"layouts", "segments"}, "--scene")):
        said = sampling("a.ckpt", module_that(requires), "out")
        assert told in said and "--caption" not in said and "..." not in said
        assert line_of(said) == f"to go on: {said}", "words are no command"


def test_what_takes_layouts_is_scored_on_its_store(scenes_store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store, segments = open_store(scenes_store), module_that({"captions", "layouts", "segments"}, 32)
    verb, words = typed(sampling("a.ckpt", segments, "out", store))
    assert (verb, words[1]) == ("fit", "experiments/scenes/classifier.yaml"), "nothing scores its images yet"
    for name in ("scenes/spatext-segmenter", "spatext/scorer"):
        trained(tmp_path / "runs" / name)
    verb, words = typed(sampling("a.ckpt", segments, "out", store))
    assert words[:4] == ["--checkpoint", "a.ckpt", "--protocol", "scenes/spatext"]
    assert words[6:10] == ["--encoder", "runs/spatext/scorer", "--segmenter", "runs/scenes/spatext-segmenter"]
    layouts, spade = module_that({"captions", "layouts"}, 64), "runs/scenes/spade/checkpoints/last.ckpt"
    assert typed(sampling(spade, layouts, "out", store))[0] == "refine", "its pipeline has no tagger"
    for name in ("trecs-tagger", "classifier"):
        trained(tmp_path / "runs/scenes" / name)
    verb, words = typed(sampling(spade, layouts, "out", store))
    assert (verb, words[1]) == ("evaluate", "experiments/scenes/pipelines/trecs-lite-real.yaml")
    assert line_of(sampling("mine.ckpt", layouts, "out", store)).startswith("to go on: name mine.ckpt")


def test_what_draws_nothing_is_told_what_takes_it():
    class DAMSM: ...

    class Tuned(DAMSM): ...

    class Other: ...

    told = use_of("runs/a run/checkpoints/last.ckpt", Tuned())
    assert told.startswith("t2igan fit with --model.damsm 'runs/a run/checkpoints/last.ckpt'") and "--damsm" in told
    assert use_of("x.ckpt", Other()) == "name x.ckpt in the YAML of what needs Other"
    fit.import_classes()
    assert USES.keys() <= {each.__name__ for each in subclasses(SuiteModule)}
    for text in USES.values():
        verb, option = text.split()[1], re.findall(r"--[a-z_.]+", text)[-1]
        signature = quick.read_signature(*quick.FUNCTIONS[verb if verb != "fit" else "evaluate",])
        assert option.removeprefix("--") in {each.name for each in signature[1]}, text


@pytest.mark.parametrize(
    ("kind", "data", "told"),
    [
        (
            "DAMSM",
            "DrawnBirds",
            "fit --config experiments/quickstart/ssagan.yaml --model.damsm {0} --data.store {1}",
        ),
        ("STREAM", "DrawnBirds", "caption --checkpoint {0} --store {1}"),
        ("EvaluationClassifier", "ClassificationData", "evaluate --real --protocol drawn-birds/quick --store {1}"),
        ("Tagger", "TaggedNarratives", "tag --checkpoint {0} --narratives tagged/val"),
    ],
)
def test_what_was_trained_is_used_on_its_own_data(kind, data, told, tmp_path, drawn_birds_store, monkeypatch):
    """A whole command: nothing in it is left to be filled in."""
    monkeypatch.chdir(tmp_path)
    for judge in ("damsm-independent", "classifier"):
        trained(tmp_path / "runs/quickstart" / judge)
    (tmp_path / "mine" / "first" / "checkpoints").mkdir(parents=True)
    checkpoint = str(tmp_path / "mine" / "first" / "checkpoints" / "last.ckpt")
    options = {"store": str(drawn_birds_store), "image_size": 32, "captions": "captions"}
    options = {"files": "tagged/val"} if kind == "Tagger" else options
    config = {"model": {"class_path": kind}, "data": {"class_path": f"some.{data}", "init_args": options}}
    (tmp_path / "mine" / "first" / "config.yaml").write_text(yaml.safe_dump(config))
    said = use_of(checkpoint, type(kind, (), {})())
    assert said.startswith("t2igan " + told.format(checkpoint, drawn_birds_store))
    if kind == "DAMSM":
        assert said.endswith(f"--run {tmp_path / 'mine' / 'ssagan'}")
        options["store"] = "gone.h5"
        (tmp_path / "mine" / "first" / "config.yaml").write_text(yaml.safe_dump(config))
        assert use_of(checkpoint, type(kind, (), {})()).startswith("t2igan fit with --model.damsm")
        options["store"] = str(drawn_birds_store)
        shutil.copytree(tmp_path / "mine" / "first", tmp_path / "mine" / "damsm-independent")
        (tmp_path / "mine" / "damsm-independent" / "config.yaml").write_text(yaml.safe_dump(config))
        independent = str(tmp_path / "mine" / "damsm-independent" / "checkpoints" / "last.ckpt")
        said = use_of(independent, type(kind, (), {})())
        assert typed(said)[1][:3] == ["--real", "--protocol", "drawn-birds/quick"]
        assert f"--damsm {independent}" in said
        options["store"] = "gone.h5"
        (tmp_path / "mine" / "damsm-independent" / "config.yaml").write_text(yaml.safe_dump(config))
        said = use_of(independent, type(kind, (), {})())
        assert line_of(said).startswith("to go on: t2igan evaluate with --damsm DAMSM --damsm")


@pytest.mark.parametrize(
    ("kind", "model", "told"),
    [
        ("SegmentEncoder", {"dim": 64}, "fit --config experiments/scenes/spatext-prior.yaml --model.encoder {0}"),
        ("SegmentEncoder", {"dim": 48}, "evaluate --real --protocol scenes/spatext --store {1} --encoder {0}"),
        (
            "SegmentPrior",
            {"encoder": "e.ckpt", "network": {"init_args": {"dim": 64}}},
            "fit --config experiments/scenes/spatext-gan.yaml --model.encoder e.ckpt --model.prior {0}",
        ),
        ("SegmentPrior", {"encoder": "e.ckpt", "network": {"init_args": {"dim": 8}}}, ""),
        ("Segmenter", {"image_size": 32}, "evaluate --real --protocol scenes/spatext --store {1} --segmenter {0}"),
        (
            "DAMSM",
            {},
            "evaluate --real --protocol scenes/trecs --store {1} --damsm {0}",
        ),
    ],
)
def test_what_was_trained_on_scenes_is_used_on_them(kind, model, told, scenes_store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "damsm-independent"
    trained(run)
    options = {"store": str(scenes_store), "image_size": 64, "captions": "narratives"}
    model = {"class_path": kind, "init_args": model}
    config = {"model": model, "data": {"class_path": "some.Scenes", "init_args": options}}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    checkpoint = str(run / "checkpoints" / "last.ckpt")
    said = use_of(checkpoint, type(kind, (), {})())
    if not told:
        assert line_of(said).startswith("to go on: t2igan fit with --model.prior"), "its width is not the GAN's"
        return
    assert said.startswith("t2igan " + told.format(checkpoint, scenes_store))
    typed(said)
    assert line_of(said) == f"next: {said}"


def test_what_scores_a_training_is_trained_before_it(tmp_path, drawn_birds_store, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "runs/quickstart/damsm"
    trained(run)
    options = {"store": str(drawn_birds_store), "image_size": 32, "captions": "captions"}
    config = {"model": {"class_path": "DAMSM"}, "data": {"class_path": "DrawnBirds", "init_args": options}}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    told = []
    for made in ("damsm-independent", "classifier", "ssagan"):
        said = use_of("runs/quickstart/damsm/checkpoints/last.ckpt", type("DAMSM", (), {})())
        told.append(typed(said)[1])
        trained(tmp_path / "runs/quickstart" / made)
    store = ["--data.store", str(drawn_birds_store)]
    assert told[0] == ["--config", "experiments/quickstart/damsm-independent.yaml", *store]
    assert told[1] == ["--config", "experiments/quickstart/classifier.yaml", *store]
    assert told[2][:2] == ["--config", "experiments/quickstart/ssagan.yaml"]


def trained(run):
    """A run that has a last checkpoint."""
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "last.ckpt").write_bytes(b"")


def module_that(requires, size=32):
    """What stands for a module that requires this."""
    return SimpleNamespace(requires=frozenset(requires), generator=SimpleNamespace(image_sizes=[size]))


def test_the_suites_own_protocol_comes_first(monkeypatch):
    """CUB at 256 pixels has those of papers too, whose names stand before it."""
    store = SimpleNamespace(name="cub", path="cub.h5")
    assert "--protocol cub/t2igan --store cub.h5" in scoring_on(store, 256, ["--real"])
    monkeypatch.setattr("t2igan.nn.config._allowed", {"mine"})
    assert scoring_on(store, 256, ["--real"]).endswith("--allow mine --skip_missing true")
    assert scoring_on(store, 17, ["--real"], nothing="") == ""


def test_what_no_network_scores_is_not_told_to_be_scored(tmp_path, monkeypatch):
    """Every metric of the protocols of drawn scenes is of a network that was trained."""
    monkeypatch.chdir(tmp_path)
    store = SimpleNamespace(name="scenes", path="a store.h5")
    said = scoring_on(store, 64, ["--pipeline", "lite.yaml"])
    verb, *words = shlex.split(said, comments=True)[1:]
    assert (verb, words[:2]) == ("fit", ["--config", "experiments/scenes/classifier.yaml"])
    assert words[2:] == ["--data.store", "a store.h5"]
    trained = tmp_path / "runs/scenes/classifier/checkpoints/last.ckpt"
    trained.parent.mkdir(parents=True)
    trained.write_bytes(b"")
    said = scoring_on(store, 64, ["--pipeline", "lite.yaml"])
    assert said.startswith("t2igan evaluate --pipeline lite.yaml --protocol scenes/trecs")
    assert "--classifier runs/scenes/classifier/checkpoints/last.ckpt" in said
    # A DAMSM serves where R-precision is asked for; under the protocol of 32 pixels it is not.
    assert "--classifier" not in scoring_on(store, 64, ["--checkpoint", "x"], ["--damsm", "d.ckpt"])
    assert "--classifier" in scoring_on(store, 32, ["--checkpoint", "x"], ["--damsm", "d.ckpt"])


def subclasses(kind):
    return {kind}.union(*map(subclasses, kind.__subclasses__()))


def typed(line):
    """The words of a next command, which its verb takes."""
    verb, *words = shlex.split(line, comments=True)[1:]
    assert (quick_fit if verb in quick_fit.VERBS else quick).answer(verb, words) is None
    return verb, words


def test_the_road_from_narratives_to_images_leads_on(scenes_store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = open_store(scenes_store)
    verb, words = typed(composing(store, "tfidf"))
    assert verb == "refine" and words == ["--store", str(scenes_store), "--out", "datasets/scenes/refined/train"]
    refined = tmp_path / "datasets/scenes/refined/train.ids.txt"
    refined.parent.mkdir(parents=True)
    refined.write_text("")
    assert typed(composing(store, "tfidf")) == ("fit", ["--config", "experiments/scenes/trecs-tagger.yaml"])
    for name in ("trecs-tagger", "spade", "classifier"):
        trained = tmp_path / f"runs/scenes/{name}/checkpoints/last.ckpt"
        if name == "spade":
            verb, words = typed(synthesising(store))
            assert (verb, words[1]) == ("fit", "experiments/scenes/spade.yaml")
        trained.parent.mkdir(parents=True)
        trained.write_bytes(b"")
    verb, words = typed(composing(store, "my.ckpt"))
    assert verb == "compose" and words[words.index("--retriever") + 1] == "my.ckpt"
    verb, words = typed(synthesising(store))
    assert verb == "evaluate" and words[:2] == ["--pipeline", "experiments/scenes/pipelines/trecs-lite-real.yaml"]
    assert words[words.index("--protocol") + 1] == "scenes/trecs"


def test_captions_alone_lead_to_a_damsm(drawn_birds_store):
    verb, words = typed(composing(open_store(drawn_birds_store), "tfidf"))
    assert (verb, words[1]) == ("fit", "experiments/quickstart/damsm.yaml")
