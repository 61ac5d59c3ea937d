import re
from dataclasses import replace

import pytest
from report_fixtures import make_published_like as like
from report_fixtures import make_repeated, write_run

from t2igan.errors import UserError
from t2igan.evaluation.protocol import load_protocol, protocol_of
from t2igan.evaluation.record import SubjectCard
from t2igan.reporting.leaderboard import boards
from t2igan.reporting.published import (
    METRICS,
    beside,
    differences_of,
    elsewhere,
    load_published,
    read_published,
)
from t2igan.reporting.published_tables import elsewhere_grid

NUMBERS = [number for one in load_published().values() for number in one.numbers]
# What nobody has looked up again: it must be told from what a source was seen to state.
RECALLED = {
    *(("cub", "MirrorGAN", value) for value in (4.56, 57.67, 58.52, 60.42, 4.01, 4.30, 4.54, 18.34)),
    *(("coco", "MirrorGAN", value) for value in (26.47, 74.52, 76.87, 80.21, 21.85, 24.11, 34.71)),
    *(("cub", "AttnGAN", 53.31), ("cub", "DF-GAN", 44.83), ("cub", "DF-GAN", 5.10), ("cub", "SSA-GAN", 85.4)),
    *(("coco", "DF-GAN", 67.97), ("coco", "DF-GAN", 21.42), ("coco", "SSA-GAN", 90.6)),
    *(("coco", "Obj-GAN", value) for value in (16.5, 66.5)),
    *(("coco", "AttnGAN", value) for value in (20.8, 51.8)),
    *(("coco", "TReCS", 21.3), ("coco", "XMC-GAN", 28.37), ("coco", "SPADE", 22.6)),
    *(("coco", "NTLB", value) for value in (0.7547, 0.7814, 0.1914, 36.004)),
    *(("coco", "Make-A-Scene", value) for value in (0.7591, 0.7835, 0.2984, 21.367)),
    *(("coco", "SpaText", value) for value in (0.7661, 0.7862, 0.2029, 23.128)),
    *(("coco", "SpaText", value) for value in (0.7436, 0.7795, 0.2842, 6.7721)),
}


def found(record, metric, system="DM-GAN", variant="released weights"):
    (board,) = boards([record])
    (one,) = [
        one
        for one in beside(board)
        if (one.number.metric, one.number.system, one.number.variant) == (metric, system, variant)
    ]
    return one


def number_of_arxiv(source):
    """The address of the paper that a source names."""
    return [f"https://arxiv.org/abs/{name}" for name in re.findall(r"arXiv (\d{4}\.\d{5})", source)]


def test_every_entry_is_whole():
    assert {number.dataset for number in NUMBERS} == {"cub", "coco"}
    for number in NUMBERS:
        assert number.system and number.source and number.metric in METRICS
        assert number.link.startswith("https://github.com/") or number.certainty != "stated"
        assert number.link in number_of_arxiv(number.source) or number.certainty != "listed"
        assert number.value >= 0
        assert number.certainty != "user" or number.protocol is None


def test_recalled_numbers_are_marked():
    recalled = {(n.dataset, n.system, n.value) for n in NUMBERS if n.certainty == "recalled"}
    assert recalled == RECALLED


def test_users_numbers_name_their_thread():
    threads = {number.source for number in NUMBERS if number.certainty == "user"}
    assert all("#" in one for one in threads)
    assert {"wtliao/text2image#14", "wtliao/text2image#15", "MinfengZhu/DM-GAN#29"} <= threads


def test_tise_is_calibrated_and_the_others_are_not():
    for number in NUMBERS:
        if number.metric in ("is", "is*") and number.protocol:
            assert (number.metric == "is*") == number.protocol.endswith("/tise")


@pytest.mark.parametrize(("metric", "ours", "published"), [("fid", 16.5, 15.34), ("r-precision", 70.0, 76.58)])
def test_ours_less_the_published_in_published_units(metric, ours, published):
    one = found(like(), metric)
    assert (one.value, one.number.value) == (pytest.approx(ours), published)
    assert one.difference == pytest.approx(ours - published)


def test_the_mean_of_several_runs_is_held_against_it(tmp_path):
    cards = []
    for seed in (0, 1):
        path = write_run(tmp_path / f"dmgan-{seed}", seed)
        cards.append(SubjectCard("checkpoint", f"dmgan-{seed}", str(path), module="t2igan.models.dmgan.DMGAN"))
    first, second = (like(subject=card) for card in cards)
    second = replace(second, metrics={"fid": replace(second.metrics["fid"], value=18.5)})
    (board,) = boards([first, second])
    (one,) = [
        one
        for one in beside(board)
        if (one.number.system, one.number.metric, one.number.variant) == ("DM-GAN", "fid", "released weights")
    ]
    assert one.value == pytest.approx(17.5)
    assert one.row.title == "DM-GAN, 2 runs"


def test_another_protocol_version_or_data_set_stands_beside_nothing():
    for changes in ({"protocol_hash": "00" * 32}, {"dataset": "drawn-birds"}, {"protocol": "mine"}):
        (board,) = boards([replace(like(), **changes)])
        assert beside(board) == []


def test_a_protocol_shows_only_its_own_numbers():
    (board,) = boards([like("cub/tise", "AttnGAN")])
    assert {one.number.protocol for one in beside(board)} == {"cub/tise"}


CONTENT = load_protocol("cub/dmgan").content
FID = CONTENT["metrics"][0]


def measured_as(**changes):
    """A record of DM-GAN under its protocol with some keys of it changed; ``fid`` changes keys of that metric."""
    fid = changes.pop("fid", {})
    content = CONTENT | changes | {"metrics": [FID | fid, *CONTENT["metrics"][1:]]}
    return like(protocol_content=content, protocol_hash=protocol_of(content, "p").hash)


def differences_from(record, metric="fid", system="DM-GAN", variant="released weights"):
    """What is said of a published number instead of holding it against the record."""
    (board,) = boards([record])
    number = next(
        number
        for number in load_published()[board.dataset].numbers
        if (number.metric, number.system, number.variant) == (metric, system, variant) and number.protocol
    )
    assert (number in elsewhere([board])) == (number not in {one.number for one in beside(board)})
    return differences_of(number, board)


def test_copies_are_no_images():
    folder = SubjectCard("images", "DM-GAN", n_distinct=6000)
    assert differences_from(like(subject=folder)) == ["images: 30,000, ours 6,000 and 24,000 copies"]
    # As many as were published, and one of them 30,000 times more.
    record = like(subject=replace(folder, n_distinct=30_000), n_generated=60_000)
    assert differences_from(record) == ["images: 30,000, ours 30,000 and 30,000 copies"]


def test_an_edited_record_does_not_speak_for_its_table():
    """It says that it was measured on the whole test split, which another record of the table denies."""
    edited = like(integrity="edited", subject=SubjectCard("untrained", "dmgan"))
    (board,) = boards([edited, like(n_split=600)])
    number = next(
        each
        for each in load_published()["cub"].numbers
        if (each.metric, each.system, each.variant) == ("fid", "DM-GAN", "released weights") and each.protocol
    )
    assert board.records[0].integrity == "edited"
    assert differences_of(number, board) == ["test images: 2,933, ours 600"]


def test_a_source_that_does_not_say_enough_stands_beside_nothing():
    record = like("cub/attngan", "AttnGAN", n_generated=2900)
    assert differences_from(record, "is", "AttnGAN", "paper") == ["images: not said"]
    (board,) = boards([like("cub/tise", "AttnGAN")])
    assert {one.number.metric for one in beside(board)} == {"r-precision"}
    (board,) = boards([like("coco/tise", "AttnGAN", n_generated=5000)])
    assert {one.number.metric for one in beside(board)} == {"clip-r-precision"}


def test_not_computed_and_edited_are_said():
    record = like(metrics={"is": like().metrics["is"]})
    assert found(record, "fid").why_not == "not computed"
    assert found(like(integrity="edited"), "fid").why_not == "its record was edited"


def test_the_difference_is_named_beside_the_number():
    boards_of_two = boards([measured_as(words=18), like("cub/t2igan", n_generated=30_000)])
    others = elsewhere(boards_of_two)
    grid = elsewhere_grid(others, boards_of_two)
    column = grid[0].index("difference")
    assert all(len(line) == len(grid[0]) and line[column] for line in grid)
    (line,) = [line for line in grid if line[0] == "DM-GAN (released weights)" and "76.58 ± 0.53" in line]
    assert line[column] == "from cub/dmgan, 30,000 images: words: 25, ours 18"
    (line,) = [line for line in grid if line[0] == "GALIP (paper)"]
    assert line[column] == "how it was measured is not known"
    (line,) = [line for line in grid if line[0] == "AttnGAN (paper)" and "67.82 ± 4.43" in line]
    assert line[column] == "from cub/dmgan, 30,000 images: negatives: not said; words: 25, ours 18"
    # What not all numbers of a line differ in is said with the metrics that do.
    (line,) = [line for line in grid if line[0] == "DM-GAN" and "15.52" in line]
    assert "is*: temperature: " in line[column] and "fid: " not in line[column]


def test_another_system_has_no_difference():
    one = found(like(config="SSAGAN"), "fid")
    assert one.row is None and one.difference is None
    untrained = SubjectCard("untrained", "dmgan", module="t2igan.models.dmgan.DMGAN")
    assert found(like(subject=untrained), "fid").row is None


def test_an_exchanged_generator_is_another_system(tmp_path):
    for generator, own in (("t2igan.models.dmgan.DMGANGenerator", True), ("mine.Mine", False)):
        folder = tmp_path / generator
        path = write_run(folder, 0, generator={"class_path": generator})
        card = SubjectCard("checkpoint", "x", str(path), module="t2igan.models.dmgan.DMGAN")
        assert (found(like(subject=card), "fid").row is not None) == own


def test_a_folder_may_have_the_name_of_a_system():
    assert found(like(subject=SubjectCard("images", "DM-GAN")), "fid").value == 16.5
    assert found(like(subject=SubjectCard("images", "images")), "fid").row is None


def test_r_precision_is_that_of_a_released_damsm():
    """Values of another network do not compare, whichever the generator was trained against."""
    record = like(damsm_origin={})
    one = found(record, "r-precision")
    assert one.difference is None and "imported from released files" in one.why_not
    value = record.metrics["r-precision@damsm"]
    two = {
        "r-precision@damsm": replace(value, value=0.9),
        "r-precision@released": replace(value, network_sha256="dd" * 32),
    }
    record = replace(record, metrics=two, damsm={"damsm": "a", "released": "b"}, damsm_origin={"released": "x.pth"})
    assert found(record, "r-precision").value == pytest.approx(70.0)
    assert found(like(metrics={}, damsm={}, damsm_origin={}), "r-precision").why_not == "not computed"


def test_what_stands_in_no_table_is_elsewhere_and_drawn_birds_have_none():
    (cub,) = boards([like()])
    shown = {one.number for one in beside(cub)}
    others = elsewhere([cub])
    assert shown and not shown & set(others)
    assert shown | set(others) == set(load_published()["cub"].numbers)
    assert elsewhere(boards([make_repeated("a", 0, 1.0)])) == []


BLOCK = "dataset: cub\ntest_images: [2933, 2933]\nblocks:\n- {source: s, certainty: stated, rows: [%s]}\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BLOCK % "{system: A, fad: 3}", "block 1, row 1: fad: unknown"),
        (BLOCK % "{system: A, fid: three}", "'three' is not a value"),
        (BLOCK % "{fid: 3}", "needs a system"),
        (BLOCK % "{system: A, fid: 3, protocol: cub/none}", "no protocol 'cub/none'"),
        (BLOCK % "{system: A, fid: 3, protocol: coco/dmgan}", "coco/dmgan is for coco"),
        (BLOCK % "{system: A, is: 3, protocol: cub/tise}", "has the temperature"),
        (BLOCK % "{system: A, fid: 3, but: {weigths: raw}}", "but: weigths is not a key"),
        (BLOCK % "{system: A, soa-c: 3, protocol: cub/dmgan}", "does not measure it"),
        ((BLOCK % "{system: A, fid: 3}").replace("stated", "sure"), "blocks[0].certainty: 'sure' is not one of"),
        (
            (BLOCK % "{system: A, fid: 3}").replace("source", "sauce"),
            "[0].source is missing; blocks[0].sauce: unknown key (did",
        ),
        ("a: 1", "dataset is missing"),
        (BLOCK.replace("2933]", "2934, 1]") % "{system: A, fid: 3}", "test_images must be"),
        ("a: [", "not YAML"),
    ],
)
def test_wrong_data_is_named(tmp_path, text, words):
    path = tmp_path / "cub.yaml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read_published(path)
    assert words in str(error.value) and str(path) in str(error.value)
