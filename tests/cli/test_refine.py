"""Labels of words from narratives and traces, from the command line."""

from evaluation_fixtures import json_lines

from t2igan.cli.main import main
from t2igan.layout.narratives import read_tagged


def test_refinement_from_end_to_end(scenes_store, scenes_root, tmp_path, capsys):
    written = tmp_path / "steps.jsonl"
    command = ["refine", "--store", str(scenes_store), "--out", str(tmp_path / "labels" / "train")]
    main([*command, "--tags", str(scenes_root / "tagged" / "train"), "--records", str(written)])
    rows = {record["name"]: record["values"] for record in json_lines(written)}
    hull, refined = rows["hull of the trace"], rows["refined, exponent 1"]
    # Thirty narratives are too few for IBM model 1 to be better than hulls (tests/text/test_refining.py has more).
    assert hull["token_accuracy"] > 0.4
    # With the exponent of TReCS the label hardly changes within a narrative.
    assert rows["refined, exponent 10"]["boundary_f1"] < refined["boundary_f1"]
    assert rows["refined, exponent 10"]["set_jaccard"] < refined["set_jaccard"]
    own = read_tagged(tmp_path / "labels" / "train")
    true = read_tagged(scenes_root / "tagged" / "train")
    assert {each.key: each.words for each in own} == {each.key: each.words for each in true}
    # The tagger that is proposed is the one of these data, not COCO's, which takes hours.
    told = f"next: t2igan fit --config experiments/scenes/trecs-tagger.yaml --data.files {tmp_path}/labels/train"
    assert told in capsys.readouterr().out
    main([*command, "--records", str(written)])  # again, into the folder that is there
    assert len(read_tagged(tmp_path / "labels" / "train")) == len(own)
