import re
from dataclasses import replace

import torch
from report_fixtures import CLASSIFIER, DAMSM, EVIL, Page, make_record

from t2igan.evaluation.record import MetricValue, SubjectCard, TrainingCard
from t2igan.plotting.sample_file import SUFFIX, SampleImages, write_samples
from t2igan.reporting.html import render_page
from t2igan.reporting.leaderboard import boards
from t2igan.reporting.report_runs import read_run


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


def test_a_table_with_many_metrics_is_in_parts_that_fit_the_page():
    values = {f"r-precision@other-{n}-damsm": MetricValue(0.0178, 0.0168, 619, DAMSM, 0.01) for n in range(14)}
    text = render_page(boards([make_record("ssagan", metrics=values)]))
    parts = [part.partition("</table>")[0] for part in text.split('<table class="board">')[1:]]
    headers = [part.count('<th scope="col">') - 1 for part in parts]
    assert sum(headers) == 14 and max(headers) < 8
    assert [part.count("1.78 ± 1.68 %</summary>") for part in parts] == headers
    assert [part.count("<td>SSA-GAN") for part in parts] == [1] * len(parts)
    for number in range(14):
        assert text.count(f"DAMSM (other-{number}) ↑ ± folds</th>") == 1


def test_the_number_of_images_is_in_a_line_of_its_own():
    record = make_record("r", "real", metrics={"fd-classifier": MetricValue(1.4, None, 400, CLASSIFIER)})
    text = render_page(boards([make_record("a"), record]))
    assert ">1.40</summary>" in text and '<span class="interval">(n = 400)</span>' in text
