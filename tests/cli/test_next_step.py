import shlex

import yaml

from t2igan.cli import evaluate
from t2igan.cli.next_step import scoring
from t2igan.cli.parsing import parse


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
    assert scoring(checkpoint, 48) == "t2igan evaluate --help says how it is scored"
