import csv
import json
import re
import shlex
from dataclasses import replace
from html.parser import HTMLParser

import pytest
import torch
from PIL import Image
from report_fixtures import make_published_like, make_record, make_repeated

from t2igan.evaluation.record import SubjectCard, TrainingCard
from t2igan.plotting.sample_file import SUFFIX, SampleImages, write_samples
from t2igan.reporting.html import render_page
from t2igan.reporting.leaderboard import boards
from t2igan.reporting.published import METRICS, beside
from t2igan.reporting.report_runs import curves_of, first_curves, read_run
from t2igan.reporting.scores_csv import HEADERS, write_csv

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """Tags with their attributes, text, and whether every tag is closed."""

    VOID = ("meta", "img", "br", "link", "line", "polyline", "circle")

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words, self.ids = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def run_folder(tmp_path):
    folder = tmp_path / f"run {EVIL.replace('/', '')}"
    for name in (
        "samples/step_000010.png",
        "samples/step_000020.png",
        "drawn/grid.png",
        "drawn/c000_s00_masks.png",
    ):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 10), (200, 30, 30)).save(folder / name)
    (folder / "drawn" / "c000_s01_attention.png").write_bytes(b"no image")
    return folder


@pytest.fixture
def tables():
    runs = [make_repeated("a", seed, fd) for seed, fd in enumerate((10.0, 12.0))]
    runs += [make_repeated("b", seed, fd) for seed, fd in enumerate((20.0, 21.0))]
    return boards([*runs, make_record("r", "real"), make_published_like()])


def test_the_page_is_whole_and_asks_the_network_for_nothing(tables, run_folder):
    rows = [{"step": step, "train/loss_d": 1.0 / (step + 1), EVIL: 2.0} for step in range(20)]
    text = render_page(tables, [read_run(run_folder, rows)])
    page = Page(text)
    assert page.open == []
    for tag, attributes in page.tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        assert attributes.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
        link = attributes.get("href", "#")
        assert link.startswith("#") or (
            tag == "a" and link.startswith(("https://github.com/", "https://arxiv.org/"))
        )
        assert not [name for name in attributes if name.startswith("on")]
    styles = re.search(r"<style>(.*?)</style>", text, re.S)[1]
    assert "url(" not in styles and "@import" not in styles
    assert "default-src 'none'" in text
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    targets = {attributes["href"][1:] for tag, attributes in page.tags if attributes.get("href", "")[:1] == "#"}
    assert len(ids) == len(set(ids)) and targets <= set(ids)


def test_nothing_that_a_user_named_becomes_code(run_folder):
    card = SubjectCard("images", EVIL, EVIL)
    evil = make_record(EVIL, subject=card, notes=[EVIL], not_computed={EVIL: EVIL}, protocol=EVIL, dataset=EVIL)
    evil = replace(evil, metrics={EVIL: evil.metrics["fd-classifier"]}, device=EVIL)
    text = render_page(boards([evil]), [read_run(run_folder, [{"step": 0, EVIL: 1.0}])], [EVIL])
    page = Page(text)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not [attributes for _, attributes in page.tags if "onerror" in attributes]
    assert EVIL in "".join(page.words)
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert images and all(one["src"].startswith("data:") for one in images)


def test_every_number_opens_where_it_comes_from(tables):
    text = render_page(tables)
    page = Page(text)
    board = tables[0]
    cells = sum(row.summary(column) is not None for row in board.rows for column in board.columns)
    cells += len(tables[1].columns)
    assert text.count('<details name="provenance">') == cells
    for part in (
        "11.00 ± 1.41",
        "mean ± sd of 2 runs",
        "a is better than b",
        "seed 0: 10.00",
        board.protocol_hash[:16],
    ):
        assert part in page.text
    assert text.count('class="best"') == 2  # the word in the introduction, and a's value


def test_drawn_birds_never_stand_beside_published_numbers():
    text = render_page(boards([make_record("a")]))
    assert "Published" not in text and "DM-GAN" not in text


def test_published_numbers_have_their_block_and_the_protocol_its_words(tables):
    page = Page(render_page(tables)).text
    assert "Published, other protocol" in page and "images: not said" in page
    assert "recalled from memory, unconfirmed" in page
    assert "fold_mode: dmgan-2999" in page
    assert "+1.16" in page


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


def test_the_csv_gives_every_number_back(tables, tmp_path):
    write_csv(tables, tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert tuple(lines[0]) == HEADERS
    runs = [line for line in lines if line["row"] == "run"]
    records = [record for board in tables for record in board.records]
    expected = [
        (record.protocol_hash, record.subject.name, name, value.network_sha256, value.value, value.spread, value.n)
        for record in records
        for name, value in record.metrics.items()
    ]
    found = [
        (
            *(line[key] for key in ("protocol_hash", "subject", "metric", "network_sha256")),
            float(line["value"]),
            float(line["spread"]) if line["spread"] else None,
            int(line["n"]),
        )
        for line in runs
    ]
    assert found == expected
    means = {line["subject"]: line for line in lines if line["row"] == "mean"}
    assert float(means["a"]["value"]) == 11.0 and means["a"]["n"] == "2"
    published = [line for line in lines if line["row"] == "published"]
    held = {
        (line["subject"], line["metric"]): float(line["ours_minus_published"])
        for line in published
        if line["ours_minus_published"]
    }
    expected = {
        (one.number.who, one.number.metric): one.difference / METRICS[one.number.metric].factor
        for one in beside(tables[1])
        if one.difference is not None
    }
    assert held == expected and len(held) >= 4


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


def test_whether_records_are_reproduced_is_folded(tables):
    lines = ["zoo:a: this machine reproduces the shipped record exactly", "  FID 1 (recorded 1): equal"]
    text = render_page(tables, reproduced=lines)
    folded = text[text.index('<details class="aside reproduced">') : text.index("<table")]
    assert lines[0] in folded.partition("</summary>")[0] and "recorded 1" not in folded.partition("</summary>")[0]
    assert "FID 1 (recorded 1): equal" in folded.partition("</summary>")[2]
    assert "reproduced" not in render_page(tables).partition("<table")[0].partition("</style>")[2]


def test_what_is_known_of_a_training_stands_below_its_name():
    training = TrainingCard(steps=1500, images_seen=24_000, global_batch=16)
    record = make_record("ssagan")
    record = replace(record, subject=replace(record.subject, training=training))
    text = render_page(boards([record, make_record("r", "real")]))
    assert "batch 16, steps 1,500, images seen 24,000" in Page(text).text
    assert "100 images a row" in Page(text).text and '<th scope="col">images</th>' not in text


def test_the_film_is_shown_before_the_tables(tmp_path, tables):
    for step in (10, 20):
        images = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
        (tmp_path / "ssagan" / "samples").mkdir(parents=True, exist_ok=True)
        file = tmp_path / "ssagan" / "samples" / f"step_{step:06d}{SUFFIX}"
        write_samples(file, SampleImages(("a red bird",), images, images))
    text = render_page(tables, [read_run(tmp_path / "ssagan", [])])
    assert 0 < text.index("SSA-GAN, step by step") < text.index("<table")
