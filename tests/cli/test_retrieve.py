"""Images found by narratives, from the command line."""

import pytest
from clip_fixture import write_clip
from evaluation_fixtures import json_lines

from t2igan.cli.main import main


def test_narratives_find_their_images(scenes_store, tmp_path):
    written = tmp_path / "steps.jsonl"
    main(["retrieve", "--store", str(scenes_store), "--records", str(written)])
    by_captions, by_narratives = json_lines(written)
    assert by_captions["name"] == "first captions" and by_narratives["name"] == "narratives"
    for record in (by_captions, by_narratives):
        values = record["values"]
        assert 1 / 12 < values["recall@1"] <= values["recall@5"] <= values["recall@10"] <= 1


def test_a_dual_encoder_searches_by_pixels(scenes_store, tmp_path):
    pytest.importorskip("transformers")
    written, clip = tmp_path / "steps.jsonl", write_clip(tmp_path / "clip")
    main(["retrieve", "--store", str(scenes_store), "--retriever", str(clip), "--records", str(written)])
    by_captions, _ = json_lines(written)
    assert len(by_captions["parts"]["retriever"]) == 64 and by_captions["options"]["retriever"] == "clip"
    # Random weights find an image by chance, if at all.
    assert by_captions["values"]["recall@1"] < 0.5
