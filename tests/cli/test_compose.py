"""Canvases of narratives, from the command line."""

import pytest
from evaluation_fixtures import json_lines

from t2igan.cli.main import main


def fails(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_canvases_with_a_trace_agree_better_with_the_gold_maps(scenes_store, scenes_root, tmp_path, capsys):
    written = tmp_path / "steps.jsonl"
    command = ["compose", "--store", str(scenes_store), "--tags", str(scenes_root / "tagged" / "val")]
    main([*command, "--sheets", "1", "--out", str(tmp_path / "sheets"), "--records", str(written)])
    found = {record["options"]["trace"]: record for record in json_lines(written)}
    values = {trace: record["values"]["mean_iou"] for trace, record in found.items()}
    assert values["oracle"] > values["real"] > values["none"] > 0
    for record in found.values():
        shares = [record["values"][name] for name in ("placed", "retrieved", "nearest", "frequent", "void")]
        assert sum(shares) == pytest.approx(1)
        assert record["fingerprint"] and record["parts"]["retriever"] and record["digest"]
    assert len(list((tmp_path / "sheets" / "true-labels").glob("*.png"))) == 1
    assert "mean IoU" in capsys.readouterr().out


def test_labels_must_come_from_somewhere(scenes_store, scenes_root, tmp_path, capsys):
    command = ["compose", "--store", str(scenes_store), "--records", str(tmp_path / "r")]
    assert "give --tagger" in fails(capsys, *command)
    train = str(scenes_root / "tagged" / "train")
    assert "no labels for the narratives of" in fails(capsys, *command, "--tags", train)
    assert "give only one of the two" in fails(capsys, *command, "--tags", train, "--narratives", train)


def test_the_released_narratives_on_real_maps(trecs_tags, tmp_path):
    """Real narratives and real maps of things; their traces were never released, so hulls come from the maps."""
    root = trecs_tags.parents[2] / "coco_sample"
    if not (root / "annotations" / "instances_val2017.json").is_file():
        pytest.skip("the sample of COCO (../shared/data/coco_sample beside the repository) is not here")
    store, written = tmp_path / "coco.h5", tmp_path / "steps.jsonl"
    sizes = ["--out", str(store), "--image_size", "64", "--workers", "1"]
    main(["prepare", "coco", "--root", str(root), "--instances", str(root / "annotations"), *sizes])
    command = ["--store", str(store), "--narratives", str(trecs_tags), "--records", str(written)]
    main(["compose", *command, "--sheets", "2", "--out", str(tmp_path / "sheets")])
    main(["retrieve", *command])
    oracle, none, _, narratives = json_lines(written)
    assert (oracle["options"]["trace"], none["options"]["trace"]) == ("oracle", "none")
    assert oracle["n"] > 300
    assert oracle["values"]["mean_iou"] > 1.5 * none["values"]["mean_iou"]
    assert narratives["n"] == 380 and narratives["values"]["recall@1"] > 0.3
