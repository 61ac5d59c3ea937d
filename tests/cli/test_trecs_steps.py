"""The steps before the image, from the command line: labels, retrieval, canvases."""

import json

import pytest
from clip_fixture import write_clip

from t2igan.cli.main import main
from t2igan.layout.narratives import read_tagged


def records(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def fails(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main(list(arguments))
    assert stopped.value.code == 2
    return capsys.readouterr().err


def test_refinement_from_end_to_end(scenes_store, scenes_root, tmp_path):
    written = tmp_path / "steps.jsonl"
    command = ["refine", "--store", str(scenes_store), "--out", str(tmp_path / "labels" / "train")]
    main([*command, "--tags", str(scenes_root / "tagged" / "train"), "--records", str(written)])
    rows = {record["name"]: record["values"] for record in records(written)}
    hull, refined = rows["hull of the trace"], rows["refined, exponent 1"]
    # Thirty narratives are too few for IBM model 1 to be better than hulls (tests/text/test_refining.py has more).
    assert hull["token_accuracy"] > 0.4
    # With the exponent of TReCS the label hardly changes within a narrative.
    assert rows["refined, exponent 10"]["boundary_f1"] < refined["boundary_f1"]
    assert rows["refined, exponent 10"]["set_jaccard"] < refined["set_jaccard"]
    own = read_tagged(tmp_path / "labels" / "train")
    true = read_tagged(scenes_root / "tagged" / "train")
    assert {each.key: each.words for each in own} == {each.key: each.words for each in true}


def test_canvases_with_a_trace_agree_better_with_the_gold_maps(scenes_store, scenes_root, tmp_path, capsys):
    written = tmp_path / "steps.jsonl"
    command = ["compose", "--store", str(scenes_store), "--tags", str(scenes_root / "tagged" / "val")]
    main([*command, "--sheets", "1", "--out", str(tmp_path / "sheets"), "--records", str(written)])
    found = {record["options"]["trace"]: record for record in records(written)}
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
    assert "labels of no narrative" in fails(capsys, *command, "--tags", train)
    assert "leave one of them out" in fails(capsys, *command, "--tags", train, "--narratives", train)


def test_narratives_find_their_images(scenes_store, tmp_path):
    written = tmp_path / "steps.jsonl"
    main(["retrieve", "--store", str(scenes_store), "--records", str(written)])
    by_captions, by_narratives = records(written)
    assert by_captions["name"] == "first captions" and by_narratives["name"] == "narratives"
    for record in (by_captions, by_narratives):
        values = record["values"]
        assert 1 / 12 < values["recall@1"] <= values["recall@5"] <= values["recall@10"] <= 1


def test_a_dual_encoder_searches_by_pixels(scenes_store, tmp_path):
    pytest.importorskip("transformers")
    written, clip = tmp_path / "steps.jsonl", write_clip(tmp_path / "clip")
    main(["retrieve", "--store", str(scenes_store), "--retriever", str(clip), "--records", str(written)])
    by_captions, _ = records(written)
    assert len(by_captions["parts"]["retriever"]) == 64 and by_captions["options"]["retriever"] == "clip"
    # Random weights find an image by chance, if at all.
    assert by_captions["values"]["recall@1"] < 0.5


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
    oracle, none, _, narratives = records(written)
    assert (oracle["options"]["trace"], none["options"]["trace"]) == ("oracle", "none")
    assert oracle["n"] > 300
    assert oracle["values"]["mean_iou"] > 1.5 * none["values"]["mean_iou"]
    assert narratives["n"] == 380 and narratives["values"]["recall@1"] > 0.3
