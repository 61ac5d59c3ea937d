"""What evaluate and report tell wandb, read back from what was recorded offline."""

import json

import pytest
import wandb
from PIL import Image
from report_fixtures import make_record, make_repeated
from wandb_reading import OfflineRun

from t2igan.cli.main import main
from t2igan.errors import UserError
from t2igan.evaluation.record import SubjectCard, append_record
from t2igan.reporting.leaderboard import boards
from t2igan.reporting.wandb_pages import leaderboard_rows, log_scores, opened, summary_of

SCORE = "val/fid@50"
CURVES = f"""step,train/loss_d,train/margin,{SCORE},val/images_seen,speed/scoring_share,lr/generator
0,1.5,0.5,,,,0.1
9,1.25,0.25,30.0,90,0.04,0.1
"""


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch, tmp_path):
    """Neither a project nor a key nor a mode from outside."""
    for name in ("PROJECT", "RUN_GROUP", "TAGS", "NAME", "RUN_ID", "RESUME", "MODE", "API_KEY", "ENTITY", "DIR"):
        monkeypatch.delenv(f"WANDB_{name}", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.chdir(tmp_path)
    wandb.teardown()  # wandb reads the environment once in a process
    yield
    wandb.teardown()


@pytest.fixture
def run_folder(tmp_path):
    folder = tmp_path / "ssagan"
    (folder / "samples").mkdir(parents=True)
    (folder / "metrics.csv").write_text(CURVES)
    Image.new("RGB", (8, 8)).save(folder / "samples" / "step_000010.png")
    return folder


def recorded(folder):
    wandb.teardown()  # its service writes the last of a run when it ends
    (found,) = folder.glob("wandb/offline-run-*")
    return OfflineRun(found)


def test_a_report_is_logged_with_tables_sheets_and_page(tmp_path, run_folder):
    for seed, value in enumerate((10.0, 12.0)):
        append_record(tmp_path / "records.jsonl", make_repeated("ssagan", seed, value))
    arguments = [str(tmp_path / "records.jsonl"), "--runs", json.dumps([str(run_folder)]), "--wandb", "offline"]
    main(["report", *arguments])
    run = recorded(tmp_path / "report")
    keys = {key.partition("/")[0] if key.startswith("sheets") else key.split("/_")[0] for key in run.keys}
    assert any(key.startswith("leaderboard/p") for key in keys) and "sheets" in keys
    assert any(key.startswith("report") for key in keys)
    (table,) = (tmp_path / "report").glob("wandb/offline-run-*/files/media/table/leaderboard/*.json")
    content = json.loads(table.read_text())
    assert content["columns"][:5] == ["subject", "kind", "runs", "images", "FD, classifier ↓"]
    assert content["columns"][5:7] == ["FD, classifier ↓ ±", "FD, classifier ↓ ± over"]
    (row,) = content["data"]
    assert row[1:5] == ["checkpoint", 2, 100, 11.0] and row[5] == pytest.approx(2**0.5) and row[6] == "seeds"
    assert list((tmp_path / "report").glob("wandb/offline-run-*/files/media/images/sheets/ssagan*.png"))
    sections = {
        one["name"]: one["panels"] for one in json.loads((tmp_path / "report/wandb-layout.json").read_text())
    }
    axes = {(tuple(panel["keys"]), panel["x"]) for panel in sections["quality"]}
    assert axes == {((SCORE,), "trainer/global_step"), ((SCORE,), "val/images_seen")}
    shown = [key for panels in sections.values() for panel in panels for key in panel["keys"]]
    assert {"train/loss_d", "train/margin", "speed/scoring_share", "lr/generator", "sheets/ssagan"} <= set(shown)
    assert shown.count("train/margin") == 1


def test_scores_go_into_the_summary_of_the_run_that_was_scored(run_folder):
    address = {"id": "abc123", "project": "plan", "folder": "wandb/somewhere"}
    (run_folder / "wandb.json").write_text(json.dumps(address))
    (run_folder / "checkpoints").mkdir()
    card = SubjectCard("checkpoint", "ssagan", str(run_folder / "checkpoints" / "best-fid.ckpt"))
    record = make_record("ssagan", subject=card)
    log_scores(record, "offline")
    run = recorded(run_folder)
    assert (run.run.run_id, run.run.project) == ("abc123", "plan")
    assert (
        run.summary["test/p/r-precision@damsm"] == 0.25
        and run.summary["test/p/r-precision@damsm ± folds"] == 0.0125
    )
    assert run.config["scored p"]["protocol_hash"] == record.protocol_hash
    assert not run.rows  # nothing that could collide with the curves


def test_what_was_chosen_by_its_score_has_a_place_of_its_own():
    card = SubjectCard("checkpoint", "ssagan", "ssagan/best.ckpt", selection="test: best fid of p")
    assert set(summary_of(make_record("ssagan", subject=card))) >= {"best/p/fd-classifier"}


def test_scores_of_what_wandb_does_not_know_make_a_run(tmp_path):
    log_scores(make_record("real images", "real"), "offline")
    run = recorded(tmp_path / "runs")
    assert (run.run.project, run.run.display_name, run.run.job_type) == ("t2igan", "real images, p", "evaluate")


def test_without_a_key_there_is_one_line(tmp_path):
    with pytest.raises(UserError, match="--wandb offline"), opened(tmp_path, "online", project="p"):
        pass


def test_rows_have_a_number_or_nothing_in_each_column():
    one, two = make_record("a"), make_record("b", metrics={})
    columns, rows = leaderboard_rows(boards([one, two])[0])
    assert {len(row) for row in rows} == {len(columns)}
    assert [row[4] for row in rows] == [12.345, None]
    assert columns[-3:] == ["R-precision, DAMSM ↑", "R-precision, DAMSM ↑ ±", "R-precision, DAMSM ↑ ± over"]
    assert [row[-3:] for row in rows] == [[0.25, 0.0125, "folds"], [None] * 3]


def test_tables_of_one_protocol_take_no_other_ones_place(tmp_path, run_folder):
    for number in (100, 30, 20):
        append_record(tmp_path / "records.jsonl", make_record(f"of-{number}", n_generated=number))
    main(["report", str(tmp_path / "records.jsonl"), "--wandb", "offline"])
    wandb.teardown()
    tables = (tmp_path / "report").glob("wandb/offline-run-*/files/media/table/leaderboard/*.json")
    assert sorted(json.loads(path.read_text())["data"][0][0] for path in tables) == ["of-100", "of-20", "of-30"]
