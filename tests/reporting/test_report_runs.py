import json
import shlex

import pytest
from report_fixtures import Page

from t2igan.reporting.html import render_page
from t2igan.reporting.report_runs import curves_of, first_curves, read_run


def test_what_a_run_has_to_show(run_folder):
    run = read_run(run_folder, [{"step": 0, "train/loss_d": 1.0}, {"step": 1, "val/loss": 2.0}])
    assert [len(part) for part in (run.samples, run.earlier, run.overlays, run.curves)] == [2, 1, 1, 2]
    assert "after 20 steps" in run.samples[0].caption
    assert (run.samples[0].width, run.samples[0].height) == (20, 10)
    (note,) = run.notes
    assert "c000_s01_attention.png: not a readable PNG" in note


def test_a_run_that_is_online_is_linked(tables, run_folder):
    address = {"id": "a1", "project": "p", "url": "https://wandb.ai/me/p/runs/a1", "folder": "wandb/run-1-a1"}
    (run_folder / "wandb.json").write_text(json.dumps(address))
    page = Page(render_page(tables, [read_run(run_folder, [])]))
    assert [one for tag, one in page.tags if tag == "a" and one.get("href") == address["url"]]
    assert "wandb sync" not in page.text


def test_a_run_recorded_offline_says_how_to_send_it(tables, run_folder):
    address = {"id": "a1", "project": "p", "url": None, "folder": "wandb/offline-run-1-a1"}
    (run_folder / "wandb.json").write_text(json.dumps(address))
    command = f"wandb sync {shlex.quote(str(run_folder / 'wandb'))}/offline-run-*-a1"
    assert read_run(run_folder, []).sync == command
    assert f"offline: {command}" in Page(render_page(tables, [read_run(run_folder, [])])).text


@pytest.mark.parametrize("content", ['{"url": "javascript:alert(1)"}', "[1]", '{"id": "tor'])
def test_an_address_that_is_none_is_left_out(run_folder, content):
    (run_folder / "wandb.json").write_text(content)
    run = read_run(run_folder, [])
    assert run.page is None and run.sync is None


def test_of_several_image_sizes_the_largest_comes_first():
    columns = ["train/margin_64", "train/margin_256", "train/margin_128", "train/loss_d", "train/loss_d_256"]
    assert first_curves(columns) == ["train/loss_d", "train/margin_256"]


def test_rates_and_speed_come_after_all_other_curves():
    names = ["lr/generator", "speed/images_per_second", "train/penalty", "gradients/generator", "val/damsm"]
    panels = curves_of([dict.fromkeys(names, 1.0) | {"step": 0}])
    order = [next(name for name in names if name in panel) for panel in panels]
    assert order == [
        "gradients/generator",
        "val/damsm",
        "train/penalty",
        "lr/generator",
        "speed/images_per_second",
    ]


def test_scores_of_a_training_are_curves_against_steps_and_images_seen(run_folder):
    rows = [{"step": 9, "train/loss_d": 1.0}]
    rows += [{"step": 10 * n - 1, "val/fid@50": 30.0 / n, "val/images_seen": 40.0 * n} for n in (1, 2, 3)]
    page = read_run(run_folder, rows)
    ((by_step, by_images),) = page.quality
    assert "FID (50 images), by step" in by_step and ">24<" in by_step
    assert "FID (50 images), by images seen" in by_images and ">100<" in by_images
    assert by_step.count("<circle") == 3
    assert len(page.curves) == 1 and "train/loss_d" in page.curves[0]
    html = render_page([], [page])
    assert "Quality while it trained" in html and by_images in html
    assert "Quality while it trained" not in render_page([], [read_run(run_folder, rows[:1])])
